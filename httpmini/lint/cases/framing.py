"""Where a request ends: lengths, chunks, smuggling, and what a client may propose."""

from __future__ import annotations

from httpmini.lint.cases.build import (
    ARABIC_FIVE,
    CLOSED,
    FULLWIDTH_FIVE,
    KEEP,
    KEPT,
    OK,
    Case,
    Expected,
    ask,
    case,
    last,
    refused,
)
from httpmini.lint.cases.site_tree import BIG

HIDDEN_REQUEST = "GET /sub/ HTTP/1.0\r\n\r\n"
"""What is hidden in bodies, and behind framing that can be read in two ways: it must never be answered."""

FRAMING = (
    *(
        refused(f"length {text!r}", f"POST / HTTP/1.0\r\nContent-Length: {text}\r\n\r\nhello", 400, "content-length")
        for text in ("-1", "+5", "0x5", "1e3", "5,6", "5, 5", "", "5_0", "\xb2", "9" * 22, "5 5", "five")
    ),
    refused(
        "two lengths",
        "GET /ten.txt HTTP/1.0\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        400,
        "content-length",
    ),
    refused(
        "chunked", "GET /ten.txt HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "transfer-encoding"
    ),
    refused(
        "chunked and a length",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        "GET /sub/ HTTP/1.0\r\n\r\n",
        400,
        "transfer-encoding",
    ),
    refused("1.1 without Host", "GET /ten.txt HTTP/1.1\r\n\r\n", 400, "host-missing"),
    *(
        case(f"Host {value!r}", f"GET /ten.txt HTTP/1.1\r\nHost: {value}\r\n\r\n", CLOSED)
        for value in (
            "example.org",
            "example.org:80",
            "example.org:",
            "EXAMPLE.org.",
            "a_b",
            "",
            "[::1]",
            "[::1]:8080",
            "127.0.0.1:1",
            "%41",
            "x!$&'()*+,;=",
        )
    ),
    *(
        refused(f"Host {value!r}", f"GET /ten.txt HTTP/1.0\r\nHost: {value}\r\n\r\n", 400, "host-value")
        for value in (
            "a b",
            "a/b",
            "a@b",
            "a:b",
            "a:80:80",
            "[::1",
            "::1",
            "a?b",
            "a#b",
            "http://a",
            "caf\xe9",
            "%zz",
            '"a"',
        )
    ),
    refused("two Hosts", "GET /ten.txt HTTP/1.0\r\nHost: x\r\nHost: x\r\n\r\n", 400, "host-repeated"),
    case(
        "a body is never the next request",
        "GET /ten.txt HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\nContent-Length: 24\r\n\r\n"
        "GET /sub/ HTTP/1.0\r\n\r\n",
        CLOSED,
    ),
    case(
        "a body of 1 MiB that nobody wants",
        b"POST /ten.txt HTTP/1.0\r\nContent-Length: 1048576\r\n\r\n" + b"x" * 1_048_576,
        Expected(405, fields={"connection": "close"}),
    ),
    case("64 KiB of junk after a request", b"GET /ten.txt HTTP/1.0\r\n\r\n" + b"\0" * 65_536, CLOSED),
)


def _length(text: str) -> str:
    """A request with a Content-Length, and a body that is a request."""
    keep = "Host: x\r\nConnection: keep-alive\r\n"
    return f"POST /ten.txt HTTP/1.1\r\n{keep}Content-Length: {text}\r\n\r\n{HIDDEN_REQUEST}"


# A20, B18: a length is one decimal number.
LENGTHS = (
    *(
        refused(f"Content-Length {text!r}", _length(text), 400, "content-length")
        for text in (
            "5.0",
            "5.",
            ",5",
            "5,",
            "5,5,5",
            "5;5",
            "5-",
            "--5",
            "-0",
            "+0",
            "0x",
            "0b1",
            "1e0",
            '"5"',
            "5\t5",
            "5 bytes",
            "NaN",
            "%35",
            ARABIC_FIVE,
            FULLWIDTH_FIVE,
            f"1{'0' * 18}",
            "18446744073709551621",
            "9" * 400,
        )
    ),
    refused("Content-Length 0x0b", _length("5\x0b"), 400, "field-value"),
    refused("Content-Length folded", _length("2\r\n 2"), 400, "field-folded"),
    refused("two equal lengths", _length("22\r\nContent-Length: 22"), 400, "content-length"),
    refused("two different lengths", _length("22\r\ncontent-length: 0"), 400, "content-length"),
    refused("a length and none", _length("22\r\nContent-Length:"), 400, "content-length"),
    refused("three lengths", _length("0\r\nContent-Length: 0\r\nContent-Length: 22"), 400, "content-length"),
    case("no length, no body", ask("/ten.txt", KEEP, "POST") + ask("/ten.txt", KEEP), Expected(405), KEPT),
    *(
        case(
            f"length zero: {text!r}",
            f"GET /ten.txt HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: {text}\r\n\r\n{HIDDEN_REQUEST}",
            KEPT,
            Expected(200),
        )
        for text in ("0", "0000", " 0 ", "0" * 500)
    ),
)

