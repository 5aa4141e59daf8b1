"""Requests as bytes, and what must come back: one table for the sans-I/O connection and for every mode.

Each case is the whole of what a client sends before it ends its side.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.support.site_tree import BIG

LAST_MODIFIED = "Sun, 06 Nov 1994 08:49:37 GMT"
HEAD = "HTTP/1.0\r\n\r\n"


@dataclass(frozen=True)
class Expected:
    """One answer: what it must be. ``None`` is anything."""

    status: int
    body: bytes | None = None
    reason: str = ""
    fields: dict[str, str | None] = field(default_factory=dict)  # None: must not be there
    head_only: bool = False


@dataclass(frozen=True)
class Case:
    """What is sent, and the answers in their order; ``raw`` for an answer without a head (HTTP/0.9)."""

    name: str
    data: bytes
    answers: tuple[Expected, ...] = ()
    raw: bytes | None = None


def _case(name: str, data: str | bytes, *answers: Expected, raw: bytes | None = None) -> Case:
    return Case(name, data.encode("iso-8859-1") if isinstance(data, str) else data, answers, raw)


def _refused(name: str, data: str | bytes, status: int, reason: str) -> Case:
    return _case(name, data, Expected(status, reason=reason, fields={"connection": "close"}))


def _get(name: str, target: str, body: bytes, **fields: str) -> Case:
    return _case(f"get {name}", f"GET {target} {HEAD}", Expected(200, body, fields=dict(fields)))


def _missing(target: str, status: int = 404, reason: str = "not-found") -> Case:
    return _case(f"not there {target}", f"GET {target} {HEAD}", Expected(status, reason=reason))


def _moved(target: str, location: str) -> Case:
    return _case(f"moved {target}", f"GET {target} {HEAD}", Expected(301, fields={"location": location}))


def _if_modified_since(name: str, date: str, status: int) -> Case:
    body = b"0123456789" if status == 200 else b""
    wanted = Expected(status, body, fields={"last-modified": LAST_MODIFIED})
    return _case(f"since {name}", f"GET /ten.txt HTTP/1.0\r\nIf-Modified-Since: {date}\r\n\r\n", wanted)


TEN = b"0123456789"


def _condition(name: str, line: str, status: int) -> Case:
    body = {200: TEN, 304: b"", 412: None}[status]
    reason = "precondition-failed" if status == 412 else ""
    return _case(f"condition: {name}", f"GET /ten.txt HTTP/1.0\r\n{line}\r\n\r\n", Expected(status, body, reason))


def _range(spec: str, part: tuple[int, int]) -> Case:
    first, length = part
    fields: dict[str, str | None] = {
        "content-range": f"bytes {first}-{first + length - 1}/10",
        "content-length": str(length),
        "accept-ranges": "bytes",
        "content-type": "text/plain; charset=utf-8",
        "last-modified": LAST_MODIFIED,
    }
    expected = Expected(206, TEN[first : first + length], fields=fields)
    return _case(f"range {spec}", f"GET /ten.txt HTTP/1.0\r\nRange: bytes={spec}\r\n\r\n", expected)


def _if_range(name: str, value: str, status: int) -> Case:
    expected = Expected(status, TEN[1:4] if status == 206 else TEN)
    head = f"GET /ten.txt HTTP/1.0\r\nRange: bytes=1-3\r\nIf-Range: {value}\r\n\r\n"
    return _case(f"if range is {name}", head, expected)


OK = Expected(200, TEN)
OPTIONS = Expected(204, b"", fields={"allow": "GET, HEAD, OPTIONS", "content-length": None})
KEPT = Expected(200, TEN, fields={"connection": "keep-alive", "content-length": "10"})
CLOSED = Expected(200, TEN, fields={"connection": "close", "content-length": "10"})
TOO_LONG_HEAD = "GET /ten.txt HTTP/1.0\r\nX: " + "x" * 16_400 + "\r\n\r\n"

FILES = (
    _get("ten", "/ten.txt", TEN, **{"content-type": "text/plain; charset=utf-8", "last-modified": LAST_MODIFIED}),
    _get("empty file", "/empty.txt", b"", **{"content-length": "0"}),
    _get("index of the root", "/", b"<h1>home</h1>\n", **{"content-type": "text/html; charset=utf-8"}),
    _get("index of a folder", "/indexed/", b"an index\n"),
    _get("second kind of index", "/old/", b"an old index\n"),
    _get("blank", "/a%20b.txt", b"blank\n"),
    _get("plus is a plus", "/a+b.txt", b"plus\n"),
    _get("semicolon belongs to the name", "/a;b.txt", b"semicolon\n"),
    _get("colon", "/a:b.txt", b"colon\n"),
    _get("percent", "/50%25.txt", b"percent\n"),
    _get("decoded once", "/%2541.txt", b"literally percent four one\n"),
    _get("decoded at all", "/%41.txt", b"capital A\n"),
    _get("lower-case hex", "/%61%2b%62.txt", b"plus\n"),
    _get("encoded question mark", "/q%3Fx.txt", b"question\n"),
    _get("encoded hash", "/h%231.txt", b"hash\n"),
    _get("latin-1 octets", "/caf%E9.txt", b"latin-1 name\n"),
    _get("latin-1 octets, raw", "/caf\xe9.txt", b"latin-1 name\n"),
    _get("utf-8 octets", "/umlaut-%C3%BC.txt", b"utf-8 name\n"),
    _get("control characters in a name", "/esc%1B[31m%0A.txt", b"control name\n"),
    _get("markup in a name", "/quo'te%22%3Cb%3E&amp;.txt", b"markup\n"),
    _get("query is not looked at", "/ten.txt?a=b&c", TEN),
    _get("two slashes", "//sub///file.txt", b"in sub\n"),
    _get("upper-case extension", "/picture.PNG", b"\x89PNG", **{"content-type": "image/png"}),
    _get("module script", "/script.mjs", b"export {}\n", **{"content-type": "text/javascript; charset=utf-8"}),
    _get("no extension", "/noextension", b"bytes", **{"content-type": "application/octet-stream"}),
    _get("well-known", "/.well-known/x", b"well known\n"),
    _get("3 MiB", "/big.bin", BIG, **{"content-length": str(len(BIG))}),
    _get("link", "/link-in.txt", TEN),
    _get("link, absolute", "/link-in-absolute.txt", TEN),
    _get("link with dots", "/link-in-up.txt", TEN),
    _get("link out and in again", "/link-around.txt", TEN),
    _get("link to a folder", "/link-dir/file.txt", b"in sub\n"),
    _get("link to a folder, absolute", "/link-dir-absolute/file.txt", b"in sub\n"),
    _get("link to a link", "/link-chain.txt", TEN),
    _get("link upwards", "/sub/link-up.txt", TEN),
    _get("absolute-form", "http://example.org/ten.txt", TEN),
    _get("absolute-form, any case", "HTTP://example.org:80/ten.txt", TEN),
    _get("absolute-form without a path", "http://example.org", b"<h1>home</h1>\n"),
    _get("absolute-form with a query", "http://example.org/ten.txt?http://x/", TEN),
)

NOT_THERE = (
    *map(
        _missing,
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
            "/./ten.txt",
            "/..",
            "/.",
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
    _missing("http://example.org/../secret.txt"),
    _missing("/" + "..%2f" * 50 + "etc/passwd"),
    _missing("/" + "../" * 50 + "etc/passwd"),
    _missing("/" + "a/" * 2000),
)

BAD_TARGETS = (
    *(
        _missing(target, 400, "target-percent")
        for target in ("/%", "/%1", "/%zz", "/%-1", "/%+1", "/%u0041", "/a%2", "/%%41")
    ),
    *(_missing(target, 400, "target-nul") for target in ("/%00", "/ten%00.txt", "/ten.txt%00.html", "/a/%00/b")),
    *(
        _missing(target, 400, "target-form")
        for target in ("ten.txt", "*", "example.org:80", "ftp://example.org/ten.txt", "http:///ten.txt", "?x", "\\x")
    ),
    _refused("fragment", f"GET /ten.txt#x {HEAD}", 400, "target-character"),
    _refused("raw NUL", "GET /ten\0.txt HTTP/1.0\r\n\r\n", 400, "target-character"),
    _refused("raw control", "GET /ten\x01.txt HTTP/1.0\r\n\r\n", 400, "target-character"),
    _refused("DEL", "GET /ten\x7f.txt HTTP/1.0\r\n\r\n", 400, "target-character"),
    _refused("bare CR in the target", "GET /ten\r.txt HTTP/1.0\r\n\r\n", 400, "target-character"),
    _refused("raw blank", "GET /a b.txt HTTP/1.0\r\n\r\n", 400, "request-line"),
    _refused("target too long", f"GET /{'x' * 8192} {HEAD}", 414, "target-long"),
    _refused("line without an end", "GET /" + "x" * 20_000, 414, "target-long"),
)

FOLDERS = (
    _moved("/sub", "./sub/"),
    _moved("/sub?q=1&r=%20", "./sub/?q=1&r=%20"),
    _moved("/sub?", "./sub/?"),
    _moved("/sub?caf\xe9", "./sub/?caf%E9"),
    _moved("//sub", "./sub/"),
    _moved("/%73ub", "./sub/"),
    _moved("/link-dir", "./link-dir/"),
    _moved("/indexed", "./indexed/"),
    _moved("http://evil.example/sub", "./sub/"),
    _missing("//evil.example/%2e%2e"),
    _missing("/sub%0d%0aSet-Cookie:x"),
    _missing("/%09/evil.example"),
    _missing("/%5cevil.example"),
    _case("listing", f"GET /sub/ {HEAD}", Expected(200, fields={"content-type": "text/html; charset=utf-8"})),
    _case("listing where the index is a folder", f"GET /shadow/ {HEAD}", Expected(200)),
    _case("listing, empty", f"GET /empty-folder/ {HEAD}", Expected(200)),
    _case(
        "host is not repeated", "GET /sub HTTP/1.1\r\nHost: evil\r\n\r\n", Expected(301, fields={"location": "./sub/"})
    ),
)

CONDITIONAL = (
    _if_modified_since("the same", LAST_MODIFIED, 304),
    _if_modified_since("the same, RFC 850", "Sunday, 06-Nov-94 08:49:37 GMT", 304),
    _if_modified_since("the same, asctime", "Sun Nov  6 08:49:37 1994", 304),
    _if_modified_since("later", "Mon, 07 Nov 1994 08:49:37 GMT", 304),
    _if_modified_since("one second before", "Sun, 06 Nov 1994 08:49:36 GMT", 200),
    _if_modified_since("in the future", "Fri, 01 Jan 2100 00:00:00 GMT", 200),
    _if_modified_since("no date", "yesterday", 200),
    _if_modified_since("bad month", "Sun, 06 Now 1994 08:49:37 GMT", 200),
    _if_modified_since("25 o'clock", "Sun, 06 Nov 1994 25:49:37 GMT", 200),
    _if_modified_since("day 31 in November", "Thu, 31 Nov 1994 08:49:37 GMT", 200),
    _if_modified_since("junk behind", LAST_MODIFIED + "; length=10", 200),
    _if_modified_since("two dates", LAST_MODIFIED + ", " + LAST_MODIFIED, 200),
    _if_modified_since("other zone", "Sun, 06 Nov 1994 08:49:37 CET", 200),
    _if_modified_since("empty", "", 200),
    _case(
        "If-None-Match decides alone",
        f'GET /ten.txt HTTP/1.0\r\nIf-None-Match: "x"\r\nIf-Modified-Since: {LAST_MODIFIED}\r\n\r\n',
        OK,
    ),
    _case("304 to HEAD", f"HEAD /ten.txt HTTP/1.0\r\nIf-Modified-Since: {LAST_MODIFIED}\r\n\r\n", Expected(304, b"")),
    _case(
        "304 has no length",
        f"GET /ten.txt HTTP/1.0\r\nIf-Modified-Since: {LAST_MODIFIED}\r\n\r\n",
        Expected(304, b"", fields={"content-length": None, "content-type": None}),
    ),
    _case("404 comes first", f"GET /no HTTP/1.0\r\nIf-Modified-Since: {LAST_MODIFIED}\r\n\r\n", Expected(404)),
    _condition("no tag of ours", 'If-None-Match: "x"', 200),
    _condition("any tag", "If-None-Match: *", 304),
    _condition("any tag among others is a tag", 'If-None-Match: "x", *', 200),
    _condition("no tags at all", "If-None-Match:", 200),
    _condition("must be some version", "If-Match: *", 200),
    _condition("must be another version", 'If-Match: "x"', 412),
    _condition("must be another version, weak", 'If-Match: W/"x"', 412),
    _condition("must be unchanged", f"If-Unmodified-Since: {LAST_MODIFIED}", 200),
    _condition("must be unchanged since before", "If-Unmodified-Since: Sat, 05 Nov 1994 08:49:37 GMT", 412),
    _condition("must be unchanged since no date", "If-Unmodified-Since: yesterday", 200),
    _condition("If-Match decides alone", "If-Match: *\r\nIf-Unmodified-Since: Sat, 05 Nov 1994 08:49:37 GMT", 200),
    _condition("412 before 304", 'If-Match: "x"\r\nIf-None-Match: *', 412),
    _condition("304 before 416", "If-None-Match: *\r\nRange: bytes=100-", 304),
    _condition("412 before 206", 'If-Match: "x"\r\nRange: bytes=0-1', 412),
    _case(
        "304 to HEAD by tag",
        "HEAD /ten.txt HTTP/1.0\r\nIf-None-Match: *\r\n\r\n",
        Expected(304, b"", fields={"content-length": None}, head_only=True),
    ),
    _case("no condition on a folder", "GET /sub HTTP/1.0\r\nIf-None-Match: *\r\n\r\n", Expected(301)),
)

RANGES = (
    *(
        _range(spec, body)
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
        _case(
            f"nothing of {spec}",
            f"GET /ten.txt HTTP/1.0\r\nRange: bytes={spec}\r\n\r\n",
            Expected(416, reason="range-unsatisfiable", fields={"content-range": "bytes */10"}),
        )
        for spec in ("10-", "10-20", "100-", "-0", "9" * 40 + "-", "10-,20-", "-00")
    ),
    *(
        _case(f"no range: {value!r}", f"GET /ten.txt HTTP/1.0\r\nRange: {value}\r\n\r\n", OK)
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
    _case(
        "three parts",
        "GET /ten.txt HTTP/1.0\r\nRange: bytes=0-1,4-5,-1\r\n\r\n",
        Expected(206, fields={"content-range": None, "accept-ranges": "bytes"}),
    ),
    _case(
        "kept over several parts of 3 MiB",
        "GET /big.bin HTTP/1.0\r\nConnection: keep-alive\r\nRange: bytes=0-999999,1000001-\r\n\r\n"
        "GET /ten.txt HTTP/1.0\r\n\r\n",
        Expected(206, fields={"connection": "keep-alive"}),
        OK,
    ),
    _case("unit in capitals", "GET /ten.txt HTTP/1.0\r\nRange: Bytes=1-3\r\n\r\n", Expected(206, b"123")),
    _case("two Range fields", "GET /ten.txt HTTP/1.0\r\nRange: bytes=0-1\r\nRange: bytes=2-3\r\n\r\n", OK),
    _case(
        "range of HEAD",
        "HEAD /ten.txt HTTP/1.0\r\nRange: bytes=0-1\r\n\r\n",
        Expected(200, b"", fields={"content-length": "10", "content-range": None}, head_only=True),
    ),
    _case("range of nothing", "GET /empty.txt HTTP/1.0\r\nRange: bytes=0-\r\n\r\n", Expected(200, b"")),
    _case("range of a listing", "GET /sub/ HTTP/1.0\r\nRange: bytes=0-1\r\n\r\n", Expected(200)),
    _case("range of what is missing", "GET /no HTTP/1.0\r\nRange: bytes=0-1\r\n\r\n", Expected(404)),
    _case("range by 0.9 is no range", "GET /ten.txt\r\nRange: bytes=0-1\r\n\r\n", raw=TEN),
    _case(
        "middle of 3 MiB",
        "GET /big.bin HTTP/1.0\r\nRange: bytes=1000000-2000000\r\n\r\n",
        Expected(206, BIG[1_000_000:2_000_001]),
    ),
    _if_range("the date", LAST_MODIFIED, 206),
    _if_range("an older date", "Sun, 06 Nov 1994 08:49:36 GMT", 200),
    _if_range("a newer date", "Sun, 06 Nov 1994 08:49:38 GMT", 200),
    _if_range("the date in another form", "Sun Nov  6 08:49:37 1994", 200),
    _if_range("another tag", '"x"', 200),
    _if_range("a weak tag", 'W/"x"', 200),
    _if_range("junk", "x", 200),
    _if_range("nothing", "", 200),
    _case("If-Range alone", f"GET /ten.txt HTTP/1.0\r\nIf-Range: {LAST_MODIFIED}\r\n\r\n", OK),
)

METHODS = (
    _case("HEAD", f"HEAD /ten.txt {HEAD}", Expected(200, b"", fields={"content-length": "10"}, head_only=True)),
    _case("HEAD missing", f"HEAD /no {HEAD}", Expected(404, b"", head_only=True)),
    _case("HEAD folder", f"HEAD /sub {HEAD}", Expected(301, b"", fields={"location": "./sub/"}, head_only=True)),
    _case("HEAD listing", f"HEAD /sub/ {HEAD}", Expected(200, b"", head_only=True)),
    *(
        _case(
            f"{method} is not allowed",
            f"{method} /ten.txt {HEAD}",
            Expected(405, reason="method-not-allowed", fields={"allow": "GET, HEAD, OPTIONS"}),
        )
        for method in ("POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT")
    ),
    _case("OPTIONS", f"OPTIONS /ten.txt {HEAD}", OPTIONS),
    _case("OPTIONS of the server", f"OPTIONS * {HEAD}", OPTIONS),
    _case("OPTIONS of nothing", f"OPTIONS /nothing {HEAD}", OPTIONS),
    _case("OPTIONS of no path", f"OPTIONS x {HEAD}", Expected(400, reason="target-form")),
    _case("kept over OPTIONS", f"OPTIONS * HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /ten.txt {HEAD}", OPTIONS, OK),
    *(
        _case(f"{method} is not known", f"{method} /ten.txt {HEAD}", Expected(501, reason="method-unknown"))
        for method in ("BREW", "get", "GeT", "GETs", "PROPFIND", "!")
    ),
    _refused("method is no token", "G(ET /ten.txt HTTP/1.0\r\n\r\n", 400, "request-line"),
    _refused("method too long", "X" * 20_000 + f" / {HEAD}", 501, "method-unknown"),
)

VERSIONS = (
    _case("1.1", "GET /ten.txt HTTP/1.1\r\nHost: x\r\n\r\n", CLOSED),
    _case("1.2", "GET /ten.txt HTTP/1.2\r\nHost: x\r\n\r\n", CLOSED),
    _case("1.10", "GET /ten.txt HTTP/1.10\r\nHost: x\r\n\r\n", CLOSED),
    _case("1.999999999999", "GET /ten.txt HTTP/1.999999999999\r\nHost: x\r\n\r\n", CLOSED),
    _case("leading zeros", "GET /ten.txt HTTP/01.00\r\n\r\n", CLOSED),
    _case("very many digits", f"GET /ten.txt HTTP/1.{'9' * 40}\r\nHost: x\r\n\r\n", CLOSED),
    *(
        _refused(f"major {version}", f"GET / HTTP/{version}\r\n\r\n", 505, "version-major")
        for version in ("2.0", "3.0", "10.0", "0.9", "0.0", "11.1")
    ),
    *(
        _refused(f"no version: {version}", f"GET / {version}\r\n\r\n", 400, "version")
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
    _refused("fourth word", "GET / HTTP/1.0 HTTP/1.0\r\n\r\n", 400, "request-line"),
    _case("blanks and tabs between the words", "GET \t /ten.txt  \tHTTP/1.0 \r\n\r\n", OK),
    _refused("blank before the method", " GET /ten.txt HTTP/1.0\r\n\r\n", 400, "not-http"),
)

SIMPLE = (
    _case("0.9", "GET /ten.txt\r\n", raw=TEN),
    _case("0.9, bare LF", "GET /ten.txt\n", raw=TEN),
    _case("0.9, empty file", "GET /empty.txt\r\n", raw=b""),
    _case("0.9, bytes behind it", "GET /ten.txt\r\nHost: x\r\n\r\nGET / HTTP/1.0\r\n\r\n", raw=TEN),
    _case("0.9, 3 MiB", "GET /big.bin\r\n", raw=BIG),
    _refused("0.9 HEAD", "HEAD /ten.txt\r\n\r\n", 400, "simple-request-method"),
    _refused("0.9 POST", "POST /ten.txt\r\n\r\n", 400, "simple-request-method"),
)

HEADS = (
    _case("bare LF", "GET /ten.txt HTTP/1.0\nHost: x\n\n", OK),
    _case("mixed line ends", "GET /ten.txt HTTP/1.0\r\nHost: x\n\r\n", OK),
    _case("one empty line before", "\r\nGET /ten.txt HTTP/1.0\r\n\r\n", OK),
    _case("one empty line before, bare LF", "\nGET /ten.txt HTTP/1.0\r\n\r\n", OK),
    _refused("two empty lines before", "\r\n\r\nGET /ten.txt HTTP/1.0\r\n\r\n", 400, "request-line"),
    _case("unknown field", "GET /ten.txt HTTP/1.0\r\nX-Unknown: 1\r\n\r\n", OK),
    _case(
        "field names in any case", f"GET /ten.txt HTTP/1.0\r\niF-mODIFIED-sINCE:{LAST_MODIFIED}\r\n\r\n", Expected(304)
    ),
    _case("octets above 127 in a value", "GET /ten.txt HTTP/1.0\r\nX: \xff\xfe\r\n\r\n", OK),
    _case("empty value", "GET /ten.txt HTTP/1.0\r\nX:\r\n\r\n", OK),
    _case("tab in a value", "GET /ten.txt HTTP/1.0\r\nX: a\tb\r\n\r\n", OK),
    _case("16,000 blanks in a value", f"GET /ten.txt HTTP/1.0\r\nX: a{' ' * 16_000}b\r\n\r\n", OK),
    _refused("folded", "GET /ten.txt HTTP/1.0\r\nX: a\r\n b\r\n\r\n", 400, "field-folded"),
    _refused("folded by a tab", "GET /ten.txt HTTP/1.0\r\nX: a\r\n\tb\r\n\r\n", 400, "field-folded"),
    _refused("blank before the first field", "GET /ten.txt HTTP/1.0\r\n Range: x\r\n\r\n", 400, "field-folded"),
    _refused("blank before the colon", "GET /ten.txt HTTP/1.0\r\nFoo : x\r\n\r\n", 400, "field-name-space"),
    _refused("tab before the colon", "GET /ten.txt HTTP/1.0\r\nFoo\t: x\r\n\r\n", 400, "field-name-space"),
    _refused("no colon", "GET /ten.txt HTTP/1.0\r\nFoo\r\n\r\n", 400, "field-colon"),
    _refused("no name", "GET /ten.txt HTTP/1.0\r\n: x\r\n\r\n", 400, "field-name"),
    _refused("blank in a name", "GET /ten.txt HTTP/1.0\r\nF oo: x\r\n\r\n", 400, "field-name"),
    _refused("NUL in a name", "GET /ten.txt HTTP/1.0\r\nF\0o: x\r\n\r\n", 400, "field-name"),
    _refused("octet above 127 in a name", "GET /ten.txt HTTP/1.0\r\nF\xfc: x\r\n\r\n", 400, "field-name"),
    _refused("NUL in a value", "GET /ten.txt HTTP/1.0\r\nX: a\0b\r\n\r\n", 400, "field-value"),
    _refused("bare CR in a value", "GET /ten.txt HTTP/1.0\r\nX: a\rRange: x\r\n\r\n", 400, "field-value"),
    _refused("control in a value", "GET /ten.txt HTTP/1.0\r\nX: a\x01\r\n\r\n", 400, "field-value"),
    _refused("head too long", TOO_LONG_HEAD, 431, "head-long"),
    _refused("head without an end", "GET /ten.txt HTTP/1.0\r\n" + "X: y\r\n" * 4000, 431, "head-long"),
    _case("100 fields", "GET /ten.txt HTTP/1.0\r\n" + "X: y\r\n" * 100 + "\r\n", OK),
    _refused("101 fields", "GET /ten.txt HTTP/1.0\r\n" + "X: y\r\n" * 101 + "\r\n", 431, "fields-many"),
    _refused("end in the request line", "GET /ten.txt HT", 400, "head-incomplete"),
    _refused("end in the fields", "GET /ten.txt HTTP/1.0\r\nX: y\r\n", 400, "head-incomplete"),
    _case("nothing at all", "", raw=b""),
    _case("an empty line and nothing more", "\r\n", raw=b""),
)

OTHER_PROTOCOLS = (
    _refused("TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200)), 400, "not-http"),
    _refused("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04\0\0\0\0\0", 400, "http2-preface"),
    _refused("SSH", "SSH-2.0-OpenSSH_9.2p1\r\n", 400, "request-line"),
    _refused("SSH with a comment", "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n", 400, "simple-request-method"),
    _refused("SOCKS 5", b"\x05\x01\x00", 400, "not-http"),
    _refused("SMB", b"\0\0\0\x85\xffSMBr\0\0\0\0", 400, "not-http"),
    _refused("memcached", "stats\r\n", 400, "request-line"),
    _refused("junk", b"\xff\xfe\xfd" * 30_000, 400, "not-http"),
    _refused("SMTP", "EHLO example.org\r\n", 400, "simple-request-method"),
)

FRAMING = (
    *(
        _refused(f"length {text!r}", f"POST / HTTP/1.0\r\nContent-Length: {text}\r\n\r\nhello", 400, "content-length")
        for text in ("-1", "+5", "0x5", "1e3", "5,6", "5, 5", "", "5_0", "\xb2", "9" * 22, "5 5", "five")
    ),
    _refused(
        "two lengths",
        "GET /ten.txt HTTP/1.0\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        400,
        "content-length",
    ),
    _refused(
        "chunked", "GET /ten.txt HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "transfer-encoding"
    ),
    _refused(
        "chunked and a length",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        "GET /sub/ HTTP/1.0\r\n\r\n",
        400,
        "transfer-encoding",
    ),
    _refused("1.1 without Host", "GET /ten.txt HTTP/1.1\r\n\r\n", 400, "host-missing"),
    *(
        _case(f"Host {value!r}", f"GET /ten.txt HTTP/1.1\r\nHost: {value}\r\n\r\n", CLOSED)
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
        _refused(f"Host {value!r}", f"GET /ten.txt HTTP/1.0\r\nHost: {value}\r\n\r\n", 400, "host-value")
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
    _refused("two Hosts", "GET /ten.txt HTTP/1.0\r\nHost: x\r\nHost: x\r\n\r\n", 400, "host-repeated"),
    _case(
        "a body is never the next request",
        "GET /ten.txt HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\nContent-Length: 24\r\n\r\n"
        "GET /sub/ HTTP/1.0\r\n\r\n",
        CLOSED,
    ),
    _case(
        "a body of 1 MiB that nobody wants",
        b"POST /ten.txt HTTP/1.0\r\nContent-Length: 1048576\r\n\r\n" + b"x" * 1_048_576,
        Expected(405, fields={"connection": "close"}),
    ),
    _case("64 KiB of junk after a request", b"GET /ten.txt HTTP/1.0\r\n\r\n" + b"\0" * 65_536, CLOSED),
)


def _ask(target: str, connection: str, method: str = "GET", version: str = "1.0") -> str:
    return f"{method} {target} HTTP/{version}\r\nHost: x\r\nConnection: {connection}\r\n\r\n"


KEEP = "keep-alive"
CONNECTIONS = (
    _case("kept, 1.0", _ask("/ten.txt", KEEP), KEPT),
    _case("kept, 1.1", _ask("/ten.txt", KEEP, version="1.1"), KEPT),
    *(
        _case(f"kept: {value!r}", _ask("/ten.txt", value), KEPT)
        for value in ("Keep-Alive", ",keep-alive", "keep-alive,,TE", " TE , keep-alive ")
    ),
    *(
        _case(f"closed: {value!r}", _ask("/ten.txt", value), CLOSED)
        for value in ("close", "keep-alive, close", "Close", ",close", "x", "", "keepalive")
    ),
    _case("two kept", _ask("/ten.txt", KEEP) * 2, KEPT, KEPT),
    _case("an empty line between two", _ask("/ten.txt", KEEP) + "\r\n" + _ask("/ten.txt", KEEP), KEPT, KEPT),
    _case(
        "nothing after close", _ask("/ten.txt", KEEP) + _ask("/ten.txt", "close") + _ask("/sub/", KEEP), KEPT, CLOSED
    ),
    _case(
        "nothing after a refusal", _ask("/ten.txt", KEEP) + "X\r\n\r\n" + _ask("/ten.txt", KEEP), KEPT, Expected(400)
    ),
    _case("kept over a 404", _ask("/no", KEEP) + _ask("/ten.txt", KEEP), Expected(404), KEPT),
    _case("kept over a 405", _ask("/no", KEEP, "PUT") + _ask("/ten.txt", KEEP), Expected(405), KEPT),
    _case("kept over a 301", _ask("/sub", KEEP) + _ask("/ten.txt", KEEP), Expected(301), KEPT),
    _case("kept over an empty file", _ask("/empty.txt", KEEP) + _ask("/ten.txt", KEEP), Expected(200, b""), KEPT),
    _case("kept over a listing", _ask("/sub/", KEEP) + _ask("/ten.txt", KEEP), Expected(200), KEPT),
    _case(
        "kept over HEAD",
        _ask("/ten.txt", KEEP, "HEAD") + _ask("/ten.txt", KEEP),
        Expected(200, b"", head_only=True),
        KEPT,
    ),
    _case(
        "kept over a 304",
        f"GET /ten.txt HTTP/1.0\r\nConnection: keep-alive\r\nIf-Modified-Since: {LAST_MODIFIED}\r\n\r\n"
        + _ask("/ten.txt", KEEP),
        Expected(304, b""),
        KEPT,
    ),
    _case("kept over 3 MiB", _ask("/big.bin", KEEP) + _ask("/ten.txt", KEEP), Expected(200, BIG), KEPT),
    _case("twenty kept", _ask("/ten.txt", KEEP) * 20, *([KEPT] * 20)),
    _case("end in the second head", _ask("/ten.txt", KEEP) + "GET /t", KEPT, Expected(400, reason="head-incomplete")),
    _case("1.1 goes on only when it says so", "GET /ten.txt HTTP/1.1\r\nHost: x\r\n\r\n" * 2, CLOSED),
)

CASES: tuple[Case, ...] = (
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
