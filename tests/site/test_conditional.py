"""Entity tags of real files, and the order of conditions."""

from __future__ import annotations

import os

import pytest

from httpmini.protocol.dates import format_date
from httpmini.protocol.message import Headers
from httpmini.site.conditional import Validators, Verdict, judge, range_applies, validators

NOW = 1_700_000_000.0
OURS = Validators('"a-b-c"', 784111777)
WEAK = Validators('W/"a-b-c"', 784111777)
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
BEFORE = "Sun, 06 Nov 1994 08:49:36 GMT"
SEND, NOT_MODIFIED, FAILED = Verdict.SEND, Verdict.NOT_MODIFIED, Verdict.FAILED


def _headers(*lines: str) -> Headers:
    return Headers(tuple((name, value) for name, _, value in (line.partition(": ") for line in lines)))


@pytest.mark.parametrize(
    ("lines", "strong", "weak"),
    [
        ([], SEND, SEND),
        (['If-None-Match: "a-b-c"'], NOT_MODIFIED, NOT_MODIFIED),
        (['If-None-Match: W/"a-b-c"'], NOT_MODIFIED, NOT_MODIFIED),
        (['If-None-Match: "x", ,W/"a-b-c" , "y"'], NOT_MODIFIED, NOT_MODIFIED),
        (['If-None-Match: "x"', 'If-None-Match: "a-b-c"'], NOT_MODIFIED, NOT_MODIFIED),
        (["If-None-Match: *"], NOT_MODIFIED, NOT_MODIFIED),
        (['If-None-Match: "a-b"'], SEND, SEND),
        (["If-None-Match: a-b-c"], SEND, SEND),
        (['If-None-Match: "x"', f"If-Modified-Since: {DATE}"], SEND, SEND),
        (['If-None-Match: "a-b-c"', f"If-Modified-Since: {BEFORE}"], NOT_MODIFIED, NOT_MODIFIED),
        (['If-Match: "a-b-c"'], SEND, FAILED),
        (['If-Match: W/"a-b-c"'], FAILED, FAILED),
        (['If-Match: "x", "a-b-c"'], SEND, FAILED),
        (["If-Match: *"], SEND, SEND),
        (['If-Match: "x"'], FAILED, FAILED),
        (['If-Match: "a-b-c"', f"If-Unmodified-Since: {BEFORE}"], SEND, FAILED),
        ([f"If-Unmodified-Since: {DATE}"], SEND, SEND),
        ([f"If-Unmodified-Since: {BEFORE}"], FAILED, FAILED),
        ([f"If-Unmodified-Since: {BEFORE}", f"If-Unmodified-Since: {BEFORE}"], SEND, SEND),
        (['If-Match: "a-b-c"', 'If-None-Match: "a-b-c"'], NOT_MODIFIED, FAILED),
        ([f"If-Unmodified-Since: {DATE}", f"If-Modified-Since: {DATE}"], NOT_MODIFIED, NOT_MODIFIED),
    ],
)
def test_order(lines: list[str], strong: Verdict, weak: Verdict) -> None:
    assert judge(_headers(*lines), OURS, NOW) is strong
    assert judge(_headers(*lines), WEAK, NOW) is weak


@pytest.mark.parametrize(
    ("value", "ours", "counts"),
    [
        ('"a-b-c"', OURS, True),
        ('W/"a-b-c"', OURS, False),
        ('"a-b-c"', WEAK, False),
        ('W/"a-b-c"', WEAK, False),
        ('"x"', OURS, False),
        ('"a-b-c", "x"', OURS, False),
        ("*", OURS, False),
        (DATE, OURS, True),
        (BEFORE, OURS, False),
        (DATE, Validators('"a"', int(NOW)), False),
    ],
)
def test_if_range(value: str, ours: Validators, counts: bool) -> None:
    assert range_applies(_headers(f"If-Range: {value}"), ours, NOW, negotiated=False) is counts