_KEEP_1_0 = "POST /ten.txt HTTP/1.0\r\nConnection: keep-alive\r\n"

_KEEP_1_1 = "POST /ten.txt HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n"

_GET_1_1 = "GET /ten.txt HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n"

_CHUNKS = f"0\r\n\r\n{HIDDEN_REQUEST}"


def _smuggled(name: str, fields: str, reason: str, start: str = _KEEP_1_1, body: str = _CHUNKS) -> Case:
    return refused(f"smuggling: {name}", f"{start}{fields}\r\n\r\n{body}", 400, reason)


# B19, B20, T-SM: framing that two readers may understand differently. One refusal, and nothing of what follows.
SMUGGLING = (
    *(
        _smuggled(
            f"Transfer-Encoding {value!r}", f"Content-Length: 4\r\nTransfer-Encoding: {value}", "transfer-encoding"
        )
        for value in (
            "chunked",
            "Chunked",
            "xchunked",
            "identity",
            "chunked, identity",
            "identity, chunked",
            "gzip, chunked",
            "chunked, chunked",
            "chunked;q=1",
            '"chunked"',
            "\tchunked",
            ",chunked",
            "chunked,",
            "",
        )
    ),
    _smuggled("coding before length", "Transfer-Encoding: chunked\r\nContent-Length: 4", "transfer-encoding"),
    _smuggled(
        "coding and length in 1.0", "Transfer-Encoding: chunked\r\nContent-Length: 4", "transfer-encoding", _KEEP_1_0
    ),
    _smuggled("coding alone in 1.0", "Transfer-Encoding: chunked", "transfer-encoding", _KEEP_1_0),
    _smuggled("coding alone in 1.1", "Transfer-Encoding: chunked", "transfer-encoding"),
    _smuggled("coding of a GET", "Transfer-Encoding: chunked", "transfer-encoding", _GET_1_1),
    _smuggled("name in other case", "tRANSFER-eNCODING: chunked", "transfer-encoding"),
    _smuggled("two codings", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "transfer-encoding"),
    _smuggled("two codings, first unknown", "Transfer-Encoding: x\r\nTransfer-Encoding: chunked", "transfer-encoding"),
    _smuggled(
        "named by Connection", "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked", "transfer-encoding"
    ),
    _smuggled("behind a bare LF", "X: a\nTransfer-Encoding: chunked", "transfer-encoding"),
    _smuggled("after a bare CR", "X: a\rTransfer-Encoding: chunked\r\nContent-Length: 4", "field-value"),
    _smuggled("control in the coding", "Transfer-Encoding: chunked\x0b", "field-value"),
    _smuggled("NUL in the coding", "Transfer-Encoding: chun\0ked", "field-value"),
    _smuggled("folded coding", "Transfer-Encoding:\r\n chunked", "field-folded"),
    _smuggled("coding as a fold", "X: a\r\n Transfer-Encoding: chunked", "field-folded"),
    _smuggled("blank before the colon of the coding", "Transfer-Encoding : chunked", "field-name-space"),
    _smuggled("tab before the colon of the coding", "Transfer-Encoding\t: chunked", "field-name-space"),
    _smuggled("NUL in the name of the coding", "Transfer-Encoding\0: chunked", "field-name"),
    _smuggled("blank before the colon of the length", "Content-Length : 4", "field-name-space"),
    _smuggled("length after a bare CR", "Content-Length: 0\rContent-Length: 22", "field-value"),
    _smuggled(
        "chunk size with a sign", "Transfer-Encoding: chunked", "transfer-encoding", body=f"+0\r\n\r\n{HIDDEN_REQUEST}"
    ),
    _smuggled("chunk extensions", "Transfer-Encoding: chunked", "transfer-encoding", body=f"0;{'a' * 5000}\r\n\r\n"),
    case(
        "smuggling: an underscore is another name",
        f"{_KEEP_1_1}Transfer_Encoding: chunked\r\nContent-Length: 4\r\n\r\n{_CHUNKS}",
        Expected(405, fields={"connection": "close"}),
    ),
)


