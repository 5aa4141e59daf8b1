"""Bars become numbers for a template: percentages of the width, and where the seconds are."""

from __future__ import annotations

import msgspec

from httpmini.timeline.bars import ANSWER, Bar

_STEPS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600, 1800, 3600)
_MOST_TICKS = 6
_LEAST_PERCENT = 0.2  # or nobody sees it


class Box(msgspec.Struct, frozen=True):
    """A piece of a bar: its state, where it begins and how wide it is in percent, and what it says."""

    state: str
    x: str
    width: str
    title: str


class Line(msgspec.Struct, frozen=True):
    """One row of a chart."""

    name: str
    manner: str
    title: str
    boxes: list[Box]
    refused: str


class Tick(msgspec.Struct, frozen=True):
    """A moment that is named below a chart."""

    x: str
    text: str


class Chart(msgspec.Struct, frozen=True):
    """What a template draws.

    Attributes:
        lines: from top to bottom.
        ticks: from left to right.
        waited_s: how long all clients waited for others.
        longest_s: how long one waited at most.
        refused: how many were refused.
    """

    lines: list[Line]
    ticks: list[Tick]
    waited_s: float
    longest_s: float
    refused: int


def chart_of(bars: list[Bar], start: float, end: float) -> Chart:
    """Return a chart of what happened between two moments of the trace."""
    length = max(end - start, 0.001)
    waits = [bar.waited_s for bar in bars]
    return Chart(
        lines=[_line(bar, start, length) for bar in bars],
        ticks=_ticks(length),
        waited_s=sum(waits),
        longest_s=max(waits, default=0.0),
        refused=sum(bar.refused_at is not None for bar in bars),
    )


def _line(bar: Bar, start: float, length: float) -> Line:
    def percent(seconds: float) -> float:
        return min(100.0, max(0.0, 100 * seconds / length))

    boxes = [
        Box(
            span.state.name,
            f"{percent(span.start - start):.3f}%",
            f"{max(_LEAST_PERCENT, percent(span.end - start) - percent(span.start - start)):.3f}%",
            f"{bar.name}: {span.state.text}, {seconds(span.seconds)}",
        )
        for span in sorted(bar.spans, key=lambda span: span.state is ANSWER)  # on top: often it is the shortest
        if span.end >= start
    ]
    refused = f"{percent(bar.refused_at - start):.3f}%" if bar.refused_at is not None else ""
    return Line(bar.name, bar.manner, say(bar), boxes, refused)


def say(bar: Bar) -> str:
    """Return what became of a connection, in one sentence."""
    lost = f"; {bar.lost} events between were not kept" if bar.lost else ""
    if bar.refused_at is not None:
        return f"refused{lost}"
    what = "1 response" if bar.responses == 1 else f"{bar.responses} responses"
    return f"waited {seconds(bar.waited_s)} for others, {what}, {bar.end}{lost}"


def seconds(value: float) -> str:
    """Return a time as people read it."""
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def _ticks(length: float) -> list[Tick]:
    step = next((step for step in _STEPS_S if length / step <= _MOST_TICKS), _STEPS_S[-1])
    return [
        Tick(f"{100 * which * step / length:.3f}%", seconds(which * step) if which else "0")
        for which in range(int(length / step) + 1)
    ]
