"""How fast bytes may go out: token buckets for each connection, and one for all of them.

A bucket is kept as one number: the moment at which everything that was promised so far is paid for (the generic cell
rate algorithm). So who asks is told when its turn is, and those who share a bucket get theirs in the order in which
they asked.
"""

from __future__ import annotations

import mmap
from typing import Protocol

from httpmini.server.limits.shared_lock import SharedLock

BURST_S = 0.5  # of silence that may be made up for
TURNS_PER_S = 16  # so often a single client gets a piece, at the least
SMALLEST_TURN, LARGEST_TURN = 1024, 256 * 1024  # bytes


class Bucket(Protocol):
    """Promises bytes."""

    def reserve(self, count: int, now: float) -> float:
        """When ``count`` bytes may go out; they are promised to who asks."""
        ...


class LocalBucket:
    """One client's.

    Args:
        rate: bytes per second.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._paid = 0.0

    def reserve(self, count: int, now: float) -> float:
        """See ``Bucket``."""
        self._paid = max(self._paid, now - BURST_S) + count / self._rate
        return self._paid


class SharedBucket:
    """That of all processes.

    Args:
        rate: bytes per second.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._lock = SharedLock()
        self._paid = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("d")

    def reserve(self, count: int, now: float) -> float:
        """See ``Bucket``."""
        with self._lock:
            self._paid[0] = paid = max(self._paid[0], now - BURST_S) + count / self._rate
        return paid


class Throttle:
    """What one connection may send.

    Args:
        owner: whose limits these are.
        buckets: those that all have to agree.
        rate: of the slowest of them, bytes per second.

    Attributes:
        owner: the same.
        is_waiting: whether the connection waits for its turn.
    """

    __slots__ = ("_buckets", "_from", "_promised", "_turn", "is_waiting", "owner")

    def __init__(self, owner: object, buckets: tuple[Bucket, ...], rate: int) -> None:
        self.owner = owner
        self._buckets = buckets
        self._turn = max(SMALLEST_TURN, min(LARGEST_TURN, rate // TURNS_PER_S))
        self._promised = 0
        self._from = 0.0
        self.is_waiting = False

    def ask(self, count: int, now: float) -> tuple[int, float]:
        """How many of ``count`` bytes may go out next, and from when on."""
        if not self._promised:
            self._promised = min(count, self._turn)
            self._from = max(bucket.reserve(self._promised, now) for bucket in self._buckets)
        self.is_waiting = self._from > now
        return min(count, self._promised), self._from

    def spend(self, count: int) -> None:
        """So many have gone out."""
        self._promised = max(0, self._promised - count)
