"""Conditional requests: is the client's copy still current? (RFC 1945 §10.9, RFC 9110 §13)

    1. If-Match               none of its tags matches                          412
    2. If-Unmodified-Since    (without If-Match) modified since                 412
    3. If-None-Match          one of its tags matches                           304
    4. If-Modified-Since      (without If-None-Match) the same date             304
    5. If-Range               another tag or date: Range is ignored

in this order (RFC 9110 §13.2.2). They are evaluated only if the response would be 200 without them.
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

# The kernel takes the times of files from a clock that ticks every 4 to 10 ms. A file that is written twice within one
# tick has the same change time both times.
_TICK_NS = 50_000_000
# Some file systems keep times to one second (ext3, SFTP) or to two (FAT). There, every time is a whole second.
_COARSE_NS = 2_000_000_000
_SECOND_NS = 1_000_000_000
# Build systems write 0 or 1 where they have no time.
_SAYS_NOTHING = 1


class Verdict(Enum):
    """The outcome of the conditions of a request."""

    SEND = "send the file"
    NOT_MODIFIED = "the client's copy is current"
    FAILED = "a precondition is false"


class Validators(msgspec.Struct, frozen=True):
    """What distinguishes one version of a file from another.

    Attributes:
        entity_tag: with its quotes; weak as long as the file could change without changing the tag.
        modified: seconds since the epoch, never in the future (RFC 9110 §8.8.2.1); 0 for a listing, which has no date.
        settled: whether the date identifies this version: it carries information, and no other version can still get
            the same one. Otherwise it is not sent: Chromium revalidates responses in HTTP/1.0 by the date alone, and
            would wrongly get a 304.
    """

    entity_tag: str
    modified: int
    settled: bool = True

    @property
    def fields(self) -> tuple[tuple[str, str], ...]:
        """The ETag field, and Last-Modified if the date is settled."""
        tag = ("ETag", self.entity_tag)
        return (tag, ("Last-Modified", format_date(self.modified))) if self.settled else (tag,)


def validators(status: os.stat_result, wall: float, fingerprint: str = "", reached_ns: int = 0) -> Validators:
    """Return the validators of a file.

    The date is the latest of three times. Anybody can set the modification time: builds give each version the same one,
    and a rollback brings an older one back. The kernel sets the change time whenever a file is written, renamed or
    touched. The third is the change time of the links and folders that lead to the file.

    Args:
        status: of the file.
        wall: the time of day, in seconds since the epoch.
        fingerprint: of the content; if it is empty, the modification time stands for it.
        reached_ns: when the path last began to lead to this file, in nanoseconds since the epoch; 0 if unknown.
    """
    weak = "W/" if is_young(status, wall) else ""
    tag = f'{weak}"{status.st_size:x}-{fingerprint or f"{status.st_mtime_ns:x}"}"'
    latest_ns = max(status.st_ctime_ns, status.st_mtime_ns, reached_ns)
    ours = validators_at(tag, latest_ns, wall, coarse=is_coarse(status))
    says_something = status.st_mtime_ns // _SECOND_NS > _SAYS_NOTHING
    return ours if says_something else Validators(tag, ours.modified, settled=False)


def validators_at(entity_tag: str, changed_ns: int, wall: float, *, coarse: bool) -> Validators:
    """Return the validators of what was changed last at a moment; its date counts when nothing else can get the same.

    Args:
        entity_tag: with its quotes.
        changed_ns: that moment, in nanoseconds since the epoch.
        wall: the time of day, in seconds since the epoch.
        coarse: whether moments are known to two seconds only.
    """
    latest, step_ns = changed_ns // _SECOND_NS, _COARSE_NS if coarse else _SECOND_NS
    is_over = latest * _SECOND_NS + step_ns + _TICK_NS <= int(wall * _SECOND_NS)
    return Validators(entity_tag, max(0, min(latest, int(wall))), is_over)


def is_young(status: os.stat_result, wall: float) -> bool:
    """Whether a file could be rewritten now and have the same change time, which nobody but the kernel sets."""
    step_ns = _COARSE_NS if is_coarse(status) else 0
    return abs(int(wall * _SECOND_NS) - status.st_ctime_ns) < step_ns + _TICK_NS


def is_coarse(status: os.stat_result) -> bool:
    """Whether the file system seems to keep change times to whole seconds."""
    return status.st_ctime_ns % _SECOND_NS == 0


def judge(headers: Headers, ours: Validators, wall: float) -> Verdict:
    """Evaluate steps 1 to 4 for GET and HEAD.

    A malformed date is ignored, and so is an If-Modified-Since in the future (RFC 1945 §10.9). An If-Modified-Since is
    compared as if it were a tag (RFC 9110 §13.1.3 allows that): an older version may have taken the place of a newer.
    """
    if "If-Match" in headers:
        if not _matches(headers.all("If-Match"), ours.entity_tag, strongly=True):
            return Verdict.FAILED
    elif (date := _date(headers, "If-Unmodified-Since", wall)) is not None and ours.modified > date:
        return Verdict.FAILED
    if "If-None-Match" in headers:
        current = _matches(headers.all("If-None-Match"), ours.entity_tag, strongly=False)
    else:
        date = _date(headers, "If-Modified-Since", wall)
        current = date == ours.modified and ours.settled
    return Verdict.NOT_MODIFIED if current else Verdict.SEND


def range_applies(headers: Headers, ours: Validators, wall: float, *, negotiated: bool) -> bool:
    """Evaluate step 5: whether Range applies to this version (RFC 9110 §13.1.5), by a strong tag or an exact date.

    A date is strong only if its second is over, so that the file cannot have changed again within it, and if no other
    variant can have the same date.

    Args:
        headers: the fields of the request.
        ours: the validators of the file.
        wall: the time of day, in seconds since the epoch.
        negotiated: whether another request could have selected another variant.
    """
    condition = headers.get("If-Range")
    if condition is None:
        return True
    if _ENTITY_TAG.fullmatch(condition):
        return _matches([condition], ours.entity_tag, strongly=True)
    dated = ours.settled and ours.modified < int(wall) - 1
    return not negotiated and dated and condition == format_date(ours.modified)


def _matches(values: Sequence[str], ours: str, *, strongly: bool) -> bool:
    """Whether a list of entity tags contains ``ours``, or is ``*`` (RFC 9110 §8.8.3.2)."""
    if [value.strip(" \t") for value in values] == ["*"]:
        return True
    if strongly and ours.startswith("W/"):
        return False
    if not any(ours.removeprefix("W/") in value for value in values):  # no need to take a long list apart
        return False
    theirs = [tag for value in values for tag in _ENTITY_TAG.findall(value)]
    if strongly:
        return ours in theirs
    return ours.removeprefix("W/") in [tag.removeprefix("W/") for tag in theirs]


def _date(headers: Headers, name: str, wall: float) -> int | None:
    """Return the date in the field ``name``; None if it is missing, repeated or malformed."""
    values = headers.all(name)
    return parse_date(values[0], wall) if len(values) == 1 else None
