"""HTTP dates: three forms in, one out."""

from __future__ import annotations

import calendar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from httpmini.protocol.dates import format_date, parse_date

RFC_EXAMPLE = 784111777
NOW = calendar.timegm((2026, 7, 1, 12, 0, 0))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", RFC_EXAMPLE),
        ("Sunday, 06-Nov-94 08:49:37 GMT", RFC_EXAMPLE),
        ("Sun Nov  6 08:49:37 1994", RFC_EXAMPLE),
        ("Wed Nov 16 08:49:37 1994", RFC_EXAMPLE + 10 * 86400),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Wed, 31 Dec 1969 23:59:59 GMT", -1),
        ("Thu, 29 Feb 2024 00:00:00 GMT", 1709164800),
        ("Tue, 29 Feb 2000 23:59:59 GMT", 951868799),
        ("Sat, 31 Dec 2016 23:59:60 GMT", 1483228800),  # a leap second is the first second of the next minute
        ("Fri, 31 Dec 9999 23:59:59 GMT", 253402300799),
    ],
)
def test_good_dates(text: str, seconds: int) -> None:
    assert parse_date(text, NOW) == seconds


@pytest.mark.parametrize(
    ("year", "now_year", "full"),
    [
        (94, 2026, 1994),
        (26, 2026, 2026),
        (76, 2026, 2076),
        (77, 2026, 1977),
        (99, 2026, 1999),
        (0, 2026, 2000),
        (94, 1994, 1994),
        (44, 1994, 1944),
        (0, 2099, 2000),
        (99, 2050, 2099),
        (99, 2048, 1999),
    ],
)
def test_two_digits_more_than_fifty_years_ahead_are_the_past_century(year: int, now_year: int, full: int) -> None:
    now = calendar.timegm((now_year, 7, 1, 12, 0, 0))
    expected = calendar.timegm((full, 3, 1, 0, 0, 0))
    assert parse_date(f"Monday, 01-Mar-{year:02} 00:00:00 GMT", now) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "784111777",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        " Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT\n",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Son, 06 Nov 1994 08:49:37 GMT",
        "Sun 06 Nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 06 Nov 19940 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 29 Feb 1900 08:49:37 GMT",
        "Sun, 29 Feb 2023 08:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Sun, \u0660\u0666 Nov 1994 08:49:37 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sunday, 31-Feb-94 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  0 08:49:37 1994",
        "Sun Nov  6 08:49:37 1994 GMT",
        "1994-11-06T08:49:37Z",
    ],
)
def test_what_is_no_date(text: str) -> None:
    assert parse_date(text, NOW) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (RFC_EXAMPLE, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (RFC_EXAMPLE + 0.999, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (1709164800, "Thu, 29 Feb 2024 00:00:00 GMT"),
    ],
)
def test_the_form_that_is_written(seconds: float, text: str) -> None:
    assert format_date(seconds) == text


@settings(max_examples=200, deadline=None, database=None)
@given(st.integers(0, 253402300799), st.integers(0, 253402300799))
def test_what_is_written_is_read_back(seconds: int, now: int) -> None:
    assert parse_date(format_date(seconds), now) == seconds


@settings(max_examples=200, deadline=None, database=None)
@given(st.text(max_size=40) | st.from_regex(r"\A[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\Z"))
def test_any_text_is_a_date_or_none(text: str) -> None:
    found = parse_date(text, NOW)
    assert found is None or format_date(found)[-3:] == "GMT"
