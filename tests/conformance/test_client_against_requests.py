"""Our client compared with ``requests``: both get the same responses, and every difference has a name and a reason.

The responses come from h11, which is correct, and from scripts, which send anything and end in any way. The outcome is
reduced to a response (status, fields, body) or the cause why there is none. Each case states the outcome for our
client, so that two clients with the same error are found out. If the outcome for ``requests`` differs, the case states
that too, and names the row of ``DIFFERENCES`` that explains it.

The behaviour of ``requests`` is largely that of the standard library's ``http.client``.
"""

from __future__ import annotations

import http.client
import re
import socket
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import h11
import pytest
import requests
import urllib3

from httpmini.client.client import Client
from httpmini.client.options import Retries
from httpmini.errors import BrokenResponse, NotConnected, TimedOut, Truncated
from tests.conformance.scripted import Converse, End, script, serving, wait_for_end
from tests.support.tables import check_all, in_batches
from tests.support.wire import WAIT_S

# ---------------------------------------------------------------------------------------------------------------
# Outcomes


class Cause(Enum):
    """Why there is no response."""

    BROKEN = "these bytes are not an answer that it takes"
    TRUNCATED = "the connection was closed before the response was complete"
    LOST = "the connection was reset before the response was complete"
    SILENT = "nothing came for too long"


class Answer(NamedTuple):
    """A complete response; fields sorted by their lower-case names, text as ISO-8859-1."""

    status: int
    fields: tuple[tuple[str, str], ...]
    body: bytes


Outcome = Answer | Cause


def ours(url: str, method: str = "GET") -> Outcome:
    """Fetch ``url`` with our client: without decoding, redirections or retries."""
    try:
        with (
            Client(follow=False, decode=False, retries=Retries(times=0)) as client,
            client.fetch(url, method=method) as answer,
        ):
            return Answer(answer.status, in_order(answer.headers), answer.read())
    except (NotConnected, Truncated) as error:  # every server here accepts connections
        return Cause.LOST if isinstance(error.__cause__, OSError) else Cause.TRUNCATED
    except BrokenResponse:
        return Cause.BROKEN
    except TimedOut:
        return Cause.SILENT


def theirs(url: str, method: str = "GET") -> Outcome:
    """Fetch ``url`` with ``requests``: without decoding or redirections."""
    fields = {"Accept-Encoding": "identity"}
    try:
        with requests.Session() as session:
            session.trust_env = False
            with session.request(
                method, url, headers=fields, stream=True, allow_redirects=False, timeout=WAIT_S
            ) as answer:
                body = b"".join(answer.raw.stream(65536, decode_content=False))
                return Answer(answer.status_code, in_order(answer.raw.headers.iteritems()), body)
    except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
        return cause_of(error)


# The first match among an error and its causes counts: some classes are subclasses of others.
THEIR_CAUSES: tuple[tuple[type[BaseException], Cause], ...] = (
    (urllib3.exceptions.InvalidChunkLength, Cause.BROKEN),
    (http.client.IncompleteRead, Cause.TRUNCATED),
    (http.client.RemoteDisconnected, Cause.TRUNCATED),
    (http.client.HTTPException, Cause.BROKEN),
    (urllib3.exceptions.InvalidHeader, Cause.BROKEN),
    (ConnectionResetError, Cause.LOST),
    (urllib3.exceptions.TimeoutError, Cause.SILENT),
)


def cause_of(error: Exception) -> Cause:
    """Return the cause behind an error from ``requests``."""
    within = list(errors_in(error))
    for kind, cause in THEIR_CAUSES:
        if any(isinstance(each, kind) for each in within):
            return cause
    if "ended prematurely" in str(error):  # in the line with a chunk's size
        return Cause.TRUNCATED
    if "read length must be non-negative" in str(error):  # a negative size, which was not checked
        return Cause.BROKEN
    raise error


def errors_in(error: BaseException) -> Iterator[BaseException]:
    yield error
    for argument in error.args:
        if isinstance(argument, BaseException):
            yield from errors_in(argument)


