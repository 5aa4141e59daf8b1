"""Conditional requests: does the client have this version already?"""

from __future__ import annotations

import re
import time

from httpmini.lint.answer import Answer
from httpmini.lint.check import MUST, SHOULD, Group, NotApplicable, fail
from httpmini.lint.lab import Session
from httpmini.protocol.dates import format_date, parse_date

_group = Group("conditions", ("1.1", "files"))
_OLD = ("1.0", "1.1", "files")
_ETAG = re.compile(r'(W/)?"[\x21\x23-\x7e\x80-\xff]*"')


def _modified(session: Session) -> int:
    """Return when the file was last modified, in seconds.

    Raises:
        NotApplicable: the server does not say so.
    """
    when = parse_date(session.get().get("last-modified") or "", 0)
    if when is None:
        raise NotApplicable("there is no valid Last-Modified")
    return int(when)


def _tag(session: Session) -> str:
    tag = session.get().get("etag")
    if tag is None:
        raise NotApplicable("there is no ETag")
    return tag


def _expect(session: Session, status: int, *lines: str) -> Answer:
    answer = session.get("", *lines)
    if answer.status != status:
        fail(f"{'; '.join(lines)}: {answer}, not {status}")
    if status == 200:
        session.expect_file(answer)
    return answer


def _same_date(session: Session) -> None:
    _expect(session, 304, f"If-Modified-Since: {format_date(_modified(session))}")


def _any_case(session: Session) -> None:
    _expect(session, 304, f"iF-mODIFIED-sINCE:{format_date(_modified(session))}")


def _older_date(session: Session) -> None:
    _expect(session, 200, f"If-Modified-Since: {format_date(_modified(session) - 86_400)}")


def _old_forms(session: Session) -> None:
    when = time.gmtime(_modified(session))
    _expect(session, 304, time.strftime("If-Modified-Since: %A, %d-%b-%y %H:%M:%S GMT", when))
    _expect(session, 304, f"If-Modified-Since: {time.asctime(when)}")


def _no_date(session: Session) -> None:
    for value in ("yesterday", "", "Sun, 06 Now 1994 08:49:37 GMT", "784111777"):
        _expect(session, 200, f"If-Modified-Since: {value}")


def _no_body(session: Session) -> None:
    line = f"If-Modified-Since: {format_date(_modified(session))}"
    said = session.ask(session.request("", line), to_end=True)
    answer = said.answers[0]
    if answer.status != 304:
        raise NotApplicable("there is no 304")
    extra = len(said.raw) - len(answer.head) - 4
    if extra > 0:
        fail(f"{extra:,} bytes came after the head")


def _tag_form(session: Session) -> None:
    tag = _tag(session)
    if not _ETAG.fullmatch(tag):
        fail(f"ETag: {tag[:40]} is not a text in quotes")


def _same_tag(session: Session) -> None:
    tag = _tag(session)
    _expect(session, 304, f"If-None-Match: {tag}")
    _expect(session, 304, f'If-None-Match: "x", {tag}')
    _expect(session, 200, 'If-None-Match: "x"')


def _star(session: Session) -> None:
    _tag(session)
    _expect(session, 304, "If-None-Match: *")


def _304_has_the_tag(session: Session) -> None:
    tag = _tag(session)
    answer = session.get("", f"If-None-Match: {tag}")
    if answer.status != 304:
        raise NotApplicable("there is no 304")
    if answer.get("etag") != tag:
        fail(f"the 304 has {answer.get('etag')}, the 200 {tag}")


def _tag_before_date(session: Session) -> None:
    _tag(session)
    when = format_date(_modified(session))
    _expect(session, 200, 'If-None-Match: "x"', f"If-Modified-Since: {when}")


def _if_match(session: Session) -> None:
    _tag(session)
    _expect(session, 412, 'If-Match: "x"')


CONDITIONS = (
    _group.check(
        SHOULD,
        "if-modified-since",
        "answers 304 if the client has this version",
        "RFC 1945 8.1, 9.3",
        "Compare If-Modified-Since with what you sent as Last-Modified: if it is as new, 304 saves the body.",
        _same_date,
        profiles=(*_OLD, "course"),
    ),
    _group.check(
        MUST,
        "modified-later",
        "sends the file if it is newer than the client's",
        "RFC 1945 8.1",
        "If the file is newer than the date in the request, it is an ordinary 200.",
        _older_date,
        profiles=(*_OLD, "course"),
    ),
    _group.check(
        MUST,
        "field-case",
        "reads names of fields in any case",
        "RFC 1945 4.2",
        "Compare names of fields in lower case.",
        _any_case,
        profiles=_OLD,
    ),
    _group.check(
        MUST,
        "date-forms",
        "reads the two old forms of dates",
        "RFC 1945 3.3",
        "Servers accept three forms of dates and send only the first.",
        _old_forms,
        profiles=_OLD,
    ),
    _group.check(
        MUST,
        "date-invalid",
        "ignores an invalid date",
        "RFC 1945 10.9",
        "A date that cannot be read is as if it were not there.",
        _no_date,
        profiles=_OLD,
    ),
    _group.check(
        MUST,
        "304-body",
        "sends no body with a 304",
        "RFC 1945 9.3",
        "304 ends with the empty line: the client shows its own copy.",
        _no_body,
        profiles=_OLD,
    ),
    _group.check(
        MUST,
        "etag-form",
        "writes entity tags in quotes",
        "RFC 9110 8.8.3",
        'A tag is opaque text in double quotes: ETag: "v1".',
        _tag_form,
    ),
    _group.check(
        MUST,
        "if-none-match",
        "compares entity tags, one or several",
        "RFC 9110 13.1.2",
        "If-None-Match is a list: 304 if one of its tags is yours.",
        _same_tag,
    ),
    _group.check(
        MUST,
        "if-none-match-star",
        "answers 304 to If-None-Match: *",
        "RFC 9110 13.1.2",
        "The star stands for any version.",
        _star,
    ),
    _group.check(
        MUST,
        "304-etag",
        "repeats the entity tag in a 304",
        "RFC 9110 15.4.5",
        "The client has to know which of its versions is good.",
        _304_has_the_tag,
    ),
    _group.check(
        MUST,
        "tag-before-date",
        "ignores If-Modified-Since beside If-None-Match",
        "RFC 9110 13.1.3",
        "Tags tell versions of one second apart, so they decide alone.",
        _tag_before_date,
    ),
    _group.check(
        SHOULD,
        "if-match",
        "answers 412 if the client wants another version",
        "RFC 9110 13.1.1",
        "If-Match goes on with a download only if it is still the same version.",
        _if_match,
    ),
)
