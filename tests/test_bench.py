"""The bench: which bars are reached, what README.md shows of a run, and cells that are measured again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.compare import bars, cores, readme, report
from bench.compare.bars import BARS, Bar, Judged
from bench.compare.cores import Cores
from bench.compare.results import Cell, Results
from bench.compare.run import Plan, measured_nearby
from bench.compare.running import Running, started
from bench.compare.servers import BY_NAME
from bench.compare.workloads import Effort, Outcome, Workload

README = Path(__file__).parents[1] / "README.md"
MOST = Bar("1: most", ("1", "select", "x"), None, must=0.9, aim=0.8)
LEAST = Bar("1: least", ("1", "select", "x"), None, must=0.9, aim=1.0, at_least=True)
NO_AIM = Bar("1: no aim", ("1", "select", "x"), None, must=30)


def of_three(key: str, value: str, select: float, nginx: float, lighttpd: float) -> list[Cell]:
    servers = {"select": select, "nginx-cache": nginx, "lighttpd": lighttpd}
    return [Cell(key, name, 1, {value: figure}) for name, figure in servers.items()]


def children() -> list[str]:
    return [pid for file in Path("/proc/self/task").glob("*/children") for pid in file.read_text().split()]


def a_run() -> Results:
    machine = {"processor": "A", "cores": 2, "memory_gb": 1, "system": "S", "kernel": "K", "python": "3", "date": "D"}
    cells = [*of_three("1", "cpu_us", 6.0, 10.0, 5.0), *of_three("3", "cpu_us", 20.0, 10.0, 20.0)]
    cells += of_three("5", "mib_per_second_one", 900.0, 1000.0, 500.0)
    cells += [Cell("12", "nginx-cache", 1, {"times_rate": 6.5}), Cell("2", "bare-fork", 1, {"cpu_us": 1.0})]
    return Results({**machine, "versions": {}, "load_before": 0.0}, cells=cells)


@pytest.mark.parametrize(
    ("bar", "value", "verdict"),
    [
        (MOST, 0.8, "aim"),
        (MOST, 0.81, "must"),
        (MOST, 0.9, "must"),
        (MOST, 0.91, "missed"),
        (LEAST, 1.0, "aim"),
        (LEAST, 0.99, "must"),
        (LEAST, 0.89, "missed"),
        (NO_AIM, 30, "must"),
        (NO_AIM, 31, "missed"),
        (MOST, None, "not measured"),
    ],
)
def test_what_is_reached(bar: Bar, value: float | None, verdict: str) -> None:
    assert Judged(bar, value, None).verdict == verdict


def test_the_bars_of_a_run() -> None:
    found = {each.bar.text.partition(",")[0]: each for each in bars.judged(a_run()) if each.value is not None}
    assert {text: (each.value, each.verdict, each.beside) for text, each in found.items()} == {
        "1: 1 KiB kept alive": (0.6, "aim", 0.5),
        "3: all heads differ": (2.0, "missed", 2.0),
        "5: 1 GiB": (0.9, "missed", 0.5),
        "12: client": (6.5, "must", None),
    }
    rows = next(table for table in report.tables(a_run()) if table.title == "Bars").rows
    assert [len(row) for row in rows] == [7] * 4


def test_every_bar_names_what_is_measured() -> None:
    sides = [side for bar in BARS for side in (bar.one, bar.other, bar.beside) if side]
    assert {name for _, name, _ in sides} <= set(BY_NAME)
    for bar in BARS:
        assert bar.aim is None or (bar.aim >= bar.must if bar.at_least else bar.aim <= bar.must), bar.text


def test_readme_gets_table_picture_and_who_is_ahead() -> None:
    page = readme.redrawn(f"before\n{readme.BEGIN}\nold\n{readme.END}\nafter\n", a_run())
    assert page.startswith(f"before\n{readme.BEGIN}\n")
    assert page.endswith(f"\n{readme.END}\nafter\n")
    assert "old" not in page
    assert "| httpmini, select | - |" not in page
    assert "| httpmini, select | 6.00 | - | 20.0 |" in page
    assert readme.PICTURE in page
    assert "bare fork" not in page
    words = " ".join(page.split())
    assert "nginx with open_file_cache, with ratios of ours to theirs: ahead in 1 KiB kept alive (0.60); not" in words
    assert "lighttpd, with ratios of ours to theirs: ahead in 1 GiB, one connection (1.80); level in all heads" in words
    assert readme.redrawn(page, a_run()) == page


@pytest.mark.parametrize("page", ["nothing", f"{readme.BEGIN}\n", f"{readme.END}\n"])
def test_a_readme_without_markers(page: str) -> None:
    with pytest.raises(ValueError, match=r"README\.md has no"):
        readme.redrawn(page, a_run())


def test_this_readme_has_the_markers() -> None:
    assert readme.redrawn(README.read_text("utf-8"), a_run())


@pytest.mark.parametrize(("key", "meets"), [("1", False), ("2", True), ("10", False)])
def test_a_server_that_can_do_one_thing_is_measured_at_that(key: str, meets: bool) -> None:
    workload = Workload(key, "", lambda _running, _effort: Outcome({}))
    plan = Plan([], [], 1, Effort(), {})
    assert plan.meets(workload, BY_NAME["bare-fork"]) is meets
    assert plan.meets(workload, BY_NAME["select"])


@pytest.mark.parametrize(("far", "attempts", "note"), [(1e9, 1, ""), (0.0, 3, "cores far apart in 3 attempts")])
def test_a_cell_is_measured_again_while_the_cores_are_apart(
    far: float, attempts: int, note: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores, "ROUNDS", 1)
    monkeypatch.setattr(cores, "TRIPS", 2)  # a byte needs both cores at once: on a busy machine that is rare
    distance = Cores()
    assert distance.nearest_ns > 0
    monkeypatch.setattr(cores, "FAR", far)  # every distance is short enough, or none
    seen = []

    def measure(_running: Running, _effort: Effort) -> Outcome:
        seen.append(os.sched_getaffinity(0))
        return Outcome({"cpu_us": float(len(seen))})

    with started(BY_NAME["select"], tmp_path / "server", tmp_path, wait=False) as running:
        cell = measured_nearby(Workload("1", "", measure), running, 1, Effort(), distance)
    assert (len(seen), cell.values, cell.note) == (attempts, {"cpu_us": float(attempts)}, note)
    assert seen[-1] == os.sched_getaffinity(0)


def test_a_core_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "MOST_LOOKS", 0)
    before, others = os.sched_getaffinity(0), children()
    with pytest.raises(TimeoutError, match="the other core does not answer"):
        Cores()
    assert os.sched_getaffinity(0) == before
    assert children() == others
