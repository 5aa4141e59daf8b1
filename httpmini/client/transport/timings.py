"""How long a request took, and until when it may take."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from httpmini.client.options import Timeouts
from httpmini.errors import TimedOut

# The longest single wait that is asked of the kernel, in seconds: poll() takes no more than 24 days.
_LONGEST_WAIT_S = 86_400.0


@dataclass(slots=True)
class Timings:
    """When each phase was over, in seconds since the request began.

    None for what is not known yet, and for what did not happen: a kept connection is neither resolved nor connected.

    Attributes:
        resolve_s: the name had addresses.
        connect_s: a connection stood, through the proxy's tunnel if there is one.
        tls_s: it was private.
        first_byte_s: the answer began.
        total_s: the answer was complete.
        started: when the request began, by the monotonic clock.
    """

    resolve_s: float | None = None
    connect_s: float | None = None
    tls_s: float | None = None
    first_byte_s: float | None = None
    total_s: float | None = None
    started: float = field(default_factory=time.monotonic, repr=False, compare=False)

    def elapsed(self) -> float:
        """Seconds since the request began."""
        return time.monotonic() - self.started


@dataclass(frozen=True, slots=True)
class Deadline:
    """One end for several waits.

    Attributes:
        at: when it is over, by the monotonic clock.
        phase: the limit that it comes from: "connect" or "total".
        limit_s: that limit, in seconds.
    """

    at: float
    phase: str
    limit_s: float

    @classmethod
    def for_connecting(cls, timeouts: Timeouts, timings: Timings) -> Deadline:
        """``connect_s`` from now on, or ``total_s`` since the request began when that ends sooner."""
        connect = cls(time.monotonic() + timeouts.connect_s, "connect", timeouts.connect_s)
        if timeouts.total_s is None:
            return connect
        return min(connect, cls(timings.started + timeouts.total_s, "total", timeouts.total_s), key=lambda end: end.at)

    def left(self) -> float:
        """Seconds that are left; 0 when it has passed."""
        return min(max(0.0, self.at - time.monotonic()), _LONGEST_WAIT_S)

    def timeouts(self, what: str) -> float:
        """Seconds that are left: more than 0, so that a socket can be given them.

        Raises:
            TimedOut: none.
        """
        left = self.left()
        if not left:
            raise self.passed(what)
        return left

    def passed(self, what: str) -> TimedOut:
        """The error that says that ``what`` ("example.org was not resolved") was so when it passed."""
        return TimedOut(self.phase, self.limit_s, what)
