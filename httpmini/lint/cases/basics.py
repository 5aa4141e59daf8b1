"""Requests by kind: those that a file server gets every day, and those that it should never get."""

from __future__ import annotations

from httpmini.lint.cases.build import (
    AS_ASCTIME,
    AS_RFC_850,
    CLOSED,
    HEAD,
    KEEP,
    KEPT,
    LAST_MODIFIED,
    OK,
    OPTIONS,
    SECOND_AFTER,
    SECOND_BEFORE,
    TEN,
    TOO_LONG_HEAD,
    Case,
    Expected,
    ask,
    case,
    condition,
    get,
    if_modified_since,
    if_range,
    missing,
    moved,
    part_of_ten,
    refused,
)
from httpmini.lint.cases.site_tree import BIG

FILES = (
    get("ten", "/ten.txt", TEN, **{"content-type": "text/plain; charset=utf-8", "last-modified": LAST_MODIFIED}),
    get("empty file", "/empty.txt", b"", **{"content-length": "0"}),
    get("index of the root", "/", b"<h1>home</h1>\n", **{"content-type": "text/html; charset=utf-8"}),
    get("index of a folder", "/indexed/", b"an index\n"),
    get("second kind of index", "/old/", b"an old index\n"),
    get("blank", "/a%20b.txt", b"blank\n"),
    get("plus is a plus", "/a+b.txt", b"plus\n"),
    get("semicolon belongs to the name", "/a;b.txt", b"semicolon\n"),
    get("colon", "/a:b.txt", b"colon\n"),
    get("percent", "/50%25.txt", b"percent\n"),
    get("decoded once", "/%2541.txt", b"literally percent four one\n"),
    get("decoded at all", "/%41.txt", b"capital A\n"),
    get("lower-case hex", "/%61%2b%62.txt", b"plus\n"),
    get("encoded question mark", "/q%3Fx.txt", b"question\n"),
    get("encoded hash", "/h%231.txt", b"hash\n"),
    get("latin-1 octets", "/caf%E9.txt", b"latin-1 name\n"),
    get("latin-1 octets, raw", "/caf\xe9.txt", b"latin-1 name\n"),
    get("utf-8 octets", "/umlaut-%C3%BC.txt", b"utf-8 name\n"),
    get("control characters in a name", "/esc%1B[31m%0A.txt", b"control name\n"),
    get("markup in a name", "/quo'te%22%3Cb%3E&amp;.txt", b"markup\n"),
    get("query is not looked at", "/ten.txt?a=b&c", TEN),
    get("two slashes", "//sub///file.txt", b"in sub\n"),
    get("upper-case extension", "/picture.PNG", b"\x89PNG", **{"content-type": "image/png"}),
    get("module script", "/script.mjs", b"export {}\n", **{"content-type": "text/javascript; charset=utf-8"}),
    get("no extension", "/noextension", b"bytes", **{"content-type": "application/octet-stream"}),
    get("well-known", "/.well-known/x", b"well known\n"),
    get("3 MiB", "/big.bin", BIG, **{"content-length": str(len(BIG))}),
    get("link", "/link-in.txt", TEN),
    get("link, absolute", "/link-in-absolute.txt", TEN),
    get("link with dots", "/link-in-up.txt", TEN),
    get("link out and in again", "/link-around.txt", TEN),
    get("link to a folder", "/link-dir/file.txt", b"in sub\n"),
    get("link to a folder, absolute", "/link-dir-absolute/file.txt", b"in sub\n"),
    get("link to a link", "/link-chain.txt", TEN),
    get("link upwards", "/sub/link-up.txt", TEN),
    get("absolute-form", "http://example.org/ten.txt", TEN),
    get("absolute-form, any case", "HTTP://example.org:80/ten.txt", TEN),
    get("absolute-form without a path", "http://example.org", b"<h1>home</h1>\n"),
    get("absolute-form with a query", "http://example.org/ten.txt?http://x/", TEN),
)

