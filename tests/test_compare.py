"""``httpmini compare``: the same clients in every mode, beside a process that does nothing but compute."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
from itertools import accumulate
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from httpmini.cli.main import main
from httpmini.compare import run
from httpmini.compare.clients import LOADS
from httpmini.compare.report import lines_of, look_at_machine, to_html, to_json
from httpmini.compare.run import Result, Wanted
from httpmini.server.modes import MODES
from httpmini.timeline.bars import ANSWER, Bar
from tests.support.processes import eventually, run_command

pytestmark = pytest.mark.long

# Limits that only a hang reaches; the command's own are shorter.
WANTED = Wanted("connections", 10, "queue", patience_s=120, most_s=1000)
LONG = 3  # clients that stay for seconds, at the same time: too long to be overlooked
CLOCK_S = 0.05  # the kernel's estimates are steps of its clock


def _compute() -> None:
    os.nice(19)  # no more than what nobody else wants: other tests run at the same time
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


def bar_of(result: Result, name: str) -> Bar:
    return next(bar for bar in result.bars if bar.name == name)


def answered(bar: Bar) -> float:
    """When the last byte of its response left."""
    return max(span.end for span in bar.spans if span.state is ANSWER)


def test_who_waits(results: dict[str, Result]) -> None:
    """In iterative mode a quick client waits for the end of the download that was before it; in no other mode."""
    assert [one.problem for one in results.values()] == [""] * 5
    for mode, result in results.items():
        slow, quick = bar_of(result, "Bruno"), bar_of(result, "Chloe")
        both_s = answered(slow) - quick.start
        assert both_s > 0, "the quick client came when the download was over"
        if mode == "iterative":
            assert quick.waited_s >= 0.8 * both_s
            assert answered(quick) > answered(slow)
        else:
            assert answered(quick) < answered(slow), mode
            assert quick.waited_s < both_s


def test_clients_and_trace_agree(results: dict[str, Result]) -> None:
    """A client sees its response no sooner than the server says that it has waited."""
    for result in results.values():
        for one in result.visits:
            assert one.seconds >= bar_of(result, one.arrival.name).waited_s - CLOCK_S, (result.mode, one)


def test_everybody_was_served(results: dict[str, Result]) -> None:
    for result in results.values():
        assert {bar.name for bar in result.bars} == {one.name for one in LOADS["connections"]}
        got = {one.arrival.name: one.received > 0 for one in result.visits}
        assert [name for name, received in got.items() if not received] == ["Spare"], result.mode
        assert result.refused == 0


def most_at_once(result: Result) -> int:
    """How many clients were served at the same time."""
    ends = [(bar.start, 1) for bar in result.bars] + [(bar.last, -1) for bar in result.bars]
    return max(accumulate(change for _, change in sorted(ends)))


def test_what_it_took(results: dict[str, Result]) -> None:
    """Clients of forking mode are processes, those of threading mode threads; select mode needs one of each."""
    for mode in ("select", "iterative"):
        assert (results[mode].measures.processes, results[mode].measures.threads) == (1, 1)
    forking, threads = results["forking"].measures, results["threading"].measures
    assert forking.processes == forking.threads
    assert LONG < forking.processes <= 1 + most_at_once(results["forking"]) + 1  # one may still be on its way out
    assert threads.processes == 1
    assert LONG < threads.threads <= 1 + most_at_once(results["threading"]) + 1
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
    (result,) = run.compare(["select"], replace(WANTED, load="crowd", max_clients=1, overflow="refuse"))
    assert result.problem == ""
    assert result.refused > 0
    assert result.measures.processes == 1


def test_a_mode_that_cannot_run() -> None:
    """A setting that a server refuses stands for a system that cannot do it."""
    (result,) = run.compare(["select"], replace(WANTED, max_clients=0))
    assert "max_clients" in result.problem
    assert not result.bars


def test_there_is_no_time_left() -> None:
    (result,) = run.compare(["select"], replace(WANTED, most_s=1))
    assert "no time left of the 1 s" in result.problem


def test_the_bounds() -> None:
    for arrivals in LOADS.values():
        assert len(arrivals) <= 30
        assert len({one.name for one in arrivals}) == len(arrivals)
        assert sum(max(0.0, one.head_s) + one.answer_s for one in arrivals) < 12


def test_wrong_use(tmp_path: Path) -> None:
    status, _, errors = run_command("compare", "--load", "none", "-o", str(tmp_path / "x.html"))
    assert status == 2
    assert b"connections" in errors


@pytest.mark.parametrize("flag", ["-o", "--json"])
@pytest.mark.parametrize(
    ("name", "reason"), [("", "Is a directory"), ("none/x", "No such file"), ("file/x", "Not a directory")]
)
def test_a_file_that_cannot_be_written_is_named_before_anything_is_measured(
    flag: str, name: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(run, "compare", lambda *_: pytest.fail("it has begun"))
    done = CliRunner().invoke(main, ["compare", "-o", str(tmp_path / "page.html"), flag, str(tmp_path / name)])
    assert done.exit_code == 1
    assert reason in done.stderr


def test_sigterm_leaves_nothing_behind(tmp_path: Path) -> None:
    arguments = ["-m", "httpmini", "compare", "--mode", "select", "-o", str(tmp_path / "page.html")]
    command = subprocess.Popen(
        [sys.executable, *arguments], env=os.environ | {"TMPDIR": str(tmp_path)}, stderr=subprocess.DEVNULL
    )
    with command:
        eventually(lambda: bool(list(tmp_path.glob("*/select.toml"))), "a server is started")
        command.terminate()
    assert command.returncode == 1
    assert list(tmp_path.iterdir()) == []
