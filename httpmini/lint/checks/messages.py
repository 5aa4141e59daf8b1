"""A request and its response: the least that a server and a client agree upon."""

from __future__ import annotations

import re

from httpmini.lint.check import DECISION, MUST, SHOULD, Group, fail
from httpmini.lint.lab import Session
from httpmini.protocol.dates import format_date, parse_date

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] [1-5][0-9]{2} [\t\x20-\x7e\x80-\xff]*")
_FIELD_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*")
_ALL = ("1.0", "1.1", "files", "course")
_group = Group("messages", ("1.0", "1.1", "course"))


def _gets_a_file(session: Session) -> None:
    session.expect_file(session.get())


def _says_its_length(session: Session) -> None:
    answer = session.get()
    length = answer.get("content-length")
    if length is None:
        fail("there is no Content-Length")
    if not answer.is_complete:
        fail(f"Content-Length says {length}, and {len(answer.body):,} bytes came")
    session.expect_file(answer)


def _head_is_well_formed(session: Session) -> None:
    head = session.get().head
    lines = head.split(b"\r\n")
    if b"\n" in head.replace(b"\r\n", b"") or not head:
        fail("a line ends in a bare LF" if head else "there is no head")
    if not _STATUS_LINE.fullmatch(lines[0]):
        fail(f"the status line is {lines[0][:60]!r}")
    wrong = next((line for line in lines[1:] if not _FIELD_LINE.fullmatch(line)), None)
    if wrong is not None:
        fail(f"a field line is {wrong[:60]!r}")


def _head_has_no_body(session: Session) -> None:
    said = session.ask(session.request(method="HEAD"), head_only=True, to_end=True)
    if not said.answers[0].status:
        fail(f"{said.answers[0]} came")
    extra = len(said.raw) - len(said.answers[0].head) - 4
    if extra > 0:
        fail(f"{extra:,} bytes came after the head")


def _head_has_the_fields_of_get(session: Session) -> None:
    by_get, by_head = session.get(), session.get(method="HEAD")
    if by_get.status != by_head.status:
        fail(f"GET: {by_get}, HEAD: {by_head}")
    for name in ("content-length", "content-type", "last-modified", "etag"):
        if by_get.get(name) != by_head.get(name):
            fail(f"{name}: {by_get.get(name)!r} for GET, {by_head.get(name)!r} for HEAD")


def _says_the_date(session: Session) -> None:
    date = session.get().get("date")
    if date is None:
        fail("there is no Date")
    when = parse_date(date, 0)
    if when is None or format_date(when) != date:
        fail(f"Date: {date[:40]!r} is not in the form of RFC 1123")


def _says_the_type(session: Session) -> None:
    kind = session.get().get("content-type")
    if kind is None:
        fail("there is no Content-Type")
    if "/" not in kind:
        fail(f"Content-Type: {kind[:40]!r} is no media type")


def _ends_the_connection(session: Session) -> None:
    said = session.ask(session.request(), to_end=True)
    if not said.ended:
        fail(f"it was still open after {session.lab.wait_s:g} s")
    session.expect_file(said.answers[0])


def _not_found(session: Session) -> None:
    answer = session.get("/there-is-no-such-file-7f3a")
    if answer.status not in (404, 410):
        fail(f"{answer}, not 404")


def _accepts_higher_minor(session: Session) -> None:
    session.expect_file(session.get(version="1.1"))


def _simple_request(session: Session) -> None:
    said = session.ask(f"GET {session.lab.target}\r\n".encode(), to_end=True)
    if said.raw.startswith(b"HTTP/"):
        fail(f"a head came: {said.answers[0]}")
    if said.raw != session.lab.body:
        fail(f"{len(said.raw):,} bytes came, not the {len(session.lab.body):,} of the file")


def _unknown_method(session: Session) -> None:
    answer = session.get(method="BREW")
    if answer.status not in (501, 405):
        fail(f"{answer}, not 501")


def _post_is_refused(session: Session) -> None:
    answer = session.answer(session.request("", "Content-Length: 5", method="POST") + b"hello")
    if 200 <= answer.status < 300:
        fail(f"{answer}: a file cannot process a POST")
    if not 400 <= answer.status < 600:
        fail(f"{answer}, not 405")


def _says_what_is_allowed(session: Session) -> None:
    answer = session.get(method="DELETE")
    if answer.status == 405 and answer.get("allow") is None:
        fail("405 without the Allow field")
    if answer.status < 400:
        fail(f"{answer}, not 405")


def _methods_in_lower_case(session: Session) -> None:
    answer = session.get(method="get")
    if answer.status == 200:
        fail('"get" was taken for GET')


def _names_itself(session: Session) -> None:
    if session.get().get("server") is None:
        fail("there is no Server field")


def _garbage(session: Session) -> None:
    said = session.ask(b"hello, is this HTTP?\r\n\r\n")
    if said.raw.startswith(b"HTTP/"):
        if not 400 <= said.answers[0].status < 600:
            fail(f"{said.answers[0]}, not 400")
    else:
        fail(f"{said.answers[0]} came, not a 400")


