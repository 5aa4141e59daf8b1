"""Whether and when a request is made again (RFC 9110 §10.2.3, §15.6.4)."""

from __future__ import annotations

import random
import re
import time

from httpmini.client.options import Retries
from httpmini.errors import FetchError, NotConnected, NoTunnel, TimedOut
from httpmini.protocol.dates import parse_date
from httpmini.protocol.message import Headers

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_PASSING = (429, 502, 503, 504)
_SECONDS = re.compile(r"[0-9]+", re.ASCII)  # however many: more digits are no reason to come back sooner


def is_passing(error: FetchError) -> bool:
    """Whether it may go better next time: nobody took the connection, or it was lost before the answer."""
    if isinstance(error, NoTunnel):  # a proxy that says 403 or 407 says so again
        return error.status in _PASSING
    return isinstance(error, NotConnected) or (isinstance(error, TimedOut) and error.phase == "connect")


def pause_before(attempt: int, retries: Retries, status: int = 0, headers: Headers | None = None) -> float | None:
    """Seconds to wait before the request is made again; None when it is not.

    Args:
        attempt: how often it was made, from 1.
        retries: how often and how long at most.
        status: of an answer; 0 when there was none.
        headers: of that answer.
    """
    if attempt > retries.times or (status and status not in _PASSING):
        return None
    asked = _asked(headers.get("Retry-After") if headers else None)
    if asked is not None:
        return asked if asked <= retries.most_s else None
    longest: float = min(retries.most_s, retries.first_s * 2 ** (attempt - 1))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311


def _asked(value: str | None) -> float | None:
    """What Retry-After asks for: seconds, or a date."""
    if value is None:
        return None
    if _SECONDS.fullmatch(value):
        return float(value)
    now = time.time()
    date = parse_date(value, now)
    return None if date is None else max(0.0, date - now)
