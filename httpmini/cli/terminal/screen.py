"""A terminal: lines that stay, and below them rows that are drawn again and again."""

from __future__ import annotations

import os
from collections.abc import Sequence

from httpmini.cli.terminal.look import Look

_WIDTH, _HEIGHT = 80, 24  # of what does not know


class Screen:
    """Writes to a terminal, and waits for it as long as it takes.

    Args:
        fd: its descriptor.
        look: what it can show; where the cursor does not move up, no rows are drawn.
    """

    def __init__(self, fd: int, look: Look) -> None:
        self._fd = fd
        self._moves = look.moves
        self._encoding = "utf-8" if look.unicode else "ascii"
        self._rows: list[str] = []
        self._is_gone = False

    @property
    def size(self) -> tuple[int, int]:
        """Its columns and lines."""
        try:
            width, height = os.get_terminal_size(self._fd)
        except OSError:
            return _WIDTH, _HEIGHT
        return width or _WIDTH, height or _HEIGHT

    def paint(self, lines: Sequence[str], rows: Sequence[str]) -> None:
        """Write ``lines``, and draw ``rows`` below them in the place of those of before."""
        rows = list(rows) if self._moves else []
        if not lines and rows == self._rows:
            return
        # In the place of ^C, which the terminal writes when that is pressed.
        erase = f"\x1b[{len(self._rows)}A\x1b[J" if self._rows else ""
        self._write("\r" + erase + "".join(f"{line}\n" for line in (*lines, *rows)))
        self._rows = rows

    def forget(self) -> None:
        """Leave the rows where they are: something else has been written below them."""
        self._rows = []

    def _write(self, text: str) -> None:
        data = memoryview(text.encode(self._encoding, "backslashreplace"))
        while data and not self._is_gone:
            try:
                data = data[os.write(self._fd, data) :]
            except OSError:  # hung up
                self._is_gone = True
