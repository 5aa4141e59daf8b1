"""Is the copy that the client has still good? (RFC 1945 §10.9, RFC 9110 §13)

    1. If-Match               none of its tags is ours                        412
    2. If-Unmodified-Since    (without If-Match) changed since                412
    3. If-None-Match          one of its tags is ours                         304
    4. If-Modified-Since      (without If-None-Match) not changed since       304
    5. If-Range               not our tag or date: the Range does not count

in this order (RFC 9110 §13.2.2). They are looked at only where the answer would be 200.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from enum import Enum

import msgspec

from httpmini.protocol.dates import format_date, parse_date
from httpmini.protocol.message import Headers

# RFC 9110 §8.8.3:  entity-tag = [ "W/" ] DQUOTE *etagc DQUOTE
_ENTITY_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')

# The kernel stamps files with a clock that ticks every 4 to 10 ms. A file written twice within one tick has the same
# stamp both times, so a tag made of it is strong only when the tick is over.
_TICK_S = 0.05


class Verdict(Enum):
    """What the conditions of a request come to."""

    SEND = "the client needs it"
    NOT_MODIFIED = "the client has it"
    FAILED = "it is not what the client thought"


class Validators(msgspec.Struct, frozen=True):
    """What tells one version of a file from another.

    Attributes:
        entity_tag: with its quotes; weak while the file may still change unnoticed.
        modified: seconds since the epoch, never in the future (RFC 9110 §8.8.2.1).
        settled: whether that second is over, so that no other version can have the same date. Until then the date is
            not told: Chromium asks for a page again with the date alone, and would be told that it has it.
    """

    entity_tag: str
    modified: int
    settled: bool = True

    @property
    def fields(self) -> tuple[tuple[str, str], ...]:
        """ETag and Last-Modified, as far as they can be said."""
        tag = ("ETag", self.entity_tag)
        return (tag, ("Last-Modified", format_date(self.modified))) if self.settled else (tag,)


def validators(status: os.stat_result, now: float) -> Validators:
    """For a file with ``status``: the tag changes with every rewrite, also one of the same size in the same second."""
    weak = "W/" if now - status.st_mtime < _TICK_S else ""
    tag = f'{weak}"{status.st_mtime_ns:x}-{status.st_size:x}-{status.st_ino:x}"'
    return Validators(tag, max(0, min(int(status.st_mtime), int(now))), int(status.st_mtime) != int(now))


def judge(headers: Headers, ours: Validators, now: float) -> Verdict:
    """Steps 1 to 4 for GET and HEAD.

    A date that is not a date is as good as none; so is an If-Modified-Since in the future (RFC 1945 §10.9).
    """
    if "If-Match" in headers:
        if not _matches(headers.all("If-Match"), ours.entity_tag, strongly=True):
            return Verdict.FAILED
    elif (date := _date(headers, "If-Unmodified-Since", now)) is not None and ours.modified > date:
        return Verdict.FAILED
    if "If-None-Match" in headers:
        known = _matches(headers.all("If-None-Match"), ours.entity_tag, strongly=False)
    else:
        date = _date(headers, "If-Modified-Since", now)
        known = date is not None and date <= now and ours.modified <= date and ours.settled
    return Verdict.NOT_MODIFIED if known else Verdict.SEND


def range_counts(headers: Headers, ours: Validators, now: float, *, negotiated: bool) -> bool:
    """Step 5: whether a Range is about the version that we have (RFC 9110 §13.1.5): strong tag, or exact date.

    A date is strong only when the file was not changed again within its second, as far as we can know, and where it
    cannot be the date of another variant as well.
    """
    condition = headers.get("If-Range")
    if condition is None:
        return True
    if _ENTITY_TAG.fullmatch(condition):
        return _matches([condition], ours.entity_tag, strongly=True)
    return not negotiated and condition == format_date(ours.modified) and ours.modified < int(now) - 1


def _matches(values: Sequence[str], ours: str, *, strongly: bool) -> bool:
    """Whether a list of entity tags, or ``*``, has ours in it (RFC 9110 §8.8.3.2)."""
    if [value.strip(" \t") for value in values] == ["*"]:
        return True
    if strongly and ours.startswith("W/"):
        return False
    theirs = [tag for value in values for tag in _ENTITY_TAG.findall(value)]
    if strongly:
        return ours in theirs
    return ours.removeprefix("W/") in [tag.removeprefix("W/") for tag in theirs]


def _date(headers: Headers, name: str, now: float) -> int | None:
    values = headers.all(name)
    return parse_date(values[0], now) if len(values) == 1 else None
