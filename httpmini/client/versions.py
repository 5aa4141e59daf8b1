"""Which version of a file an answer is of: entity tags and dates, as far as they tell (RFC 9110 §8.8)."""

from __future__ import annotations

import time

from httpmini.protocol.dates import parse_date
from httpmini.protocol.message import Headers


def validators(headers: Headers) -> tuple[str, str]:
    """The entity tag and the date of an answer, each empty where another version may have the same.

    A date tells versions apart when its second was over before the answer was made (RFC 9110 §8.8.2.2). Until then a
    tag is no better, strong or not: nginx, lighttpd, Apache and busybox make theirs of the date and the length, so that
    a file that is written again within the second may keep its tag.
    """
    now = time.time()
    tag, modified = headers.get("ETag") or "", headers.get("Last-Modified") or ""
    changed, sent = parse_date(modified, now), parse_date(headers.get("Date") or "", now)
    if changed is None:
        return tag, ""
    if (now if sent is None else sent) - changed <= 1:
        return "", ""
    return tag, "" if sent is None else modified


def is_strong(tag: str) -> bool:
    """Whether an entity tag is of the octets, and not just of what they mean (RFC 9110 §8.8.1)."""
    return bool(tag) and not tag.startswith("W/")


def strong_validators(headers: Headers) -> tuple[str, str]:
    """The same, without a weak tag: what a part of a file may be gone on with (RFC 9110 §13.1.5)."""
    tag, date = validators(headers)
    return tag if is_strong(tag) else "", date
