"""The part of README.md that shows the results of a full run, between two markers."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from bench.compare import bars, machine
from bench.compare.report import summary
from bench.compare.results import Results

BEGIN, END = "<!-- written by make bench -->", "<!-- up to here -->"
LEFT_OUT = ("nginx-quiet", "nginx-cache-quiet", "bare-fork")
PICTURE = "![The same as bars](bench/results/latest.svg)"


def redrawn(page: str, results: Results) -> str:
    """Return ``page`` with the text between the markers replaced.

    Raises:
        ValueError: a marker is missing.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"README.md has no {BEGIN if not begin else END}")
    return f"{before}{BEGIN}\n{drawn(results)}\n{END}{after}"


def drawn(results: Results) -> str:
    """Return machine, table, picture, and which rows are ahead of whom."""
    rounds = max((cell.round for cell in results.cells), default=0)
    said = f"Medians of {rounds} rounds: {machine.in_words(results.machine)}."
    servers = [name for name in results.servers() if name not in LEFT_OUT]
    table = summary(results, servers).as_markdown().partition("\n\n")[2]
    return "\n\n".join([textwrap.fill(said, 100), table, PICTURE, *(textwrap.fill(one, 100) for one in _told(results))])


def _told(results: Results) -> Iterator[str]:
    """Yield a sentence about each server that select mode is compared with."""
    compared = [each for each in bars.judged(results) if each.bar.beside]
    for label, ratio_of in (("nginx with open_file_cache", _to_nginx), ("lighttpd", _to_lighttpd)):
        found = [(each.bar, ratio) for each in compared if (ratio := ratio_of(each))]
        parts = [f"{what} in {', '.join(rows)}" for what, rows in _sorted(found).items() if rows]
        if parts:
            yield f"Select mode and {label}, with ratios of ours to theirs: {'; '.join(parts)}."


def _sorted(found: list[tuple[bars.Bar, float]]) -> dict[str, list[str]]:
    """Sort rows by whether we are ahead; three per cent are chance."""
    rows: dict[str, list[str]] = {"ahead": [], "level": [], "not ahead": []}
    for bar, ratio in found:
        gain = ratio if bar.at_least else 1 / ratio
        rows["ahead" if gain > 1.03 else "level" if gain > 0.97 else "not ahead"].append(f"{_short(bar)} ({ratio:.2f})")
    return rows


def _to_nginx(each: bars.Judged) -> float | None:
    return each.value


def _to_lighttpd(each: bars.Judged) -> float | None:
    return each.value / each.beside if each.value is not None and each.beside else None


def _short(bar: bars.Bar) -> str:
    """Return the name of a row without its number and what it is divided by."""
    return bar.text.partition(": ")[2].partition(", processor")[0].removesuffix(", throughput")
