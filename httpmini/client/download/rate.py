"""A limit on bytes per second, for all segments of a download together."""

from __future__ import annotations

import threading
import time

_BURST_S = 0.25  # how much may be taken at once, in seconds of the rate


class Rate:
    """A token bucket.

    Args:
        bytes_per_s: the limit.
    """

    def __init__(self, bytes_per_s: float) -> None:
        self._bytes_per_s = bytes_per_s
        self._lock = threading.Lock()
        self._free_at = time.monotonic()

    @property
    def piece_bytes(self) -> int:
        """How much to read at once, so that the flow is even and no server takes us for asleep."""
        return max(1024, min(256 * 1024, int(self._bytes_per_s * _BURST_S)))

    def take(self, count: int) -> None:
        """Wait until ``count`` bytes more are allowed."""
        with self._lock:
            now = time.monotonic()
            self._free_at = max(self._free_at, now - _BURST_S) + count / self._bytes_per_s
            pause = self._free_at - now
        if pause > 0:
            time.sleep(pause)
