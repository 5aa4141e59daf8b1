"""Ranges: a download that goes on where it was cut."""

from __future__ import annotations

from httpmini.lint.answer import Answer
from httpmini.lint.check import MUST, SHOULD, Group, NotApplicable, fail
from httpmini.lint.checks.judge import has_field
from httpmini.lint.lab import Session

_group = Group("ranges", ("files",))
_LEAST = 10  # bytes of the file, for the ranges below


def _needs_ranges(session: Session) -> int:
    """Return the length of the file, if the server sends ranges of it."""
    size = len(session.lab.body)
    if size < _LEAST:
        raise NotApplicable(f"{session.lab.target} has fewer than {_LEAST} bytes")
    if session.get("", "Range: bytes=0-0").status != 206:
        raise NotApplicable("it sends no ranges")
    return size


def _part(session: Session, spec: str) -> Answer:
    return session.get("", f"Range: bytes={spec}")


def _expect_part(session: Session, spec: str, first: int, end: int) -> None:
    """Require the bytes from ``first`` up to ``end``."""
    answer = _part(session, spec)
    if answer.status != 206:
        fail(f"bytes={spec}: {answer}, not 206")
    size = len(session.lab.body)
    wanted = f"bytes {first}-{end - 1}/{size}"
    if has_field(answer, "content-range") != wanted:
        fail(f"bytes={spec}: Content-Range: {answer.get('content-range')}, not {wanted}")
    if answer.body != session.lab.body[first:end]:
        fail(f"bytes={spec}: {len(answer.body):,} other bytes came")


def _sends_ranges(session: Session) -> None:
    if len(session.lab.body) < _LEAST:
        raise NotApplicable(f"{session.lab.target} has fewer than {_LEAST} bytes")
    _expect_part(session, "1-3", 1, 4)
    _expect_part(session, "0-0", 0, 1)


def _open_range(session: Session) -> None:
    size = _needs_ranges(session)
    _expect_part(session, "4-", 4, size)


def _suffix(session: Session) -> None:
    size = _needs_ranges(session)
    _expect_part(session, "-3", size - 3, size)
    _expect_part(session, f"-{size + 5}", 0, size)


def _beyond_the_end(session: Session) -> None:
    size = _needs_ranges(session)
    _expect_part(session, f"2-{size + 100}", 2, size)
    _expect_part(session, "0-999999999999", 0, size)


def _unsatisfiable(session: Session) -> None:
    size = _needs_ranges(session)
    for spec in (f"{size}-", f"{size + 5}-{size + 9}", "-0"):
        answer = _part(session, spec)
        if answer.status != 416:
            fail(f"bytes={spec}: {answer}, not 416")
        if answer.get("content-range") not in (f"bytes */{size}", None):
            fail(f"bytes={spec}: Content-Range: {answer.get('content-range')}, not bytes */{size}")


def _invalid(session: Session) -> None:
    _needs_ranges(session)
    for value in ("bytes=5-2", "bytes=a-b", "lines=1-3", "bytes", "bytes=1_0-", "bytes=--1"):
        answer = session.get("", f"Range: {value}")
        if answer.status == 206 or not (answer.status == 200 or 400 <= answer.status < 500):
            fail(f"{value}: {answer}, not 200")
        if answer.status == 200:
            session.expect_file(answer, value)


def _several(session: Session) -> None:
    _needs_ranges(session)
    answer = _part(session, "0-1,4-5,-1")
    if answer.status == 200:
        session.expect_file(answer)
    elif answer.status != 206 or "multipart/byteranges" not in (answer.get("content-type") or ""):
        fail(f"{answer} of type {answer.get('content-type')}, not 206 of multipart/byteranges")
    elif answer.get("content-range") is not None:
        fail("Content-Range stands in the head, not in the parts")


def _if_range(session: Session) -> None:
    _needs_ranges(session)
    answer = session.get("", "Range: bytes=1-3", 'If-Range: "another version"')
    if answer.status != 200:
        fail(f"{answer}, not 200: the client would join parts of two versions")
    session.expect_file(answer)
    tag = answer.get("etag")
    if tag is None or tag.startswith("W/"):
        return
    answer = session.get("", "Range: bytes=1-3", f"If-Range: {tag}")
    if answer.status != 206:
        fail(f"with its own tag: {answer}, not 206")


def _of_head(session: Session) -> None:
    _needs_ranges(session)
    answer = session.get("", "Range: bytes=0-1", method="HEAD")
    if answer.status != 200:
        fail(f"{answer}, not 200")


def _many(session: Session) -> None:
    _needs_ranges(session)
    answer = _part(session, ",".join(["0-"] * 1300))
    if len(answer.body) > 10 * len(session.lab.body) + 10_000:
        fail(f"{len(answer.body):,} bytes came for a request of 4 KB")


RANGES = (
    _group.check(
        SHOULD,
        "range",
        "sends the range that was asked for",
        "RFC 9110 14.2",
        "'bytes=1-3' are three bytes: both ends are part of the range.",
        _sends_ranges,
    ),
    _group.check(
        MUST,
        "range-open",
        "sends all from an offset on",
        "RFC 9110 14.1.2",
        "'bytes=4-' is what resumed downloads ask for.",
        _open_range,
    ),
    _group.check(
        MUST,
        "range-suffix",
        "sends the last bytes",
        "RFC 9110 14.1.2",
        "'bytes=-3' are the last three, not the first four.",
        _suffix,
    ),
    _group.check(
        MUST,
        "range-beyond",
        "ends a range at the end of the file",
        "RFC 9110 14.1.2",
        "A last position beyond the end is cut, and Content-Range says what is sent.",
        _beyond_the_end,
    ),
    _group.check(
        SHOULD,
        "range-unsatisfiable",
        "answers 416 to a range that begins after the end",
        "RFC 9110 15.5.17",
        "416 with 'Content-Range: bytes */LENGTH' tells a client that its copy is whole, or wrong.",
        _unsatisfiable,
    ),
    _group.check(
        MUST,
        "range-invalid",
        "ignores a range that is none",
        "RFC 9110 14.2",
        "What cannot be read as a range is as if it were not there.",
        _invalid,
    ),
    _group.check(
        SHOULD,
        "range-several",
        "sends several ranges as parts, or the whole file",
        "RFC 9110 15.3.7.2",
        "Never join several ranges into one body without saying so.",
        _several,
    ),
    _group.check(
        MUST,
        "if-range",
        "sends the whole file if the version is another one",
        "RFC 9110 13.1.5",
        "If-Range protects a resumed download from being glued together of two versions.",
        _if_range,
    ),
    _group.check(
        SHOULD,
        "range-head",
        "answers HEAD with a range",
        "RFC 9110 14.2",
        "Range is defined for GET alone: answer HEAD as if it were not there.",
        _of_head,
    ),
    _group.check(
        SHOULD,
        "range-many",
        "does not send the file a thousand times for one request",
        "RFC 9110 17.15",
        "Merge ranges that overlap, or ignore long lists: a request of 4 KB must not cost gigabytes.",
        _many,
    ),
)