NOT_THERE = (
    *map(
        missing,
        (
            "/nothing",
            "/ten.txt/",
            "/ten.txt/more",
            "/sub/nothing",
            "/" + "x" * 300,
            "/.hidden",
            "/.git/config",
            "/%2ehidden",
            "/%2Egit/config",
            "/sub/.well-known/x",
            "/.well-known/.hidden",
            "/..dots",
            "/../secret.txt",
            "/../www-secret/secret.txt",
            "/%2e%2e/secret.txt",
            "/.%2e/secret.txt",
            "/%2e./secret.txt",
            "/..%2fsecret.txt",
            "/sub/..%2f..%2fsecret.txt",
            "/sub/../../secret.txt",
            "/sub/../ten.txt",
            "/..",
            "/%252e%252e/secret.txt",
            "/%c0%ae%c0%ae/secret.txt",
            "/%c0%ae%c0%ae%c0%afsecret.txt",
            "/..%5csecret.txt",
            "/..\\secret.txt",
            "/%5c%5chost%5cshare",
            "/ten.txt::$DATA",
            "/ten.txt.",
            "/ten.txt%20",
            "/sub%2ffile.txt",
            "/TEN.TXT",
            "/NUL",
            "/CON.txt",
            "/link-out.txt",
            "/link-out-absolute.txt",
            "/link-out-chain.txt",
            "/link-out-dir/secret.txt",
            "/link-out-dir/",
            "/link-out-dir",
            "/link-out-sibling/secret.txt",
            "/link-system/passwd",
            "/link-broken.txt",
            "/link-loop",
            "/link-loop-a",
            "/link-loop/x",
            "/fifo",
            "/fifo/",
            "/socket",
            "/device",
        ),
    ),
    missing("http://example.org/../secret.txt"),
    missing("/" + "..%2f" * 50 + "etc/passwd"),
    missing("/" + "../" * 50 + "etc/passwd"),
    missing("/" + "a/" * 2000),
)

BAD_TARGETS = (
    *(
        missing(target, 400, "target-percent")
        for target in ("/%", "/%1", "/%zz", "/%-1", "/%+1", "/%u0041", "/a%2", "/%%41")
    ),
    *(missing(target, 400, "target-nul") for target in ("/%00", "/ten%00.txt", "/ten.txt%00.html", "/a/%00/b")),
    *(
        missing(target, 400, "target-form")
        for target in ("ten.txt", "*", "example.org:80", "ftp://example.org/ten.txt", "http:///ten.txt", "?x", "\\x")
    ),
    refused("fragment", f"GET /ten.txt#x {HEAD}", 400, "target-character"),
    refused("raw NUL", "GET /ten\0.txt HTTP/1.0\r\n\r\n", 400, "target-character"),
    refused("raw control", "GET /ten\x01.txt HTTP/1.0\r\n\r\n", 400, "target-character"),
    refused("DEL", "GET /ten\x7f.txt HTTP/1.0\r\n\r\n", 400, "target-character"),
    refused("bare CR in the target", "GET /ten\r.txt HTTP/1.0\r\n\r\n", 400, "target-character"),
    refused("raw blank", "GET /a b.txt HTTP/1.0\r\n\r\n", 400, "request-line"),
    refused("target too long", f"GET /{'x' * 8192} {HEAD}", 414, "target-long"),
    refused("line without an end", "GET /" + "x" * 20_000, 414, "target-long"),
)

FOLDERS = (
    moved("/sub", "./sub/"),
    moved("/sub?q=1&r=%20", "./sub/?q=1&r=%20"),
    moved("/sub?", "./sub/?"),
    moved("/sub?caf\xe9", "./sub/?caf%E9"),
    moved("//sub", "./sub/"),
    moved("/%73ub", "./sub/"),
    moved("/link-dir", "./link-dir/"),
    moved("/indexed", "./indexed/"),
    moved("http://evil.example/sub", "./sub/"),
    missing("//evil.example/%2e%2e"),
    missing("/sub%0d%0aSet-Cookie:x"),
    missing("/%09/evil.example"),
    missing("/%5cevil.example"),
    case("listing", f"GET /sub/ {HEAD}", Expected(200, fields={"content-type": "text/html; charset=utf-8"})),
    case("listing where the index is a folder", f"GET /shadow/ {HEAD}", Expected(200)),
    case("listing, empty", f"GET /empty-folder/ {HEAD}", Expected(200)),
    case(
        "host is not repeated", "GET /sub HTTP/1.1\r\nHost: evil\r\n\r\n", Expected(301, fields={"location": "./sub/"})
    ),
)

