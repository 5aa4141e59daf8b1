"""The chart: a panel of bars for each workload, shortest first, the modes of httpmini in colour.

The file has its own style and embeds no font. It is readable on a light and on a dark page.
"""

from __future__ import annotations

from html import escape

from bench.compare import machine
from bench.compare.catalogue import TITLES
from bench.compare.report import SUMMARY, figure
from bench.compare.results import Results
from bench.compare.servers import BY_NAME

WIDTH, GAP = 960, 32
PANEL = (WIDTH - 3 * GAP) // 2
ROW, TITLE_ROOM, LABEL_ROOM, VALUE_ROOM = 19, 34, 190, 46
TOP = 58
REFERENCE, TIMES = "nginx", 4  # bars are cut at this many times the reference, and marked
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f }
.name { text-anchor: end } .title { font-size: 14px; font-weight: 600 } .head { font-size: 17px; font-weight: 600 }
.small { font-size: 11px; fill: #57606a } .ours { font-weight: 600 }
rect { fill: #8c959f } rect.ours { fill: #0969da } rect.cut { fill: #fff }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .small { fill: #9198a1 }
  rect { fill: #6e7681 } rect.ours { fill: #58a6ff } rect.cut { fill: #0d1117 }
}
"""


def draw(results: Results) -> str:
    """Return the chart as SVG."""
    panels = [(key, _bars(results, key)) for key in SUMMARY]
    panels = [(key, found) for key, found in panels if found]
    parts, heights = [], [TOP, TOP]
    for key, found in panels:
        column = 0 if heights[0] <= heights[1] else 1
        x, y = GAP + column * (PANEL + GAP), heights[column]
        parts.append(_panel(f"{key}. {TITLES[key]}", found, _end(results, key, found), x, y))
        heights[column] = y + TITLE_ROOM + len(found) * ROW + 18
    height = max(heights) + 12
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'role="img" aria-label="Processor time per request">',
        f"<style>{STYLE}</style>",
        f'<text class="head" x="{GAP}" y="26">Microseconds of processor per request: shorter is better</text>',
        f'<text class="small" x="{GAP}" y="44">{escape(machine.in_words(results.machine))}. '
        "Bars with a notch go on: they are cut at four times nginx.</text>",
    ]
    return "\n".join([*head, *parts, "</svg>\n"])


def _bars(results: Results, key: str) -> list[tuple[str, float]]:
    """Return servers and their figures, smallest first."""
    found = ((server, results.median(key, server, "cpu_us")) for server in results.servers())
    return sorted(((server, value) for server, value in found if value is not None), key=lambda bar: bar[1])


def _end(results: Results, key: str, found: list[tuple[str, float]]) -> float:
    """Return the figure that corresponds to the longest bar."""
    reference = results.median(key, REFERENCE, "cpu_us") or found[len(found) // 2][1]
    return min(found[-1][1], TIMES * reference)


def _panel(title: str, found: list[tuple[str, float]], end: float, x: int, y: int) -> str:
    lines = [f'<g transform="translate({x},{y})">', f'<text class="title" y="16">{escape(title)}</text>']
    room = PANEL - LABEL_ROOM - VALUE_ROOM
    for number, (server, value) in enumerate(found):
        top = TITLE_ROOM - 8 + number * ROW
        length = max(1.0, min(value, end) / end * room)
        ours = " ours" if BY_NAME[server].mode else ""
        kind = f' class="{ours.strip()}"' if ours else ""
        label = escape(BY_NAME[server].label)
        lines.append(f'<text class="name{ours}" x="{LABEL_ROOM - 8}" y="{top + 12}">{label}</text>')
        lines.append(f'<rect{kind} x="{LABEL_ROOM}" y="{top + 2}" width="{length:.1f}" height="{ROW - 6}"/>')
        if value > end:
            at = LABEL_ROOM + room - 14
            lines.append(
                f'<rect class="cut" x="{at}" y="{top}" width="4" height="{ROW - 2}" transform="skewX(-12)" '
                f'style="transform-origin:{at}px {top + ROW // 2}px"/>'
            )
        lines.append(f'<text{kind} x="{LABEL_ROOM + length + 5:.1f}" y="{top + 12}">{figure(value)}</text>')
    return "\n".join([*lines, "</g>"])