def _later_protocols(session: Session) -> None:
    said = session.ask(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
    if not said.raw and not said.ended:
        fail(f"nothing came within {session.lab.wait_s:g} s")
    if said.answers[0].status and said.answers[0].status < 400:
        fail(f"{said.answers[0]}")


def _tls_hello(session: Session) -> None:
    said = session.ask(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(32, 200)))
    if not said.raw and not said.ended:
        fail(f"it waited for more: nothing came within {session.lab.wait_s:g} s")


MESSAGES = (
    _group.check(
        MUST,
        "get-file",
        "answers GET with the file's bytes",
        "RFC 1945 8.1",
        "Read the file in binary mode, send a status line, fields, an empty line, and then exactly these bytes.",
        _gets_a_file,
        profiles=_ALL,
    ),
    _group.check(
        SHOULD,
        "content-length",
        "says how long the file is",
        "RFC 1945 10.4",
        "Without Content-Length a client cannot tell a whole file from one that was cut off.",
        _says_its_length,
        profiles=_ALL,
    ),
    _group.check(
        MUST,
        "head-form",
        "sends a status line and fields in their form, each ended by CRLF",
        "RFC 1945 4.1, 6",
        r"Every line of the head ends with \r\n, and an empty line ends the head.",
        _head_is_well_formed,
    ),
    _group.check(
        MUST,
        "head-body",
        "answers HEAD without a body",
        "RFC 1945 8.2",
        "HEAD asks for the fields alone: send the head that GET would get, and stop.",
        _head_has_no_body,
    ),
    _group.check(
        SHOULD,
        "head-fields",
        "answers HEAD with the fields of GET",
        "RFC 1945 8.2",
        "A client uses HEAD to learn how long and how new a file is, so the fields have to be those of GET.",
        _head_has_the_fields_of_get,
    ),
    _group.check(
        SHOULD,
        "date",
        "says the date in the form of RFC 1123",
        "RFC 1945 10.6, 3.3",
        "Send Date in the form 'Sun, 06 Nov 1994 08:49:37 GMT', whatever the language of the machine.",
        _says_the_date,
    ),
    _group.check(
        SHOULD,
        "content-type",
        "says the media type",
        "RFC 1945 7.2.1, 10.5",
        "Browsers decide by Content-Type whether to show a file or to save it.",
        _says_the_type,
    ),
    _group.check(
        MUST,
        "closes",
        "ends the connection after the response, if nobody asked to keep it",
        "RFC 1945 1.3",
        "Close the socket after the response: many clients wait for the end of the connection.",
        _ends_the_connection,
        profiles=("1.0", "course"),
    ),
    _group.check(
        MUST,
        "not-found",
        "answers 404 for what is not there",
        "RFC 1945 9.4",
        "A missing file is an answer with a status of its own, not a closed connection.",
        _not_found,
        profiles=_ALL,
    ),
    _group.check(
        MUST,
        "higher-minor",
        "answers a request of HTTP/1.1",
        "RFC 1945 3.1",
        "A server answers requests of a higher minor version as it would those of its own.",
        _accepts_higher_minor,
    ),
    _group.check(
        SHOULD,
        "simple-request",
        "answers a request without a version with the bare file",
        "RFC 1945 4.1, 6",
        "HTTP/0.9 had no heads: 'GET /file' and an end of line are answered with the bytes alone.",
        _simple_request,
        profiles=("1.0",),
    ),
    _group.check(
        SHOULD,
        "unknown-method",
        "answers 501 to a method that it does not know",
        "RFC 1945 5.1.1",
        "Look at the method before the target: a word you do not know gets 501.",
        _unknown_method,
    ),
    _group.check(
        SHOULD,
        "post",
        "does not accept a POST to a file",
        "RFC 9110 15.5.6",
        "A file cannot process what was posted: say 405, or 501, instead of success.",
        _post_is_refused,
    ),
    _group.check(
        MUST,
        "allow",
        "says in a 405 what is allowed",
        "RFC 9110 15.5.6",
        "405 has to come with Allow: GET, HEAD (or what else you have).",
        _says_what_is_allowed,
        profiles=("1.1",),
    ),
    _group.check(
        SHOULD,
        "method-case",
        'does not take "get" for GET',
        "RFC 9110 9.1",
        "Methods are case-sensitive: compare the word as it came.",
        _methods_in_lower_case,
        profiles=("1.1",),
    ),
    _group.check(
        DECISION,
        "server-field",
        "names itself in the Server field",
        "RFC 1945 10.14",
        "The Server field tells people what they are talking to; some leave it out on purpose.",
        _names_itself,
        profiles=("1.0", "1.1"),
    ),
    _group.check(
        SHOULD,
        "garbage",
        "answers 400 to what is not HTTP",
        "RFC 1945 9.4",
        "If the first line is not a request line, say 400 and close; do not crash, and do not wait for more.",
        _garbage,
    ),
    _group.check(
        SHOULD,
        "http2",
        "turns an HTTP/2 client away",
        "RFC 9113 3.4",
        "Clients that try HTTP/2 first go on with HTTP/1.1 if they are told at once that it is not spoken here.",
        _later_protocols,
        profiles=("1.1",),
    ),
    _group.check(
        SHOULD,
        "tls",
        "turns a TLS client away",
        "concurrency",
        "A browser that tries https:// sends a TLS hello: it has no line end, so do not wait for one for ever.",
        _tls_hello,
        profiles=("1.1", "course"),
    ),
)
