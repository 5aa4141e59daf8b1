"""Lines about the server itself: a threshold reached, nothing left to accept with, the end.

2026-11-21T02:40:00Z notice: max_clients reached: 256 clients; further ones wait in the backlog
"""

from __future__ import annotations

import time
from collections.abc import Callable


def error_log(write: Callable[[str], None], now: Callable[[], float]) -> Callable[[str], None]:
    """A function that writes one line with the time before it."""
    return lambda text: write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(now()))} notice: {text}")
