"""Request lines: methods, versions, and requests without one."""

from __future__ import annotations

from httpmini.lint.cases.build import (
    ARABIC_ONE,
    ARABIC_ZERO,
    CLOSED,
    HEAD,
    OK,
    OPTIONS,
    TEN,
    Case,
    Expected,
    case,
    refused,
)
from httpmini.lint.cases.site_tree import BIG

METHODS = (
    case("HEAD", f"HEAD /ten.txt {HEAD}", Expected(200, b"", fields={"content-length": "10"}, head_only=True)),
    case("HEAD missing", f"HEAD /no {HEAD}", Expected(404, b"", head_only=True)),
    case("HEAD folder", f"HEAD /sub {HEAD}", Expected(301, b"", fields={"location": "./sub/"}, head_only=True)),
    case("HEAD listing", f"HEAD /sub/ {HEAD}", Expected(200, b"", head_only=True)),
    *(
        case(
            f"{method} is not allowed",
            f"{method} /ten.txt {HEAD}",
            Expected(405, reason="method-not-allowed", fields={"allow": "GET, HEAD, OPTIONS"}),
        )
        for method in ("POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT")
    ),
    case("OPTIONS", f"OPTIONS /ten.txt {HEAD}", OPTIONS),
    case("OPTIONS of the server", f"OPTIONS * {HEAD}", OPTIONS),
    case("OPTIONS of nothing", f"OPTIONS /nothing {HEAD}", OPTIONS),
    case("OPTIONS of no path", f"OPTIONS x {HEAD}", Expected(400, reason="target-form")),
    case("kept over OPTIONS", f"OPTIONS * HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /ten.txt {HEAD}", OPTIONS, OK),
    *(
        case(f"{method} is not known", f"{method} /ten.txt {HEAD}", Expected(501, reason="method-unknown"))
        for method in ("BREW", "get", "GeT", "GETs", "PROPFIND", "!")
    ),
    refused("method is no token", "G(ET /ten.txt HTTP/1.0\r\n\r\n", 400, "request-line"),
    refused("method too long", "X" * 20_000 + f" / {HEAD}", 501, "method-unknown"),
)

VERSIONS = (
    case("1.1", "GET /ten.txt HTTP/1.1\r\nHost: x\r\n\r\n", CLOSED),
    case("1.2", "GET /ten.txt HTTP/1.2\r\nHost: x\r\n\r\n", CLOSED),
    case("1.10", "GET /ten.txt HTTP/1.10\r\nHost: x\r\n\r\n", CLOSED),
    case("1.999999999999", "GET /ten.txt HTTP/1.999999999999\r\nHost: x\r\n\r\n", CLOSED),
    case("leading zeros", "GET /ten.txt HTTP/01.00\r\n\r\n", CLOSED),
    case("very many digits", f"GET /ten.txt HTTP/1.{'9' * 40}\r\nHost: x\r\n\r\n", CLOSED),
    *(
        refused(f"major {version}", f"GET / HTTP/{version}\r\n\r\n", 505, "version-major")
        for version in ("2.0", "3.0", "10.0", "0.9", "0.0", "11.1")
    ),
    *(
        refused(f"no version: {version}", f"GET / {version}\r\n\r\n", 400, "version")
        for version in (
            "HTTP/1",
            "HTTP/.1",
            "HTTP/1.",
            "HTTP/1.0.0",
            "HTTP/+1.0",
            "HTTP/-1.0",
            "HTTP/1_0",
            "HTTP/1,0",
            "HTTP/a.b",
            "HTTP/1.0x",
            "HTTP/\xb2.0",
            "http/1.0",
            "Http/1.0",
            "FTP/1.0",
            "HTTP1.0",
            "HTTP/",
            "/",
            "1.0",
        )
    ),
    refused("fourth word", "GET / HTTP/1.0 HTTP/1.0\r\n\r\n", 400, "request-line"),
    case("blanks and tabs between the words", "GET \t /ten.txt  \tHTTP/1.0 \r\n\r\n", OK),
    refused("blank before the method", " GET /ten.txt HTTP/1.0\r\n\r\n", 400, "not-http"),
)

SIMPLE = (
    case("0.9", "GET /ten.txt\r\n", raw=TEN),
    case("0.9, bare LF", "GET /ten.txt\n", raw=TEN),
    case("0.9, empty file", "GET /empty.txt\r\n", raw=b""),
    case("0.9, bytes after it", "GET /ten.txt\r\nHost: x\r\n\r\nGET / HTTP/1.0\r\n\r\n", raw=TEN),
    case("0.9, 3 MiB", "GET /big.bin\r\n", raw=BIG),
    refused("0.9 HEAD", "HEAD /ten.txt\r\n\r\n", 400, "simple-request-method"),
    refused("0.9 POST", "POST /ten.txt\r\n\r\n", 400, "simple-request-method"),
)