CONDITIONAL = (
    if_modified_since("the same", LAST_MODIFIED, 304),
    if_modified_since("the same, RFC 850", AS_RFC_850, 304),
    if_modified_since("the same, asctime", AS_ASCTIME, 304),
    if_modified_since("one second after", SECOND_AFTER, 200),
    if_modified_since("one second before", SECOND_BEFORE, 200),
    if_modified_since("the modification time alone", "Sun, 06 Nov 1994 08:49:37 GMT", 200),
    if_modified_since("in the future", "Fri, 01 Jan 2100 00:00:00 GMT", 200),
    if_modified_since("no date", "yesterday", 200),
    if_modified_since("bad month", "Sun, 06 Now 1994 08:49:37 GMT", 200),
    if_modified_since("25 o'clock", "Sun, 06 Nov 1994 25:49:37 GMT", 200),
    if_modified_since("day 31 in November", "Thu, 31 Nov 1994 08:49:37 GMT", 200),
    if_modified_since("junk after it", LAST_MODIFIED + "; length=10", 200),
    if_modified_since("two dates", LAST_MODIFIED + ", " + LAST_MODIFIED, 200),
    if_modified_since("other zone", "Sun, 06 Nov 1994 08:49:37 CET", 200),
    if_modified_since("empty", "", 200),
    case(
        "If-None-Match decides alone",
        f'GET /ten.txt HTTP/1.0\r\nIf-None-Match: "x"\r\nIf-Modified-Since: {LAST_MODIFIED}\r\n\r\n',
        OK,
    ),
    case("304 to HEAD", f"HEAD /ten.txt HTTP/1.0\r\nIf-Modified-Since: {LAST_MODIFIED}\r\n\r\n", Expected(304, b"")),
    case(
        "304 has no length",
        f"GET /ten.txt HTTP/1.0\r\nIf-Modified-Since: {LAST_MODIFIED}\r\n\r\n",
        Expected(304, b"", fields={"content-length": None, "content-type": None}),
    ),
    case("404 comes first", f"GET /no HTTP/1.0\r\nIf-Modified-Since: {LAST_MODIFIED}\r\n\r\n", Expected(404)),
    condition("no tag of ours", 'If-None-Match: "x"', 200),
    condition("any tag", "If-None-Match: *", 304),
    condition("any tag among others is a tag", 'If-None-Match: "x", *', 200),
    condition("no tags at all", "If-None-Match:", 200),
    condition("must be some version", "If-Match: *", 200),
    condition("must be another version", 'If-Match: "x"', 412),
    condition("must be another version, weak", 'If-Match: W/"x"', 412),
    condition("must be unchanged", f"If-Unmodified-Since: {LAST_MODIFIED}", 200),
    condition("must be unchanged since before", "If-Unmodified-Since: Sat, 05 Nov 1994 08:49:37 GMT", 412),
    condition("must be unchanged since no date", "If-Unmodified-Since: yesterday", 200),
    condition("If-Match decides alone", "If-Match: *\r\nIf-Unmodified-Since: Sat, 05 Nov 1994 08:49:37 GMT", 200),
    condition("412 before 304", 'If-Match: "x"\r\nIf-None-Match: *', 412),
    condition("304 before 416", "If-None-Match: *\r\nRange: bytes=100-", 304),
    condition("412 before 206", 'If-Match: "x"\r\nRange: bytes=0-1', 412),
    case(
        "304 to HEAD by tag",
        "HEAD /ten.txt HTTP/1.0\r\nIf-None-Match: *\r\n\r\n",
        Expected(304, b"", fields={"content-length": None}, head_only=True),
    ),
    case("no condition on a folder", "GET /sub HTTP/1.0\r\nIf-None-Match: *\r\n\r\n", Expected(301)),
)

