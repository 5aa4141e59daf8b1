"""A recording as a page without anything outside of it."""

from __future__ import annotations

from httpmini.protocol.dates import format_date
from httpmini.server.core.events import FORMAT, Recording
from httpmini.site import pages
from httpmini.site.pages import Drawn
from httpmini.timeline.bars import STATES, Bar, bars_of
from httpmini.timeline.chart import chart_of

MOST_SHOWN = 200


def draw_timeline(recording: Recording, *, is_live: bool = False, most: int = MOST_SHOWN) -> Drawn:
    """Return the page of a recording.

    Args:
        recording: what to draw.
        is_live: whether the server goes on.
        most: how many connections to show, the last ones.
    """
    bars = shown_bars(recording, most)
    start, end = limits_of(bars)
    return pages.draw(
        "timeline.html",
        recording=recording,
        begun=format_date(int(recording.wall)),
        chart=chart_of(bars, start, end),
        start=start,
        states=STATES,
        is_live=is_live,
    )


def shown_bars(recording: Recording, most: int) -> list[Bar]:
    """Return the last bars."""
    return bars_of(recording)[-most:]


def limits_of(bars: list[Bar]) -> tuple[float, float]:
    """Return when the first of some connections began, and the last one ended."""
    return min((bar.start for bar in bars), default=0.0), max((bar.last for bar in bars), default=1.0)


def load() -> None:
    """Load all that a page needs: later the process may not reach it."""
    empty = Recording(
        format=FORMAT, mode="select", max_clients=1, overflow="queue", wall=0, seconds=0, total=0, connections=[]
    )
    draw_timeline(empty)
