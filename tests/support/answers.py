"""Checks of the bytes of a conversation against what its wire case expects."""

from __future__ import annotations

import re

from httpmini.lint.cases import Case, Expected
from httpmini.protocol.dates import parse_date
from tests.support.wire import fields

_STATUS_LINE = re.compile(rb"HTTP/1\.0 [1-5][0-9]{2} [ -~]+")
_FIELD_LINE = re.compile(rb"[A-Za-z-]+: [\x20-\x7e\x80-\xff]*")


def check(case: Case, said: bytes) -> None:
    """Assert that the server's bytes ``said`` are exactly what ``case`` expects."""
    if case.raw is not None:
        assert said == case.raw
        return
    for expected in case.answers:
        said = _check_one(expected, said)
    assert said == b"", "more responses than expected"


def _check_one(expected: Expected, said: bytes) -> bytes:
    """Check the first response in ``said`` and return the bytes after it."""
    head, end, rest = said.partition(b"\r\n\r\n")
    assert end, f"no head in {said[:200]!r}"
    lines = head.split(b"\r\n")
    assert _STATUS_LINE.fullmatch(lines[0]), lines[0]
    assert all(_FIELD_LINE.fullmatch(line) for line in lines[1:]), lines
    named = fields(head)
    assert len(named) == len(lines) - 1, "a field occurs twice"
    assert int(lines[0].split()[1]) == expected.status
    assert parse_date(named["date"], 0) is not None
    assert named["server"].startswith("httpmini/")
    for name, value in expected.fields.items():
        assert named.get(name) == value, name
    length = 0 if expected.head_only or expected.status in (204, 304) else int(named["content-length"])
    body, rest = rest[:length], rest[length:]
    assert len(body) == length, "the body is short"
    if expected.body is not None:
        assert body == expected.body
    elif length:
        assert "content-type" in named
    if expected.reason:
        assert f"<code>{expected.reason}</code>".encode() in body
    assert b"Traceback" not in body
    return rest
