"""Conditional requests: dates and entity tags."""

from __future__ import annotations

from httpmini.lint.cases.build import (
    AS_ASCTIME,
    AS_RFC_850,
    LAST_MODIFIED,
    OK,
    SECOND_AFTER,
    SECOND_BEFORE,
    Case,
    Expected,
    case,
    condition,
    if_modified_since,
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

CASES: tuple[Case, ...] = (
    *CONDITIONAL,
    *DATES,
    *CONDITIONS,
)
