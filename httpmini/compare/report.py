"""The results as rows of a table, as JSON, and as a page."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator

import msgspec

from httpmini.compare.clients import LOADS
from httpmini.compare.run import Result, Wanted
from httpmini.protocol.dates import format_date
from httpmini.site import pages
from httpmini.timeline.bars import STATES, Bar
from httpmini.timeline.chart import chart_of

COLUMNS = (
    "mode",
    "waited in all",
    "at most",
    "processes",
    "threads",
    "memory (PSS)",
    "processor time",
    "context switches",
    "refused",
)


class Machine(msgspec.Struct, frozen=True):
    """Where it was measured.

    Attributes:
        system: the kernel and the kind of processor.
        python: the version of Python.
        processors: how many this process may use.
        load: the average number of processes that wanted to run in the minute before.
        date: when, as an HTTP date.
    """

    system: str
    python: str
    processors: int
    load: float
    date: str


def look_at_machine() -> Machine:
    """Return what this machine is, and how busy."""
    uname = os.uname()
    return Machine(
        system=f"{uname.sysname} {uname.release} {uname.machine}",
        python=platform.python_version(),
        processors=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        load=round(os.getloadavg()[0], 2),
        date=format_date(int(time.time())),
    )


def row_of(result: Result) -> tuple[str, ...]:
    """Return a row of the table."""
    taken = result.measures
    return (
        result.mode,
        f"{result.waited_s:.1f} s",
        f"{result.longest_s:.2f} s",
        str(taken.processes),
        str(taken.threads),
        f"{taken.pss_kib / 1024:.0f} MiB" if taken.pss_kib else "unknown",
        f"{taken.processor_s:.2f} s",
        str(taken.switches),
        str(result.refused),
    )


def lines_of(results: list[Result]) -> Iterator[str]:
    """Yield the lines of the table for a terminal."""
    rows = [COLUMNS, *(row_of(result) for result in results if not result.problem)]
    widths = [max(len(row[which]) for row in rows) for which in range(len(COLUMNS))]
    for row in rows:
        first, *others = (f"{text:{'<' if not which else '>'}{widths[which]}}" for which, text in enumerate(row))
        yield "  ".join((first, *others)).rstrip()
    for result in results:
        if result.problem:
            yield f"{result.mode}: {result.problem}"


def to_json(results: list[Result], wanted: Wanted, machine: Machine) -> bytes:
    """Return everything that was measured."""
    modes = [
        {
            "mode": result.mode,
            "problem": result.problem,
            "waited_s": result.waited_s,
            "longest_s": result.longest_s,
            "refused": result.refused,
            "measures": result.measures,
            "clients": [_describe(bar, result.start) for bar in result.bars],
            "visits": result.visits,
        }
        for result in results
    ]
    return msgspec.json.encode({"machine": machine, "wanted": wanted, "modes": modes}) + b"\n"


def _describe(bar: Bar, start: float) -> dict[str, object]:
    """Return one client; times are seconds since the clients began."""
    spans = [
        {"state": span.state.name, "start": round(span.start - start, 4), "end": round(span.end - start, 4)}
        for span in bar.spans
    ]
    return {"name": bar.name, "manner": bar.manner, "waited_s": bar.waited_s, "end": bar.end, "spans": spans}


def to_html(results: list[Result], wanted: Wanted, machine: Machine) -> bytes:
    """Return a page without anything outside of it."""
    length = max((result.end - result.start for result in results), default=1.0)
    panels = [(result, chart_of(result.bars, result.start, result.start + length)) for result in results]
    rows = [row_of(result) for result in results if not result.problem]
    drawn = pages.draw(
        "compare.html",
        panels=panels,
        rows=rows,
        columns=COLUMNS,
        wanted=wanted,
        machine=machine,
        states=STATES,
        modes=[result.mode for result in results],
        clients=len(LOADS[wanted.load]),
    )
    return drawn.text