RANGES = (
    *(
        part_of_ten(spec, body)
        for spec, body in {
            "0-": (0, 10),
            "0-0": (0, 1),
            "1-3": (1, 3),
            "-1": (9, 1),
            "-3": (7, 3),
            "-10": (0, 10),
            "-11": (0, 10),
            "9-": (9, 1),
            "9-9": (9, 1),
            "9-999": (9, 1),
            "0-18446744073709551615": (0, 10),
            f"0-{'9' * 5000}": (0, 10),
            f"{'0' * 5000}3-4": (3, 2),
            f"-{'9' * 40}": (0, 10),
            ",, 1-3 ,": (1, 3),
            "100-, 1-3": (1, 3),
            "1-3, 2-5": (1, 5),
            "5-8, 0-5": (0, 9),
            "0-,-5,3-4": (0, 10),
        }.items()
    ),
    *(
        case(
            f"nothing of {spec}",
            f"GET /ten.txt HTTP/1.0\r\nRange: bytes={spec}\r\n\r\n",
            Expected(416, reason="range-unsatisfiable", fields={"content-range": "bytes */10"}),
        )
        for spec in ("10-", "10-20", "100-", "-0", "9" * 40 + "-", "10-,20-", "-00")
    ),
    *(
        case(f"no range: {value!r}", f"GET /ten.txt HTTP/1.0\r\nRange: {value}\r\n\r\n", OK)
        for value in (
            "bytes=5-2",
            "bytes=-",
            "bytes=",
            "bytes=,",
            "bytes",
            "bytes=a-b",
            "bytes=+1-3",
            "bytes=1-+3",
            "bytes=--1",
            "bytes=-1-",
            "bytes=1",
            "bytes=0x1-3",
            "bytes=1_0-",
            "bytes=\xb2-",
            "bytes=1 -3",
            "bytes = 1-3",
            "bytes=1-3;",
            "bytes=1-3,x",
            "bytes=0-1,5-2",
            "lines=1-3",
            "=1-3",
            "1-3",
            "",
            "bytes=" + ",".join(["0-0"] * 33),
            "bytes=" + ",".join(["0-"] * 1300),
        )
    ),
    case(
        "three parts",
        "GET /ten.txt HTTP/1.0\r\nRange: bytes=0-1,4-5,-1\r\n\r\n",
        Expected(206, fields={"content-range": None, "accept-ranges": "bytes"}),
    ),
    case(
        "kept over several parts of 3 MiB",
        "GET /big.bin HTTP/1.0\r\nConnection: keep-alive\r\nRange: bytes=0-999999,1000001-\r\n\r\n"
        "GET /ten.txt HTTP/1.0\r\n\r\n",
        Expected(206, fields={"connection": "keep-alive"}),
        OK,
    ),
    case("unit in capitals", "GET /ten.txt HTTP/1.0\r\nRange: Bytes=1-3\r\n\r\n", Expected(206, b"123")),
    case("two Range fields", "GET /ten.txt HTTP/1.0\r\nRange: bytes=0-1\r\nRange: bytes=2-3\r\n\r\n", OK),
    case(
        "range of HEAD",
        "HEAD /ten.txt HTTP/1.0\r\nRange: bytes=0-1\r\n\r\n",
        Expected(200, b"", fields={"content-length": "10", "content-range": None}, head_only=True),
    ),
    case("range of nothing", "GET /empty.txt HTTP/1.0\r\nRange: bytes=0-\r\n\r\n", Expected(200, b"")),
    case("range of a listing", "GET /sub/ HTTP/1.0\r\nRange: bytes=0-1\r\n\r\n", Expected(200)),
    case("range of what is missing", "GET /no HTTP/1.0\r\nRange: bytes=0-1\r\n\r\n", Expected(404)),
    case("range by 0.9 is no range", "GET /ten.txt\r\nRange: bytes=0-1\r\n\r\n", raw=TEN),
    case(
        "middle of 3 MiB",
        "GET /big.bin HTTP/1.0\r\nRange: bytes=1000000-2000000\r\n\r\n",
        Expected(206, BIG[1_000_000:2_000_001]),
    ),
    if_range("the date", LAST_MODIFIED, 206),
    if_range("an older date", SECOND_BEFORE, 200),
    if_range("a newer date", SECOND_AFTER, 200),
    if_range("the date in another form", AS_ASCTIME, 200),
    if_range("another tag", '"x"', 200),
    if_range("a weak tag", 'W/"x"', 200),
    if_range("junk", "x", 200),
    if_range("nothing", "", 200),
    case("If-Range alone", f"GET /ten.txt HTTP/1.0\r\nIf-Range: {LAST_MODIFIED}\r\n\r\n", OK),
)

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

