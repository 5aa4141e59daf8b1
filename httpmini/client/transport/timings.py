"""How long a request has taken, and how long it may take."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from httpmini.client.options import Timeouts
from httpmini.errors import TimedOut

# The longest single wait, in seconds: poll() accepts no more than 24 days.
_LONGEST_WAIT_S = 86_400.0


@dataclass(slots=True)
class Timings:
    """The end of each phase, in seconds since the start of the request.

    None means not known yet, or did not happen: a kept connection is neither resolved nor connected again.

    Attributes:
        resolve_s: the name was resolved.
        connect_s: the connection was made, including the proxy's tunnel if there is one.
        tls_s: the TLS handshake was complete.
        first_byte_s: the head of the response was there.
        total_s: the response was complete.
        started: the start of the request, monotonic time.
    """

    resolve_s: float | None = None
    connect_s: float | None = None
    tls_s: float | None = None
    first_byte_s: float | None = None
    total_s: float | None = None
    started: float = field(default_factory=time.monotonic, repr=False, compare=False)

    def elapsed(self) -> float:
        """Return the seconds since the start of the request."""
        return time.monotonic() - self.started


@dataclass(frozen=True, slots=True)
class Deadline:
    """A common end for several waits.

    Attributes:
        at: monotonic time.
        phase: the limit that it comes from: "connect" or "total".
        limit_s: that limit, in seconds.
    """

    at: float
    phase: str
    limit_s: float

    @classmethod
    def for_connecting(cls, timeouts: Timeouts, timings: Timings) -> Deadline:
        """Return the deadline for a connection: ``connect_s`` from now, or ``total_s`` from the start if earlier."""
        connect = cls(time.monotonic() + timeouts.connect_s, "connect", timeouts.connect_s)
        if timeouts.total_s is None:
            return connect
        return min(connect, cls(timings.started + timeouts.total_s, "total", timeouts.total_s), key=lambda end: end.at)

    def remaining(self) -> float:
        """Return the seconds until the deadline; 0 after it."""
        return min(max(0.0, self.at - time.monotonic()), _LONGEST_WAIT_S)

    def timeout(self, what: str) -> float:
        """Return the seconds until the deadline as a socket timeout, which must not be 0.

        Args:
            what: describes the failure, as for ``expired``.

        Raises:
            TimedOut: the deadline has passed.
        """
        remaining = self.remaining()
        if not remaining:
            raise self.expired(what)
        return remaining

    def expired(self, what: str) -> TimedOut:
        """Return the error for a passed deadline; ``what`` is a clause such as "example.org was not resolved"."""
        return TimedOut(self.phase, self.limit_s, what)
