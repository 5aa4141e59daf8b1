"""The long tables behind docs/conformance.md, in the order of its rows."""

from __future__ import annotations

from httpmini.lint.cases.build import (
    AS_RFC_850,
    CLOSED,
    HEAD,
    KEEP,
    KEPT,
    LAST_MODIFIED,
    OK,
    TEN,
    Case,
    Expected,
    ask,
    case,
    condition,
    get,
    if_modified_since,
    missing,
    moved,
    part_of_ten,
    refused,
)
from httpmini.lint.cases.site_tree import BIG

HIDDEN_REQUEST = "GET /sub/ HTTP/1.0\r\n\r\n"
"""What is hidden in bodies, and behind framing that can be read in two ways: it must never be answered."""

ARABIC_ONE, ARABIC_ZERO, ARABIC_FIVE = (f"{digit}".encode().decode("iso-8859-1") for digit in "\u0661\u0660\u0665")
FULLWIDTH_FIVE = "\uff15".encode().decode("iso-8859-1")

# A7, A8, B1: what a version is.
VERSIONS = (
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

# A12, A64, A65, A66: percent signs.
PERCENT = (
    get("decoded letter", "/%74%65%6e%2E%74%78%74", TEN),
    get("plus, encoded", "/a%2Bb.txt", b"plus\n"),
    get("semicolon, encoded", "/a%3Bb.txt", b"semicolon\n"),
    get("NUL in the query", "/ten.txt?%00", TEN),
    get("bad percent in the query", "/ten.txt?%zz&%", TEN),
    missing("/a%20b%20.txt"),
    missing("/a%2fb.txt"),
    missing("/a%2520b.txt"),
    missing("/ten.txt%2500"),
    missing("/%2F"),
    missing("/sub%2F"),
    *(
        missing(target, 400, "target-percent")
        for target in (
            "/%2",
            "/%g1",
            "/%1g",
            "/%0x41",
            "/%x41",
            "/%_1",
            "/%1_",
            "/%.1",
            "/%\xb2\xb3",
            f"/%{ARABIC_FIVE}1",
            f"/%4{FULLWIDTH_FIVE}",
            "/%4/1",
            "/a%?b",
            "http://example.org/%",
        )
    ),
    *(missing(target, 400, "target-nul") for target in ("/sub%00/file.txt", "/%00%00", "http://example.org/a%00")),
)

# A60, A61, A63, T-DEV, T-83, T-CASE: there is nothing outside, and no other spelling of a name. The secret stands
# beside the root, and in a folder whose name begins as the root's does.
# RFC 3986 §5.2.4, §6.2.2.2: a single dot is no step, wherever it is and however it is written.
SINGLE_DOTS = (
    *(
        get(f"single dot {target}", target, TEN)
        for target in ("/./ten.txt", "/././ten.txt", "/%2e/ten.txt", "/%2E/./ten.txt", "/.//./ten.txt")
    ),
    get("single dot in absolute-form", "http://example.org/./ten.txt", TEN),
    get("single dot, and a query", "/./ten.txt?./..", TEN),
    get("single dot inside", "/sub/./file.txt", b"in sub\n"),
    get("single dot at the end of an index", "/indexed/.", b"an index\n"),
    get("single dot, encoded, at the end of an index", "/indexed/%2e", b"an index\n"),
    get("single dot as the root", "/.", b"<h1>home</h1>\n"),
    moved("/./sub", "./sub/"),
    missing("/./.hidden"),
    missing("/./.git/config"),
    missing("/sub/./.well-known/x"),
    missing("/ten.txt/./"),
    get("single dot before .well-known", "/./.well-known/x", b"well known\n"),
)

OUTSIDE = (
    *map(
        missing,
        (
            "/../",
            "/../..",
            "/../www/",
            "/../www/ten.txt",
            "/../www-secret/",
            "/./../secret.txt",
            "/.//../secret.txt",
            "//../secret.txt",
            "///../secret.txt",
            "/..//secret.txt",
            "/sub//../../secret.txt",
            "/sub/./../../secret.txt",
            "/nothing/../../secret.txt",
            "/nothing/../ten.txt",
            "/ten.txt/../../secret.txt",
            "/ten.txt/..",
            "/ten.txt/.",
            "/sub/..",
            "/sub/../",
            "/fifo/../../secret.txt",
            "/link-dir/../ten.txt",
            "/link-dir/../../secret.txt",
            "/link-out-dir/../secret.txt",
            "/link-out-dir/www-secret/secret.txt",
            "/link-out-dir/%77ww/../secret.txt",
            "/link-out-sibling",
            "/link-out-sibling/",
            "/link-system",
            "/link-system/",
            "/link-system/../etc/passwd",
            "/%2e%2e/",
            "/%2e%2e//secret.txt",
            "/%2e%2e%2fsecret.txt",
            "/%2e%2e%2Fwww-secret%2Fsecret.txt",
            "/..%2fwww-secret/secret.txt",
            "/sub/%2e%2e/%2e%2e/secret.txt",
            "/sub/%2e%2e%2f%2e%2e%2fsecret.txt",
            "/..%252fsecret.txt",
            "/%252e%252e%252fsecret.txt",
            "/%25252e%25252e/secret.txt",
            "/..%5c..%5csecret.txt",
            "/%2e%2e%5csecret.txt",
            "/..\\..\\secret.txt",
            "/sub/..\\..\\secret.txt",
            "/sub\\file.txt",
            "/..%255csecret.txt",
            "/..%c0%afsecret.txt",
            "/..%c1%9csecret.txt",
            "/..%c0%5csecret.txt",
            "/%e0%80%ae%e0%80%ae/secret.txt",
            "/%f0%80%80%ae%f0%80%80%ae/secret.txt",
            "/%fc%80%80%80%80%ae%fc%80%80%80%80%ae/secret.txt",
            "/\xc0\xae\xc0\xae/secret.txt",
            "/%ef%bc%8e%ef%bc%8e/secret.txt",
            "/..%ef%bc%8fsecret.txt",
            "/..%e2%88%95secret.txt",
            "/%e2%80%a5/secret.txt",
            "/..%0d/secret.txt",
            "/..%0a/secret.txt",
            "/..%09/secret.txt",
            "/..%20/secret.txt",
            "/..+/secret.txt",
            "/..;/secret.txt",
            "/..;a=b/secret.txt",
            "/;/../secret.txt",
            "/sub;/../../secret.txt",
            "/.../secret.txt",
            "/..../secret.txt",
            "/....//secret.txt",
            "/..?/secret.txt",
            "//etc/passwd",
            "/%2fetc/passwd",
            "/%2f%2fetc%2fpasswd",
            "/%5cetc%5cpasswd",
            "/../../../../../../../../etc/passwd",
            "/c:/windows/win.ini",
            "/c:%5cwindows%5cwin.ini",
            "/C|/windows/win.ini",
            "/file:///etc/passwd",
            "/http://example.org/../../secret.txt",
            "/proc/self/environ",
            "/dev/zero",
            "/~",
            "/~root/",
            "/$HOME",
            "/`id`",
            "/|id",
            "http://../secret.txt",
            "http://example.org//../secret.txt",
            "http://example.org/%2e%2e/secret.txt",
            "http://example.org/..%2fsecret.txt",
            "http://example.org/../www-secret/secret.txt",
            "/.env",
            "/.htpasswd",
            "/.git",
            "/.git/",
            "/sub/.hidden",
            "/.hidden/",
            "/%2Ewell-known/%2Ehidden",
            "/COM1",
            "/COM1%20",
            "/LPT1.txt",
            "/sub/AUX",
            "/SECRET~1.TXT",
            "/PICTUR~1.PNG",
            "/picture.png",
            "/Sub/file.txt",
            "/ten.txt%2e",
            "/ten.txt:stream",
            "/sub:$I30:$INDEX_ALLOCATION/",
        ),
    ),
    *(
        missing(target, 400, "target-percent")
        for target in ("/%u002e%u002e/secret.txt", "/%%32%65%%32%65/secret.txt", "/%2%65%2%65/secret.txt")
    ),
    *(missing(target, 400, "target-nul") for target in ("/..%00/secret.txt", "/%00/../secret.txt")),
    *(
        missing(target, 400, "target-form")
        for target in ("../secret.txt", "..%2fsecret.txt", "\\..\\secret.txt", "file:///etc/passwd", "c:/x", "~root")
    ),
    get("dots behind the question mark", "/ten.txt?/../../secret.txt", TEN),
    get("dots in the query of the root", "/?/../secret.txt", b"<h1>home</h1>\n"),
)

# A70, T-REDIR: a folder's name gets its slash, and nothing else.
REDIRECTS = (
    moved("////sub", "./sub/"),
    moved("/sub?//evil.example/", "./sub/?//evil.example/"),
    moved("/sub?%0d%0aSet-Cookie:x=y", "./sub/?%0d%0aSet-Cookie:x=y"),
    moved('/sub?"<>\\^`{|}', "./sub/?%22%3C%3E%5C%5E%60%7B%7C%7D"),  # a sender keeps to the grammar (RFC 9110 §2.2)
    moved("http://evil.example//sub", "./sub/"),
    missing("http://u:p@evil.example/sub?q", 400, "target-userinfo"),
    missing("https://@example.org/ten.txt", 400, "target-userinfo"),
    *map(
        missing,
        (
            "//evil.example/..%2f..",
            "///evil.example",
            "//evil.example/%2f..",
            "/%2f%2fevil.example",
            "/\\evil.example",
            "/\\\\evil.example/%2e%2e",
            "/evil.example%2f..",
            "/%0d%0aSet-Cookie:%20x=y",
            "/sub%0d",
            "/sub%20",
        ),
    ),
)

# A14, A16, A17, B10, B13, B14, B15, B16, B17: fields.
FIELDS = (
    refused(
        "credentials of 20,000 octets",
        f"GET /ten.txt HTTP/1.0\r\nAuthorization: Basic {'A' * 20_000}\r\n\r\n",
        431,
        "head-long",
    ),
    refused(
        "folded If-Modified-Since",
        f"GET /ten.txt HTTP/1.0\r\nIf-Modified-Since:\r\n {LAST_MODIFIED}\r\n\r\n",
        400,
        "field-folded",
    ),
    refused("folded Range", "GET /ten.txt HTTP/1.0\r\nX: a\r\n Range: bytes=0-1\r\n\r\n", 400, "field-folded"),
    refused("line of one blank", "GET /ten.txt HTTP/1.0\r\nX: a\r\n \r\nRange: bytes=0-1\r\n\r\n", 400, "field-folded"),
    case("two Accept fields", "GET /ten.txt HTTP/1.0\r\nAccept: text/html\r\nAccept: */*;q=0.1\r\n\r\n", OK),
    case(
        "two If-Modified-Since fields are none",
        "GET /ten.txt HTTP/1.0\r\n" + f"If-Modified-Since: {LAST_MODIFIED}\r\n" * 2 + "\r\n",
        OK,
    ),
    case("fields of a browser", "GET /ten.txt HTTP/1.0\r\nABC:foo\r\nSec-Fetch-Mode: no-cors\r\nDNT:1\r\n\r\n", OK),
    *(
        refused(f"{character!r} in a name", f"GET /ten.txt HTTP/1.0\r\nF{character}o: x\r\n\r\n", 400, "field-name")
        for character in '()<>@,;\\"/[]?={}'
    ),
    *(
        refused(f"{octet:#04x} in a name", f"GET /ten.txt HTTP/1.0\r\nF{octet:c}o: x\r\n\r\n", 400, "field-name")
        for octet in (0x01, 0x0B, 0x0D, 0x1F, 0x7F, 0x80)
    ),
    *(
        refused(f"{octet:#04x} in a value", f"GET /ten.txt HTTP/1.0\r\nX: a{octet:c}b\r\n\r\n", 400, "field-value")
        for octet in (0x07, 0x08, 0x0B, 0x0C, 0x1B, 0x1F, 0x7F)
    ),
    refused("two CRs at the end of a line", "GET /ten.txt HTTP/1.0\r\nX: a\r\r\n\r\n", 400, "field-value"),
    refused("value of 100,000 octets", f"GET /ten.txt HTTP/1.0\r\nX: {'x' * 100_000}\r\n\r\n", 431, "head-long"),
    refused("name of 100,000 octets", f"GET /ten.txt HTTP/1.0\r\n{'X' * 100_000}: x\r\n\r\n", 431, "head-long"),
    refused("20,000 folds", "GET /ten.txt HTTP/1.0\r\nX: a\r\n" + " b\r\n" * 20_000 + "\r\n", 431, "head-long"),
    refused("150,000 fields", "GET /ten.txt HTTP/1.0\r\n" + "X: y\r\n" * 150_000 + "\r\n", 431, "head-long"),
)

# B3: hosts, with and without a port. B2: what is none.
HOSTS = (
    *(
        case(f"Host is {value!r}", f"GET /ten.txt HTTP/1.1\r\nHost: {value}\r\n\r\n", CLOSED)
        for value in (
            "localhost",
            "example.org.:80",
            "EXAMPLE.ORG:8080",
            "a.b.c.d.e.f",
            "a-b.example",
            "_dmarc.example",
            "xn--bcher-kva.example",
            "b%C3%BCcher.example",
            "example.org:0",
            "example.org:65535",
            "1.2.3.4:80",
            "[2001:db8::1]",
            "[2001:db8::1]:",
            "[::ffff:1.2.3.4]:80",
            "[v1.a:b]",
            " \texample.org \t",
        )
    ),
    *(
        refused(f"Host is {value!r}", f"GET /ten.txt HTTP/1.1\r\nHost: {value}\r\n\r\n", 400, "host-value")
        for value in (
            "a\tb",
            "a, b",
            "a:-1",
            "a:+80",
            f"a:{ARABIC_FIVE}",
            "[]",
            "[]:80",
            "[::1]x",
            "[::1]:x",
            "x[::1]",
            "<a>",
            "a\\b",
            "a|b",
            "%",
            "%4",
        )
    ),
    refused("two Hosts in 1.1", "GET /ten.txt HTTP/1.1\r\nHost: x\r\nhOST: y\r\n\r\n", 400, "host-repeated"),
    refused("Host folded", "GET /ten.txt HTTP/1.1\r\nHost:\r\n x\r\n\r\n", 400, "field-folded"),
    refused("absolute-form is no Host", "GET http://x/ten.txt HTTP/1.1\r\n\r\n", 400, "host-missing"),
    case("absolute-form beside another Host", "GET http://x/ten.txt HTTP/1.1\r\nHost: y\r\n\r\n", CLOSED),
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


def _last(status: int, reason: str = "", *, head_only: bool = False) -> Expected:
    return Expected(status, reason=reason, fields={"connection": "close"}, head_only=head_only)


# B21: a body is never the next request.
HIDDEN_REQUESTS = (
    _hidden("GET: 200", "GET /ten.txt", CLOSED),
    _hidden("GET: 200, empty", "GET /empty.txt", _last(200)),
    _hidden("GET: 200, 3 MiB", "GET /big.bin", Expected(200, BIG, fields={"connection": "close"})),
    _hidden("GET: 200, a listing", "GET /sub/", _last(200)),
    _hidden("GET: 206", "GET /ten.txt", Expected(206, b"01", fields={"connection": "close"}), "Range: bytes=0-1\r\n"),
    _hidden("GET: 206, parts", "GET /ten.txt", _last(206), "Range: bytes=0-1,4-5\r\n"),
    _hidden("GET: 301", "GET /sub", _last(301)),
    _hidden("GET: 304", "GET /ten.txt", _last(304), "If-None-Match: *\r\n"),
    _hidden("GET: 400", "GET x", _last(400, "target-form")),
    _hidden("GET: 404", "GET /no", _last(404, "not-found")),
    _hidden("GET: 412", "GET /ten.txt", _last(412, "precondition-failed"), 'If-Match: "x"\r\n'),
    _hidden("GET: 416", "GET /ten.txt", _last(416, "range-unsatisfiable"), "Range: bytes=10-\r\n"),
    _hidden("HEAD: 200", "HEAD /ten.txt", _last(200, head_only=True)),
    _hidden("HEAD: 304", "HEAD /ten.txt", _last(304, head_only=True), "If-None-Match: *\r\n"),
    _hidden("HEAD: 404", "HEAD /no", _last(404, head_only=True)),
    _hidden("OPTIONS: 204", "OPTIONS *", _last(204)),
    _hidden("POST: 405", "POST /ten.txt", _last(405, "method-not-allowed")),
    _hidden("PUT: 405", "PUT /no", _last(405, "method-not-allowed")),
    _hidden("DELETE: 405", "DELETE /ten.txt", _last(405, "method-not-allowed")),
    _hidden("BREW: 501", "BREW /ten.txt", _last(501, "method-unknown")),
    _hidden("POST with Expect", "POST /ten.txt", _last(405, "method-not-allowed"), "Expect: 100-continue\r\n"),
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
    case("Expect in 1.1", f"POST /ten.txt HTTP/1.1\r\nHost: x\r\n{_EXPECT}hello", _last(405, "method-not-allowed")),
    case("Expect in 1.1, no body comes", f"POST / HTTP/1.1\r\nHost: x\r\n{_EXPECT}", _last(405, "method-not-allowed")),
    case("Expect in 1.0", f"POST /ten.txt HTTP/1.0\r\n{_EXPECT}hello", _last(405, "method-not-allowed")),
    case("Expect of a GET", f"GET /ten.txt HTTP/1.1\r\nHost: x\r\n{_EXPECT}hello", CLOSED),
    case("Expect something else", "GET /ten.txt HTTP/1.0\r\nExpect: tea\r\n\r\n", OK),
    case("Upgrade to HTTP/2 in 1.0", f"GET /ten.txt HTTP/1.0\r\nConnection: Upgrade, HTTP2-Settings\r\n{_H2C}", CLOSED),
    case("Upgrade to HTTP/2 in 1.1", f"GET /ten.txt HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n{_H2C}", CLOSED),
    case("Upgrade to WebSocket", f"GET /ten.txt HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n{_WEBSOCKET}", CLOSED),
    case("Upgrade, kept", f"GET /ten.txt HTTP/1.0\r\nConnection: upgrade, keep-alive\r\n{_H2C}", KEPT),
)

# B25: Connection is a list.
CONNECTION_LISTS = (
    *(
        case(f"list that keeps: {value!r}", ask("/ten.txt", value), KEPT)
        for value in ("KEEP-ALIVE", "\tkeep-alive\t", "x,keep-alive,y", "closed, keep-alive", ", ,keep-alive, ,")
    ),
    *(
        case(f"list that closes: {value!r}", ask("/ten.txt", value), CLOSED)
        for value in (
            "close,,TE",
            "close, keep-alive",
            "keep-alive,CLOSE",
            "x, close , y",
            "keep-alive;timeout=5",
            '"keep-alive"',
            "keep alive",
            "keep-alive=1",
            "keep-alive x",
        )
    ),
    case("list in two fields", ask("/ten.txt", "keep-alive\r\nConnection: close"), CLOSED),
    case("list in two fields that keeps", ask("/ten.txt", "TE\r\nConnection: keep-alive"), KEPT),
    case("Keep-Alive alone is not asking", "GET /ten.txt HTTP/1.0\r\nKeep-Alive: timeout=5\r\n\r\n", CLOSED),
    case(
        "Proxy-Connection is not Connection",
        "GET /ten.txt HTTP/1.0\r\nProxy-Connection: keep-alive\r\n\r\n",
        Expected(200, TEN, fields={"connection": "close"}),
    ),
)


def _step(status: int, body: bytes | None = None, *, head_only: bool = False) -> Expected:
    return Expected(status, body, fields={"connection": "keep-alive"}, head_only=head_only)


def _kept(start: str, more: str = "") -> str:
    return f"{start} HTTP/1.0\r\nConnection: keep-alive\r\n{more}\r\n"


# B26: requests on one connection, named by one letter each.
STEPS: dict[str, tuple[str, Expected]] = {
    "g": (_kept("GET /ten.txt"), KEPT),
    "h": (_kept("HEAD /ten.txt"), _step(200, b"", head_only=True)),
    "H": (_kept("HEAD /no"), _step(404, b"", head_only=True)),
    "n": (_kept("GET /ten.txt", "If-None-Match: *\r\n"), _step(304, b"")),
    "e": (_kept("GET /empty.txt"), _step(200, b"")),
    "p": (_kept("GET /ten.txt", "Range: bytes=2-4\r\n"), _step(206, b"234")),
    "P": (_kept("GET /ten.txt", "Range: bytes=0-0,-1\r\n"), _step(206)),
    "u": (_kept("GET /ten.txt", "Range: bytes=10-\r\n"), _step(416)),
    "f": (_kept("GET /ten.txt", 'If-Match: "x"\r\n'), _step(412)),
    "m": (_kept("GET /sub"), _step(301)),
    "x": (_kept("GET /no"), _step(404)),
    "a": (_kept("PUT /ten.txt"), _step(405)),
    "k": (_kept("BREW /ten.txt"), _step(501)),
    "t": (_kept("GET x"), _step(400)),
    "o": (_kept("OPTIONS *"), _step(204, b"")),
    "l": (_kept("GET /sub/"), _step(200)),
    "b": (_kept("GET /big.bin"), Expected(200, BIG, fields={"connection": "keep-alive"})),
    "B": (_kept("GET /big.bin", "Range: bytes=5-1048580\r\n"), _step(206, BIG[5:1_048_581])),
    "1": (ask("/ten.txt", KEEP, version="1.1"), KEPT),
    "c": (ask("/ten.txt", "close"), CLOSED),
    "d": (f"GET /ten.txt {HEAD}", CLOSED),
    "r": ("GET /ten.txt HTTP/1.0\r\nX\r\n\r\n", _last(400, "field-colon")),
    "v": ("GET /ten.txt HTTP/2.0\r\n\r\n", _last(505, "version-major")),
}
ENDS = "cdrv"


def _sequence(letters: str) -> Case:
    """Pipelined requests; after one that ends the connection, there are no responses."""
    answered = next((letters[: at + 1] for at, letter in enumerate(letters) if letter in ENDS), letters)
    return case(
        f"pipelined {letters}",
        "".join(STEPS[letter][0] for letter in letters),
        *(STEPS[letter][1] for letter in answered),
    )


PIPELINED = tuple(
    map(
        _sequence,
        (
            "hg",
            "Hg",
            "hhhg",
            "hngHxg",
            "nnng",
            "nhnh",
            "eg",
            "eeeg",
            "ehe",
            "pg",
            "ppP",
            "Pg",
            "PuPg",
            "ug",
            "uhug",
            "fg",
            "fnfg",
            "mxm",
            "akto",
            "tg",
            "kg",
            "olog",
            "1g1h1n1",
            "Bg",
            "bhB",
            "gcg",
            "hdg",
            "nrg",
            "evg",
            "pPufmxaktolhHneg1d",
        ),
    )
)

# A34, A35: an invalid date is ignored, however it is wrong.
DATES = (
    *(
        if_modified_since(repr(date), date, 200)
        for date in (
            "0",
            "784111777",
            "-1",
            "1994-11-06T08:49:37Z",
            "06 Nov 1994 08:49:37 GMT",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 +0000",
            "Sun, 06 Nov 1994 08:49:37 gmt",
            "Sun, 06 Nov 1994 8:49:37 GMT",
            "Sun, 06 Nov 1994 08:60:37 GMT",
            "Sun, 06 Nov 1994 08:49:61 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Wed, 29 Feb 1995 08:49:37 GMT",
            "Sun, 06 Nov 19940 08:49:37 GMT",
            "So, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-1994 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994 GMT",
            "Sun Nov 6 08:49:37 1994",
            "Sun, 06 Nov " + "9" * 5_000 + " 08:49:37 GMT",
        )
    ),
    if_modified_since("in quotes", f'"{LAST_MODIFIED}"', 200),
    if_modified_since("twice in one field", f"{LAST_MODIFIED} {LAST_MODIFIED}", 200),
    if_modified_since("a year long past", "Thu, 01 Jan 1970 00:00:00 GMT", 200),
    if_modified_since("the year 1", "Mon, 01 Jan 0001 00:00:00 GMT", 200),
    if_modified_since("two digits that mean the past century", "Monday, 07-Nov-94 08:49:37 GMT", 200),
    if_modified_since("the year 9999", "Fri, 31 Dec 9999 23:59:59 GMT", 200),
)

# B33 to B38: conditions, and what comes before them.
CONDITIONS = (
    condition("tag without quotes", "If-None-Match: x", 200),
    condition("empty members", 'If-None-Match: , ,"x",', 200),
    condition("If-Match without tags", "If-Match:", 412),
    condition("If-Match in two fields", 'If-Match: "x"\r\nIf-Match: "y"', 412),
    condition("star among others in If-Match", 'If-Match: "x", *', 412),
    condition("412 before If-Modified-Since", f'If-Match: "x"\r\nIf-Modified-Since: {LAST_MODIFIED}', 412),
    condition(
        "If-Unmodified-Since before If-None-Match",
        "If-Unmodified-Since: Sat, 05 Nov 1994 08:49:37 GMT\r\nIf-None-Match: *",
        412,
    ),
    condition("unmodified, and known", f"If-Unmodified-Since: {LAST_MODIFIED}\r\nIf-None-Match: *", 304),
    condition("If-None-Match hides an equal date", f'If-None-Match: "x"\r\nIf-Modified-Since: {LAST_MODIFIED}', 200),
    condition(
        "If-None-Match beside an old date", "If-None-Match: *\r\nIf-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT", 304
    ),
    case("If-Match on what is missing", "GET /no HTTP/1.0\r\nIf-Match: *\r\n\r\n", Expected(404, reason="not-found")),
    case("If-None-Match on what is missing", "GET /no HTTP/1.0\r\nIf-None-Match: *\r\n\r\n", Expected(404)),
    case("If-Match on a folder", 'GET /sub HTTP/1.0\r\nIf-Match: "x"\r\n\r\n', Expected(301)),
    case("If-Match with a method that is refused", 'PUT /ten.txt HTTP/1.0\r\nIf-Match: "x"\r\n\r\n', Expected(405)),
    case(
        "412 to HEAD",
        'HEAD /ten.txt HTTP/1.0\r\nIf-Match: "x"\r\n\r\n',
        Expected(412, b"", fields={"connection": "close"}, head_only=True),
    ),
)

PARTS = Expected(206, fields={"content-range": None, "accept-ranges": "bytes"})

# B41, B42, B44, B46, B47: ranges.
RANGES = (
    *(
        part_of_ten(spec, part)
        for spec, part in {
            "0-4": (0, 5),
            "2-": (2, 8),
            "3-7": (3, 5),
            "-5": (5, 5),
            "-99": (0, 10),
            "0-9": (0, 10),
            "0-10": (0, 10),
            "5-1000": (5, 5),
            "8-18446744073709551617": (8, 2),
            "-18446744073709551615": (0, 10),
            "0-,1-,2-,3-,4-": (0, 10),
            "0-4,-6": (0, 10),
            "1-2,-0": (1, 2),
            "\t3-3\t": (3, 1),
            "00-01": (0, 2),
        }.items()
    ),
    *(
        case(
            f"nothing at all of {spec}",
            f"GET /ten.txt HTTP/1.0\r\nRange: bytes={spec}\r\n\r\n",
            Expected(416, reason="range-unsatisfiable", fields={"content-range": "bytes */10"}),
        )
        for spec in ("10-11", "11-", "11-12", "12-12,13-13,14-14", "-0,10-", "18446744073709551616-", "-000000")
    ),
    *(
        case(f"several of {spec}", f"GET /ten.txt HTTP/1.0\r\nRange: bytes={spec}\r\n\r\n", PARTS)
        for spec in ("0-0,-2", "0-1,5-8", "0-1,5-", "5-8,0-1", "0-0,2-2,4-4,6-6,8-8", "0-1,2-3", "0-0,-1,100-")
    ),
    *(
        case(f"bad range {value!r}", f"GET /ten.txt HTTP/1.0\r\nRange: {value}\r\n\r\n", OK)
        for value in (
            "bytes 1-3",
            "bytes:1-3",
            "bytes==1-3",
            "bytes=1=3",
            "bytes=bytes=1-3",
            '"bytes=1-3"',
            'bytes="1-3"',
            "bytes=1-3-5",
            "bytes=1--3",
            "bytes=1..3",
            "bytes=1-3/10",
            "bytes=1-3 4-5",
            "bytes=1-3;4-5",
            "bytes=1 - 3",
            "bytes=1- 3",
            "bytes=- 3",
            "bytes=*",
            "bytes=0-*",
            "bytes=*-3",
            "bytes=1.0-3",
            "bytes=1e0-3",
            "bytes=-1.5",
            "bytes=%31-3",
            f"bytes={ARABIC_ONE}-",
            f"bytes=1-{FULLWIDTH_FIVE}",
            "bytes=1-3,4-2",
            "bytes=1-2-,3-4",
            "bytes=,,,",
            "x bytes=1-3",
            "bits=1-3",
            "none",
            "bytes=" + ",".join(f"{at % 10}-" for at in range(200)),
        )
    ),
    case("32 ranges", f"GET /ten.txt HTTP/1.0\r\nRange: bytes={','.join(['0-0'] * 32)}\r\n\r\n", Expected(206, b"0")),
    case("Range of OPTIONS", "OPTIONS /ten.txt HTTP/1.0\r\nRange: bytes=0-1\r\n\r\n", Expected(204, b"")),
    case("Range of PUT", "PUT /ten.txt HTTP/1.0\r\nRange: bytes=0-1\r\n\r\n", Expected(405)),
    case("Range of a folder without slash", "GET /sub HTTP/1.0\r\nRange: bytes=0-1\r\n\r\n", Expected(301)),
    case("suffix of nothing", "GET /empty.txt HTTP/1.0\r\nRange: bytes=-5\r\n\r\n", Expected(200, b"")),
    case(
        "416 to a date that counts",
        f"GET /ten.txt HTTP/1.0\r\nRange: bytes=10-\r\nIf-Range: {LAST_MODIFIED}\r\n\r\n",
        Expected(416),
    ),
    case("no 416 to a tag that does not", 'GET /ten.txt HTTP/1.0\r\nRange: bytes=10-\r\nIf-Range: "x"\r\n\r\n', OK),
    case(
        "If-Range with the date in RFC 850",
        f"GET /ten.txt HTTP/1.0\r\nRange: bytes=0-1\r\nIf-Range: {AS_RFC_850}\r\n\r\n",
        OK,
    ),
)

# RFC 9110 §12.5.1: a folder in the form that Accept prefers.
SUB_AS_JSON = (
    b'{"path": "/sub/", "entries": ['
    b'{"name": "file.txt", "href": "./file.txt", "type": "file", "size": 7, "modified": "1994-11-06T08:49:37Z"}, '
    b'{"name": "link-up.txt", "href": "./link-up.txt", "type": "file", "size": 10, "modified": "1994-11-06T08:49:37Z"}'
    b"]}"
)
SUB_AS_TEXT = b"7\t1994-11-06T08:49:37Z\tfile.txt\n10\t1994-11-06T08:49:37Z\tlink-up.txt\n"
JSON_FIELDS: dict[str, str | None] = {
    "content-type": "application/json",
    "vary": "Accept, Accept-Encoding",
    "cache-control": "no-cache",
    "content-length": str(len(SUB_AS_JSON)),
    "last-modified": None,
}
PAGE_FIELDS: dict[str, str | None] = {**JSON_FIELDS, "content-type": "text/html; charset=utf-8"}
del PAGE_FIELDS["content-length"]
LISTINGS = (
    case(
        "a folder as JSON",
        "GET /sub/ HTTP/1.0\r\nAccept: application/json\r\n\r\n",
        Expected(200, SUB_AS_JSON, fields=JSON_FIELDS),
    ),
    case(
        "HEAD of a folder as JSON",
        "HEAD /sub/ HTTP/1.0\r\nAccept: text/*;q=0.9, application/json\r\n\r\n",
        Expected(200, head_only=True, fields=JSON_FIELDS),
    ),
    case(
        "a folder as a page, on a tie",
        "GET /sub/ HTTP/1.0\r\nAccept: application/json, */*\r\n\r\n",
        Expected(200, fields=PAGE_FIELDS),
    ),
    case(
        "a folder as text",
        "GET /sub/ HTTP/1.0\r\nAccept: text/plain\r\n\r\n",
        Expected(200, SUB_AS_TEXT, fields={**PAGE_FIELDS, "content-type": "text/plain; charset=utf-8"}),
    ),
    case(
        "a folder, filtered and sorted",
        "GET /sub/?sort=size&order=desc&q=TXT&page=1&view=x HTTP/1.0\r\nAccept: text/plain\r\n\r\n",
        Expected(200, b"".join(reversed(SUB_AS_TEXT.splitlines(keepends=True)))),
    ),
    case(
        "a folder, compressed only if that is asked for",
        "GET /sub/ HTTP/1.0\r\nAccept: text/plain\r\nAccept-Encoding: gzip;q=0\r\n\r\n",
        Expected(200, SUB_AS_TEXT, fields={"content-encoding": None}),
    ),
    case(
        "HEAD of a folder in gzip",
        "HEAD /sub/ HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n",
        Expected(200, head_only=True, fields={"content-encoding": "gzip", "vary": "Accept, Accept-Encoding"}),
    ),
    case("a thumbnail of what is no picture", "GET /ten.txt?thumb HTTP/1.0\r\n\r\n", Expected(200, b"0123456789")),
    case(
        "an index, whatever is preferred",
        "GET /indexed/ HTTP/1.0\r\nAccept: application/json\r\n\r\n",
        Expected(200, b"an index\n", fields={"vary": None, "content-type": "text/html; charset=utf-8"}),
    ),
)

# A folder as one file; its tag depends on the change times of the files.
SUB_AS_ZIP: dict[str, str | None] = {
    "content-type": "application/zip",
    "content-length": "415",
    "content-disposition": "attachment; filename=\"sub.zip\"; filename*=UTF-8''sub.zip",
    "accept-ranges": "bytes",
    "cache-control": "no-cache",
    "last-modified": LAST_MODIFIED,
}
SUB_AS_TAR = {**SUB_AS_ZIP, "content-type": "application/x-tar", "content-length": "3584"}
SUB_AS_TAR["content-disposition"] = "attachment; filename=\"sub.tar\"; filename*=UTF-8''sub.tar"
ARCHIVES = (
    case("a folder as zip", f"GET /sub/?zip {HEAD}", Expected(200, fields=SUB_AS_ZIP)),
    case("a folder as tar", f"GET /sub/?tar {HEAD}", Expected(200, fields=SUB_AS_TAR)),
    case("HEAD of a zip", f"HEAD /sub/?zip {HEAD}", Expected(200, head_only=True, fields=SUB_AS_ZIP)),
    case(
        "the beginning of a zip",
        "GET /sub/?zip HTTP/1.0\r\nRange: bytes=0-3\r\n\r\n",
        Expected(206, b"PK\3\4", fields={"content-range": "bytes 0-3/415", "content-type": "application/zip"}),
    ),
    case(
        "the end of a zip",
        "GET /sub/?zip HTTP/1.0\r\nRange: bytes=-22\r\n\r\n",
        Expected(206, fields={"content-range": "bytes 393-414/415"}),
    ),
    case(
        "the end of a tar",
        f"GET /sub/?tar HTTP/1.0\r\nRange: bytes=2560-\r\nIf-Range: {LAST_MODIFIED}\r\n\r\n",
        Expected(206, bytes(1024), fields={"content-range": "bytes 2560-3583/3584"}),
    ),
    case(
        "several parts of a zip",
        "GET /sub/?zip HTTP/1.0\r\nRange: bytes=-4,0-3\r\n\r\n",
        Expected(206, fields={"content-range": None}),
    ),
    case(
        "nothing of a zip",
        "GET /sub/?zip HTTP/1.0\r\nRange: bytes=415-\r\n\r\n",
        Expected(416, reason="range-unsatisfiable", fields={"content-range": "bytes */415"}),
    ),
    case("a zip that is there", "GET /sub/?zip HTTP/1.0\r\nIf-None-Match: *\r\n\r\n", Expected(304, b"")),
    case(
        "a zip of that date",
        f"GET /sub/?zip HTTP/1.0\r\nIf-Modified-Since: {LAST_MODIFIED}\r\n\r\n",
        Expected(304, b"", fields={"last-modified": LAST_MODIFIED}),
    ),
    case(
        "another zip than that",
        'GET /sub/?zip HTTP/1.0\r\nIf-Match: "x"\r\n\r\n',
        Expected(412, reason="precondition-failed"),
    ),
    case("two archives", ask("/sub/?zip", KEEP) + ask("/sub/?tar", "close"), Expected(200), Expected(200)),
    moved("/sub?zip", "./sub/?zip"),
    get("an archive of a file", "/ten.txt?zip", b"0123456789"),
    get("a query that only begins so", "/indexed/?zip=1", b"an index\n"),
    case("the archive of a folder with an index", f"GET /indexed/?zip {HEAD}", Expected(200)),
    refused("POST of an archive", f"POST /sub/?zip {HEAD}", 405, "method-not-allowed"),
    missing("/.git/?zip"),
    missing("/link-out-dir/?zip"),
)

CHECKLIST: tuple[Case, ...] = (
    *VERSIONS,
    *REQUEST_LINES,
    *PERCENT,
    *SINGLE_DOTS,
    *OUTSIDE,
    *REDIRECTS,
    *FIELDS,
    *HOSTS,
    *LENGTHS,
    *SMUGGLING,
    *HIDDEN_REQUESTS,
    *PROPOSALS,
    *CONNECTION_LISTS,
    *PIPELINED,
    *DATES,
    *CONDITIONS,
    *RANGES,
    *LISTINGS,
    *ARCHIVES,
)