# A7, A8, B1: what a version is.
ODD_VERSIONS = (
    *(
        refused(f"no version: {version!r}", f"GET / {version}\r\n\r\n", 400, "version")
        for version in (
            "HTTP//1.0",
            "HTTP/1..0",
            "HTTP/1.0.",
            "HTTP/1.-1",
            "HTTP/1.+1",
            "HTTP/--1.0",
            "HTTP/0x1.0",
            "HTTP/1e0",
            "HTTP/1.0e0",
            "HTTP/1:0",
            "HTTP/1.0;x",
            "HTTP/1.0,HTTP/1.1",
            "HTTP/_1.0",
            "HTTP/1.0_0",
            f"HTTP/{ARABIC_ONE}.{ARABIC_ZERO}",
            f"HTTP/1.{ARABIC_ZERO}",
            "HTTPS/1.0",
            "XHTTP/1.0",
            "HTTP-1.0",
            "HTTP\\1.0",
            "%48TTP/1.0",
            '"HTTP/1.0"',
            "HTTP/1.0\0",
            "HTTP/1.0\x0b",
            "HTTP/1.0\xa0",
        )
    ),
    *(
        refused(f"no version, two words: {words!r}", f"GET / {words}\r\n\r\n", 400, "request-line")
        for words in ("HTTP /1.0", "HTTP/ 1.0", "HTTP/1 .0", "HTTP/1. 0", "HTTP/1.0 x", "HTTP 1.0")
    ),
    *(
        refused(f"major {version}, with zeros or long", f"GET / HTTP/{version}\r\n\r\n", 505, "version-major")
        for version in ("02.0", "00.9", "4.0", f"{'9' * 40}.0")
    ),
    case("1.1 with zeros", "GET /ten.txt HTTP/0001.0001\r\nHost: x\r\n\r\n", CLOSED),
    refused("1.1 with zeros has a Host too", "GET /ten.txt HTTP/0001.0001\r\n\r\n", 400, "host-missing"),
)

# A3, A9, A11, B6: the request line.
REQUEST_LINES = (
    *(
        refused(f"request line {line!r}", f"{line}\r\n\r\n", 400, "request-line")
        for line in (
            "GET",
            "GET ",
            "GET\t",
            "HTTP/1.0",
            "GET/ten.txt HTTP/1.0 x",
            "GET /a b c HTTP/1.0",
            "GET\x0b/ten.txt HTTP/1.0",
            "GET\x0c/ten.txt HTTP/1.0",
            "GET\xa0/ten.txt HTTP/1.0",
            "GET\r/ten.txt HTTP/1.0",
            "GET\0 /ten.txt HTTP/1.0",
            "GE\x01T /ten.txt HTTP/1.0",
            "GET, /ten.txt HTTP/1.0",
            "GET: /ten.txt HTTP/1.0",
            "GET\xe9 /ten.txt HTTP/1.0",
        )
    ),
    *(
        refused(f"control {octet:#04x} in the target", f"GET /ten{octet:c}.txt {HEAD}", 400, "target-character")
        for octet in (0x02, 0x07, 0x08, 0x0B, 0x0C, 0x1B, 0x1F)
    ),
    refused("target first", "/ten.txt\r\n\r\n", 400, "not-http"),
    refused("0.9 by another method", "ABC /ten.txt\r\n", 400, "simple-request-method"),
    refused("0.9 in lower case", "get /ten.txt\r\n", 400, "simple-request-method"),
    *(
        case(f"method {method!r}", f"{method} /ten.txt {HEAD}", Expected(501, reason="method-unknown"))
        for method in ("Get", "gET", "GET1", "head", "HEADER", "options", "M-SEARCH", "X" * 7_000)
    ),
    case("CONNECT to a host", f"CONNECT example.org:443 {HEAD}", Expected(405, reason="method-not-allowed")),
    case("TRACE repeats nothing", "TRACE / HTTP/1.0\r\nCookie: x\r\n\r\n", Expected(405, reason="method-not-allowed")),
    case("target of 7,900 octets", f"GET /{'x' * 7_899} {HEAD}", Expected(404, reason="not-found")),
    case("target of 8,000 octets in many names", f"GET /{'ab/' * 2_666}c {HEAD}", Expected(404, reason="not-found")),
    refused("target of 70,000 octets", f"GET /{'x' * 70_000} {HEAD}", 414, "target-long"),
    refused("target of 1 MiB", f"GET /{'x' * 1_048_576} {HEAD}", 414, "target-long"),
)

CASES: tuple[Case, ...] = (
    *METHODS,
    *VERSIONS,
    *SIMPLE,
    *ODD_VERSIONS,
    *REQUEST_LINES,
)
