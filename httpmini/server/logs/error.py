"""Lines about the server itself: a limit reached, no descriptor left to accept with, the shutdown.

2026-11-21T02:40:00Z warning: max_clients reached: 256 clients; further ones wait in the backlog
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Protocol

from httpmini.errors import visible


class Level(IntEnum):
    """The severity of a line, numbered as in syslog (RFC 5424 §6.2.1)."""

    ERROR = 3  # something is broken and needs an operator
    WARNING = 4  # clients notice it, or soon will
    NOTICE = 5  # an operator did it, or asked for it
    INFO = 6  # normal operation


class Log(Protocol):
    """A function that takes one line about the server itself."""

    def __call__(self, text: str, level: Level = Level.NOTICE, /) -> None:
        """Write ``text`` if ``level`` is severe enough."""
        ...


def describe(fault: BaseException) -> str:
    """Return one line about a bug of ours: the exception, and the last three lines of code that it passed."""
    from traceback import extract_tb  # imported late: there should be no bugs

    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in extract_tb(fault.__traceback__)]
    return f"{type(fault).__name__}: {fault} ({' > '.join(places[-3:])})"


def error_log(
    write: Callable[[str, Level], None], least: Level, wall: Callable[[], float] = time.time, *, dated: bool = True
) -> Log:
    """Return a log that passes each line to ``write``; whatever is in it, it is one line, and only text.

    Args:
        write: takes a line and its level.
        least: the least severe level that is written.
        wall: returns the time of day, in seconds since the epoch.
        dated: whether to put time and level before the text; the system log adds its own.
    """

    def log(text: str, level: Level = Level.NOTICE, /) -> None:
        if level > least:
            return
        date = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(wall()))
        text = visible(text)
        write(f"{date} {level.name.lower()}: {text}" if dated else text, level)

    return log
