"""Heads as they are written, and what is never written."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from httpmini.protocol.message import Headers, Response
from httpmini.protocol.reader import NEED_DATA, HeadLimits, RequestReader, read_response_head
from httpmini.protocol.status import PHRASES
from httpmini.protocol.writer import request_head, response_head

NOW = 784111777
LIMITS = HeadLimits(head_bytes=65536, target_bytes=1000, fields=100)


def spell(response: Response, keep_alive: bool = False) -> bytes:
    return response_head(response, keep_alive=keep_alive, server="test/1", wall=NOW)


def test_a_response_head() -> None:
    response = Response(200, Headers((("Content-Type", "text/plain"), ("X-Latin", "caf\xe9"))), (b"ab", b"cde"))
    assert spell(response) == (
        b"HTTP/1.0 200 OK\r\n"
        b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
        b"Server: test/1\r\n"
        b"Connection: close\r\n"
        b"Content-Length: 5\r\n"
        b"Content-Type: text/plain\r\n"
        b"X-Latin: caf\xe9\r\n"
        b"\r\n"
    )


@pytest.mark.parametrize("status", sorted(PHRASES))
@pytest.mark.parametrize("keep_alive", [True, False])
def test_every_status_is_a_1_0_answer(status: int, keep_alive: bool) -> None:
    head = spell(Response(status, body=(b"x",)), keep_alive)
    assert head.startswith(f"HTTP/1.0 {status} {PHRASES[status]}\r\n".encode())
    assert (b"\r\nConnection: keep-alive\r\n" in head) == keep_alive
    assert (b"\r\nConnection: close\r\n" in head) != keep_alive
    assert (b"Content-Length: 1\r\n" in head) == (status not in (204, 304))
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("Host", "h")]))
    client.receive_data(head)
    answer = client.next_event()
    assert isinstance(answer, h11.Response)
    assert (answer.status_code, answer.http_version) == (status, b"1.0")


def test_an_empty_body_has_length_zero() -> None:
    assert b"\r\nContent-Length: 0\r\n" in spell(Response(200))


def test_a_request_head() -> None:
    head = request_head("HEAD", "/a?b", (("Host", "h"), ("Empty", "")))
    assert head == b"HEAD /a?b HTTP/1.0\r\nHost: h\r\nEmpty: \r\n\r\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("A", "b\r\nSet-Cookie: c"),
        ("A", "b\nc"),
        ("A", "b\rc"),
        ("A", "b\0c"),
        ("A", "\x1b[31m"),
        ("A", "\x7f"),
        ("A", "b\n"),
        ("A", "\u20ac"),
        ("A\r\nB", "c"),
        ("A\n", "c"),
        ("A\0", "c"),
        ("A:", "c"),
        ("A ", "c"),
        ("", "c"),
        ("\xe9", "c"),
        ("\u20ac", "c"),
    ],
)
def test_what_would_forge_a_line_is_refused(name: str, value: str) -> None:
    headers = Headers((("First", "fine"), (name, value)))
    with pytest.raises(ValueError, match=r"."):
        spell(Response(200, headers))
    with pytest.raises(ValueError, match=r"."):
        request_head("GET", "/", headers.fields)


TEXT = st.text(st.characters(max_codepoint=0x2FF), max_size=12)


@settings(max_examples=200, deadline=None, database=None)
@given(st.lists(st.tuples(st.from_regex(r"[A-Za-z!~.-]{1,8}", fullmatch=True) | TEXT, TEXT), max_size=4))
def test_a_head_is_refused_or_read_back_as_it_was_meant(fields: list[tuple[str, str]]) -> None:
    try:
        request = request_head("GET", "/", fields)
        response = response_head(Response(200, Headers(tuple(fields))), keep_alive=True, server="s", wall=NOW)
    except ValueError:
        return
    meant = [(name, value.strip(" \t")) for name, value in fields]
    answer = read_response_head(response, LIMITS)
    assert answer is not NEED_DATA
    assert answer.size == len(response)
    assert list(answer.headers)[-len(meant) :] == meant or not meant
    forbidden = {"host", "content-length", "transfer-encoding"}
    if not forbidden & {name.lower() for name, _ in meant}:
        reader = RequestReader(LIMITS)
        reader.feed(request)
        found = reader.next()
        assert found is not NEED_DATA
        assert list(found.headers) == meant
        assert reader.is_empty
