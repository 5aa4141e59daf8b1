"""The progress of transfers on a terminal: a line for each file, with its rate and the remaining time.

If standard error is not a terminal, nothing is drawn and rich is not even imported.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

from httpmini.client.command.output import say
from httpmini.errors import visible

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


_WIDE = 70  # columns of a terminal with room for a bar


class Quiet:
    """Draws nothing; messages go to standard error."""

    def begin(self, name: str, total: int | None, done: int) -> None:
        """Ignore the start of a file."""

    def advance(self, count: int) -> None:
        """Ignore further bytes."""

    def end(self) -> None:
        """Ignore the end of a file."""

    def say(self, text: str) -> None:
        """Write lines to standard error."""
        say(text)


class Drawn(Quiet):
    """Draws the current file as the last line of the terminal, and leaves the line there at the end. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def begin(self, name: str, total: int | None, done: int) -> None:
        """Draw a file of ``total`` bytes, of which ``done`` are there; again if it starts over."""
        with self._lock:
            if self._bar is None:
                self._bar = _new_bar()
                self._bar.start()
            elif self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(visible(name), total=total, completed=done)

    def advance(self, count: int) -> None:
        """Add ``count`` bytes."""
        with self._lock:
            if self._bar is not None and self._task is not None:
                self._bar.advance(self._task, count)

    def end(self) -> None:
        """Leave the line as it is."""
        with self._lock:
            if self._bar is not None:
                self._bar.stop()
            self._bar = self._task = None

    def say(self, text: str) -> None:
        """Write lines above the one that is being drawn."""
        with self._lock:
            if self._bar is None:
                say(text)
            else:
                self._bar.console.print(text, markup=False, highlight=False, emoji=False, soft_wrap=True)


def progress_on_terminal(*, wanted: bool) -> Quiet:
    """Return a display that draws if ``wanted`` and standard error is a terminal."""
    return Drawn() if wanted and sys.stderr is not None and sys.stderr.isatty() else Quiet()


def _new_bar() -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        Task,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.table import Column
    from rich.text import Text

    class Percentage(TaskProgressColumn):
        """Empty if the total is unknown."""

        def render(self, task: Task) -> Text:
            return Text() if task.total is None else super().render(task)

    console = Console(stderr=True)
    name = Column(ratio=1, no_wrap=True, overflow="ellipsis")
    return Progress(
        TextColumn("{task.description}", markup=False, table_column=name),
        *([BarColumn(bar_width=20)] if console.width >= _WIDE else []),
        Percentage(),
        DownloadColumn(table_column=Column(no_wrap=True)),
        TransferSpeedColumn(table_column=Column(no_wrap=True)),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        console=console,
        expand=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
