"""``httpmini compare``: the same clients in every mode, beside a process that does nothing but compute."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pytest

from httpmini.compare import run
from httpmini.compare.clients import LOADS, SCALE
from httpmini.compare.report import lines_of, look_at_machine, to_html, to_json
from httpmini.compare.run import Result, Wanted
from httpmini.server.modes import MODES
from tests.support.processes import run_command

WANTED = Wanted("connections", 10, "queue")


def _compute() -> None:
    while True:
        sum(range(10_000))


@pytest.fixture(scope="module")
def results() -> dict[str, Result]:
    """Compare all modes once."""
    busy = multiprocessing.get_context("fork").Process(target=_compute)
    busy.start()
    try:
        return {one.mode: one for one in run.compare(list(MODES), WANTED)}
    finally:
        busy.kill()
        busy.join()
        busy.close()


def waited(result: Result, name: str) -> float:
    return next(bar.waited_s for bar in result.bars if bar.name == name)


def test_who_waits(results: dict[str, Result]) -> None:
    """In iterative mode a quick client waits for nearly all of a download that was before it; in no other mode."""
    assert [one.problem for one in results.values()] == [""] * 5
    download_s = next(one.answer_s for one in LOADS["connections"] if one.name == "Bruno")
    assert download_s == 6 * SCALE
    waits = {mode: waited(result, "Chloe") for mode, result in results.items()}
    assert waits["iterative"] >= 0.8 * download_s, waits
    for mode in ("forking", "threading", "select", "prefork"):
        assert waits[mode] < waits["iterative"] / 2, waits


def test_everybody_was_served(results: dict[str, Result]) -> None:
    for result in results.values():
        assert {bar.name for bar in result.bars} == {one.name for one in LOADS["connections"]}
        got = {one.arrival.name: one.received > 0 for one in result.visits}
        assert [name for name, received in got.items() if not received] == ["Spare"], result.mode
        assert result.refused == 0


def test_what_it_took(results: dict[str, Result]) -> None:
    """Clients of forking mode are processes, those of threading mode threads; select mode needs one of each."""
    for mode in ("select", "iterative"):
        assert (results[mode].measures.processes, results[mode].measures.threads) == (1, 1)
    forking, threads = results["forking"].measures, results["threading"].measures
    assert forking.processes == forking.threads > 3
    assert threads.processes == 1
    assert threads.threads > 3
    assert results["prefork"].measures.processes >= 2
    assert all(one.measures.pss_kib > 0 and one.measures.switches > 0 for one in results.values())


def test_the_reports(results: dict[str, Result]) -> None:
    shown = [*results.values(), Result("select", problem="no <sockets> here")]
    machine = look_at_machine()
    page = to_html(shown, WANTED, machine).decode()
    assert page.count('<div class="chart"') == 5
    assert "It cannot run here: no &lt;sockets&gt; here" in page
    assert "http:" not in page.replace("http://www.w3.org/2000/svg", "")
    told = json.loads(to_json(shown, WANTED, machine))
    assert [one["mode"] for one in told["modes"]] == [one.mode for one in shown]
    assert len({len(line) for line in list(lines_of(shown))[:6]}) == 1
    assert list(lines_of(shown))[-1] == "select: no <sockets> here"


def test_refused_and_limited() -> None:
    (result,) = run.compare(["select"], Wanted("crowd", 1, "refuse"))
    assert result.problem == ""
    assert result.refused > 0
    assert result.measures.processes == 1


def test_a_mode_that_cannot_run() -> None:
    """A setting that a server refuses stands for a system that cannot do it."""
    (result,) = run.compare(["select"], Wanted("connections", 0, "queue"))
    assert "max_clients" in result.problem
    assert not result.bars


def test_the_bounds() -> None:
    for arrivals in LOADS.values():
        assert len(arrivals) <= 30
        assert len({one.name for one in arrivals}) == len(arrivals)
        assert sum(max(0.0, one.head_s) + one.answer_s for one in arrivals) < 12


def test_wrong_use(tmp_path: Path) -> None:
    status, _, errors = run_command("compare", "--load", "none", "-o", str(tmp_path / "x.html"))
    assert status == 2
    assert b"connections" in errors
