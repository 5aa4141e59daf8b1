"""Lines about the server itself: a threshold reached, nothing left to accept with, the end.

2026-11-21T02:40:00Z notice: max_clients reached: 256 clients; further ones wait in the backlog
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path


def describe(fault: BaseException) -> str:
    """A fault of ours in one line: what, and the last places in our code."""
    from traceback import extract_tb  # for faults, of which there should be none

    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in extract_tb(fault.__traceback__)]
    return f"{type(fault).__name__}: {fault} ({' > '.join(places[-3:])})"


def error_log(write: Callable[[str], None], now: Callable[[], float]) -> Callable[[str], None]:
    """A function that writes one line with the time before it."""
    return lambda text: write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(now()))} notice: {text}")