HEADS = (
    case("bare LF", "GET /ten.txt HTTP/1.0\nHost: x\n\n", OK),
    case("mixed line ends", "GET /ten.txt HTTP/1.0\r\nHost: x\n\r\n", OK),
    case("one empty line before", "\r\nGET /ten.txt HTTP/1.0\r\n\r\n", OK),
    case("one empty line before, bare LF", "\nGET /ten.txt HTTP/1.0\r\n\r\n", OK),
    refused("two empty lines before", "\r\n\r\nGET /ten.txt HTTP/1.0\r\n\r\n", 400, "request-line"),
    case("unknown field", "GET /ten.txt HTTP/1.0\r\nX-Unknown: 1\r\n\r\n", OK),
    case(
        "field names in any case", f"GET /ten.txt HTTP/1.0\r\niF-mODIFIED-sINCE:{LAST_MODIFIED}\r\n\r\n", Expected(304)
    ),
    case("octets above 127 in a value", "GET /ten.txt HTTP/1.0\r\nX: \xff\xfe\r\n\r\n", OK),
    case("empty value", "GET /ten.txt HTTP/1.0\r\nX:\r\n\r\n", OK),
    case("tab in a value", "GET /ten.txt HTTP/1.0\r\nX: a\tb\r\n\r\n", OK),
    case("16,000 blanks in a value", f"GET /ten.txt HTTP/1.0\r\nX: a{' ' * 16_000}b\r\n\r\n", OK),
    refused("folded", "GET /ten.txt HTTP/1.0\r\nX: a\r\n b\r\n\r\n", 400, "field-folded"),
    refused("folded by a tab", "GET /ten.txt HTTP/1.0\r\nX: a\r\n\tb\r\n\r\n", 400, "field-folded"),
    refused("blank before the first field", "GET /ten.txt HTTP/1.0\r\n Range: x\r\n\r\n", 400, "field-folded"),
    refused("blank before the colon", "GET /ten.txt HTTP/1.0\r\nFoo : x\r\n\r\n", 400, "field-name-space"),
    refused("tab before the colon", "GET /ten.txt HTTP/1.0\r\nFoo\t: x\r\n\r\n", 400, "field-name-space"),
    refused("no colon", "GET /ten.txt HTTP/1.0\r\nFoo\r\n\r\n", 400, "field-colon"),
    refused("no name", "GET /ten.txt HTTP/1.0\r\n: x\r\n\r\n", 400, "field-name"),
    refused("blank in a name", "GET /ten.txt HTTP/1.0\r\nF oo: x\r\n\r\n", 400, "field-name"),
    refused("NUL in a name", "GET /ten.txt HTTP/1.0\r\nF\0o: x\r\n\r\n", 400, "field-name"),
    refused("octet above 127 in a name", "GET /ten.txt HTTP/1.0\r\nF\xfc: x\r\n\r\n", 400, "field-name"),
    refused("NUL in a value", "GET /ten.txt HTTP/1.0\r\nX: a\0b\r\n\r\n", 400, "field-value"),
    refused("bare CR in a value", "GET /ten.txt HTTP/1.0\r\nX: a\rRange: x\r\n\r\n", 400, "field-value"),
    refused("control in a value", "GET /ten.txt HTTP/1.0\r\nX: a\x01\r\n\r\n", 400, "field-value"),
    refused("head too long", TOO_LONG_HEAD, 431, "head-long"),
    refused("head without an end", "GET /ten.txt HTTP/1.0\r\n" + "X: y\r\n" * 4000, 431, "head-long"),
    case("100 fields", "GET /ten.txt HTTP/1.0\r\n" + "X: y\r\n" * 100 + "\r\n", OK),
    refused("101 fields", "GET /ten.txt HTTP/1.0\r\n" + "X: y\r\n" * 101 + "\r\n", 431, "fields-many"),
    refused("end in the request line", "GET /ten.txt HT", 400, "head-incomplete"),
    refused("end in the fields", "GET /ten.txt HTTP/1.0\r\nX: y\r\n", 400, "head-incomplete"),
    case("nothing at all", "", raw=b""),
    case("an empty line and nothing more", "\r\n", raw=b""),
)

