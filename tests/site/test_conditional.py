"""Entity tags of real files, and the order of conditions."""

from __future__ import annotations

import os
import time
from pathlib import Path

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


@pytest.mark.parametrize(
    ("age_s", "told"), [(0.0, False), (0.4, False), (0.6, True), (5.0, True), (-1.0, True), (-86400.0, True)]
)
def test_the_date_of_this_second_is_not_told(tmp_path: Path, age_s: float, told: bool) -> None:
    """Another version may still get the same date; a date in the future becomes the present, never the same twice."""
    now = 784111777.5
    (tmp_path / "x").touch()
    os.utime(tmp_path / "x", (now - age_s, now - age_s))
    ours = validators((tmp_path / "x").stat(), now)
    assert ("Last-Modified" in dict(ours.fields)) == told
    if not told:
        since = Headers((("If-Modified-Since", format_date(now)),))
        assert judge(since, ours, now) is Verdict.SEND


def test_a_date_of_this_second_is_not_strong() -> None:
    fresh = Validators('"a"', int(NOW))
    assert not range_applies(_headers(f"If-Range: {format_date(fresh.modified)}"), fresh, NOW, negotiated=False)
    assert range_applies(_headers(f"If-Range: {format_date(fresh.modified)}"), fresh, NOW + 5, negotiated=False)


def test_the_tag_changes_with_every_rewrite(tmp_path: Path) -> None:
    """A rewrite of the same size in the same second changes the tag; within one tick of the clock, the tag is weak."""
    file = tmp_path / "file"
    tags = []
    for number in range(200):
        file.write_text(f"{number:04}")
        tags.append(validators(file.stat(), time.time()).entity_tag)
    strong = [tag for tag in tags if not tag.startswith("W/")]
    assert len(strong) == len(set(strong))
    assert len(strong) < len(tags)


def test_the_tag_changes_when_another_file_takes_the_name(tmp_path: Path) -> None:
    tags = set()
    for name in ("one", "two", "three"):
        file = tmp_path / name
        file.write_text("same")
        os.utime(file, (1e9, 1e9))
        os.replace(file, tmp_path / "file")
        tags.add(validators((tmp_path / "file").stat(), NOW).entity_tag)
        os.link(tmp_path / "file", tmp_path / f"kept-{name}")  # otherwise the file system may reuse the inode number
    assert len(tags) == 3


def test_modified_is_never_in_the_future_nor_before_the_epoch(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    for stamp, modified in ((NOW + 1e6, int(NOW)), (-1e6, 0), (1e9 + 0.9, int(1e9))):
        os.utime(file, (stamp, stamp))
        assert validators(file.stat(), NOW).modified == modified
