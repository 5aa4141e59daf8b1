"""The bars: performance targets that the project has set itself, and whether a run meets them.

Most are ratios within one run: of processor time per request, of throughput, of time. "nginx" stands for nginx with
open_file_cache and its access log on, its fastest configuration with a log. lighttpd's ratio to it is shown beside.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.compare.results import Results

Side = tuple[str, str, str]  # workload, server, value


@dataclass(frozen=True)
class Bar:
    """One target.

    Attributes:
        text: its name in the table.
        one: the value to judge.
        other: the value to divide it by; None to judge the value itself.
        must: the bound.
        aim: the bound that would be better still; None if there is none.
        at_least: whether the bounds are minima.
        beside: a value to be divided by ``other`` too, for comparison: lighttpd's.
    """

    text: str
    one: Side
    other: Side | None
    must: float
    aim: float | None = None
    at_least: bool = False
    beside: Side | None = None


@dataclass(frozen=True)
class Judged:
    """A bar with the measured value."""

    bar: Bar
    value: float | None
    beside: float | None

    @property
    def verdict(self) -> str:
        """Return "aim", "must", "missed" or "not measured"."""
        if self.value is None:
            return "not measured"
        if self.bar.aim is not None and self._reaches(self.bar.aim):
            return "aim"
        return "must" if self._reaches(self.bar.must) else "missed"

    def _reaches(self, bound: float) -> bool:
        assert self.value is not None
        return self.value >= bound if self.bar.at_least else self.value <= bound


def _against_nginx(
    key: str, text: str, must: float, aim: float, value: str = "cpu_us", *, at_least: bool = False
) -> Bar:
    ours, nginx, lighttpd = ((key, name, value) for name in ("select", "nginx-cache", "lighttpd"))
    return Bar(text, ours, nginx, must, aim, at_least, lighttpd)


BARS = (
    _against_nginx("1", "1: 1 KiB kept alive, processor time, select / nginx", 0.7, 0.6),
    _against_nginx("2", "2: new connection each, processor time, select / nginx", 0.9, 0.8),
    _against_nginx("3", "3: all heads differ, processor time, select / nginx", 1.3, 1.0),
    _against_nginx("4", "4: 100 KiB kept alive, processor time, select / nginx", 0.95, 0.8),
    _against_nginx("6", "6: 304, processor time, select / nginx", 0.95, 0.8),
    _against_nginx("5", "5: 1 GiB, one connection, throughput", 0.95, 1.0, "mib_per_second_one", at_least=True),
    _against_nginx("5", "5: 1 GiB, eight connections, throughput", 1.0, 1.0, "mib_per_second_eight", at_least=True),
    Bar(
        "2: new connection each, throughput, forking / a bare fork in Python",
        ("2", "forking", "per_second"),
        ("2", "bare-fork", "per_second"),
        0.6,
        0.8,
        at_least=True,
    ),
    Bar(
        "2: new connection each, processor time, threading / python -m http.server",
        ("2", "threading", "cpu_us"),
        ("2", "http.server", "cpu_us"),
        0.45,
        0.3,
    ),
    Bar(
        "3: all heads differ, processor time, prefork / select",
        ("3", "prefork", "cpu_us"),
        ("3", "select", "cpu_us"),
        1.05,
        1.0,
    ),
    Bar(
        "10: start-up, select / python -m http.server",
        ("10", "select", "start_ms"),
        ("10", "http.server", "start_ms"),
        1.2,
        1.0,
    ),
    Bar("12: client, rate / requests.Session", ("12", "nginx-cache", "times_rate"), None, 5, 8, at_least=True),
    Bar("12: client, processor time of requests.Session / ours", ("12", "nginx-cache", "times_cpu"), None, 5, 8, True),
    Bar("7: 9,000 idle, throughput / workload 1", ("7", "select", "kept_share"), None, 0.9, at_least=True),
    Bar("7: 9,000 idle, more memory (MB)", ("7", "select", "more_mb"), None, 30),
    Bar("8: 500 slow readers, throughput / workload 1", ("8", "select", "kept_share"), None, 0.8, at_least=True),
    Bar("8: 500 slow readers, p99 / workload 1", ("8", "select", "p99_ratio"), None, 3),
    Bar(
        "1: requests per second, select / python -m http.server",
        ("1", "select", "per_second"),
        ("1", "http.server", "per_second"),
        25,
        at_least=True,
    ),
    Bar(
        "2: new connection each, processor time, iterative / select",
        ("2", "iterative", "cpu_us"),
        ("2", "select", "cpu_us"),
        1.3,
    ),
)


def judged(results: Results) -> list[Judged]:
    """Judge every bar."""
    return [Judged(bar, _value(results, bar.one, bar.other), _beside(results, bar)) for bar in BARS]


def _value(results: Results, one: Side, other: Side | None) -> float | None:
    return results.ratio(one, other) if other else results.median(*one)


def _beside(results: Results, bar: Bar) -> float | None:
    return results.ratio(bar.beside, bar.other) if bar.beside and bar.other else None