def in_order(fields: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Sort fields by name. Those of one name stay in order, the only order that matters (RFC 9110 §5.3)."""
    return tuple(sorted(((name.lower(), value) for name, value in fields), key=lambda field: field[0]))


# ---------------------------------------------------------------------------------------------------------------
# The differences

Kind = type[Answer] | Cause


def kind(outcome: Outcome) -> Kind:
    return Answer if isinstance(outcome, Answer) else outcome


class Difference(NamedTuple):
    """A way in which the clients differ: the kind of outcome on each side, and why, with the RFC section."""

    ours: Kind
    theirs: Kind
    why: str


DIFFERENCES = {
    # The status line.
    "spelling of the status": Difference(
        Cause.BROKEN,
        Answer,
        "A status is three digits (RFC 9112 §4); requests accepts what int() accepts, between 100 and 999.",
    ),
    "blanks in the status line": Difference(
        Cause.BROKEN,
        Answer,
        "One space separates the words, and a client may be lenient about that (RFC 9112 §4): requests is.",
    ),
    "spelling of the version": Difference(
        Cause.BROKEN,
        Answer,
        "A version is a digit, a dot and a digit (RFC 9112 §2.3); requests takes anything after HTTP/1. for 1.1.",
    ),
    "other major version": Difference(
        Answer,
        Cause.BROKEN,
        "We parse anything with the grammar of HTTP/1, whatever major version it claims; requests refuses it "
        "(RFC 9110 §2.5 has no rule for a client).",
    ),
    "control character in the phrase": Difference(
        Cause.BROKEN,
        Answer,
        "A reason phrase has no control characters except HTAB (RFC 9112 §4); requests accepts any.",
    ),
    # The end of a head.
    "cut off in the status line": Difference(
        Cause.TRUNCATED,
        Cause.BROKEN,
        "Both refuse it; requests takes a truncated status line for a complete, invalid one (RFC 9112 §8).",
    ),
    "cut off in the head": Difference(
        Cause.TRUNCATED,
        Answer,
        "A head without its empty line is incomplete (RFC 9112 §8); requests takes the end of the connection for it.",
    ),
    # Fields.
    "blank before the first field": Difference(
        Cause.BROKEN,
        Answer,
        "The line must be refused or dropped (RFC 9112 §2.2): we refuse it, requests drops it.",
    ),
    "line that is no field": Difference(
        Cause.BROKEN,
        Answer,
        "A field is a token, a colon and a value (RFC 9112 §5), with nothing before the colon (§5.1); requests drops "
        "the line, and often all that follow, or accepts the name as it is.",
    ),
    "control character in a value": Difference(
        Cause.BROKEN,
        Answer,
        "NUL must be refused or replaced, other controls are invalid (RFC 9110 §5.5); requests keeps them.",
    ),
    "bare CR": Difference(
        Cause.BROKEN,
        Answer,
        "A bare CR is not a line end: it is invalid, or a space (RFC 9112 §2.2); requests starts a new line there.",
    ),
    "blanks around a value": Difference(
        Answer,
        Answer,
        "White space around a value is not part of it (RFC 9112 §5.1); requests keeps it after the value, and a fold "
        "on either side.",
    ),
    "number of fields": Difference(
        Answer,
        Cause.BROKEN,
        "Every client has its own limit (RFC 9110 §5.4): ours is 500 fields, http.client's is 100 lines.",
    ),
    "size of the head": Difference(
        Cause.BROKEN,
        Answer,
        "Every client has its own limit (RFC 9110 §5.4): we limit the head as a whole, http.client each line.",
    ),
    # Lengths.
    "length that is no number": Difference(
        Cause.BROKEN,
        Answer,
        "A length that is not digits cannot be recovered from (RFC 9112 §6.3); requests accepts what int() accepts, "
        "and reads to the close otherwise.",
    ),
    "length that is too large": Difference(
        Cause.BROKEN,
        Cause.TRUNCATED,
        "We accept lengths that surely fit 63 bits (RFC 9110 §8.6: beware of overflows); requests waits for all of it.",
    ),
    "equal lengths": Difference(
        Cause.BROKEN,
        Answer,
        "Equal lengths, in a list or in several fields, may be refused or merged (RFC 9110 §8.6): requests merges.",
    ),
    "length of no body": Difference(
        Cause.BROKEN,
        Answer,
        "Where no body follows, the length does not matter (RFC 9112 §6.3); we refuse an invalid one there too.",
    ),
    # Transfer codings.
    "chunk that is none": Difference(
        Cause.BROKEN,
        Answer,
        "A chunk's size is hexadecimal digits, and CRLF follows its bytes (RFC 9112 §7.1); requests accepts what "
        "int() accepts, and any two octets.",
    ),
    "chunks without their end": Difference(
        Cause.TRUNCATED,
        Answer,
        "Chunks end with an empty line after the last of them (RFC 9112 §7.1, §8); requests takes the end of the "
        "connection for it.",
    ),
    "chunk that is too large": Difference(
        Cause.BROKEN,
        Cause.TRUNCATED,
        "Sizes may have any number of digits, and overflows must be prevented (RFC 9112 §7.1): we accept sixteen; "
        "requests waits for all of it.",
    ),
    "no size, and cut off": Difference(
        Cause.TRUNCATED,
        Cause.BROKEN,
        "Both refuse it; requests takes a truncated line for a complete, invalid one (RFC 9112 §8).",
    ),
    "chunked, and a length": Difference(
        Cause.BROKEN,
        Answer,
        "A message with both can be read in two ways, and ought to be refused (RFC 9112 §6.1, §6.3); requests reads "
        "the chunks.",
    ),
    "other transfer coding": Difference(
        Cause.BROKEN,
        Answer,
        "We decode chunked only, once, and refuse anything else (RFC 9112 §6.1); requests decodes chunked if it is "
        "named, and ignores unknown transfer codings.",
    ),
    "chunks where no body is": Difference(
        Answer,
        Answer,
        "204 and 304 end with their head, whatever it says (RFC 9112 §6.3); requests reads chunks after it.",
    ),
    # Before the final response.
    "103 as the answer": Difference(
        Answer,
        Answer,
        "The final response comes after any number of 1xx (RFC 9110 §15.2); requests skips 100 only.",
    ),
    "103 and no answer": Difference(
        Cause.TRUNCATED,
        Answer,
        "The final response comes after any number of 1xx (RFC 9110 §15.2); requests skips 100 only.",
    ),
    "fields of a 100": Difference(
        Cause.BROKEN,
        Answer,
        "A 1xx has fields too (RFC 9110 §15.2), and an invalid one is refused; requests does not check them.",
    ),
    "endless 100": Difference(
        Cause.BROKEN,
        Answer,
        "Everything that a peer may repeat needs a limit (RFC 9110 §17.5), including 1xx (§15.2); requests has none.",
    ),
}

# ---------------------------------------------------------------------------------------------------------------
# The scripts


@dataclass(frozen=True)
class Case:
    """A response in octets.

    Attributes:
        name: for the reader.
        said: what the server sends, in one or several pieces.
        ours: the outcome that our client must have.
        theirs: the outcome for ``requests``, if it differs.
        because: the row of ``DIFFERENCES`` that explains it.
        end: what the server does afterwards.
        method: of the request.
    """

    name: str
    said: bytes | tuple[bytes, ...]
    ours: Outcome
    theirs: Outcome | None = None
    because: str = ""
    end: End = End.CLOSE
    method: str = "GET"

    @property
    def pieces(self) -> tuple[bytes, ...]:
        return (self.said,) if isinstance(self.said, bytes) else self.said


def took(body: bytes, *fields: str, status: int = 200) -> Answer:
    """Build a response with fields given as ``name: value``."""
    return Answer(
        status, in_order((name, value) for name, _, value in (field.partition(": ") for field in fields)), body
    )


BROKEN, TRUNCATED, LOST = Cause.BROKEN, Cause.TRUNCATED, Cause.LOST
HELLO = took(b"hello", "content-length: 5")

OK = b"HTTP/1.0 200 OK\r\n"
OK_1_1 = b"HTTP/1.1 200 OK\r\n"
COUNTED = b"Content-Length: 5\r\n\r\nhello"
WHOLE = OK + COUNTED
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n"
CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"
MIB = bytes(range(256)) * 4096
ENDLESS = 256  # times 64 KiB: much more than a client should read of one head


def status_line(line: bytes, ours: Outcome, theirs: Outcome | None = None, because: str = "") -> Case:
    return Case(f"status line {line!r}", line + b"\r\n" + COUNTED, ours, theirs, because)


def field_line(line: bytes, ours: Outcome, theirs: Outcome | None = None, because: str = "") -> Case:
    return Case(f"field {line!r}", OK + line + b"\r\n" + COUNTED, ours, theirs, because)


def length(
    value: bytes, ours: Outcome, theirs: Outcome | None = None, because: str = "", body: bytes = b"hello"
) -> Case:
    return Case(f"length {value!r}", OK + b"Content-Length: " + value + b"\r\n\r\n" + body, ours, theirs, because)


def odd_length(value: str, body: bytes = b"hello") -> Case:
    """An invalid length, which ``requests`` ignores, or parses as int() does."""
    there = took(body, f"content-length: {value}")
    return length(value.encode("iso-8859-1"), BROKEN, there, "length that is no number", body)


def chunked(chunks: bytes, ours: Outcome, theirs: Outcome | None = None, because: str = "") -> Case:
    head = OK_1_1 + b"Transfer-Encoding: chunked\r\n\r\n"
    return Case(f"chunks {chunks!r}", head + chunks, ours, theirs, because)


def in_chunks(body: bytes) -> Answer:
    return took(body, "transfer-encoding: chunked")


def coded(*fields: str, body: bytes, because: str = "", first: bytes = OK_1_1) -> Case:
    """Chunks under a head with unusual fields; refused by us for a reason, or read by both."""
    head = first + "\r\n".join([*fields, "", ""]).encode()
    there = took(body, *fields)
    name = f"chunks, {first[:8].decode()}, {', '.join(fields)}"
    return Case(name, head + CHUNKS, BROKEN if because else there, there if because else None, because)


def ending(name: str, said: bytes, end: End, ours: Outcome, theirs: Outcome | None = None, because: str = "") -> Case:
    return Case(f"{name}, {end.name}", said, ours, theirs, because, end)


STATUS_LINES = (
    *(
        status_line(line, BROKEN)
        for line in (
            *(b"HTTP/1.0 99 OK", b"HTTP/1.0 2000 OK", b"HTTP/1.0 -200 OK", b"HTTP/1.0 2OO OK", b"HTTP/1.0 000 OK"),
            *(b"HTTP/1.0 099 OK", b"HTTP/1.0 20 OK", b"HTTP/1.0 200.5 OK", b"HTTP/1.0 \xb2\xb0\xb0 OK", b"HTTP/1.0 OK"),
            *(b"HTTP/1.0200 OK", b"HTTP/1.0 200OK", b"HTTP/1.0", b"HTTP/1.0 ", b"HTTP/1 200 OK", b"HTTP/2 200 OK"),
            *(b"HTTP/01.0 200 OK", b"HTTP/-1.0 200 OK", b"http/1.0 200 OK", b"HTTPS/1.0 200 OK", b"ICY 200 OK"),
            *(b"", b"SSH-2.0-OpenSSH_9.2", b"\x15\x03\x01\x00\x02\x02\x16", b"GET / HTTP/1.0", b"HTTP 200 OK"),
        )
    ),
    *(
        status_line(line, HELLO)
        for line in (
            *(b"HTTP/1.0 200", b"HTTP/1.0 200 ", b"HTTP/1.0 200 caf\xe9", b"HTTP/1.0 200 a\tb", b"HTTP/1.0 200 404 x"),
            *(b"HTTP/1.1 200 OK", b"HTTP/1.2 200 OK", b"HTTP/1.9 200", b"HTTP/0.9 200 OK"),
        )
    ),
    *(
        status_line(b"HTTP/1.0 " + str(status).encode(), HELLO._replace(status=status))
        for status in (299, 302, 399, 401, 431, 499, 503, 599, 600, 999)
    ),
    *(
        status_line(line, BROKEN, HELLO, "spelling of the status")
        for line in (b"HTTP/1.0 +200 OK", b"HTTP/1.0 0200 OK", b"HTTP/1.0 2_0_0 OK")
    ),
    *(
        status_line(line, BROKEN, HELLO, "blanks in the status line")
        for line in (b"HTTP/1.0  200 OK", b"HTTP/1.0\t200\tOK", b" HTTP/1.0 200 OK")
    ),
    *(
        status_line(line, BROKEN, HELLO, "spelling of the version")
        for line in (b"HTTP/1.10 200 OK", b"HTTP/1.x 200 OK", b"HTTP/1. 200 OK", b"HTTP/1.0.1 200 OK")
    ),
    *(
        status_line(line, HELLO, BROKEN, "other major version")
        for line in (b"HTTP/2.0 200 OK", b"HTTP/3.0 200 OK", b"HTTP/0.0 200 OK")
    ),
    *(
        status_line(line, BROKEN, HELLO, "control character in the phrase")
        for line in (b"HTTP/1.0 200 \x1b[31m", b"HTTP/1.0 200 O\0K", b"HTTP/1.0 200 O\rK", b"HTTP/1.0 200 \x7f")
    ),
    # HTTP/0.9 would be the body alone (RFC 1945 §6). We send 1.0, and accept no such response.
    Case("HTTP/0.9", b"<html>hello</html>\n", BROKEN),
    Case("HTTP/0.9 without a line", b"hello", BROKEN),
    Case("empty line first", b"\r\n" + WHOLE, BROKEN),
)

LINES_THAT_ARE_NO_FIELDS: tuple[tuple[bytes, tuple[str, ...]], ...] = (
    # The status line, and what requests makes of it and of the length after it.
    (b"A : b", ()),
    (b"A\t: b", ()),
    (b"A", ()),
    (b"A B: c", ()),
    (b"\xe9: b", ()),
    (b"A\0: b", ()),
    (b": b", ("content-length: 5",)),
    (b"From x", ("content-length: 5",)),
    (b"A(: b", ("a(: b", "content-length: 5")),
)

FIELDS = (
    Case("LF alone", WHOLE.replace(b"\r\n", b"\n"), HELLO),
    Case("LF and CR LF", OK + b"A: b\n" + b"Content-Length: 5\r\n\nhello", took(b"hello", "a: b", "content-length: 5")),
    *(
        field_line(line, took(b"hello", f"a: {value}", "content-length: 5"))
        for line, value in (
            *((b"A:b", "b"), (b"A:  \t b", "b"), (b"A:", ""), (b"A: ", ""), (b"A: b:c", "b:c"), (b"a: b\tc", "b\tc")),
            *((b"A: caf\xe9 \xff\x80", "caf\xe9 \xff\x80"), (b"A: b\x85", "b\x85"), (b"A: \xa0b\xa0", "\xa0b\xa0")),
            *((b'A: "', '"'), (b"A: b\r\n c", "b c"), (b"A: b\r\n\tc", "b c"), (b"A: b\r\n   c\r\n d", "b c d")),
        )
    ),
    field_line(b"X!#$%&'*+-.^_`|~9: b", took(b"hello", "x!#$%&'*+-.^_`|~9: b", "content-length: 5")),
    field_line(b"B: 1\r\nA: x\r\nb: 2", took(b"hello", "b: 1", "b: 2", "a: x", "content-length: 5")),
    field_line(b"Content-Encoding: gzip", took(b"hello", "content-encoding: gzip", "content-length: 5")),
    field_line(b"Location: /x", took(b"hello", "location: /x", "content-length: 5")),
    *(
        field_line(
            line,
            took(b"hello", "a: b", "content-length: 5"),
            took(b"hello", f"a: {kept}", "content-length: 5"),
            "blanks around a value",
        )
        for line, kept in ((b"A: b ", "b "), (b"A: b\t", "b\t"), (b"A: b\r\n ", "b "), (b"A:\r\n b", " b"))
    ),
    field_line(b" A: b", BROKEN, HELLO, "blank before the first field"),
    field_line(b"\tA: b", BROKEN, HELLO, "blank before the first field"),
    *(
        field_line(line, BROKEN, took(b"hello", *fields), "line that is no field")
        for line, fields in LINES_THAT_ARE_NO_FIELDS
    ),
    *(
        field_line(
            b"A: " + value.encode(),
            BROKEN,
            took(b"hello", f"a: {value}", "content-length: 5"),
            "control character in a value",
        )
        for value in ("b\0c", "\x01", "b\x0bc", "b\x0c", "\x1b[31m", "\x7f")
    ),
    field_line(b"A: b\rC: d", BROKEN, took(b"hello", "a: b", "c: d", "content-length: 5"), "bare CR"),
    field_line(b"A: b\r", BROKEN, took(b"hello", "a: b"), "bare CR"),
    *(
        Case(
            f"{count} fields",
            OK + b"A: b\r\n" * (count - 1) + COUNTED,
            took(b"hello", *["a: b"] * (count - 1), "content-length: 5") if count <= 500 else BROKEN,
            BROKEN if 100 <= count <= 500 else None,
            "number of fields" if 100 <= count <= 500 else "",
        )
        for count in (99, 100, 500, 501, 20_000)
    ),
    Case("long phrase", b"HTTP/1.0 200 " + b"b" * 60_000 + b"\r\n" + COUNTED, HELLO),
    Case("too long a phrase", b"HTTP/1.0 200 " + b"b" * 400_000 + b"\r\n" + COUNTED, BROKEN),
    Case(
        "long line",
        OK + b"A: " + b"b" * 60_000 + b"\r\n" + COUNTED,
        took(b"hello", "a: " + "b" * 60_000, "content-length: 5"),
    ),
    Case("too long a line", OK + b"A: " + b"b" * 400_000 + b"\r\n" + COUNTED, BROKEN),
    Case(
        "two long lines",
        OK + (b"A: " + b"b" * 40_000 + b"\r\n") * 2 + COUNTED,
        BROKEN,
        took(b"hello", *["a: " + "b" * 40_000] * 2, "content-length: 5"),
        "size of the head",
    ),
    Case("endless status line", (b"HTTP/1.0 200 ", *(b"b" * 65536,) * ENDLESS), BROKEN),
    Case("endless line", (OK + b"A: ", *(b"b" * 65536,) * ENDLESS), BROKEN),
    Case("endless fold", (OK + b"A: b\r\n", *(b" b\r\n" * 16384,) * ENDLESS), BROKEN),
    Case("endless fields", (OK, *(b"A: b\r\n" * 10922,) * ENDLESS), BROKEN),
    Case("endless bytes that are not HTTP", (b"\0" * 65536,) * ENDLESS, BROKEN),
)

LENGTHS = (
    length(b"4", took(b"hell", "content-length: 4")),
    length(b"0", took(b"", "content-length: 0")),
    length(b"0005", took(b"hello", "content-length: 0005")),
    length(b"0" * 40 + b"5", took(b"hello", "content-length: " + "0" * 40 + "5")),
    length(b"6", TRUNCATED),
    length(b"1000", TRUNCATED, body=b"x" * 500),
    length(b"9" * 18, TRUNCATED),
    Case("no space before a length", OK + b"Content-Length:5\r\n\r\nhello", HELLO),
    Case("odd case of a length", OK + b"cONTENT-lENGTH: 5\r\n\r\nhello", HELLO),
    Case(
        "folded length",
        OK + b"Content-Length:\r\n 5\r\n\r\nhello",
        HELLO,
        took(b"hello", "content-length:  5"),
        "blanks around a value",
    ),
    Case("1 MiB", OK + b"Content-Length: 1048576\r\n\r\n" + MIB, took(MIB, "content-length: 1048576")),
    Case("1 MiB without one octet", OK + b"Content-Length: 1048576\r\n\r\n" + MIB[:-1], TRUNCATED),
    Case("1 MiB until the end", OK + b"\r\n" + MIB, took(MIB)),
    *(odd_length(value) for value in ("-5", "+5", "0x5", "", "5.0", "5 5", "5,", "five", "5;a", "5e0", "\xb2")),
    odd_length("1_0", b"hellohello"),
    length(b"9" * 19, BROKEN, TRUNCATED, "length that is too large"),
    length(b"9" * 40, BROKEN, TRUNCATED, "length that is too large"),
    length(b"14, 14", BROKEN, took(b"fourteen bytes", "content-length: 14, 14"), "equal lengths", b"fourteen bytes"),
    length(b"5,5", BROKEN, took(b"hello", "content-length: 5,5"), "equal lengths"),
    length(b"5\r\nContent-Length: 5", BROKEN, took(b"hello", *["content-length: 5"] * 2), "equal lengths"),
    length(b"5, 6", BROKEN),
    length(b"5\r\nContent-Length: 6", BROKEN),
    length(b"6\r\ncontent-length: 5", BROKEN),
)

CODINGS = (
    *(
        chunked(chunks, in_chunks(body))
        for chunks, body in (
            (CHUNKS, b"hello"),
            (b"0\r\n\r\n", b""),
            (b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", b"hello"),
            (b"A\r\nhellohello\r\n0\r\n\r\n", b"hellohello"),
            (b"a\r\nhellohello\r\n000\r\n\r\n", b"hellohello"),
            (b"5;a=b\r\nhello\r\n0;c\r\n\r\n", b"hello"),
            (b"5 ;a\r\nhello\r\n0 \r\n\r\n", b"hello"),
            (b"5\r\nhello\r\n0\r\nA: b\r\n\r\n", b"hello"),
            (b"5\r\nhello\r\n0\r\nContent-Length: 3\r\n\r\n", b"hello"),
            (CHUNKS + WHOLE, b"hello"),
            (CHUNKS + b"5\r\n", b"hello"),
        )
    ),
    *(
        chunked(chunks, BROKEN, in_chunks(b"hello"), "chunk that is none")
        for chunks in (
            b"+5\r\nhello\r\n0\r\n\r\n",
            b"0x5\r\nhello\r\n0\r\n\r\n",
            b"0_5\r\nhello\r\n0\r\n\r\n",
            b" 5\r\nhello\r\n0\r\n\r\n",
            b"5\r\nhelloXX0\r\n\r\n",
            b"5\nhello\r\n0\r\n\r\n",
            b"5\r\nhello\r\n0\n\n",
        )
    ),
    chunked(b"5\r\nhello\r\n0\r\n", TRUNCATED, in_chunks(b"hello"), "chunks without their end"),
    chunked(b"F" * 17 + b"\r\nhello", BROKEN, TRUNCATED, "chunk that is too large"),
    *(chunked(chunks, TRUNCATED, BROKEN, "no size, and cut off") for chunks in (b"hello",)),
    *(
        chunked(chunks, TRUNCATED)
        for chunks in (
            b"",
            b"5\r\nhel",
            b"5\r\nhello",
            b"5\r\nhello\r\n",
            b"5\r\nhello\r\n5\r\n",
            b"F" * 15 + b"\r\nhello",
        )
    ),
    *(
        chunked(chunks, BROKEN)
        for chunks in (
            b"-5\r\nhello\r\n0\r\n\r\n",
            b"g\r\nhello\r\n0\r\n\r\n",
            b"5\nhello\n0\n\n",
            b"5\r\nhello0\r\n\r\n",
            b"4\r\nhello\r\n0\r\n\r\n",
            b"\r\nhello",
        )
    ),
    coded("Transfer-Encoding: chunked", body=b"hello", first=OK),
    coded("Transfer-Encoding: CHUNKED", body=b"hello"),
    coded("Transfer-Encoding: chunked", "Connection: keep-alive", body=b"hello"),
    coded("Transfer-Encoding: chunked", "Content-Length: 5", body=b"hello", because="chunked, and a length"),
    coded("Content-Length: 15", "Transfer-Encoding: chunked", body=b"hello", because="chunked, and a length"),
    *(
        coded(*fields, body=b"hello", because="other transfer coding")
        for fields in (
            ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
            ("Transfer-Encoding: chunked, chunked",),
            ("Transfer-Encoding: gzip, chunked",),
        )
    ),
    *(
        coded(f"Transfer-Encoding: {coding}", body=CHUNKS, because="other transfer coding")
        for coding in ("identity", "gzip", "xchunked", "")
    ),
    coded("Transfer-Encoding: identity", "Content-Length: 3", body=CHUNKS[:3], because="other transfer coding"),
)

# Everything here is also sent on a connection that stays open, where a client that waits for a body would hang.
BODILESS = tuple(
    case
    for end in (End.CLOSE, End.OPEN)
    for case in (
        Case(
            f"HEAD, {end.name}",
            OK + b"Content-Length: 5\r\n\r\n",
            took(b"", "content-length: 5"),
            end=end,
            method="HEAD",
        ),
        Case(f"HEAD, and a body, {end.name}", WHOLE, took(b"", "content-length: 5"), end=end, method="HEAD"),
        Case(f"HEAD without length, {end.name}", OK + b"\r\n", took(b""), end=end, method="HEAD"),
        Case(
            f"HEAD, and chunks, {end.name}",
            OK_1_1 + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS,
            took(b"", "transfer-encoding: chunked"),
            end=end,
            method="HEAD",
        ),
        *(
            made
            for status in (204, 304)
            for first in (f"HTTP/1.1 {status} No Body\r\n".encode(),)
            for made in (
                ending(f"{status}", first + b"\r\n", end, took(b"", status=status)),
                ending(f"{status}, and octets", first + b"\r\nhello", end, took(b"", status=status)),
                ending(
                    f"{status} with length, and a body", first + COUNTED, end, HELLO._replace(status=status, body=b"")
                ),
                ending(
                    f"{status}, and chunks",
                    first + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS,
                    end,
                    took(b"", "transfer-encoding: chunked", status=status),
                    took(b"hello", "transfer-encoding: chunked", status=status),
                    "chunks where no body is",
                ),
                ending(
                    f"{status}, and a wrong length",
                    first + b"Content-Length: five\r\n\r\n",
                    end,
                    BROKEN,
                    took(b"", "content-length: five", status=status),
                    "length of no body",
                ),
            )
        ),
        Case(
            f"HEAD, and a wrong length, {end.name}",
            OK + b"Content-Length: 5, 5\r\n\r\n",
            BROKEN,
            took(b"", "content-length: 5, 5"),
            "length of no body",
            end,
            "HEAD",
        ),
        ending("length 0", OK + b"Content-Length: 0\r\n\r\n", end, took(b"", "content-length: 0")),
        ending("length", WHOLE, end, HELLO),
        ending("length, and more octets", WHOLE + b", world", end, HELLO),
        ending("length, and another answer", WHOLE + b"HTTP/1.0 500 No\r\n\r\n", end, HELLO),
        *(
            ending(
                f"{first[:8].decode()} {field}",
                first + field.encode() + b"\r\n" + COUNTED,
                end,
                took(b"hello", field, "content-length: 5"),
            )
            for first in (OK, OK_1_1)
            for field in (
                "connection: close",
                "connection: keep-alive",
                "connection: Keep-Alive, Close",
                "connection: x",
                "keep-alive: timeout=5",
            )
        ),
        # An unrequested 101 comes alone, and its head is all of it (RFC 9112 §6.3).
        ending("101, and octets", b"HTTP/1.1 101 Switching\r\n\r\nhello", end, took(b"", status=101)),
    )
)

ENDINGS = (
    *(
        ending(name, said, end, took(body), None)
        for end in (End.CLOSE, End.HALF_CLOSE)
        for name, said, body in (
            ("empty body until the end", OK + b"\r\n", b""),
            ("body until the end", OK + b"\r\nhello", b"hello"),
            ("body until the end, 1.1", OK_1_1 + b"\r\nhello", b"hello"),
            ("body that looks like a head", OK + b"\r\n" + WHOLE, WHOLE),
        )
    ),
    *(
        ending(
            "keep-alive and no length",
            OK + b"Connection: keep-alive\r\n\r\nhello",
            end,
            took(b"hello", "connection: keep-alive"),
        )
        for end in (End.CLOSE, End.HALF_CLOSE)
    ),
    *(ending("length", WHOLE, end, HELLO) for end in (End.HALF_CLOSE, End.RESET)),
    *(
        ending(name, said, end, TRUNCATED, there, because)
        for end in (End.CLOSE, End.HALF_CLOSE)
        for name, said, there, because in (
            ("nothing", b"", None, ""),
            ("in the first word", b"HT", BROKEN, "cut off in the status line"),
            ("in the version", b"HTTP/1.", BROKEN, "cut off in the status line"),
            ("in the phrase", b"HTTP/1.0 200 O", took(b""), "cut off in the head"),
            ("after the status line", OK, took(b""), "cut off in the head"),
            ("in a field", OK + b"A: b", took(b"", "a: b"), "cut off in the head"),
            ("after a field", OK + b"A: b\r\n", took(b"", "a: b"), "cut off in the head"),
            ("in the empty line", OK + b"A: b\r\n\r", took(b"", "a: b"), "cut off in the head"),
            ("after a length", OK + b"Content-Length: 5\r\n", None, ""),
            ("before a body", OK + b"Content-Length: 5\r\n\r\n", None, ""),
            ("in a body", WHOLE[:-1], None, ""),
            ("after a 100", CONTINUE, None, ""),
            ("in a 100", CONTINUE[:-2], None, ""),
            ("after a 100 and a half", CONTINUE + CONTINUE[:-2], None, ""),
            ("after a 103", HINTS, took(b"", "a: b", status=103), "103 and no answer"),
        )
    ),
    *(
        ending(name, said, End.RESET, LOST)
        for name, said in (
            ("nothing", b""),
            ("in the first word", b"HT"),
            ("after the status line", OK),
            ("in a field", OK + b"A: b"),
            ("after a length", OK + b"Content-Length: 5\r\n"),
            ("before a body", OK + b"Content-Length: 5\r\n\r\n"),
            ("in a body", WHOLE[:-1]),
            ("before a body without length", OK + b"\r\n"),
            ("in a body without length", OK + b"\r\nhello"),
            ("after a 100", CONTINUE),
            ("in 1 MiB", OK + b"Content-Length: 1048576\r\n\r\n" + MIB[:-1]),
        )
    ),
)

BEFORE_THE_ANSWER = (
    Case("100", CONTINUE + WHOLE, HELLO),
    Case("100 in 1.0", CONTINUE.replace(b"1.1", b"1.0") + WHOLE, HELLO),
    Case("100 with fields", CONTINUE[:-2] + b"A: b\r\n\r\n" + WHOLE, HELLO),
    Case("twenty times 100", CONTINUE * 20 + WHOLE, HELLO),
    Case("100 in a piece of its own", (CONTINUE, WHOLE), HELLO),
    Case("100 with a length, and a body", CONTINUE[:-2] + COUNTED + WHOLE, BROKEN),
    Case("100 with LF alone", CONTINUE.replace(b"\r\n", b"\n") + WHOLE, HELLO),
    Case("100, HEAD", CONTINUE + WHOLE, took(b"", "content-length: 5"), method="HEAD"),
    Case("100, and 204", CONTINUE + b"HTTP/1.1 204 No\r\n\r\n", took(b"", status=204), end=End.OPEN),
    Case("103", HINTS + WHOLE, HELLO, took(b"", "a: b", status=103), "103 as the answer"),
    Case(
        "102 and 100",
        HINTS.replace(b"103", b"102") + CONTINUE + WHOLE,
        HELLO,
        took(b"", "a: b", status=102),
        "103 as the answer",
    ),
    Case(
        "100 and 199",
        CONTINUE + HINTS.replace(b"103", b"199") + WHOLE,
        HELLO,
        took(b"", "a: b", status=199),
        "103 as the answer",
    ),
    Case("100 with a wrong field", CONTINUE[:-2] + b"A : b\r\n\r\n" + WHOLE, BROKEN, HELLO, "fields of a 100"),
    Case("100 with NUL", CONTINUE[:-2] + b"A: \0\r\n\r\n" + WHOLE, BROKEN, HELLO, "fields of a 100"),
    Case("endless 100", (*(CONTINUE * 1000,) * 10, WHOLE), BROKEN, HELLO, "endless 100"),
)

CASES = (*STATUS_LINES, *FIELDS, *LENGTHS, *CODINGS, *BODILESS, *ENDINGS, *BEFORE_THE_ANSWER)


def fault(case: Case, ours: Outcome, theirs: Outcome) -> str:
    """Return what is wrong with the outcomes of ``case``; empty if they are as expected."""
    said = f"\n  we:       {shown(ours)}\n  requests: {shown(theirs)}"
    if ours != case.ours:
        return f"we are to say {shown(case.ours)}{said}"
    if case.theirs is None:
        return "" if ours == theirs else f"not explained{said}"
    if ours == theirs:
        return f"{case.because!r} explains nothing any more{said}"
    if theirs != case.theirs:
        return f"{case.because!r} does not explain this, but {shown(case.theirs)}{said}"
    return ""


def shown(outcome: Outcome) -> str:
    text = repr(outcome)
    return text if len(text) < 1000 else f"{text[:500]} ... {text[-300:]}"


@in_batches("cases", CASES)
def test_scripted(cases: Sequence[Case]) -> None:
    check_all(cases, check_scripted)


def check_scripted(case: Case) -> None:
    with serving(script(case.pieces, case.end), clients=2) as url:
        outcomes = ours(url, case.method), theirs(url, case.method)
    assert fault(case, *outcomes) == ""


# Everything on a connection that stays open is also in the table with a close.
SHORT = [case for case in CASES if sum(map(len, case.pieces)) < 1000 and case.end is not End.OPEN]


@in_batches("cases", SHORT)
def test_how_a_response_is_split_does_not_matter(cases: Sequence[Case]) -> None:
    check_all(cases, check_octet_by_octet)


def check_octet_by_octet(case: Case) -> None:
    octets = [bytes([octet]) for piece in case.pieces for octet in piece]
    with serving(script(octets, case.end), clients=1) as url:
        assert ours(url, case.method) == case.ours


def test_each_case_has_a_name_of_its_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


def test_each_case_that_differs_is_of_the_kind_that_its_row_says() -> None:
    for case in CASES:
        assert bool(case.because) == (case.theirs is not None), case.name
        if case.theirs is not None:
            row = DIFFERENCES[case.because]
            assert case.theirs != case.ours, case.name
            assert (kind(case.ours), kind(case.theirs)) == (row.ours, row.theirs), case.name


@pytest.mark.parametrize("name", DIFFERENCES)
def test_each_difference_has_a_section_and_a_case(name: str) -> None:
    assert re.search(r"RFC \d+ §\d", DIFFERENCES[name].why)
    assert name in {case.because for case in CASES}


def test_a_client_that_errs_is_found_out() -> None:
    """Detect another outcome on one side, the same wrong one on both, and a difference that is gone."""
    others: tuple[Outcome, ...] = (Cause.SILENT, took(b"other"))
    for case in CASES:
        right = case.ours if case.theirs is None else case.theirs
        assert fault(case, case.ours, right) == "", case.name
        for other in others:
            assert fault(case, other, right), case.name
            assert fault(case, case.ours, other), case.name
            assert fault(case, other, other), case.name
        if case.theirs is not None:
            assert fault(case, case.ours, case.ours), case.name
            assert fault(case, case.theirs, case.theirs), case.name


# ---------------------------------------------------------------------------------------------------------------
# Responses from h11


@dataclass(frozen=True)
class Reply:
    """A correct response. Without a Content-Length, h11 frames the body as the request allows."""

    status: int
    fields: tuple[tuple[bytes, bytes], ...] = ()
    body: tuple[bytes, ...] = ()
    before: tuple[int, ...] = ()

    def to(self, method: str) -> Outcome:
        """The outcome that a client must have, without the fields in ``FRAMING``."""
        fields = in_order((name.decode("iso-8859-1"), value.decode("iso-8859-1")) for name, value in self.fields)
        body = b"" if method == "HEAD" or self.status in (204, 304) else b"".join(self.body)
        return end_to_end(Answer(self.status, fields, body))

    def has_chunks(self, method: str, version: str) -> bool:
        """Whether h11 sends the body in chunks in response to a 1.1 request."""
        counted = any(name.lower() == b"content-length" for name, _ in self.fields)
        return version == "1.1" and method == "GET" and not counted and self.status not in (204, 304)


FRAMING = ("connection", "transfer-encoding")  # their values depend on the version of the request


def end_to_end(outcome: Outcome) -> Outcome:
    if isinstance(outcome, Cause):
        return outcome
    return outcome._replace(fields=tuple(field for field in outcome.fields if field[0] not in FRAMING))


def length_of(*body: bytes) -> tuple[tuple[bytes, bytes], ...]:
    return ((b"Content-Length", str(sum(map(len, body))).encode()),)


COUNTED_HELLO = length_of(b"hello")
REPLIES = {
    **{
        f"{status}": Reply(status, COUNTED_HELLO, (b"hello",))
        for status in (200, 203, 206, 299, 301, 401, 404, 431, 500, 503, 599)
    },
    "204": Reply(204),
    "304": Reply(304, ((b"ETag", b'"a"'),)),
    "304 with the length of what is not sent": Reply(304, COUNTED_HELLO),
    "empty": Reply(200, length_of()),
    "empty without length": Reply(200),
    "no length": Reply(200, (), (b"hello",)),
    "no length, in pieces": Reply(200, (), (b"he", b"l", b"lo")),
    "no length, 1 MiB": Reply(200, (), (MIB,)),
    "no length, an error": Reply(503, (), (b"hello",)),
    "1 MiB": Reply(200, length_of(MIB), (MIB,)),
    "1 MiB in pieces": Reply(200, length_of(MIB), tuple(MIB[at : at + 10_007] for at in range(0, len(MIB), 10_007))),
    "a body that looks like an answer": Reply(200, length_of(WHOLE), (WHOLE,)),
    "a field several times": Reply(
        200, ((b"A", b"1"), (b"B", b"x"), (b"a", b"2"), (b"A", b"1"), *COUNTED_HELLO), (b"hello",)
    ),
    "octets above 127": Reply(200, ((b"A", b"caf\xe9 \xff\x80"), *COUNTED_HELLO), (b"hello",)),
    "white space in a value": Reply(200, ((b"A", b"b \t c"), (b"B", b""), *COUNTED_HELLO), (b"hello",)),
    "odd case": Reply(200, ((b"cONTENT-lENGTH", b"5"), (b"x-ODD", b"Value")), (b"hello",)),
    "90 fields": Reply(200, (*[(b"A", b"b")] * 90, *COUNTED_HELLO), (b"hello",)),
    "a long value": Reply(200, ((b"A", b"b" * 50_000), *COUNTED_HELLO), (b"hello",)),
    **{
        f"connection {option.decode()}": Reply(200, ((b"Connection", option), *COUNTED_HELLO), (b"hello",))
        for option in (b"close", b"keep-alive", b"Keep-Alive, Close", b"x")
    },
    "connection close, no length": Reply(200, ((b"Connection", b"close"),), (b"hello",)),
    "content coding": Reply(200, ((b"Content-Encoding", b"gzip"), *COUNTED_HELLO), (b"hello",)),
    "100 before it": Reply(200, COUNTED_HELLO, (b"hello",), (100,)),
    "several 100 before it": Reply(200, (), (b"hello",), (100, 100, 100)),
    "100 before 304": Reply(304, (), (), (100,)),
    "103 before it": Reply(200, COUNTED_HELLO, (b"hello",), (103,)),
    "100 and 103 before it": Reply(404, COUNTED_HELLO, (b"hello",), (100, 103)),
}


def h11_server(reply: Reply, version: str) -> Converse:
    """A server of HTTP/1.1, or one of HTTP/1.0, which treats every request as 1.0.

    h11 writes 1.1 into every status line, which is overwritten for 1.0.
    """

    def converse(sock: socket.socket) -> None:
        connection = h11.Connection(h11.SERVER)

        def send(event: h11.Event) -> None:
            said = connection.send(event) or b""
            if isinstance(event, h11.Response | h11.InformationalResponse):
                said = said.replace(b"HTTP/1.1", b"HTTP/" + version.encode(), 1)
            sock.sendall(said)

        method = b""
        while (event := connection.next_event()) is not h11.PAUSED and not isinstance(event, h11.EndOfMessage):
            if event is h11.NEED_DATA:
                heard = sock.recv(65536)
                connection.receive_data(heard.replace(b" HTTP/1.1\r\n", b" HTTP/%b\r\n" % version.encode(), 1))
            else:
                assert isinstance(event, h11.Request)
                method = event.method
        for status in reply.before:
            send(h11.InformationalResponse(status_code=status, headers=[(b"A", b"b")]))
        send(h11.Response(status_code=reply.status, headers=list(reply.fields)))
        if method != b"HEAD" and reply.status not in (204, 304):
            for piece in reply.body:
                send(h11.Data(data=piece))
        send(h11.EndOfMessage())
        if connection.our_state is h11.MUST_CLOSE:
            sock.shutdown(socket.SHUT_WR)
        wait_for_end(sock)

    return converse


ASKED = [
    pytest.param(reply, version, method, id=f"{name}-{version}-{method}")
    for name, reply in REPLIES.items()
    for version in ("1.0", "1.1")
    for method in ("GET", "HEAD")
    if version == "1.1" or not reply.before  # a 1.0 server has no 1xx
]


@pytest.mark.parametrize(("reply", "version", "method"), ASKED)
def test_h11(reply: Reply, version: str, method: str) -> None:
    """No differences are excused here, except that ``requests`` takes a 103 for the final response."""
    with serving(h11_server(reply, version), clients=2) as url:
        we, they = ours(url, method), theirs(url, method)
    assert end_to_end(we) == reply.to(method)
    if 103 in reply.before:
        assert they == took(b"", "a: b", status=103)
        return
    assert end_to_end(they) == reply.to(method)
    if version == "1.0":
        assert we == they  # the framing too
    assert isinstance(they, Answer)
    if method == "GET":
        assert (("transfer-encoding", "chunked") in they.fields) == reply.has_chunks(method, version)
