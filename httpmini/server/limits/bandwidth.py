"""How fast bytes leave: token buckets for single connections, and one for all of them together.

A connection that wants to send reserves a piece and learns when its turn is, so connections that share a bucket take
turns without knowing of each other.
"""

from __future__ import annotations

import mmap
from typing import Protocol

from httpmini.server.limits.shared_lock import SharedLock
from httpmini.token_bucket import TokenBucket

BURST_S = 0.5  # of silence that may be made up for
TURNS_PER_S = 16  # how often a single client gets a piece, at the least
SMALLEST_TURN, LARGEST_TURN = 1024, 256 * 1024  # bytes


class Bucket(Protocol):
    """Something that bytes are reserved in."""

    def reserve(self, count: int, now: float) -> float:
        """Reserve ``count`` bytes; return the moment at which they may leave."""
        ...


class LocalBucket:
    """The bucket of one connection.

    Args:
        rate: bytes per second.
    """

    def __init__(self, rate: int) -> None:
        self._bucket = TokenBucket(rate, BURST_S)
        self._paid_until = 0.0

    def reserve(self, count: int, now: float) -> float:
        """Reserve ``count`` bytes; return the moment at which they may leave."""
        self._paid_until = self._bucket.reserve(self._paid_until, count, now)
        return self._paid_until


class SharedBytes:
    """The state of a bucket that all processes share; it outlives reloads."""

    def __init__(self) -> None:
        self.lock = SharedLock()
        self.paid_until = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("d")


class SharedBucket:
    """The bucket of all connections.

    Args:
        rate: bytes per second.
        shared: its state.
    """

    def __init__(self, rate: int, shared: SharedBytes) -> None:
        self._bucket = TokenBucket(rate, BURST_S)
        self._shared = shared

    def reserve(self, count: int, now: float) -> float:
        """Reserve ``count`` bytes; return the moment at which they may leave."""
        paid_until = self._shared.paid_until
        with self._shared.lock:
            paid_until[0] = moment = self._bucket.reserve(paid_until[0], count, now)
        return moment


class Throttle:
    """What one connection may send, piece by piece.

    Args:
        owner: the limits that this was made for; after a reload there are others.
        buckets: all of them have to agree.
        rate: that of the slowest bucket, in bytes per second.

    Attributes:
        owner: the limits that this was made for.
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
        """Return how many of ``count`` bytes may leave next, and from which moment on."""
        if not self._promised:
            self._promised = min(count, self._turn)
            self._from = max(bucket.reserve(self._promised, now) for bucket in self._buckets)
        self.is_waiting = self._from > now
        return min(count, self._promised), self._from

    def spend(self, count: int) -> None:
        """Note that ``count`` bytes have left."""
        self._promised = max(0, self._promised - count)