# (modification time, change time) of a file, the present, and whether its date is told. Times that are not set
# deliberately have a fraction.
@pytest.mark.parametrize(
    ("modified", "changed", "now", "told"),
    [
        (1e9 + 0.5, 1e9 + 0.5, 1e9 + 0.6, False),  # another version could get the same date
        (1e9 + 0.5, 1e9 + 0.5, 1e9 + 0.99, False),
        (1e9 + 0.5, 1e9 + 0.5, 1e9 + 1.02, False),  # the clock of the kernel's time stamps may be a tick behind
        (1e9 + 0.5, 1e9 + 0.5, 1e9 + 1.1, True),
        (1e8, 1e9 + 0.5, 1e9 + 0.9, False),  # an old time that was set just now
        (1e8, 1e9 + 0.5, 1e9 + 1.1, True),
        (0, 1e9 + 0.5, 2e9, False),  # times that say nothing
        (1, 1e9 + 0.5, 2e9, False),
        (1.5, 1e9 + 0.5, 2e9, False),
        (-5, 1e9 + 0.5, 2e9, False),
        (2e9, 1e9 + 0.5, 1.5e9, False),  # in the future
        (1e9 + 0.5, 2e9 + 0.5, 1.5e9, False),
        (1e9, 1e9, 1e9 + 1.5, False),  # a file system that keeps whole seconds, perhaps only even ones
        (1e9, 1e9, 1e9 + 2.1, True),
        (315532801, 1e9 + 0.5, 2e9, True),
    ],
)
def test_a_date_is_told_if_it_identifies_a_version(modified: float, changed: float, now: float, told: bool) -> None:
    ours = validators(stat_result(modified, changed), now)
    assert ("Last-Modified" in dict(ours.fields)) == told
    since = Headers((("If-Modified-Since", format_date(ours.modified)),))
    assert judge(since, ours, now) is (NOT_MODIFIED if told else SEND)
    assert ours.modified <= now


@pytest.mark.parametrize(
    ("modified", "changed", "now", "weak"),
    [
        (1e9 + 0.5, 1e9 + 0.5, 1e9 + 0.51, True),
        (1e9 + 0.5, 1e9 + 0.5, 1e9 + 0.6, False),
        (2e9, 1e9 + 0.5, 1e9 + 0.6, False),  # a time that anybody can set
        (1e8, 1e9 + 0.5, 1e9 + 0.51, True),
        (0, 1e9 + 0.5, 1e9 + 0.6, False),
        (1e9, 1e9, 1e9 + 1.9, True),  # whole seconds
        (1e9, 1e9, 1e9 + 2.1, False),
        (1e9 + 0.5, 1e9, 1e9 + 1.0, True),
        (1e9 + 0.5, 2e9 + 0.5, 1e9 + 0.6, False),  # changed while the clock was wrong
    ],
)
def test_a_tag_is_weak_while_a_rewrite_would_leave_no_trace(
    modified: float, changed: float, now: float, weak: bool
) -> None:
    assert validators(stat_result(modified, changed), now).entity_tag.startswith("W/") == weak


def stat_result(modified: float, changed: float) -> os.stat_result:
    """Return a status with these times, of which the kernel would let us set only one."""
    whole = (0o100644, 1, 1, 1, 0, 0, 4, 0, int(modified), int(changed))
    times = {"st_mtime_ns": int(modified * 10**9), "st_ctime_ns": int(changed * 10**9)}
    return os.stat_result(whole, {**times, "st_mtime": modified, "st_ctime": changed})


@pytest.mark.parametrize("date", [BEFORE, "Sun, 06 Nov 1994 08:49:38 GMT", "Tue, 01 Jan 2002 00:00:00 GMT"])
def test_another_date_than_ours_is_another_version(date: str) -> None:
    """A later one too: an older file may have taken the place of the one that the client has."""
    assert judge(_headers(f"If-Modified-Since: {date}"), OURS, NOW) is SEND
    assert judge(_headers(f"If-Modified-Since: {DATE}"), OURS, NOW) is NOT_MODIFIED


def test_an_untold_date_is_no_condition() -> None:
    unsettled = Validators('"a"', 784111777, settled=False)
    assert judge(_headers(f"If-Modified-Since: {DATE}"), unsettled, NOW) is SEND
    assert not range_applies(_headers(f"If-Range: {DATE}"), unsettled, NOW, negotiated=False)


def test_a_date_of_this_second_is_not_strong() -> None:
    fresh = Validators('"a"', int(NOW))
    assert not range_applies(_headers(f"If-Range: {format_date(fresh.modified)}"), fresh, NOW, negotiated=False)
    assert range_applies(_headers(f"If-Range: {format_date(fresh.modified)}"), fresh, NOW + 5, negotiated=False)