OTHER_PROTOCOLS = (
    refused("TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200)), 400, "not-http"),
    refused("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04\0\0\0\0\0", 400, "http2-preface"),
    refused("SSH", "SSH-2.0-OpenSSH_9.2p1\r\n", 400, "request-line"),
    refused("SSH with a comment", "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n", 400, "simple-request-method"),
    refused("SOCKS 5", b"\x05\x01\x00", 400, "not-http"),
    refused("SMB", b"\0\0\0\x85\xffSMBr\0\0\0\0", 400, "not-http"),
    refused("memcached", "stats\r\n", 400, "request-line"),
    refused("junk", b"\xff\xfe\xfd" * 30_000, 400, "not-http"),
    refused("SMTP", "EHLO example.org\r\n", 400, "simple-request-method"),
)

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


CONNECTIONS = (
    case("kept, 1.0", ask("/ten.txt", KEEP), KEPT),
    case("kept, 1.1", ask("/ten.txt", KEEP, version="1.1"), KEPT),
    *(
        case(f"kept: {value!r}", ask("/ten.txt", value), KEPT)
        for value in ("Keep-Alive", ",keep-alive", "keep-alive,,TE", " TE , keep-alive ")
    ),
    *(
        case(f"closed: {value!r}", ask("/ten.txt", value), CLOSED)
        for value in ("close", "keep-alive, close", "Close", ",close", "x", "", "keepalive")
    ),
    case("two kept", ask("/ten.txt", KEEP) * 2, KEPT, KEPT),
    case("an empty line between two", ask("/ten.txt", KEEP) + "\r\n" + ask("/ten.txt", KEEP), KEPT, KEPT),
    case("nothing after close", ask("/ten.txt", KEEP) + ask("/ten.txt", "close") + ask("/sub/", KEEP), KEPT, CLOSED),
    case("nothing after a refusal", ask("/ten.txt", KEEP) + "X\r\n\r\n" + ask("/ten.txt", KEEP), KEPT, Expected(400)),
    case("kept over a 404", ask("/no", KEEP) + ask("/ten.txt", KEEP), Expected(404), KEPT),
    case("kept over a 405", ask("/no", KEEP, "PUT") + ask("/ten.txt", KEEP), Expected(405), KEPT),
    case("kept over a 301", ask("/sub", KEEP) + ask("/ten.txt", KEEP), Expected(301), KEPT),
    case("kept over an empty file", ask("/empty.txt", KEEP) + ask("/ten.txt", KEEP), Expected(200, b""), KEPT),
    case("kept over a listing", ask("/sub/", KEEP) + ask("/ten.txt", KEEP), Expected(200), KEPT),
    case(
        "kept over HEAD",
        ask("/ten.txt", KEEP, "HEAD") + ask("/ten.txt", KEEP),
        Expected(200, b"", head_only=True),
        KEPT,
    ),
    case(
        "kept over a 304",
        f"GET /ten.txt HTTP/1.0\r\nConnection: keep-alive\r\nIf-Modified-Since: {LAST_MODIFIED}\r\n\r\n"
        + ask("/ten.txt", KEEP),
        Expected(304, b""),
        KEPT,
    ),
    case("kept over 3 MiB", ask("/big.bin", KEEP) + ask("/ten.txt", KEEP), Expected(200, BIG), KEPT),
    case("twenty kept", ask("/ten.txt", KEEP) * 20, *([KEPT] * 20)),
    case("end in the second head", ask("/ten.txt", KEEP) + "GET /t", KEPT, Expected(400, reason="head-incomplete")),
    case("1.1 goes on only when it says so", "GET /ten.txt HTTP/1.1\r\nHost: x\r\n\r\n" * 2, CLOSED),
)

BASICS: tuple[Case, ...] = (
    *FILES,
    *NOT_THERE,
    *BAD_TARGETS,
    *FOLDERS,
    *CONDITIONAL,
    *RANGES,
    *METHODS,
    *VERSIONS,
    *SIMPLE,
    *HEADS,
    *OTHER_PROTOCOLS,
    *FRAMING,
    *CONNECTIONS,
)
