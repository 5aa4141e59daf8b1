"""Range, compared with a slow and obvious implementation; and several parts in one response."""

from __future__ import annotations

import email
import email.policy
from functools import partial

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from httpmini.protocol.body import FileSlice, Promise, body_length
from httpmini.site.ranges import MAX_RANGES, Part, parse_range, send_parts

CONTENT = bytes(range(100))

_NUMBERS = st.one_of(st.integers(0, 120), st.integers(0, 10**30))
_SPECS = st.one_of(
    st.tuples(_NUMBERS, _NUMBERS).map(lambda pair: f"{pair[0]}-{pair[1]}"),
    _NUMBERS.map(lambda number: f"{number}-"),
    _NUMBERS.map(lambda number: f"-{number}"),
)


def _wanted(spec: str, size: int) -> set[int] | None:
    """Return the offsets that one range selects; None for an invalid one."""
    first, _, last = spec.partition("-")
    if not first:
        return {offset for offset in range(size) if offset >= size - int(last)}
    if last and int(last) < int(first):
        return None
    return {offset for offset in range(size) if int(first) <= offset and (not last or offset <= int(last))}


@settings(max_examples=500, deadline=None, database=None)
@example(["0-0", f"{10**18 + 1}-{10**18}"], 1)
@example([f"0-{10**30}", f"{10**30}-{10**30 + 1}"], 1)
@given(st.lists(_SPECS, min_size=1, max_size=MAX_RANGES + 2), st.integers(1, 100))
def test_parts_are_what_was_asked_for(specs: list[str], size: int) -> None:
    parts = parse_range("bytes=" + ",".join(specs), size)
    wanted = [_wanted(spec, size) for spec in specs]
    if None in wanted or len(specs) > MAX_RANGES:
        assert parts is None
        return
    assert parts is not None
    sent = [offset for part in parts for offset in range(part.offset, part.end)]
    assert set(sent) == set().union(*(one for one in wanted if one is not None))
    assert len(sent) == len(set(sent)), "a byte is sent twice"
    assert all(0 <= part.offset < part.end <= size for part in parts)


@settings(max_examples=500, deadline=None, database=None)
@given(st.text(st.characters(max_codepoint=255), max_size=40))
def test_no_text_makes_it_fail(text: str) -> None:
    parse_range(text, 100)
    parse_range(f"bytes={text}", 100)


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("bytes=0-0,2-3", [Part(0, 1), Part(2, 2)]),
        ("bytes=5-6,0-1", [Part(5, 2), Part(0, 2)]),  # the order of the request
        ("bytes=5-6,0-1,1-2", [Part(0, 3), Part(5, 2)]),  # overlapping ones are joined, in the order of the file
        ("bytes=0-1,2-3", [Part(0, 2), Part(2, 2)]),
    ],
)
def test_order(value: str, parts: list[Part]) -> None:
    assert parse_range(value, 100) == parts


def test_several_parts_are_a_multipart_that_others_can_read() -> None:
    parts = [Part(0, 1), Part(50, 10), Part(99, 1)]
    fields, body = send_parts(partial(FileSlice, 7), 100, parts, "text/plain", '"tag"')
    raw = b"".join(
        CONTENT[piece.offset : piece.offset + piece.length] if isinstance(piece, FileSlice) else piece
        for piece in body
        if not isinstance(piece, Promise)
    )
    assert len(raw) == body_length(body)
    ((name, media_type),) = fields
    message = email.message_from_bytes(f"{name}: {media_type}\r\n\r\n".encode() + raw, policy=email.policy.HTTP)
    assert message.get_content_type() == "multipart/byteranges"
    found = [(str(one["Content-Range"]), one.get_payload(decode=True)) for one in message.iter_parts()]
    assert found == [
        ("bytes 0-0/100", CONTENT[:1]),
        ("bytes 50-59/100", CONTENT[50:60]),
        ("bytes 99-99/100", CONTENT[99:]),
    ]


def test_one_part_is_never_a_multipart() -> None:
    fields, body = send_parts(partial(FileSlice, 7), 100, [Part(5, 10)], "text/plain", '"tag"')
    assert dict(fields) == {"Content-Type": "text/plain", "Content-Range": "bytes 5-14/100"}
    assert body == (FileSlice(7, 5, 10),)
