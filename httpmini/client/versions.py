"""Which version of a file a response carries, as far as entity tags and dates tell (RFC 9110 §8.8)."""

from __future__ import annotations

import time

from httpmini.protocol.dates import parse_date
from httpmini.protocol.message import Headers


def validators(headers: Headers) -> tuple[str, str]:
    """Return the entity tag and the date of a response, each empty if another version may have the same.

    A date identifies a version if its second was over when the response was generated (RFC 9110 §8.8.2.2). Before that
    a tag is no better, strong or not: nginx, lighttpd, Apache and busybox derive theirs from the date and the length,
    so that a file rewritten within the second may keep its tag.
    """
    wall = time.time()
    tag, modified = headers.get("ETag") or "", headers.get("Last-Modified") or ""
    changed, sent = parse_date(modified, wall), parse_date(headers.get("Date") or "", wall)
    if changed is None:
        return tag, ""
    if (wall if sent is None else sent) - changed <= 1:
        return "", ""
    return tag, "" if sent is None else modified


def is_strong(tag: str) -> bool:
    """Whether an entity tag stands for the exact octets, and not just for their meaning (RFC 9110 §8.8.1)."""
    return bool(tag) and not tag.startswith("W/")


def strong_validators(headers: Headers) -> tuple[str, str]:
    """Return the validators without a weak tag, which cannot be used to resume a download (RFC 9110 §13.1.5)."""
    tag, date = validators(headers)
    return tag if is_strong(tag) else "", date
