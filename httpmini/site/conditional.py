"""Is the copy that the client has still good? (RFC 1945 §10.9, RFC 9110 §13)

So far by date only; entity tags and ranges take their places beside it.
"""

from __future__ import annotations

from httpmini.protocol.dates import parse_date
from httpmini.protocol.message import Headers


def last_modified(mtime: float, now: float) -> int:
    """The modification time to announce, in whole seconds: never in the future (RFC 9110 §8.8.2.1)."""
    return max(0, min(int(mtime), int(now)))


def is_not_modified(headers: Headers, modified: int, now: float) -> bool:
    """Whether the answer may be 304 (RFC 9110 §13.1.3).

    A date that is not a date, or that lies in the future, is as good as none (RFC 1945 §10.9). If-None-Match beside
    it would decide alone; without entity tags nothing matches.
    """
    since = headers.get("If-Modified-Since")
    if since is None or "If-None-Match" in headers:
        return False
    date = parse_date(since, now)
    return date is not None and date <= now and modified <= date
