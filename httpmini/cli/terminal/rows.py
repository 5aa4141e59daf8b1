"""Rows for people, as wide as the terminal: who gets what, how far it is, how fast it goes."""

from __future__ import annotations

import time
from typing import Literal

from rich.cells import cell_len
from rich.console import Console
from rich.filesize import decimal
from rich.progress_bar import ProgressBar
from rich.text import Text

from httpmini.cli.terminal.banner import fit
from httpmini.cli.terminal.look import Look
from httpmini.cli.terminal.transfers import Kind, Line, Running

_GAP = 2
_LEAST_NAME = 12  # columns; what else is in the row leaves first
_BAR = 16
_UNBOUNDED = 10_000  # rows are cut here, not by rich
_STYLES = {Kind.DONE: "", Kind.CUT: "yellow", Kind.REFUSED: "red", Kind.MESSAGE: "dim"}
_LEVELS = {"error": "bold red", "warning": "yellow"}


class Rows:
    """Makes rows of text with the escape sequences that the terminal understands.

    Args:
        look: what the terminal can show.
    """

    def __init__(self, look: Look) -> None:
        self._look = look
        colours: Literal["standard"] | None = "standard" if look.colour else None
        self._console = Console(
            color_system=colours, force_terminal=look.colour, no_color=not look.colour, width=_UNBOUNDED
        )

    def line(self, line: Line, width: int) -> list[str]:
        """Return the rows of a line that stays: one, or more for a long message."""
        when = time.strftime("%H:%M", time.localtime(line.wall))
        if line.kind is Kind.MESSAGE:
            style = _LEVELS.get(line.note, "dim")
            return [self._spell(Text(part, style)) for part in fit(f"{when}  {line.name}", width)]
        left, right = [when, f"{line.client:<14}"], Text(_result(line), _STYLES[line.kind])
        return [self._row(left, line.name, right, width)]

    def running(self, one: Running, width: int) -> str:
        """Return the row of a transfer under way."""
        when = time.strftime("%H:%M", time.localtime(one.wall))
        rate = f"{decimal(int(one.rate), precision=0)}/s" if one.rate else ""
        left = "" if one.left_s is None else _clock(one.left_s)
        figures = f"{100 * one.sent // one.total:3} %  {rate:>8}  {left:>5}"
        right = Text(figures)
        if width >= 70:
            right = Text.assemble(self._bar(one), "  ", figures)
        return self._row([when, f"{one.client:<14}"], one.name, right, width)

    def more(self, count: int) -> str:
        """Return the row for transfers that the terminal has no rows for."""
        return f"and {count} more"

    def _bar(self, one: Running) -> Text:
        if not self._look.unicode:
            done = _BAR * one.sent // one.total
            return Text("#" * done + "-" * (_BAR - done))
        bar = ProgressBar(total=one.total, completed=one.sent, width=_BAR)
        text = Text.assemble(*((part.text, part.style or "") for part in self._console.render(bar)))
        text.rstrip()
        text.pad_right(_BAR - text.cell_len)
        return text

    def _row(self, left: list[str], name: str, right: Text, width: int) -> str:
        """Return a row; if there is no room for the name, the time leaves first, then the client."""
        left = list(left)
        while left and _room(left, right, width) < min(_LEAST_NAME, cell_len(name)):
            left.pop(0)
        shown = Text(name)
        shown.truncate(
            max(1, _room(left, right, width)), overflow="ellipsis" if self._look.unicode else "crop", pad=True
        )
        row = Text.assemble(*((f"{part}{' ' * _GAP}", "dim") for part in left), shown, " " * _GAP, right)
        row.truncate(width - 1, overflow="crop")  # a full row would move the cursor to the next one
        return self._spell(row)

    def _spell(self, text: Text) -> str:
        with self._console.capture() as captured:
            self._console.print(text, end="", soft_wrap=True, markup=False, highlight=False)
        said = captured.get().rstrip()
        return said if self._look.unicode else said.encode("ascii", "backslashreplace").decode()


def _room(left: list[str], right: Text, width: int) -> int:
    return width - 1 - sum(cell_len(part) + _GAP for part in left) - _GAP - right.cell_len


def _result(line: Line) -> str:
    if line.kind is Kind.REFUSED:
        return line.note
    if line.kind is Kind.CUT:
        return f"cut off at {line.note}"
    if line.seconds < 1:
        return decimal(line.size)
    return f"{decimal(line.size)} in {_clock(line.seconds)}, {decimal(int(line.size / line.seconds))}/s"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
