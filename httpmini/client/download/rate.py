"""A limit on bytes per second, shared by all segments of a download."""

from __future__ import annotations

import threading
import time

from httpmini.token_bucket import TokenBucket

_BURST_S = 0.25  # how much may be taken at once, in seconds of the rate


class Rate:
    """A token bucket that makes its callers wait. Thread-safe.

    Args:
        bytes_per_s: the limit.
    """

    def __init__(self, bytes_per_s: float) -> None:
        self._bucket = TokenBucket(bytes_per_s, _BURST_S)
        self._lock = threading.Lock()
        self._paid_until = time.monotonic()

    @property
    def piece_bytes(self) -> int:
        """How much to read at once for an even flow in which no server takes the client for asleep."""
        return max(1024, min(256 * 1024, int(self._bucket.per_s * _BURST_S)))

    def take(self, count: int) -> None:
        """Wait until ``count`` more bytes are allowed."""
        with self._lock:
            now = time.monotonic()
            self._paid_until = self._bucket.reserve(self._paid_until, count, now)
            pause = self._paid_until - now
        if pause > 0:
            time.sleep(pause)