def _hidden(name: str, start: str, expected: Expected, more: str = "") -> Case:
    """A request in the body of another, with keep-alive: one response, then the connection closes."""
    head = (
        f"{start} HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n{more}Content-Length: {len(HIDDEN_REQUEST)}\r\n\r\n"
    )
    return case(f"request in the body of {name}", head + HIDDEN_REQUEST, expected)


# B21: a body is never the next request.
HIDDEN_REQUESTS = (
    _hidden("GET: 200", "GET /ten.txt", CLOSED),
    _hidden("GET: 200, empty", "GET /empty.txt", last(200)),
    _hidden("GET: 200, 3 MiB", "GET /big.bin", Expected(200, BIG, fields={"connection": "close"})),
    _hidden("GET: 200, a listing", "GET /sub/", last(200)),
    _hidden("GET: 206", "GET /ten.txt", Expected(206, b"01", fields={"connection": "close"}), "Range: bytes=0-1\r\n"),
    _hidden("GET: 206, parts", "GET /ten.txt", last(206), "Range: bytes=0-1,4-5\r\n"),
    _hidden("GET: 301", "GET /sub", last(301)),
    _hidden("GET: 304", "GET /ten.txt", last(304), "If-None-Match: *\r\n"),
    _hidden("GET: 400", "GET x", last(400, "target-form")),
    _hidden("GET: 404", "GET /no", last(404, "not-found")),
    _hidden("GET: 412", "GET /ten.txt", last(412, "precondition-failed"), 'If-Match: "x"\r\n'),
    _hidden("GET: 416", "GET /ten.txt", last(416, "range-unsatisfiable"), "Range: bytes=10-\r\n"),
    _hidden("HEAD: 200", "HEAD /ten.txt", last(200, head_only=True)),
    _hidden("HEAD: 304", "HEAD /ten.txt", last(304, head_only=True), "If-None-Match: *\r\n"),
    _hidden("HEAD: 404", "HEAD /no", last(404, head_only=True)),
    _hidden("OPTIONS: 204", "OPTIONS *", last(204)),
    _hidden("POST: 405", "POST /ten.txt", last(405, "method-not-allowed")),
    _hidden("PUT: 405", "PUT /no", last(405, "method-not-allowed")),
    _hidden("DELETE: 405", "DELETE /ten.txt", last(405, "method-not-allowed")),
    _hidden("BREW: 501", "BREW /ten.txt", last(501, "method-unknown")),
    _hidden("POST with Expect", "POST /ten.txt", last(405, "method-not-allowed"), "Expect: 100-continue\r\n"),
    case(
        "request in a body that is shorter than announced",
        f"GET /ten.txt HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 1000\r\n\r\n{HIDDEN_REQUEST}",
        CLOSED,
    ),
)

_EXPECT = "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"

_H2C = "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"

_WEBSOCKET = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

# B28, B30: what a 1.1 client may propose, and a 1.0 server passes over.
PROPOSALS = (
    case("Expect in 1.1", f"POST /ten.txt HTTP/1.1\r\nHost: x\r\n{_EXPECT}hello", last(405, "method-not-allowed")),
    case("Expect in 1.1, no body comes", f"POST / HTTP/1.1\r\nHost: x\r\n{_EXPECT}", last(405, "method-not-allowed")),
    case("Expect in 1.0", f"POST /ten.txt HTTP/1.0\r\n{_EXPECT}hello", last(405, "method-not-allowed")),
    case("Expect of a GET", f"GET /ten.txt HTTP/1.1\r\nHost: x\r\n{_EXPECT}hello", CLOSED),
    case("Expect something else", "GET /ten.txt HTTP/1.0\r\nExpect: tea\r\n\r\n", OK),
    case("Upgrade to HTTP/2 in 1.0", f"GET /ten.txt HTTP/1.0\r\nConnection: Upgrade, HTTP2-Settings\r\n{_H2C}", CLOSED),
    case("Upgrade to HTTP/2 in 1.1", f"GET /ten.txt HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n{_H2C}", CLOSED),
    case("Upgrade to WebSocket", f"GET /ten.txt HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n{_WEBSOCKET}", CLOSED),
    case("Upgrade, kept", f"GET /ten.txt HTTP/1.0\r\nConnection: upgrade, keep-alive\r\n{_H2C}", KEPT),
)

CASES: tuple[Case, ...] = (
    *FRAMING,
    *LENGTHS,
    *SMUGGLING,
    *HIDDEN_REQUESTS,
    *PROPOSALS,
)
