"""RequestReader: which bytes are which request, or which reason; and that cutting them never changes the answer."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from httpmini.errors import ProtocolError
from httpmini.protocol.message import Headers, Request
from httpmini.protocol.reader import NEED_DATA, HeadLimits, RequestReader, read_response_head

LIMITS = HeadLimits(head_bytes=400, target_bytes=60, fields=5)
SLACK = 64  # what a request line may have beside its target


class Refused(NamedTuple):
    """How a reader says no."""

    token: str
    offset: int | None


Outcome = list[Request | Refused | str]


def run(pieces: Iterable[bytes], limits: HeadLimits = LIMITS) -> Outcome:
    """Everything that a reader says about the pieces, as the server asks it: after each piece, until NEED_DATA."""
    reader = RequestReader(limits)
    said: Outcome = []
    for piece in pieces:
        reader.feed(piece)
        try:
            while (found := reader.next()) is not NEED_DATA:
                said.append(found)
        except ProtocolError as error:
            return [*said, Refused(error.reason.token, error.offset), reader.first_line()]
    return [*said, "" if reader.is_empty else reader.first_line()]


def single_bytes(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def a_request(
    line: str,
    *fields: tuple[str, str],
    version: tuple[int, int] = (1, 0),
    method: str = "GET",
    target: str = "/",
    length: int = 0,
) -> Request:
    return Request(method, target, version, Headers(fields), line, length)


HOST = ("Host", "h")

GOOD: dict[str, tuple[bytes, Request]] = {
    "1.0": (b"GET / HTTP/1.0\r\n\r\n", a_request("GET / HTTP/1.0")),
    "1.1": (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", a_request("GET / HTTP/1.1", HOST, version=(1, 1))),
    "1.1 with an empty host": (
        b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
        a_request("GET / HTTP/1.1", ("Host", ""), version=(1, 1)),
    ),
    "1.2 counts as 1.1": (b"GET / HTTP/1.2\r\nHost: h\r\n\r\n", a_request("GET / HTTP/1.2", HOST, version=(1, 1))),
    "leading zeros": (b"GET / HTTP/01.10\r\nHost: h\r\n\r\n", a_request("GET / HTTP/01.10", HOST, version=(1, 1))),
    "many zeros": (b"GET / HTTP/001.000\r\n\r\n", a_request("GET / HTTP/001.000")),
    "0.9": (b"GET /\r\n", a_request("GET /", version=(0, 9))),
    "0.9 with a bare LF": (b"GET /\n", a_request("GET /", version=(0, 9))),
    "0.9 with a blank after it": (b"GET / \r\n", a_request("GET / ", version=(0, 9))),
    "bare LFs": (b"GET / HTTP/1.0\nA: b\n\n", a_request("GET / HTTP/1.0", ("A", "b"))),
    "LF, then CRLF": (b"GET / HTTP/1.0\nA: b\n\r\n", a_request("GET / HTTP/1.0", ("A", "b"))),
    "CRLF, then LF": (b"GET / HTTP/1.0\r\nA: b\r\n\n", a_request("GET / HTTP/1.0", ("A", "b"))),
    "no fields, LF": (b"GET / HTTP/1.0\n\n", a_request("GET / HTTP/1.0")),
    "one empty line before": (b"\r\nGET / HTTP/1.0\r\n\r\n", a_request("GET / HTTP/1.0")),
    "one bare LF before": (b"\nGET / HTTP/1.0\r\n\r\n", a_request("GET / HTTP/1.0")),
    "an empty line before 0.9": (b"\r\nGET /\r\n", a_request("GET /", version=(0, 9))),
    "blanks and tabs between the words": (
        b"GET \t /  HTTP/1.0 \t\r\n\r\n",
        a_request("GET \t /  HTTP/1.0 \t"),
    ),
    "another method": (b"BREW / HTTP/1.0\r\n\r\n", a_request("BREW / HTTP/1.0", method="BREW")),
    "methods have a case": (b"get / HTTP/1.0\r\n\r\n", a_request("get / HTTP/1.0", method="get")),
    "every character of a token": (
        b"!#$%&'*+-.^_`|~09AZaz / HTTP/1.0\r\n\r\n",
        a_request("!#$%&'*+-.^_`|~09AZaz / HTTP/1.0", method="!#$%&'*+-.^_`|~09AZaz"),
    ),
    "octets above 127 in the target": (
        b"GET /\xfc\xff?\x80 HTTP/1.0\r\n\r\n",
        a_request("GET /\xfc\xff?\x80 HTTP/1.0", target="/\xfc\xff?\x80"),
    ),
    "a target that is no path is not the reader's matter": (
        b"GET x HTTP/1.0\r\n\r\n",
        a_request("GET x HTTP/1.0", target="x"),
    ),
    "an asterisk": (
        b"OPTIONS * HTTP/1.0\r\n\r\n",
        a_request("OPTIONS * HTTP/1.0", method="OPTIONS", target="*"),
    ),
    "fields in order, twice, with blanks": (
        b"GET / HTTP/1.0\r\nB:\t 2 \t\r\na:1\r\nB:3\r\n\r\n",
        a_request("GET / HTTP/1.0", ("B", "2"), ("a", "1"), ("B", "3")),
    ),
    "empty value": (b"GET / HTTP/1.0\r\nA:\r\nB: \t \r\n\r\n", a_request("GET / HTTP/1.0", ("A", ""), ("B", ""))),
    "colons, tabs and octets above 127 in a value": (
        b"GET / HTTP/1.0\r\nA: x:\ty \xe9\xff\r\n\r\n",
        a_request("GET / HTTP/1.0", ("A", "x:\ty \xe9\xff")),
    ),
    "a length": (
        b"GET / HTTP/1.0\r\ncontent-LENGTH: 12\r\n\r\n",
        a_request("GET / HTTP/1.0", ("content-LENGTH", "12"), length=12),
    ),
    "a length with zeros before it": (
        b"GET / HTTP/1.0\r\nContent-Length: 00000000000000000000007\r\n\r\n",
        a_request("GET / HTTP/1.0", ("Content-Length", "00000000000000000000007"), length=7),
    ),
    "length zero": (
        b"GET / HTTP/1.0\r\nContent-Length: 0\r\n\r\n",
        a_request("GET / HTTP/1.0", ("Content-Length", "0")),
    ),
    "the longest length": (
        b"GET / HTTP/1.0\r\nContent-Length: 999999999999999999\r\n\r\n",
        a_request("GET / HTTP/1.0", ("Content-Length", "9" * 18), length=10**18 - 1),
    ),
    "two kinds of 1.0 client send a host": (
        b"GET / HTTP/1.0\r\nHost: h\r\n\r\n",
        a_request("GET / HTTP/1.0", HOST),
    ),
}

TLS_HELLO = bytes.fromhex("16030100f8010000f40303") + bytes(range(60))

BAD: dict[str, tuple[bytes, str, int | None]] = {
    "TLS": (TLS_HELLO, "not-http", 0),
    "NUL": (b"\0", "not-http", 0),
    "a blank first": (b" GET / HTTP/1.0\r\n\r\n", "not-http", 0),
    "an octet above 127 first": (b"\xffGET / HTTP/1.0\r\n\r\n", "not-http", 0),
    "a quote first": (b'"GET" / HTTP/1.0\r\n\r\n', "not-http", 0),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "http2-preface", 0),
    "SSH, which looks like a method and a target": (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "simple-request-method", 0),
    "two empty lines before": (b"\r\n\r\nGET / HTTP/1.0\r\n\r\n", "request-line", 0),
    "two bare LFs before": (b"\n\nGET / HTTP/1.0\r\n\r\n", "request-line", 0),
    "a bare CR before": (b"\rGET / HTTP/1.0\r\n\r\n", "request-line", 0),
    "one word": (b"GET\r\n", "request-line", 0),
    "one word and a blank": (b"GET \r\n", "request-line", 0),
    "four words": (b"GET / HTTP/1.0 x\r\n\r\n", "request-line", 0),
    "a blank in the target": (b"GET /a b HTTP/1.0\r\n\r\n", "request-line", 0),
    "a method that is no token": (b"G(T / HTTP/1.0\r\n\r\n", "request-line", 0),
    "an answer": (b"HTTP/1.0 200 OK\r\n\r\n", "request-line", 0),
    "lower case": (b"GET / http/1.0\r\n\r\n", "version", 6),
    "another protocol": (b"GET / HTTPS/1.0\r\n\r\n", "version", 6),
    "no minor": (b"GET / HTTP/1\r\n\r\n", "version", 6),
    "no digits": (b"GET / HTTP/1.x\r\n\r\n", "version", 6),
    "a sign": (b"GET / HTTP/+1.0\r\n\r\n", "version", 6),
    "a bare CR after the version": (b"GET / HTTP/1.0\r\r\n\r\n", "version", 6),
    "HTTP/2.0": (b"GET / HTTP/2.0\r\n\r\n", "version-major", 6),
    "HTTP/0.9 spelt out": (b"GET / HTTP/0.9\r\n\r\n", "version-major", 6),
    "HTTP/11.1": (b"GET / HTTP/11.1\r\n\r\n", "version-major", 6),
    "HTTP/10.0": (b"GET / HTTP/10.0\r\n\r\n", "version-major", 6),
    "0.9 HEAD": (b"HEAD /\r\n", "simple-request-method", 0),
    "0.9 get": (b"get /\r\n", "simple-request-method", 0),
    "NUL in the target": (b"GET /a\0b HTTP/1.0\r\n\r\n", "target-character", 6),
    "DEL in the target": (b"GET /\x7f HTTP/1.0\r\n\r\n", "target-character", 5),
    "a bare CR in the target": (b"GET /\rX HTTP/1.0\r\n\r\n", "target-character", 5),
    "a vertical tab in the target": (b"GET /\x0b HTTP/1.0\r\n\r\n", "target-character", 5),
    "a fragment": (b"GET /a#b HTTP/1.0\r\n\r\n", "target-character", 6),
    "folded": (b"GET / HTTP/1.0\r\nA: b\r\n c\r\n\r\n", "field-folded", 22),
    "folded with a tab": (b"GET / HTTP/1.0\r\nA: b\r\n\tc\r\n\r\n", "field-folded", 22),
    "folded before any field": (b"GET / HTTP/1.0\r\n A: b\r\n\r\n", "field-folded", 16),
    "a line of one blank": (b"GET / HTTP/1.0\r\nA: b\r\n \r\n\r\n", "field-folded", 22),
    "no colon": (b"GET / HTTP/1.0\r\nA: b\r\nnothing\r\n\r\n", "field-colon", 22),
    "a line of one CR": (b"GET / HTTP/1.0\r\n\r\r\n\r\n", "field-colon", 16),
    "no name": (b"GET / HTTP/1.0\r\n: b\r\n\r\n", "field-name", 16),
    "a blank in a name": (b"GET / HTTP/1.0\r\nA B: c\r\n\r\n", "field-name", 16),
    "a NUL in a name": (b"GET / HTTP/1.0\r\nA\0: c\r\n\r\n", "field-name", 16),
    "an octet above 127 in a name": (b"GET / HTTP/1.0\r\n\xe9: c\r\n\r\n", "field-name", 16),
    "a blank before the colon": (b"GET / HTTP/1.0\r\nA : b\r\n\r\n", "field-name-space", 16),
    "a tab before the colon": (b"GET / HTTP/1.0\r\nA\t: b\r\n\r\n", "field-name-space", 16),
    "NUL in a value": (b"GET / HTTP/1.0\r\nA: b\0\r\n\r\n", "field-value", 20),
    "a bare CR in a value": (b"GET / HTTP/1.0\r\nA: b\rC: d\r\n\r\n", "field-value", 20),
    "two CRs at a line's end": (b"GET / HTTP/1.0\r\nA: b\r\r\n\r\n", "field-value", 20),
    "ESC in a value": (b"GET / HTTP/1.0\r\nB: 1\r\nA:\x1b\r\n\r\n", "field-value", 24),
    "DEL in a value": (b"GET / HTTP/1.0\r\nA:\x7f\r\n\r\n", "field-value", 18),
    "1.1 without a host": (b"GET / HTTP/1.1\r\n\r\n", "host-missing", None),
    "1.9 without a host": (b"GET / HTTP/1.9\r\nX-Host: h\r\n\r\n", "host-missing", None),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", "host-repeated", 25),
    "two hosts in 1.0": (b"GET / HTTP/1.0\r\nHost: a\r\nHOST: b\r\n\r\n", "host-repeated", 25),
    "chunked": (b"GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", "transfer-encoding", 25),
    "identity": (b"GET / HTTP/1.0\r\nTransfer-Encoding: identity\r\n\r\n", "transfer-encoding", 16),
    "an empty transfer coding": (b"GET / HTTP/1.0\r\ntransfer-encoding:\r\n\r\n", "transfer-encoding", 16),
    "coding and length": (
        b"GET / HTTP/1.0\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "transfer-encoding",
        35,
    ),
} | {
    f"length {value!r}": (b"GET / HTTP/1.0\r\nContent-Length: " + value + b"\r\n\r\n", "content-length", 16)
    for value in (b"", b"-1", b"+1", b"1.0", b"0x1", b"1 2", b"1,1", b"1, 2", b"1_0", b"\xb2", b"1" + b"0" * 18, b"a")
}
BAD["two lengths"] = (b"GET / HTTP/1.0\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", "content-length", 35)

NEXT = b"\r\nHEAD /next HTTP/1.0\r\n\r\n"
NEXT_REQUEST = a_request("HEAD /next HTTP/1.0", method="HEAD", target="/next")


def cuttings(data: bytes) -> list[list[bytes]]:
    """Whole, byte by byte, and in two at every place."""
    return [[data], single_bytes(data), *([data[:at], data[at:]] for at in range(1, len(data)))]


@pytest.mark.parametrize(("data", "request_"), GOOD.values(), ids=GOOD)
def test_a_good_head_is_its_request_however_it_comes(data: bytes, request_: Request) -> None:
    for pieces in cuttings(data):
        assert run(pieces) == [request_, ""]


@pytest.mark.parametrize(("data", "request_"), GOOD.values(), ids=GOOD)
def test_what_follows_a_head_is_left_for_the_next(data: bytes, request_: Request) -> None:
    for pieces in cuttings(data + NEXT):
        assert run(pieces) == [request_, NEXT_REQUEST, ""]


@pytest.mark.parametrize(("data", "request_"), GOOD.values(), ids=GOOD)
def test_a_head_is_nothing_before_its_last_byte(data: bytes, request_: Request) -> None:
    for size in range(len(data)):
        said = run([data[:size]])
        assert len(said) == 1, f"{data[:size]!r} was taken for {said}"


@pytest.mark.parametrize(("data", "token", "offset"), BAD.values(), ids=BAD)
def test_a_bad_head_is_its_reason_however_it_comes(data: bytes, token: str, offset: int | None) -> None:
    for pieces in (*cuttings(data), *cuttings(data + NEXT)):
        assert run(pieces)[:-1] == [Refused(token, offset)]


@pytest.mark.parametrize(("data", "token", "offset"), BAD.values(), ids=BAD)
def test_a_good_head_before_a_bad_one_is_still_taken(data: bytes, token: str, offset: int | None) -> None:
    first, request_ = GOOD["1.1"]
    for pieces in ([first + data], single_bytes(first + data)):
        assert run(pieces)[:-1] == [request_, Refused(token, offset)]


def padded(size: int, before: bytes = b"GET / HTTP/1.0\r\nA: ", after: bytes = b"\r\n\r\n") -> bytes:
    return before + b"x" * (size - len(before) - len(after)) + after


LINE_WITH_BLANKS = b"GET /" + b" " * (LIMITS.target_bytes + SLACK - 13) + b"HTTP/1.0"

AT_THE_LIMIT: dict[str, tuple[bytes, Refused | None]] = {
    "head, N": (padded(400), None),
    "head, N+1": (padded(401), Refused("head-long", 400)),
    "head, N with bare LFs": (padded(400, b"GET / HTTP/1.0\nA: ", b"\n\n"), None),
    "head, N+1 with bare LFs": (padded(401, b"GET / HTTP/1.0\nA: ", b"\n\n"), Refused("head-long", 400)),
    "head that never ends, N+1": (padded(401, after=b""), Refused("head-long", 400)),
    "target, N": (b"GET /" + b"a" * 59 + b" HTTP/1.0\r\n\r\n", None),
    "target, N+1": (b"GET /" + b"a" * 60 + b" HTTP/1.0\r\n\r\n", Refused("target-long", 64)),
    "0.9 target, N": (b"GET /" + b"a" * 59 + b"\r\n", None),
    "0.9 target, N+1": (b"GET /" + b"a" * 60 + b"\r\n", Refused("target-long", 64)),
    "line of blanks, N": (LINE_WITH_BLANKS + b"\n\n", None),
    "line of blanks, N+1": (LINE_WITH_BLANKS + b" \n\n", Refused("target-long", 124)),
    "line that never ends, N+1": (b"G /" + b"a" * 122, Refused("target-long", 124)),
    "method that never ends": (b"G" * 125, Refused("method-unknown", 0)),
    "fields, N": (b"GET / HTTP/1.0\r\n" + b"A:\r\n" * 5 + b"\r\n", None),
    "fields, N+1": (b"GET / HTTP/1.0\r\n" + b"A:\r\n" * 6 + b"\r\n", Refused("fields-many", 36)),
}


@pytest.mark.parametrize(("data", "refused"), AT_THE_LIMIT.values(), ids=AT_THE_LIMIT)
def test_limits_are_exact(data: bytes, refused: Refused | None) -> None:
    for pieces in cuttings(data):
        said = run(pieces)
        if refused is None:
            assert isinstance(said[0], Request)
        else:
            assert said[0] == refused


def test_limits_are_for_each_head_alone() -> None:
    assert [type(said) for said in run([padded(400) * 3])] == [Request, Request, Request, str]


@pytest.mark.parametrize("data", [b"G" * 124, padded(400, after=b"")], ids=["line", "head"])
def test_a_head_that_may_still_be_short_enough_is_waited_for(data: bytes) -> None:
    assert len(run([data])) == 1


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"", ""),
        (b"GE", "GE"),
        (b"GET / HTT\r", "GET / HTT"),
        (b"GET / HTTP/1.0\r\nA: b", "GET / HTTP/1.0"),
        (b"\r\nGET / HTTP/1.0\r\n", "GET / HTTP/1.0"),
        (b"\x16\x03\xff\n\x01", "\x16\x03\xff"),
        (b"GET /\xe9 HTTP/3.0\r\nA: b", "GET /\xe9 HTTP/3.0"),
    ],
)
def test_the_first_line_is_known_for_the_log(data: bytes, line: str) -> None:
    reader = RequestReader(LIMITS)
    reader.feed(data)
    with suppress(ProtocolError):
        assert reader.next() is NEED_DATA
    assert reader.first_line() == line


LIKELY = st.sampled_from(
    (
        *(b"GET", b" ", b"/", b"HTTP/1.", b"HTTP/", b"0", b"1", b"\r\n", b"\n", b"\r", b"\t", b":", b"A: b\r\n", b"a"),
        *(b"Host: h\r\n", b"Content-Length: 5\r\n", b"\r\n\r\n", b"x" * 59, b"\0", b"\xff", b"#", b"%41"),
        *(b"GET / HTTP/1.1\r\nHost: h\r\n", b"GET / HTTP/1.0\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\n"),
    )
)
BYTES = st.lists(LIKELY | st.binary(max_size=4), max_size=30).map(b"".join)


@settings(max_examples=200, deadline=None, database=None)
@example(b"\r\n\rX\n", [2])
@example(b"GET / HTTP/1.0\n\r\n", [15, 16])
@given(BYTES, st.lists(st.integers(0, 600), max_size=8))
def test_cutting_never_changes_what_is_said(data: bytes, cuts: list[int]) -> None:
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    pieces = [data[begin:end] for begin, end in pairwise(places)]
    whole = run([data])
    for cutting in (pieces, single_bytes(data)):
        said = run(cutting)
        # A refused line may not be all there yet when it is refused: then what is there is a beginning of it.
        assert said[:-1] == whole[:-1]
        last, whole_last = said[-1], whole[-1]
        assert isinstance(last, str)
        assert isinstance(whole_last, str)
        refused = any(isinstance(one, Refused) for one in said)
        assert whole_last.startswith(last.removesuffix("\r")) if refused else whole_last == last


@settings(max_examples=200, deadline=None, database=None)
@given(BYTES)
def test_a_reader_says_a_request_a_reason_or_need_data_and_nothing_else(data: bytes) -> None:
    said = run([data])
    assert all(isinstance(one, Request | Refused) for one in said[:-1])


ANSWERS: dict[str, tuple[bytes, tuple[int, str, tuple[tuple[str, str], ...]]]] = {
    "plain": (b"HTTP/1.0 200 OK\r\nA: b\r\n\r\n", (200, "OK", (("A", "b"),))),
    "no phrase": (b"HTTP/1.1 200 \r\n\r\n", (200, "", ())),
    "no blank after the code": (b"HTTP/1.1 204\r\n\r\n", (204, "", ())),
    "a long phrase": (b"HTTP/1.1 404 Not  here \xe9\r\n\r\n", (404, "Not  here \xe9", ())),
    "bare LFs": (b"HTTP/1.0 200 OK\nA: b\n\n", (200, "OK", (("A", "b"),))),
    "folded": (b"HTTP/1.0 200 OK\r\nA: b\r\n c\r\n\t d\r\nE: f\r\n\r\n", (200, "OK", (("A", "b c d"), ("E", "f")))),
    "folded and empty": (b"HTTP/1.0 200 OK\r\nA:\r\n b\r\n \r\n\r\n", (200, "OK", (("A", "b"),))),
}


@pytest.mark.parametrize(("data", "head"), ANSWERS.values(), ids=ANSWERS)
def test_the_head_of_an_answer(data: bytes, head: tuple[int, str, tuple[tuple[str, str], ...]]) -> None:
    found = read_response_head(data + b"\r\n\r\nbody", LIMITS)
    assert found is not NEED_DATA
    assert (found.status, found.phrase, found.headers.fields) == head
    assert found.size == len(data)
    assert all(read_response_head(data[:size], LIMITS) is NEED_DATA for size in range(len(data)))


@pytest.mark.parametrize(
    ("data", "token"),
    [
        (b"X", "not-http"),
        (b"HTTQ", "not-http"),
        (b"<html>\n\n", "not-http"),
        (b"\r\nHTTP/1.0 200 OK\r\n\r\n", "not-http"),
        (b"HTTP/1.0\r\n\r\n", "status-line"),
        (b"HTTP/1.0 20 OK\r\n\r\n", "status-line"),
        (b"HTTP/1.0 099 OK\r\n\r\n", "status-line"),
        (b"HTTP/1.0 2000 OK\r\n\r\n", "status-line"),
        (b"HTTP/1.0 200OK\r\n\r\n", "status-line"),
        (b"HTTP/1.0  200 OK\r\n\r\n", "status-line"),
        (b"HTTP/1 200 OK\r\n\r\n", "status-line"),
        (b"HTTP/1.0 200 O\x1b[31mK\r\n\r\n", "status-line"),
        (b"HTTP/1.0 200 O\rK\r\n\r\n", "status-line"),
        (b"HTTP/1.0 200 OK\r\n a: b\r\n\r\n", "field-folded"),
        (b"HTTP/1.0 200 OK\r\na b\r\n\r\n", "field-colon"),
        (b"HTTP/1.0 200 OK\r\na : b\r\n\r\n", "field-name-space"),
        (b"HTTP/1.0 200 OK\r\na: \0\r\n\r\n", "field-value"),
        (b"HTTP/1.0 200 OK\r\na: b\r\n \0\r\n\r\n", "field-value"),
        (b"HTTP/1.0 200 OK\r\n" + b"A:\r\n" * 6 + b"\r\n", "fields-many"),
        (padded(401, b"HTTP/1.0 200 OK\r\nA: "), "head-long"),
        (padded(401, b"HTTP/1.0 200 OK\r\nA: ", b""), "head-long"),
    ],
)
def test_what_is_no_answer(data: bytes, token: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        read_response_head(data, LIMITS)
    assert caught.value.reason.token == token
