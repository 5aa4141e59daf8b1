"""Our request reader beside h11's: the same bytes, and every difference has a name and a reason.

Heads come from a grammar, and from valid heads that were damaged. Two readers agree when both take the same
request (method, target, version, fields), or when neither takes one. Where they differ, a row of ``DIFFERENCES``
must say why: it recognises the difference by what the readers said and by the bytes, and it knows how to undo
its cause. It counts only if the readers come nearer to each other that way: what was taken is still taken, and
what is left over is explained by another row, or is no difference any more.

The long run, with the numbers of examples and of differences of each kind::

    HTTPMINI_DIFFERENTIAL_EXAMPLES=200000 python -m pytest --hypothesis-show-statistics \
        tests/conformance/test_requests_against_h11.py
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import h11
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from httpmini.errors import ProtocolError
from httpmini.protocol.grammar import HOST
from httpmini.protocol.message import Request
from httpmini.protocol.reader import NEED_DATA, HeadLimits, RequestReader

HEAD_BYTES = 16384
TARGET_BYTES = 8192
LINE_BYTES = TARGET_BYTES + 64
FIELDS = 100

# ---------------------------------------------------------------------------------------------------------------
# What a reader says


class Taken(NamedTuple):
    """A request; text as ISO-8859-1. The version is (0, 9), (1, 0), (1, 1), or what h11 takes beside these."""

    method: str
    target: str
    version: tuple[int, int]
    fields: tuple[tuple[str, str], ...]


class Refused(NamedTuple):
    """A refusal: the token of our reason, or the sentence of h11."""

    why: str


class Unfinished(NamedTuple):
    """An incomplete request: more bytes are needed."""


Outcome = Taken | Refused | Unfinished


def read_ours(data: bytes) -> Outcome:
    """Return how our reader parses the first request in ``data``."""
    reader = RequestReader(HeadLimits(HEAD_BYTES, TARGET_BYTES, FIELDS))
    reader.feed(data)
    try:
        request = reader.next()
    except ProtocolError as error:
        return Refused(error.reason.token)
    if request is NEED_DATA:
        return Unfinished()
    assert isinstance(request, Request)
    fields = tuple((name.lower(), value) for name, value in request.headers)
    return Taken(request.method, request.target, request.version, fields)


def read_theirs(data: bytes) -> Outcome:
    """Return how h11 parses the first request in ``data``."""
    connection = h11.Connection(our_role=h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
    if data:  # an empty piece would be the end of the connection
        connection.receive_data(data)
    try:
        found = connection.next_event()
    except h11.RemoteProtocolError as error:
        return Refused(str(error))
    if found is h11.NEED_DATA:
        return Unfinished()
    assert isinstance(found, h11.Request)
    major, minor = (int(number) for number in found.http_version.split(b"."))
    version = (1, min(minor, 1)) if major == 1 else (major, minor)
    fields = tuple((text(name), text(value)) for name, value in found.headers)
    return Taken(text(found.method), text(found.target), version, fields)


def text(octets: bytes) -> str:
    return bytes(octets).decode("iso-8859-1")


def agree(ours: Outcome, theirs: Outcome) -> bool:
    """Return whether both outcomes agree.

    h11 looks at a head when it is whole, we at each line as it comes: we may refuse where h11 still waits, but
    must not wait where h11 refuses.
    """
    if isinstance(ours, Taken) or isinstance(theirs, Taken):
        return ours == theirs
    return not (isinstance(ours, Unfinished) and isinstance(theirs, Refused))


# ---------------------------------------------------------------------------------------------------------------
# A head in parts, for the rows of the table. Nothing here is taken from the readers.


@dataclass(frozen=True)
class Head:
    """The lines of a head, without their ends."""

    line: bytes
    fields: tuple[bytes, ...]

    @property
    def words(self) -> list[bytes]:
        return re.split(rb"[ \t]+", self.line.strip(b" \t"))

    def values(self, name: bytes) -> list[bytes]:
        pairs = (field.partition(b":") for field in self.fields)
        return [value.strip(b" \t") for field_name, _, value in pairs if field_name.lower() == name]

    def spelled(self) -> bytes:
        return b"\r\n".join([self.line, *self.fields, b"", b""])

    def with_word(self, index: int, word: bytes) -> bytes:
        words = self.words
        words[index] = word
        return Head(b" ".join(words), self.fields).spelled()

    def with_fields(self, *fields: bytes) -> bytes:
        return Head(self.line, fields).spelled()

    def without_field(self, name: bytes) -> tuple[bytes, ...]:
        return tuple(field for field in self.fields if field.partition(b":")[0].lower() != name)


def head_of(data: bytes) -> Head:
    """Return the head at the beginning of ``data``, or the part of it that is there."""
    lines = [line.removesuffix(b"\r") for line in data[: head_size(data)].split(b"\n")]
    while len(lines) > 1 and not lines[-1]:
        lines.pop()
    return Head(lines[0], tuple(lines[1:]))


def head_size(data: bytes) -> int:
    end = re.search(rb"\n\r?\n", data)
    return end.end() if end else len(data)


# ---------------------------------------------------------------------------------------------------------------
# The differences


@dataclass(frozen=True)
class Difference:
    """One way in which the readers differ.

    Attributes:
        name: for the statistics.
        why: one sentence with its RFC section.
        refusal: the token of our refusal, where h11 takes the request; empty where h11 refuses and we do not.
        holds: whether the head has the property that makes the difference.
        undone: the same without that property.
        examples: each differs, and by this row alone.
    """

    name: str
    why: str
    refusal: str
    holds: Callable[[bytes], bool]
    undone: Callable[[bytes], bytes]
    examples: tuple[bytes, ...]

    def explains(self, data: bytes, ours: Outcome, theirs: Outcome) -> bool:
        if self.refusal:
            return ours == Refused(self.refusal) and isinstance(theirs, Taken) and self.holds(data)
        return not isinstance(ours, Refused) and not isinstance(theirs, Taken) and self.holds(data)


def target(data: bytes) -> bytes:
    words = head_of(data).words
    return words[1] if len(words) > 1 else b""


def version(data: bytes) -> bytes:
    words = head_of(data).words
    return words[2] if len(words) == 3 else b""


def has_blanks(data: bytes) -> bool:
    head = head_of(data)
    return len(head.words) == 3 and head.line != b" ".join(head.words)


def has_long_version(data: bytes) -> bool:
    return bool(re.fullmatch(rb"HTTP/0*1\.[0-9]+", version(data))) and len(version(data)) > len("HTTP/1.0")


def with_short_version(data: bytes) -> bytes:
    minor = version(data).partition(b".")[2].strip(b"0")
    return head_of(data).with_word(2, b"HTTP/1.1" if minor else b"HTTP/1.0")


def is_long_line(data: bytes) -> bool:
    return len(target(data)) > TARGET_BYTES or data.find(b"\n") > LINE_BYTES


def with_short_line(data: bytes) -> bytes:
    method, wanted, protocol = head_of(data).words
    line = b" ".join([method[:40], wanted[:TARGET_BYTES], protocol])
    return Head(line, head_of(data).fields).spelled()


def with_host_only(data: bytes) -> bytes:
    return head_of(data).with_fields(*(b"Host:" + value[:100] for value in head_of(data).values(b"host")))


def is_folded(data: bytes) -> bool:
    return any(field[:1] in (b" ", b"\t") for field in head_of(data).fields[1:])


def unfolded(data: bytes) -> bytes:
    fields: list[bytes] = []
    for field in head_of(data).fields:
        if fields and field[:1] in (b" ", b"\t"):
            fields[-1] += b" " + field.lstrip(b" \t")
        else:
            fields.append(field)
    return head_of(data).with_fields(*fields)


CONTROL = re.compile(rb"[\x01-\x08\x0e-\x1f\x7f]")


def has_control(data: bytes) -> bool:
    return any(CONTROL.search(field.partition(b":")[2]) for field in head_of(data).fields)


def without_control(data: bytes) -> bytes:
    return head_of(data).with_fields(*(CONTROL.sub(b"x", field) for field in head_of(data).fields))


def content_lengths(data: bytes) -> list[bytes]:
    return head_of(data).values(b"content-length")


def has_equal_list(data: bytes) -> bool:
    lists = [re.split(rb"[ \t]*,[ \t]*", value) for value in content_lengths(data)]
    return any(len(members) > 1 and len(set(members)) == 1 for members in lists)


def without_lists(data: bytes) -> bytes:
    lengths = (value.partition(b",")[0].strip(b" \t") for value in content_lengths(data))
    return with_lengths(data, *lengths)


def has_equal_lengths(data: bytes) -> bool:
    values = content_lengths(data)
    return len(values) > 1 and len(set(values)) == 1


def has_digits(pattern: bytes) -> Callable[[bytes], bool]:
    def holds(data: bytes) -> bool:
        values = content_lengths(data)
        return len(values) == 1 and re.fullmatch(pattern, values[0]) is not None

    return holds


def with_lengths(data: bytes, *lengths: bytes) -> bytes:
    fields = (b"Content-Length:" + length for length in lengths)
    return head_of(data).with_fields(*head_of(data).without_field(b"content-length"), *fields)


def spell(*fields: bytes, line: bytes = b"GET / HTTP/1.0") -> bytes:
    return Head(line, fields).spelled()


DIFFERENCES = (
    Difference(
        "empty line first",
        "We skip one empty line before the request line, as RFC 9112 §2.2 says one should; h11 refuses it.",
        refusal="",
        holds=lambda data: re.match(rb"\r?\n|\r\Z", data) is not None,
        undone=lambda data: re.sub(rb"\A(\r?\n|\r\Z)", b"", data),
        examples=(b"\r\n" + spell(), b"\n" + spell(), b"\r\n", b"\r", b"\r\nGET / HT"),
    ),
    Difference(
        "CR first",
        "A CR that is not part of an empty line is refused with its line's LF (RFC 9112 §2.2), by h11 before that.",
        refusal="",
        holds=lambda data: re.match(rb"\r[^\n]+\Z", data) is not None,
        undone=lambda data: data.lstrip(b"\r"),
        examples=(b"\rGET / HTTP/1.0", b"\r\r"),
    ),
    Difference(
        "simple request",
        "We take GET and a target without a version, which is HTTP/0.9 (RFC 1945 §4.1); h11 does not know it.",
        refusal="",
        holds=lambda data: b"\n" in data and len(head_of(data).words) == 2 and head_of(data).words[0] == b"GET",
        undone=lambda data: spell(line=b"GET " + target(data) + b" HTTP/1.0"),
        examples=(b"GET /\r\n", b"GET /\n", b"GET /\r\n\r\n", b"GET \t/ \r\n", b"GET /\r\nHost: a\r\n\r\n"),
    ),
    Difference(
        "blanks in the request line",
        "We take several spaces or tabs between and after the words of the request line (RFC 1945 appendix B, "
        "RFC 9112 §3).",
        refusal="",
        holds=has_blanks,
        undone=lambda data: head_of(data).with_word(0, head_of(data).words[0]),
        examples=tuple(spell(line=line) for line in (b"GET  / HTTP/1.0", b"GET\t/ HTTP/1.0", b"GET / HTTP/1.0 ")),
    ),
    Difference(
        "long version",
        "We take a version with leading zeros or several digits (RFC 1945 §3.1); h11 wants a single one.",
        refusal="",
        holds=has_long_version,
        undone=with_short_version,
        examples=tuple(
            spell(b"Host: a", line=line) for line in (b"GET / HTTP/01.1", b"GET / HTTP/1.10", b"GET / HTTP/1.00")
        ),
    ),
    Difference(
        "octets above 127 in the target",
        "We take them, since they name files here and browsers encode them anyway (RFC 9112 §3.2 would have them "
        "encoded).",
        refusal="",
        holds=lambda data: re.search(rb"[\x80-\xff]", target(data)) is not None,
        undone=lambda data: head_of(data).with_word(1, re.sub(rb"[\x80-\xff]", b"x", target(data))),
        examples=(spell(line=b"GET /caf\xc3\xa9 HTTP/1.0"), spell(line=b"GET /\xff HTTP/1.0")),
    ),
    Difference(
        "zeros before a length",
        "A Content-Length is digits, as many as one likes (RFC 9110 §8.6): we count them without leading zeros, h11 "
        "with them.",
        refusal="",
        holds=has_digits(rb"(?=.{21})0+[0-9]{0,18}"),
        undone=lambda data: with_lengths(data, content_lengths(data)[0].lstrip(b"0") or b"0"),
        examples=(spell(b"Content-Length: " + b"0" * 25 + b"5"), spell(b"Content-Length: " + b"0" * 21)),
    ),
    Difference(
        "HTTP/2 preface",
        "The first line of an HTTP/2 connection (RFC 9113 §3.4), which h11 takes as a request.",
        refusal="http2-preface",
        holds=lambda data: head_of(data).line == b"PRI * HTTP/2.0",
        undone=lambda data: head_of(data).with_word(2, b"HTTP/1.0"),
        examples=(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",),
    ),
    Difference(
        "other major version",
        "We refuse every major version but 1 with a 505 (RFC 9110 §15.6.6); h11 takes any digit.",
        refusal="version-major",
        holds=lambda data: re.fullmatch(rb"HTTP/[02-9]\.[0-9]", version(data)) is not None,
        undone=lambda data: head_of(data).with_word(2, b"HTTP/1.0"),
        examples=tuple(spell(line=b"GET / HTTP/" + number) for number in (b"0.9", b"2.0", b"3.1")),
    ),
    Difference(
        "value of Host",
        "A Host that is not a host with or without a port must be refused (RFC 9112 §3.2); h11 takes any value.",
        refusal="host-value",
        holds=lambda data: any(not HOST.fullmatch(value.decode("latin-1")) for value in head_of(data).values(b"host")),
        undone=lambda data: head_of(data).with_fields(
            *(b"Host: a" if field.lower().startswith(b"host:") else field for field in head_of(data).fields)
        ),
        examples=(spell(b"Host: a b"), spell(b"Host: a/b", line=b"GET / HTTP/1.1"), spell(b"host: a:b")),
    ),
    Difference(
        "higher minor version without Host",
        "We treat a higher minor version as 1.1 (RFC 9110 §2.5), which must have a Host (RFC 9112 §3.2); h11 looks "
        "at 1.1 alone.",
        refusal="host-missing",
        holds=lambda data: bool(re.fullmatch(rb"HTTP/1\.[2-9]", version(data))) and not head_of(data).values(b"host"),
        undone=lambda data: head_of(data).with_fields(*head_of(data).fields, b"Host: a"),
        examples=(spell(line=b"GET / HTTP/1.2"),),
    ),
    Difference(
        "fragment in the target",
        "A fragment is never sent (RFC 9110 §7.1, RFC 9112 §3.2); h11 takes every visible character.",
        refusal="target-character",
        holds=lambda data: b"#" in target(data),
        undone=lambda data: head_of(data).with_word(1, target(data).replace(b"#", b".")),
        examples=(spell(line=b"GET /a#b HTTP/1.0"), spell(line=b"GET # HTTP/1.0")),
    ),
    Difference(
        "long request line",
        "We bound the target and the request line (RFC 9110 §15.5.15, RFC 9112 §3); h11 only an unfinished head.",
        refusal="target-long",
        holds=is_long_line,
        undone=with_short_line,
        examples=(spell(line=b"GET /" + b"a" * TARGET_BYTES + b" HTTP/1.0"),),
    ),
    Difference(
        "long method",
        "A request line that is too long because of its method is a method that nobody knows (RFC 9112 §3).",
        refusal="method-unknown",
        holds=is_long_line,
        undone=with_short_line,
        examples=(spell(line=b"M" * LINE_BYTES + b" / HTTP/1.0"),),
    ),
    Difference(
        "long head",
        "We bound the whole head (RFC 6585 §5), at once or in pieces; h11 bounds only an unfinished one.",
        refusal="head-long",
        holds=lambda data: head_size(data) > HEAD_BYTES,
        undone=with_host_only,
        examples=(spell(b"A: " + b"a" * HEAD_BYTES),),
    ),
    Difference(
        "many fields",
        "We bound the number of fields (RFC 6585 §5); h11 does not.",
        refusal="fields-many",
        holds=lambda data: sum(field[:1] not in (b" ", b"\t") for field in head_of(data).fields) > FIELDS,
        undone=with_host_only,
        examples=(spell(*[b"A: b"] * (FIELDS + 1)),),
    ),
    Difference(
        "folded field",
        "We refuse a folded field, h11 unfolds it: a server may do either (RFC 9112 §5.2).",
        refusal="field-folded",
        holds=is_folded,
        undone=unfolded,
        examples=(spell(b"A: b", b" c"), spell(b"A: b", b"\t"), spell(b"A:", b"  b", b" c", b"D: e")),
    ),
    Difference(
        "control character in a value",
        "Controls are invalid in a value (RFC 9110 §5.5); h11 keeps all but NUL and white space, which it may.",
        refusal="field-value",
        holds=has_control,
        undone=without_control,
        examples=tuple(spell(b"A: b" + octet + b"c") for octet in (b"\x01", b"\x08", b"\x0e", b"\x1f", b"\x7f")),
    ),
    Difference(
        "transfer coding",
        "Transfer codings are not HTTP/1.0, and we take none (RFC 9112 §6.1); h11 takes chunked.",
        refusal="transfer-encoding",
        holds=lambda data: [value.lower() for value in head_of(data).values(b"transfer-encoding")] == [b"chunked"],
        undone=lambda data: head_of(data).with_fields(*head_of(data).without_field(b"transfer-encoding")),
        examples=(spell(b"Transfer-Encoding: chunked"), spell(b"Content-Length: 3", b"transfer-encoding:CHUNKED")),
    ),
    Difference(
        "list of equal lengths",
        "A Content-Length that is a list of one number may be refused, or read as that number, as h11 does "
        "(RFC 9112 §6.3).",
        refusal="content-length",
        holds=has_equal_list,
        undone=without_lists,
        examples=(spell(b"Content-Length: 5, 5"), spell(b"Content-Length: 5,5,5")),
    ),
    Difference(
        "equal lengths in several fields",
        "Equal Content-Length fields may be refused, or read as one, as h11 does (RFC 9110 §8.6).",
        refusal="content-length",
        holds=has_equal_lengths,
        undone=lambda data: with_lengths(data, content_lengths(data)[0]),
        examples=(spell(b"Content-Length: 5", b"content-length: 5"),),
    ),
    Difference(
        "length of 19 or 20 digits",
        "We take lengths that fit 63 bits for sure (RFC 9110 §8.6: beware of overflows); h11 takes 20 digits.",
        refusal="content-length",
        holds=has_digits(rb"0?[1-9][0-9]{18}|[1-9][0-9]{19}"),
        undone=lambda data: with_lengths(data, b"1"),
        examples=tuple(spell(b"Content-Length: " + digits) for digits in (b"9" * 19, b"9" * 20, b"0" + b"9" * 19)),
    ),
)


def explain(data: bytes) -> list[str] | None:
    """The names of the rows that explain how the readers differ on ``data``; None when they do not explain it all."""
    names: list[str] = []
    ours, theirs = read_ours(data), read_theirs(data)
    while not agree(ours, theirs):
        row = next((row for row in DIFFERENCES if row.explains(data, ours, theirs)), None)
        if row is None or len(names) > len(DIFFERENCES):
            return None
        names.append(row.name)
        data = row.undone(data)
        before, (ours, theirs) = (ours, theirs), (read_ours(data), read_theirs(data))
        if any(
            isinstance(old, Taken) > isinstance(new, Taken) for old, new in zip(before, (ours, theirs), strict=True)
        ):
            return None
    return names


# ---------------------------------------------------------------------------------------------------------------
# Heads. The first of each list is what is usual, and comes ``weight`` times as often as all the others together.

Octets = st.SearchStrategy[bytes]


def mostly(usual: bytes, *others: bytes, weight: int = 1) -> Octets:
    return st.sampled_from([*[usual] * (weight * len(others)), *others])


TCHAR = b"!#$%&'*+-.^_`|~09azAZ"
TEXTS: Octets = st.binary(max_size=6)
TOKENS: Octets = st.lists(st.sampled_from(TCHAR), min_size=1, max_size=4).map(bytes)
ANY_CASE = (bytes.lower, bytes.upper, bytes.title, bytes.swapcase)

METHODS: Octets = (
    mostly(b"GET", b"HEAD", b"POST", b"CONNECT", b"OPTIONS", b"PRI", b"get", b"G!T", b"", b"G(T", b"G\xc9T", b"GET\0")
    | mostly(b"GET", b"DELETE", b"M" * 40, b"M" * 70, b"M" * LINE_BYTES, weight=4)
    | TOKENS
)
TARGETS: Octets = (
    mostly(
        *(
            b"/",
            b"/a/b.html?c=d&e",
            b"http://example.org/x",
            b"*",
            b"example.org:80",
            b"/%41%zz",
            b"?",
            b"//",
            b"/\xe9",
        ),
        *(b"/a#b", b"#", b"", b"/a b", b"/a\tb", b"/a\0b", b"/a\rb", b"/\x7f", b"/\x01", b'/"<>\\^`{|}', b"/a\x0bb"),
    )
    | mostly(b"/", *(b"/" + b"a" * size for size in (8190, 8191, 8192, 8200, 8260)), weight=4)
    | TEXTS.map(b"/".__add__)
)
VERSIONS: Octets = mostly(
    *(b"HTTP/1.0", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.2", b"HTTP/1.9", b"HTTP/1.10"),
    *(b"HTTP/01.1", b"HTTP/1.00", b"HTTP/1.01", b"HTTP/001.000", b"HTTP/2.0", b"HTTP/3.0", b"HTTP/0.9", b"HTTP/02.0"),
    *(b"HTTP/11.0", b"http/1.1", b"HTTP/1", b"HTTP/1.", b"HTTP/.1", b"HTTP/1.1x", b"HTTP/1,1", b"HTTP/-1.0", b"", b""),
    *(b"HTTP/\xb2.0", b"HTTP/1.0\r", b"HTTP/1.0\0", b"HTTPS/1.0", b"HTTP/1.1 HTTP/1.1"),
)
BLANKS: Octets = mostly(b" ", b"  ", b"\t", b" \t ", b"", b"\x0b", b"\xa0", b"\r", weight=4)
AROUND: Octets = mostly(b"", b" ", b"\t", b" \t", b"\x0c", weight=8)
ENDS: Octets = mostly(b"\r\n", b"\n", b"\n", b"\n", b"\n", b"\r", b"\r\r\n", b"\n\r", b"", weight=12)

NAMES: Octets = (
    mostly(b"Accept", b"X-A", b"a", b"1", b"", b"A b", b"A ", b" A", b"A\t", b"\xe9", b"A\0", b"(", b"A\r", weight=6)
    | TOKENS
)
KNOWN_NAMES: Octets = st.builds(
    lambda name, change: change(name),
    st.sampled_from([b"Host", b"Host", b"Content-Length", b"Content-Length", b"Transfer-Encoding", b"Connection"]),
    st.sampled_from(ANY_CASE),
)
VALUES: Octets = (
    mostly(
        *(
            b"b",
            b"",
            b"b c",
            b"b\tc",
            b"a, b",
            b"b:c",
            b"caf\xe9",
            b"\xff",
            b"\x80",
            b"\xa0",
            b"\x85b",
            b"b \t c",
            b'"',
        ),
        *(b"b\0c", b"b\x01c", b"\x01", b"b\x1f", b"b\x7f", b"b\x0bc", b"\x0b", b"b\x0c", b"b\x1cc", b"b\rc", b"b\r"),
        *(b"b\r\n c", b"b\n\tc", b"b\r\n ", b"\r\n c", b"b\r\n\r c"),
    )
    | mostly(b"b", *(b"b" * size for size in (100, 8200, 16300, 16350, 16384)), weight=6)
    | TEXTS
)
KNOWN_VALUES: Octets = st.sampled_from(
    [
        *(b"example.org", b"example.org:80", b"", b"a b", b"a,b", b"5", b"5", b"0", b"05", b"5, 5", b"5,5", b"5, 6"),
        *(b"5,", b",", b"5 5", b"+5", b"-5", b"0x5", b"5.0", b"\xb2", b"5\r\n 5", b"5,\r\n 5", b"5\x01", b"1_0"),
        *(
            b"9" * 18,
            b"9" * 19,
            b"9" * 20,
            b"9" * 21,
            b"0" * 19,
            b"0" * 20,
            b"0" * 21,
            b"0" * 30 + b"7",
            b"0" + b"9" * 19,
        ),
        *(
            b"0" * 25 + b"9" * 19,
            b"chunked",
            b"Chunked",
            b"identity",
            b"gzip, chunked",
            b"chunked, chunked",
            b"chunked;a",
        ),
        *(b"chunked\r\n ", b"close", b"keep-alive", b"Upgrade"),
    ]
)
COLONS: Octets = mostly(b": ", b":", b":\t ", b" :", b"", b"::", b":\r\n ", weight=8)
PLAIN_FIELDS: Octets = st.sampled_from(
    [b"Host: example.org", b"Host: example.org", b"Accept: */*", b"User-Agent: a/1 (b)", b"Content-Length: 5"]
)
ODD_LINES: Octets = mostly(
    b"A: b", b" folded", b"\tfolded", b" ", b"nothing", b":", b": b", b"\r", b"HTTP/1.1", b"\xef\xbb\xbf"
)

FIELD_LINES: Octets = (
    PLAIN_FIELDS
    | PLAIN_FIELDS
    | PLAIN_FIELDS
    | ODD_LINES
    | st.tuples(NAMES, COLONS, AROUND, VALUES, AROUND).map(b"".join)
    | st.tuples(KNOWN_NAMES, COLONS, AROUND, KNOWN_VALUES, AROUND).map(b"".join)
)
FIELD_COUNTS = st.sampled_from([*[1] * 40, 2, 2, 97, 98, 99, 100, 101])
FIELDS_WITH_ENDS: Octets = st.builds(lambda line, end, times: (line + end) * times, FIELD_LINES, ENDS, FIELD_COUNTS)
REQUEST_LINES: Octets = st.tuples(METHODS, BLANKS, TARGETS, BLANKS, VERSIONS, AROUND).map(b"".join)
USUAL_LINES: Octets = mostly(b"GET / HTTP/1.0", b"GET /a HTTP/1.1", b"HEAD /a?b HTTP/1.1", b"PRI * HTTP/2.0")
FIRST: Octets = mostly(b"", b"\r\n", b"\n", b"\r\n\r\n", b"\r", b" ", b"\0", b"\x16\x03\x01", weight=6)
LAST: Octets = mostly(b"\r\n\r\n", b"\r\n", b"\n", b"\n\n", b"", b"\r", b"\r\n\r\nGET / HTTP/1.0\r\n\r\n", weight=2)

HEADS: Octets = st.tuples(
    FIRST,
    USUAL_LINES | USUAL_LINES | REQUEST_LINES,
    ENDS,
    st.lists(FIELDS_WITH_ENDS, max_size=4).map(b"".join),
    LAST,
).map(b"".join)

VALID_HEADS: Octets = st.sampled_from(
    [
        spell(),
        spell(b"Host: example.org", line=b"GET /a/b HTTP/1.1"),
        spell(b"Host: a", b"Accept: */*", b"Connection: keep-alive", line=b"GET http://a/b?c HTTP/1.1"),
        spell(b"Host: a", b"Content-Length: 10", b"X-Text: caf\xe9 \t b", line=b"POST /form HTTP/1.1"),
        spell(b"Transfer-Encoding: chunked", b"Host: a", line=b"PUT /x HTTP/1.1"),
        spell(b"A: b", b"Content-Length: " + b"1" * 18, line=b"OPTIONS * HTTP/1.0").replace(b"\r", b""),
        spell(b"Host: a", *[b"X: y"] * 98, line=b"GET / HTTP/1.2"),
        spell(b"A: " + b"b" * 16350),
        spell(line=b"PRI * HTTP/2.0"),
    ]
)

SPOTS = st.integers(0, 250)
INSERTED: Octets = st.sampled_from(
    [
        *(
            b" ",
            b"\t",
            b"\r",
            b"\n",
            b"\r\n",
            b"\r\n ",
            b"\0",
            b"\x01",
            b"\x7f",
            b"\x80",
            b"\xff",
            b":",
            b",",
            b"#",
            b"0",
        ),
        *(b"1", b"/", b".", b"H", b"A: b\r\n", b"Host: b\r\n", b"Content-Length: 10\r\n", b"\x0b", b"\x0c", b"\x1c"),
    ]
) | st.binary(min_size=1, max_size=3)
Mutation = Callable[[bytes], bytes]


def at_line(data: bytes, number: int, change: Callable[[list[bytes], int], None]) -> bytes:
    lines = data.split(b"\n")
    change(lines, number % len(lines))
    return b"\n".join(lines)


def remove_line(lines: list[bytes], number: int) -> None:
    del lines[number]


def repeat_line(lines: list[bytes], number: int) -> None:
    lines.insert(number, lines[number])


def replaced(at: int, size: int, new: bytes) -> Mutation:
    return lambda data: data[:at] + new + data[at + size :]


def repeated(at: int, size: int) -> Mutation:
    return lambda data: data[: at + size] + data[at:]


def cut(at: int) -> Mutation:
    return lambda data: data[:at]


def changed_line(number: int, change: Callable[[list[bytes], int], None]) -> Mutation:
    return lambda data: at_line(data, number, change)


SIZES = st.integers(0, 4)
MUTATIONS: st.SearchStrategy[Mutation] = (
    st.builds(replaced, SPOTS, st.just(0), INSERTED)
    | st.builds(replaced, SPOTS, SIZES, INSERTED)
    | st.builds(replaced, SPOTS, SIZES, st.just(b""))
    | st.builds(repeated, SPOTS, st.integers(1, 30))
    | st.builds(changed_line, st.integers(0, 6), st.sampled_from([remove_line, repeat_line]))
    | st.builds(cut, SPOTS)
)


def mutated(head: bytes, mutations: list[Mutation], end: bytes) -> bytes:
    for mutation in mutations:
        head = mutation(head)
    return head + end


MUTATED_HEADS: Octets = st.builds(
    mutated, VALID_HEADS, st.lists(MUTATIONS, min_size=1, max_size=3), mostly(b"\r\n\r\n", b"", b"\n\n")
)

# ---------------------------------------------------------------------------------------------------------------
# The tests

LONG = int(os.environ.get("HTTPMINI_DIFFERENTIAL_EXAMPLES", "0"))
differential = settings(
    max_examples=(LONG or 1500) // 2,  # for each of two tests
    deadline=None,
    database=None,
    derandomize=not LONG,
    suppress_health_check=list(HealthCheck),
)
patient = pytest.mark.timeout(0 if LONG else 120)


def check(data: bytes) -> None:
    ours, theirs = read_ours(data), read_theirs(data)
    names = explain(data)
    assert names is not None, f"not explained: {data!r}\n  we:  {ours}\n  h11: {theirs}"
    for name in dict.fromkeys(names):
        event(f"differ: {name}")
    if not names:
        event(f"agree: {type(ours).__name__}, {type(theirs).__name__}")


@patient
@differential
@given(HEADS)
def test_heads_of_a_grammar(data: bytes) -> None:
    check(data)


@patient
@differential
@given(MUTATED_HEADS)
def test_valid_heads_that_were_damaged(data: bytes) -> None:
    check(data)


@pytest.mark.parametrize(
    ("row", "data"),
    [pytest.param(row, data, id=f"{row.name}-{n}") for row in DIFFERENCES for n, data in enumerate(row.examples)],
)
def test_each_example_differs_by_its_row_alone(row: Difference, data: bytes) -> None:
    ours, theirs = read_ours(data), read_theirs(data)
    assert not agree(ours, theirs)
    assert [other.name for other in DIFFERENCES if other.explains(data, ours, theirs)] == [row.name]
    assert explain(data) == [row.name]


def test_each_row_has_a_name_a_section_and_an_example() -> None:
    assert len({row.name for row in DIFFERENCES}) == len(DIFFERENCES)
    for row in DIFFERENCES:
        assert re.search(r"RFC \d+ (§\d|appendix)", row.why), row.name
        assert row.examples, row.name


def test_causes_are_explained_one_by_one() -> None:
    data = b"\r\n" + spell(b"Content-Length: " + b"0" * 30, line=b"GET  /\xe9 HTTP/1.00")
    assert explain(data) == [
        "empty line first",
        "blanks in the request line",
        "long version",
        "octets above 127 in the target",
        "zeros before a length",
    ]


@pytest.mark.parametrize(
    "data",
    [
        spell(),
        spell(b"HOST:\t a ", b"X:", b"x: caf\xe9  b", b"Content-Length: 007", line=b"G!T * HTTP/1.1"),
        spell(b"Host: a", line=b"CONNECT a:80 HTTP/1.9"),
        b"GET / HTTP/1.0\nA: b\n\n",
        b"GET / HTTP/1.0\nA: b\r\n\nGET",
    ],
)
def test_both_take_the_same(data: bytes) -> None:
    ours = read_ours(data)
    assert isinstance(ours, Taken)
    assert ours == read_theirs(data)


PLAIN = Taken("GET", "/", (1, 0), ())


@pytest.mark.parametrize("data", [spell(), spell(b"A: b", b" c"), b"GET /\r\n", spell(line=b"GET  / HTTP/1.0")])
@pytest.mark.parametrize(
    ("reader", "outcome"),
    [
        ("read_ours", Refused("request-line")),
        ("read_ours", Unfinished()),
        ("read_ours", PLAIN._replace(target="/other")),
        ("read_ours", PLAIN._replace(fields=(("a", "c"),))),
        ("read_theirs", PLAIN._replace(version=(1, 1))),
        ("read_theirs", PLAIN._replace(fields=(("a", "c"),))),
    ],
)
def test_a_reader_that_errs_is_not_explained(
    data: bytes, reader: str, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No row is a catch-all: a reader with one outcome for everything is detected."""
    monkeypatch.setattr(f"{__name__}.{reader}", lambda data: outcome)
    if not agree(read_ours(data), read_theirs(data)):
        assert explain(data) is None


@pytest.mark.parametrize("row", DIFFERENCES, ids=lambda row: row.name)
def test_each_row_undoes_its_cause(row: Difference) -> None:
    for data in row.examples:
        assert not row.holds(row.undone(data))
