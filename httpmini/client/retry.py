"""Whether and when a request is retried (RFC 9110 §10.2.3, §15.6.4)."""

from __future__ import annotations

import re
import time

from httpmini.client.options import Retries
from httpmini.errors import FetchError, NotConnected, NoTunnel, TimedOut
from httpmini.protocol.dates import parse_date
from httpmini.protocol.message import Headers

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_PASSING = (429, 502, 503, 504)
_SECONDS = re.compile(r"[0-9]+", re.ASCII)  # any number of digits: a huge value must not mean an early retry


def is_passing(error: FetchError) -> bool:
    """Whether a retry may succeed: the connection failed, or was lost before the response."""
    if isinstance(error, NoTunnel):  # a proxy that sends 403 or 407 will send it again
        return error.status in _PASSING
    return isinstance(error, NotConnected) or (isinstance(error, TimedOut) and error.phase == "connect")


def pause_before(attempt: int, retries: Retries, status: int = 0, headers: Headers | None = None) -> float | None:
    """Return the seconds to wait before the next attempt, or None if there is to be none.

    Args:
        attempt: the number of attempts so far, from 1.
        retries: the limits.
        status: of the response; 0 if there was none.
        headers: of that response.
    """
    if attempt > retries.times or (status and status not in _PASSING):
        return None
    requested = _retry_after(headers.get("Retry-After") if headers else None)
    if requested is not None:
        return requested if requested <= retries.most_s else None
    longest: float = min(retries.most_s, retries.first_s * 2 ** (attempt - 1))
    import random  # late: it seeds itself, and few requests are repeated

    return longest * random.uniform(0.5, 1.0)  # noqa: S311


def _retry_after(value: str | None) -> float | None:
    """Return the seconds that Retry-After requests, as a number or by a date."""
    if value is None:
        return None
    if _SECONDS.fullmatch(value):
        return float(value)
    wall = time.time()
    date = parse_date(value, wall)
    return None if date is None else max(0.0, date - wall)
