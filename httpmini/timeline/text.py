"""A recording on a terminal: a line for each connection, a mark for each moment."""

from __future__ import annotations

from collections.abc import Iterator

from httpmini.errors import visible
from httpmini.server.core.events import Recording
from httpmini.timeline.bars import REFUSED_MARK, STATES, Bar
from httpmini.timeline.chart import say, seconds
from httpmini.timeline.page import limits_of, shown_bars

_LEAST_MARKS = 20


def lines_of(recording: Recording, columns: int, most: int) -> Iterator[str]:
    """Yield the lines of a recording for a terminal of so many columns; of the last ``most`` connections."""
    bars = shown_bars(recording, most)
    start, end = limits_of(bars)
    shown = f"the last {len(bars)} of " if len(bars) < recording.total else ""
    counted = f"{recording.total} connection{'s' if recording.total != 1 else ''}"
    yield f"mode {recording.mode}, max_clients {recording.max_clients}: {shown}{counted}"
    names = max((len(bar.name) for bar in bars), default=0)
    for bar in bars:
        yield f"{visible(bar.name):{names}}  {marks_of(bar, start, end, columns - names - 2)}"
        yield f"{'':{names}}  {say(bar)}"
    yield f"{'':{names}}  {seconds(end - start)} from left to right; {REFUSED_MARK} refused"
    for state in STATES:
        yield f"{'':{names}}  {state.mark} {state.text}"


def marks_of(bar: Bar, start: float, end: float, columns: int) -> str:
    """Return the marks of one connection."""
    columns = max(_LEAST_MARKS, columns)
    marks = [" "] * columns

    def column(moment: float) -> int:
        return min(columns - 1, int((moment - start) / max(end - start, 0.001) * columns))

    for span in bar.spans:
        first = column(span.start)
        marks[first : column(span.end) + 1] = span.state.mark * (column(span.end) + 1 - first)
    if bar.refused_at is not None:
        marks[column(bar.refused_at)] = REFUSED_MARK
    return "".join(marks).rstrip()
