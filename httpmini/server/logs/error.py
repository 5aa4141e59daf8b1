"""Lines about the server itself: a threshold reached, nothing left to accept with, the end.

2026-11-21T02:40:00Z warning: max_clients reached: 256 clients; further ones wait in the backlog
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Protocol


class Level(IntEnum):
    """How grave a line is, with the numbers of syslog (RFC 5424 §6.2.1)."""

    ERROR = 3  # something is broken; somebody has to look
    WARNING = 4  # clients feel it, or will
    NOTICE = 5  # what an operator did, or asked for
    INFO = 6  # the normal course of things


class Log(Protocol):
    """Takes one line about the server itself."""

    def __call__(self, text: str, level: Level = Level.NOTICE, /) -> None:
        """Write it down."""
        ...


def describe(fault: BaseException) -> str:
    """A fault of ours in one line: what, and the last places in our code."""
    from traceback import extract_tb  # for faults, of which there should be none

    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in extract_tb(fault.__traceback__)]
    return f"{type(fault).__name__}: {fault} ({' > '.join(places[-3:])})"


def error_log(
    write: Callable[[str, Level], None], least: Level, now: Callable[[], float] = time.time, *, dated: bool = True
) -> Log:
    """A log that hands each line on to ``write``.

    Args:
        write: takes a line and its level.
        least: lines that are less grave are left out.
        now: the present, in seconds since the epoch.
        dated: whether time and level stand before the text; the system's log has its own.
    """

    def log(text: str, level: Level = Level.NOTICE, /) -> None:
        if level > least:
            return
        date = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now()))
        write(f"{date} {level.name.lower()}: {text}" if dated else text, level)

    return log
