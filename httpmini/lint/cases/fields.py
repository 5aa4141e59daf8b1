"""Header fields, hosts, and what is not HTTP at all."""

from __future__ import annotations

from httpmini.lint.cases.build import (
    ARABIC_FIVE,
    CLOSED,
    LAST_MODIFIED,
    OK,
    TOO_LONG_HEAD,
    Case,
    Expected,
    case,
    refused,
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

CASES: tuple[Case, ...] = (
    *HEADS,
    *OTHER_PROTOCOLS,
    *FIELDS,
    *HOSTS,
)
