"""HTTP dates: read in three forms, written in one (RFC 1945 §3.3, RFC 9110 §5.6.7).

They are always in English and in GMT. ``strftime`` is not used, because it follows the user's locale.
"""

from __future__ import annotations

import re
import time
from functools import cache, lru_cache

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_MONTH = "(?P<month>" + "|".join(MONTHS) + ")"
_TIME = "(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_FORMS = (
    # Sun, 06 Nov 1994 08:49:37 GMT      IMF-fixdate, RFC 1123
    rf"(?:{'|'.join(DAYS)}), (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT",
    # Sunday, 06-Nov-94 08:49:37 GMT     RFC 850
    "(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday), "
    rf"(?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT",
    # Sun Nov  6 08:49:37 1994           asctime
    rf"(?:{'|'.join(DAYS)}) {_MONTH} (?P<day>[0-9 ][0-9]) {_TIME} (?P<year>[0-9]{{4}})",
)


@cache  # with the first date: a start need not wait for it
def _forms() -> tuple[re.Pattern[str], ...]:
    return tuple(map(re.compile, _FORMS))


def format_date(seconds: float) -> str:
    """Format ``seconds`` since the epoch as an IMF-fixdate, without the fraction."""
    return _format_date(int(seconds))


@lru_cache(maxsize=1024)  # the current second recurs, and many files have the same date
def _format_date(seconds: int) -> str:
    t = time.gmtime(seconds)
    return (
        f"{DAYS[t.tm_wday]}, {t.tm_mday:02} {MONTHS[t.tm_mon - 1]} {t.tm_year:04} "
        f"{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02} GMT"
    )


def parse_date(text: str, wall: float) -> int | None:
    """Parse an HTTP date in any of the three forms.

    Args:
        text: the field value.
        wall: the time of day, in seconds since the epoch. A two-digit year that would be more than 50 years ahead
            belongs to the previous century (RFC 9110 §5.6.7).

    Returns:
        Seconds since the epoch, or None if ``text`` is not a date.
    """
    for form in _forms():
        if match := form.fullmatch(text):
            break
    else:
        return None
    import calendar  # not needed to write dates

    year, month, day = int(match["year"]), MONTHS.index(match["month"]) + 1, int(match["day"])
    if len(match["year"]) == 2:
        this_year = time.gmtime(wall).tm_year
        year += this_year - this_year % 100
        if year > this_year + 50:
            year -= 100
    hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"])
    # 60 is a leap second (RFC 9110 §5.6.7); timegm counts it as the first second of the next minute.
    if year < 1 or not 1 <= day <= calendar.monthrange(year, month)[1] or hour > 23 or minute > 59 or second > 60:
        return None
    return calendar.timegm((year, month, day, hour, minute, second))
