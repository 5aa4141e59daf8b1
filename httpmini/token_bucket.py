"""A token bucket as one number: the moment by which everything reserved so far is paid for.

This is the generic cell rate algorithm. Because the state is a single float, a caller may keep it anywhere: in an
attribute, or in memory that several processes share.
"""

from __future__ import annotations

import msgspec


class TokenBucket(msgspec.Struct, frozen=True):
    """The rate of a bucket. Its state, ``paid_until``, belongs to the caller; it begins in the past.

    Attributes:
        per_s: tokens per second in the long run.
        burst_s: seconds of silence that may be made up for at once.
    """

    per_s: float
    burst_s: float

    def reserve(self, paid_until: float, count: float, now: float) -> float:
        """Return the new ``paid_until`` after reserving ``count`` tokens: the moment at which they may be used.

        Times are seconds of one monotonic clock.
        """
        return max(paid_until, now - self.burst_s) + count / self.per_s
