"""Request heads: what to accept, and what to refuse."""

from __future__ import annotations

from httpmini.lint.check import MUST, SHOULD, Group, fail
from httpmini.lint.checks.judge import refuses, sends_the_file
from httpmini.lint.lab import Session

_group = Group("heads", ("1.0", "1.1", "course"))
_STRICT = ("1.1",)


def _long_target(session: Session) -> None:
    answer = session.get("/" + "x" * 70_000)
    if not 400 <= answer.status < 600:
        fail(f"{answer}, not 414")


def _large_head(session: Session) -> None:
    said = session.ask(session.request("", "X: " + "x" * 1_000_000))
    if not said.raw and not said.ended:
        fail(f"nothing came within {session.lab.wait_s:g} s")
    if said.answers[0].status == 200:
        fail("a head of a megabyte was accepted")


def _absolute_form(session: Session) -> None:
    session.expect_file(session.get(f"http://{session.lab.host}{session.lab.target}", version="1.1"))


HEADS = (
    _group.check(
        MUST,
        "unknown-fields",
        "passes over fields that it does not know",
        "RFC 1945 7.1",
        "Browsers send a dozen fields: use those you know and ignore the rest.",
        sends_the_file("unknown field", "fields of a browser", "two Accept fields"),
    ),
    _group.check(
        SHOULD,
        "hundred-fields",
        "takes a hundred fields",
        "RFC 9110 5.4",
        "Read until the empty line, however many lines there are (and stop at some limit).",
        sends_the_file("100 fields"),
    ),
    _group.check(
        MUST,
        "field-octets",
        "takes empty values, tabs, and octets above 127 in values",
        "RFC 9110 5.5",
        "Decode heads as ISO-8859-1, which has a character for every octet.",
        sends_the_file("empty value", "tab in a value", "octets above 127 in a value"),
    ),
    _group.check(
        SHOULD,
        "bare-lf",
        "takes lines that end in LF alone",
        "RFC 1945 B",
        "People type requests with nc or telnet, and send LF without CR.",
        sends_the_file("bare LF"),
    ),
    _group.check(
        SHOULD,
        "empty-line-first",
        "passes over an empty line before the request",
        "RFC 9112 2.2",
        "Some old clients send CRLF after a body; it then stands before the next request.",
        sends_the_file("one empty line before"),
        profiles=_STRICT,
    ),
    _group.check(
        MUST,
        "absolute-form",
        "understands a target that is a whole URL",
        "RFC 9112 3.2.2",
        "Clients of proxies send 'GET http://host/path': take the path out of it.",
        _absolute_form,
        profiles=_STRICT,
    ),
    _group.check(
        SHOULD,
        "long-target",
        "answers 414 to an endless target",
        "RFC 9110 15.5.15",
        "Limit the line that you read, or one client can fill your memory.",
        _long_target,
    ),
    _group.check(
        SHOULD,
        "large-head",
        "refuses a head of a megabyte",
        "RFC 6585 5",
        "Limit the head as a whole: 8 to 16 KiB are usual.",
        _large_head,
    ),
    _group.check(
        MUST,
        "space-before-colon",
        "refuses a blank between a field's name and its colon",
        "RFC 9112 5.1",
        "Two programs that read 'Name :' differently can be played off against each other, so it has to be a 400.",
        refuses("blank before the colon", "tab before the colon", statuses=(400,)),
        profiles=_STRICT,
    ),
    _group.check(
        SHOULD,
        "field-syntax",
        "refuses lines that are no fields",
        "RFC 9112 5",
        "A line without a colon, or without a name before it, is a 400.",
        refuses("no colon", "no name", "blank in a name"),
        profiles=_STRICT,
    ),
    _group.check(
        SHOULD,
        "control-characters",
        "refuses control characters in fields and targets",
        "RFC 9110 5.5",
        "NUL and bare CR in a head are always an attack: answer 400.",
        refuses("NUL in a value", "bare CR in a value", "NUL in a name", "raw NUL"),
        profiles=_STRICT,
    ),
    _group.check(
        SHOULD,
        "version-form",
        "refuses what is no version",
        "RFC 9112 2.3",
        "The version is 'HTTP/', a digit, a dot and a digit; everything else is a 400.",
        refuses("no version: HTTP/1", "no version: HTTP/a.b", "no version: http/1.0", "no version: FTP/1.0"),
        profiles=_STRICT,
    ),
    _group.check(
        SHOULD,
        "version-major",
        "answers 505 to another major version",
        "RFC 9110 15.6.6",
        "HTTP/3.0 in a request line is nothing that you can answer: 505.",
        refuses("major 3.0", statuses=(505, 400)),
        profiles=_STRICT,
    ),
)
