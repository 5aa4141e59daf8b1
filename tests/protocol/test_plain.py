"""The short ways through a head lead to the same request and the same fields as the long ones."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from httpmini.errors import ProtocolError
from httpmini.lint.cases import CASES, Case
from httpmini.protocol.message import Headers, Request, persistence
from httpmini.protocol.plain import PlainHead, PlainReader
from httpmini.protocol.reader import NEED_DATA, HeadLimits, RequestReader
from httpmini.server.logs.access import TextLog
from httpmini.server.logs.json_lines import JsonLog
from tests.support.tables import check_all, in_batches

LIMITS = HeadLimits(head_bytes=400, target_bytes=60, fields=5)
WIDE = HeadLimits(head_bytes=16_384, target_bytes=8_192, fields=100)
PLAIN = b"GET /a.txt?x=1 HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n\r\n"


def read_slowly(data: bytes, limits: HeadLimits) -> Request | None:
    """What RequestReader makes of ``data`` when that is one whole request and nothing else."""
    reader = RequestReader(limits)
    reader.feed(data)
    try:
        found = reader.next()
    except ProtocolError:
        return None
    return found if found is not NEED_DATA and reader.is_empty else None


def assert_agreement(data: bytes, limits: HeadLimits) -> Request | None:
    """Where the quick parse reads a request, the careful one reads an equal one, of which all logs say the same."""
    plain = PlainReader(limits).read(data)
    if plain is None:
        return None
    quick = plain.request
    slow = read_slowly(data, limits)
    assert slow is not None
    assert quick == slow
    assert quick.headers.fields == slow.headers.fields
    assert quick.is_conditional == slow.is_conditional
    assert (quick.host, quick.persistence, quick.expects_more) == (slow.host, slow.persistence, slow.expects_more)
    for name in ("Host", "Accept-Encoding", "Connection", "Referer", "User-Agent", "Accept"):
        assert quick.headers.all(name) == slow.headers.all(name), name
        assert quick.headers.get(name) == slow.headers.get(name), name
        assert quick.headers.joined(name) == slow.headers.joined(name), name
        assert (name in quick.headers) == (name in slow.headers), name
    assert not slow.is_conditional
    assert slow.content_length == 0
    assert_same_values(plain, slow)
    return quick


def assert_same_values(plain: PlainHead, slow: Request) -> None:
    """What the head says without a Request is what the Request says, in all logs too."""
    assert (plain.line, plain.method, plain.target, plain.version) == (
        slow.line,
        slow.method,
        slow.target,
        slow.version,
    )
    assert plain.resource == f"{slow.method} {slow.target.partition('?')[0]}"
    assert (plain.host, plain.referer, plain.user_agent) == (slow.host, slow.referer, slow.user_agent)
    assert persistence(plain.connection or "", plain.version) == slow.persistence
    for log in (TextLog("common", print), TextLog("combined", print), JsonLog("select", print)):
        assert log.describe(plain.line, plain, 200, 1) == log.describe(slow.line, slow, 200, 1)


methods = st.sampled_from([b"GET", b"HEAD", b"OPTIONS", b"get", b"G-T", b"PRI", b"A" * 16, b"A" * 17, b""])
targets = st.sampled_from(
    [b"/", b"/a?b", b"*", b"http://h/x", b"/#f", b"/\xe9", b"/%00", b"/\x7f", b'/"', b"/" * 60, b"/" * 61, b"x", b""]
)
versions = st.sampled_from([b"HTTP/1.0", b"HTTP/1.1", b"HTTP/1.2", b"HTTP/01.1", b"HTTP/2.0", b"http/1.1", b""])
blanks = st.sampled_from([b" ", b" ", b" ", b"  ", b"\t", b""])
ends = st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"\r\r\n", b"\r\n\r\n", b""])
names = st.sampled_from(
    [
        b"Host",
        b"hOST",
        b"Accept",
        b"Connection",
        b"Content-Length",
        b"Transfer-Encoding",
        b"If-None-Match",
        b"Range",
        b"X-Range",
        b"Content-Lengthy",
        b"Transfer-x",
        b"Referer",
        b"User-Agent",
        b"Accept-Encoding",
        b"",
        b" Host",
        b"X ",
        b"X\xe9",
        b"X\x00",
    ]
)
values = st.sampled_from(
    [
        b"h",
        b"h:80",
        b"[::1]",
        b"h h",
        b"",
        b"\t h \t",
        b"keep-alive",
        b"Close, x",
        b"http://x/  ",
        b"http://u:p@x/",
        b'a"b\\c',
        b"0",
        b"5",
        b"\xc4\xe9",
        b"a\x00b",
        b"a\rb",
        b"a:b",
        b"x" * 300,
        b"\x85 \xa0",
        b"a\x0bb",
        b"Host: b",
    ]
)
field_lines = st.tuples(names, st.sampled_from([b": ", b": ", b":", b" :", b""]), values, ends).map(b"".join)
good_lines = st.sampled_from([b"Host: h\r\n", b"A: b\r\n", b"Connection:  Keep-Alive \r\n", b"if-match: *\r\n"])
odd_heads = st.builds(
    lambda line, fields, end: b"".join((*line, *fields, end)),
    st.tuples(st.sampled_from([b"", b"", b"\r\n"]), methods, blanks, targets, blanks, versions, ends),
    st.lists(good_lines | field_lines, max_size=7),
    ends,
)


@st.composite
def damaged_heads(draw: st.DrawFn) -> bytes:
    """A plain head of which some octets are others, or more, or fewer."""
    head = bytearray(PLAIN)
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(head)))
        head[place : place + draw(st.integers(0, 2))] = draw(st.binary(max_size=2) | ends | values)
    return bytes(head)


@given(odd_heads | damaged_heads() | st.lists(good_lines, max_size=7).map(lambda f: PLAIN[:-2] + b"".join(f) + b"\r\n"))
@settings(max_examples=3000, deadline=None)
def test_both_readers_agree(data: bytes) -> None:
    assert_agreement(data, LIMITS)


@in_batches("cases", CASES)
def test_both_readers_agree_about_the_wire_cases(cases: Sequence[Case]) -> None:
    check_all(cases, lambda case: assert_agreement(case.data, WIDE))


def test_many_wire_cases_are_plain() -> None:
    """Or the test above would compare nothing."""
    assert sum(PlainReader(WIDE).read(case.data) is not None for case in CASES) > 20


@pytest.mark.parametrize("limits", [LIMITS, WIDE])
@pytest.mark.parametrize(
    ("data", "is_plain"),
    [
        (PLAIN, True),
        (PLAIN.replace(b"1.1", b"1.0"), True),
        (PLAIN.replace(b"Host: h", b"hOsT:\th:80 "), True),
        (PLAIN.replace(b"\r\n", b"\n"), False),
        (PLAIN[:-1], False),
        (PLAIN + b"G", False),
        (PLAIN + PLAIN, False),
        (b"\r\n" + PLAIN, False),
        (PLAIN.replace(b"Host: h\r\n", b""), False),
        (PLAIN.replace(b"Host: h\r\n", b"Host: h\r\nHost: h\r\n"), False),
        (PLAIN.replace(b"Host: h", b"Host: h h"), False),
        (PLAIN.replace(b"Accept", b"Content-Length"), False),
        (PLAIN.replace(b"Accept: */*", b"Content-Length: 5"), False),
        (PLAIN.replace(b"Accept: */*", b"content-length:0"), False),
        (PLAIN.replace(b"Accept: */*", b"TRANSFER-ENCODING: chunked"), False),
        (PLAIN.replace(b"Accept: */*", b"Range: bytes=0-1"), False),
        (PLAIN.replace(b"Accept: */*", b"rANGE:bytes=0-1"), False),
        (PLAIN.replace(b"Accept: */*", b"If-None-Match: *"), False),
        (PLAIN.replace(b"Accept: */*", b"if-modified-since: x"), False),
        (PLAIN.replace(b"Accept: */*", b"Ranges: x"), True),
        (PLAIN.replace(b"Accept: */*", b"User-Agent: a\r\nuser-agent: b"), False),
        (PLAIN.replace(b"Accept: */*", b"Referer: a\r\nReferer: b"), False),
        (PLAIN.replace(b"Accept: */*", b"Connection: close\r\nConnection: keep-alive"), False),
        (PLAIN.replace(b"Accept: */*", b" folded"), False),
        (PLAIN.replace(b"*/*", b"a\x00b"), False),
        (PLAIN.replace(b"*/*", b"a\rb"), False),
        (PLAIN.replace(b"x=1", b"x=1#f"), False),
    ],
)
def test_what_is_plain(data: bytes, is_plain: bool, limits: HeadLimits) -> None:
    assert (assert_agreement(data, limits) is not None) == is_plain


@pytest.mark.parametrize(
    ("data", "over"),
    [
        (b"GET /%s HTTP/1.1\r\nHost: h\r\n\r\n", 60),  # the target
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: %s\r\n\r\n", 400 - 32),  # the head
    ],
)
def test_the_limits_are_the_same(data: bytes, over: int) -> None:
    for size in range(over - 3, over + 3):
        whole = data % (b"x" * size)
        assert (assert_agreement(whole, LIMITS) is None) == (read_slowly(whole, LIMITS) is None), size


@pytest.mark.parametrize("count", range(1, 8))
def test_the_number_of_fields_is_bounded_alike(count: int) -> None:
    data = b"GET / HTTP/1.1\r\nHost: h\r\n" + b"A: b\r\n" * (count - 1) + b"\r\n"
    assert (assert_agreement(data, LIMITS) is None) == (read_slowly(data, LIMITS) is None) == (count > LIMITS.fields)


field_names = st.sampled_from(["Host", "hOST", "If-Range", "Range", "Ran", "X-Range", "Connection", "connection"])
octets = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=8)
field_values = octets | st.sampled_from(["keep-alive, Close", ",", " , a,", "Host: x", "Range:", "\xc0\xdf, \xdf"])
lines = st.tuples(
    field_names, st.sampled_from(["", " ", "\t ", "  "]), field_values, st.sampled_from(["\r\n", "\n", " \t\r\n"])
)


@given(st.lists(lines, max_size=6))
@settings(max_examples=1000, deadline=None)
def test_fields_are_found_alike_however_they_are_stored(parts: list[tuple[str, str, str, str]]) -> None:
    text = Headers.from_lines("\n" + "".join(f"{name}:{blank}{value}{end}" for name, blank, value, end in parts))
    pairs = Headers([(name, value.strip(" \t")) for name, _, value, _ in parts])
    for name in ("host", "HOST", "If-Range", "Range", "Ran", "X-Range", "Connection", "None", ""):
        assert text.all(name) == pairs.all(name)
        assert text.get(name) == pairs.get(name)
        assert text.tokens(name) == pairs.tokens(name)
        assert (name in text) == (name in pairs)
    for beginnings in (("if-",), ("range:",), ("ran",), ("if-", "range:"), ("x",), ("close",), ("host:", "none")):
        expected = any(re.match(beginning, f"{name.lower()}:") for name, *_ in parts for beginning in beginnings)
        assert text.has_any(*beginnings) == pairs.has_any(*beginnings) == expected
    assert text == pairs
    assert hash(text) == hash(pairs)
    assert text.fields == pairs.fields
