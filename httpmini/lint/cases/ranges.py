"""Ranges, one or several, and If-Range."""

from __future__ import annotations

from httpmini.lint.cases.build import (
    ARABIC_ONE,
    AS_ASCTIME,
    AS_RFC_850,
    FULLWIDTH_FIVE,
    LAST_MODIFIED,
    OK,
    SECOND_AFTER,
    SECOND_BEFORE,
    TEN,
    Case,
    Expected,
    case,
    if_range,
    part_of_ten,
)
from httpmini.lint.cases.site_tree import BIG

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

PARTS = Expected(206, fields={"content-range": None, "accept-ranges": "bytes"})

# B41, B42, B44, B46, B47: ranges.
MORE_RANGES = (
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

CASES: tuple[Case, ...] = (
    *RANGES,
    *MORE_RANGES,
)
