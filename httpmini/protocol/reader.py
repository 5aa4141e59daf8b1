"""Bytes in; a message, NEED_DATA, or a ProtocolError out.

The reader never sends, never waits and never guesses. Its result does not depend on how the bytes were cut into pieces
on their way.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final, Literal

import msgspec

from httpmini.errors import ProtocolError
from httpmini.protocol import grammar
from httpmini.protocol.message import Headers, Request
from httpmini.reasons import REASONS


class NeedData(Enum):
    """The type of NEED_DATA."""

    NEED_DATA = "need data"


NEED_DATA: Final = NeedData.NEED_DATA
"""The result of a reader while the message is not complete."""

# Room in a request line beside the target: a method, a version and the blanks between them.
_LINE_SLACK_BYTES = 64
_MAX_LENGTH_DIGITS = 18  # the largest length that fits 63 bits has 19


class HeadLimits(msgspec.Struct, frozen=True):
    """How large a request head may be.

    Attributes:
        head_bytes: all of it, from the request line to the empty line.
        target_bytes: the request target.
        fields: the number of header fields.
    """

    head_bytes: int
    target_bytes: int
    fields: int


class _RequestLine(msgspec.Struct, frozen=True):
    """A request line, parsed; ``text`` is the line as it came."""

    method: str
    target: str
    version: tuple[int, int]
    text: str


class RequestReader:
    """Reads one request head after another from the bytes of a connection (RFC 9112 §2.2, RFC 1945 §5).

    Args:
        limits: how large a head may be; may be exchanged between two heads.
    """

    def __init__(self, limits: HeadLimits) -> None:
        self.limits = limits
        self._buffer = bytearray()
        self._scanned = 0
        self._skipped_empty_line = False
        self._line: _RequestLine | None = None
        self._line_end = 0

    def feed(self, data: bytes) -> None:
        """Add what was received."""
        self._buffer += data

    @property
    def is_empty(self) -> bool:
        """Whether no byte of the next request is here."""
        return not self._buffer

    def first_line(self) -> str:
        """Return the request line as far as it is here, for the log of a request that is refused or lost."""
        if self._line is not None:
            return self._line.text
        line, _, _ = bytes(self._buffer).partition(b"\n")
        return line.removesuffix(b"\r").decode("iso-8859-1")

    @property
    def method(self) -> str:
        """The method of the request that is being read; empty until its line has been parsed."""
        return self._line.method if self._line else ""

    def next(self) -> Request | Literal[NeedData.NEED_DATA]:
        """Return the next request, or NEED_DATA.

        Raises:
            ProtocolError: the bytes are not an acceptable request. The connection cannot be read any further.
        """
        if self._line is None:
            self._line = self._next_line()
        line = self._line
        if line is None:
            return NEED_DATA
        if line.version == (0, 9):
            return self._take(self._line_end + 1, Request(line.method, line.target, line.version, line=line.text))
        # The empty line may follow at once, so that the request line's own LF is the first of the two.
        end = grammar.HEAD_END.search(self._buffer, max(self._line_end, self._scanned - 2))
        if (end.end() if end else len(self._buffer)) > self.limits.head_bytes:
            raise ProtocolError(REASONS["head-long"], self.limits.head_bytes)
        if end is None:
            self._scanned = len(self._buffer)
            return NEED_DATA
        block = bytes(self._buffer[self._line_end + 1 : end.start() + 1])
        headers = parse_fields(block, self._line_end + 1, self.limits.fields)
        length = _check_framing(line, headers, lambda name, nth: _find_field(block, self._line_end + 1, name, nth))
        request = Request(line.method, line.target, line.version, headers, line.text, length)
        return self._take(end.end(), request)

    def _take(self, size: int, request: Request) -> Request:
        """Remove the ``size`` bytes of ``request`` from the buffer; return it."""
        del self._buffer[:size]
        self._scanned = self._line_end = 0
        self._skipped_empty_line = False
        self._line = None
        return request

    def _next_line(self) -> _RequestLine | None:
        """Return the next request line, or None while it is not complete."""
        buffer = self._buffer
        if not self._skipped_empty_line and (empty := grammar.EMPTY_LINE.match(buffer)):
            del buffer[: empty.end()]
            self._skipped_empty_line = True
        if not buffer or buffer == b"\r":
            return None
        if not grammar.FIRST_OCTET.match(buffer):
            raise ProtocolError(REASONS["not-http"], 0)
        end = buffer.find(b"\n", self._scanned)
        longest = self.limits.target_bytes + _LINE_SLACK_BYTES
        if (len(buffer) if end < 0 else end) > longest:
            no_method = grammar.TOKEN.match(buffer, 0, _LINE_SLACK_BYTES)
            if no_method and no_method.end() == _LINE_SLACK_BYTES:
                raise ProtocolError(REASONS["method-unknown"], 0)
            raise ProtocolError(REASONS["target-long"], longest)
        if end < 0:
            self._scanned = len(buffer)
            return None
        self._line_end = self._scanned = end
        return _parse_request_line(bytes(buffer[:end]).removesuffix(b"\r"), self.limits.target_bytes)


def _parse_request_line(line: bytes, target_bytes: int) -> _RequestLine:
    if line == grammar.HTTP2_PREFACE_LINE:
        raise ProtocolError(REASONS["http2-preface"], 0)
    match = grammar.REQUEST_LINE.fullmatch(line)
    if match is None:
        raise ProtocolError(REASONS["request-line"], 0)
    if len(match["target"]) > target_bytes:
        raise ProtocolError(REASONS["target-long"], match.start("target") + target_bytes)
    if bad := grammar.BAD_TARGET_OCTET.search(match["target"]):
        raise ProtocolError(REASONS["target-character"], match.start("target") + bad.start())
    if match["version"] is None:
        if match["method"] != b"GET":
            raise ProtocolError(REASONS["simple-request-method"], 0)
        version = (0, 9)
    else:
        version = _parse_version(match["version"], match.start("version"))
    method, target = match["method"].decode("ascii"), match["target"].decode("iso-8859-1")
    return _RequestLine(method, target, version, line.decode("iso-8859-1"))


def _parse_version(text: bytes, offset: int) -> tuple[int, int]:
    """Return (1, 0) or (1, 1): a higher minor version counts as the highest known (RFC 9110 §2.5)."""
    match = grammar.VERSION.fullmatch(text)
    if match is None:
        raise ProtocolError(REASONS["version"], offset)
    if match["major"].lstrip(b"0") != b"1":
        raise ProtocolError(REASONS["version-major"], offset)
    return (1, 1) if match["minor"].lstrip(b"0") else (1, 0)


def parse_fields(block: bytes, offset: int, limit: int, *, unfold: bool = False) -> Headers:
    """Parse the header fields of a head.

    Args:
        block: the field lines with their line ends, without the empty line after them.
        offset: where ``block`` begins in the message, for the errors.
        limit: the largest number of fields.
        unfold: join folded lines with a space, as a client must, instead of refusing them (RFC 9112 §5.2).

    Raises:
        ProtocolError: with the byte at which a line is wrong.
    """
    if grammar.is_plain(block, limit):  # what is not is read line by line, to say what is wrong, and where
        return Headers.from_lines("\n" + block.decode("iso-8859-1"))
    fields: list[tuple[str, str]] = []
    for raw in block[:-1].split(b"\n") if block else ():
        line = raw.removesuffix(b"\r")
        if line[:1] in (b" ", b"\t"):
            if not unfold or not fields:
                raise ProtocolError(REASONS["field-folded"], offset)
            name, value = fields.pop()
            fields.append((name, f"{value} {_field_value(line, offset)}".strip(" ")))
        else:
            fields.append(_parse_field(line, offset))
        if len(fields) > limit:
            raise ProtocolError(REASONS["fields-many"], offset)
        offset += len(raw) + 1
    return Headers(tuple(fields))


def _parse_field(line: bytes, offset: int) -> tuple[str, str]:
    name, colon, value = line.partition(b":")
    if not colon:
        raise ProtocolError(REASONS["field-colon"], offset)
    if not grammar.TOKEN.fullmatch(name):
        with_space = grammar.TOKEN.fullmatch(name.rstrip(b" \t"))
        raise ProtocolError(REASONS["field-name-space" if with_space else "field-name"], offset)
    return name.decode("ascii"), _field_value(value, offset + len(name) + 1)


def _field_value(value: bytes, offset: int) -> str:
    if bad := grammar.BAD_VALUE_OCTET.search(value):
        raise ProtocolError(REASONS["field-value"], offset + bad.start())
    return value.strip(b" \t").decode("iso-8859-1")


def _check_framing(line: _RequestLine, headers: Headers, find: Callable[[str, int], int]) -> int:
    """Return the length of the body; refuse what could be read in two ways (RFC 9112 §3.2, §6.1, §6.3).

    Args:
        line: the request line.
        headers: the fields.
        find: the byte at which the n-th field of a name begins.
    """
    hosts = headers.all("Host")
    if len(hosts) > 1:
        raise ProtocolError(REASONS["host-repeated"], find("Host", 1))
    if hosts and not grammar.HOST.fullmatch(hosts[0]):
        raise ProtocolError(REASONS["host-value"], find("Host", 0))
    if not hosts and line.version >= (1, 1):
        raise ProtocolError(REASONS["host-missing"])
    if "Transfer-Encoding" in headers:
        raise ProtocolError(REASONS["transfer-encoding"], find("Transfer-Encoding", 0))
    try:
        return parse_content_length(headers) or 0
    except ProtocolError as error:  # of several, the second is the one too many
        last = len(headers.all("Content-Length")) - 1
        raise ProtocolError(error.reason, find("Content-Length", min(1, last))) from error


def _find_field(block: bytes, offset: int, name: str, nth: int) -> int:
    """Return the byte at which the ``nth`` field ``name`` begins in a parsed block, which begins at ``offset``."""
    wanted = name.lower().encode()
    for line in block.split(b"\n"):
        if line.partition(b":")[0].lower() == wanted:
            nth -= 1
            if nth < 0:
                break
        offset += len(line) + 1
    return offset


def parse_content_length(headers: Headers) -> int | None:
    """Return the announced length in bytes, or None without one (RFC 9110 §8.6).

    Raises:
        ProtocolError: several values, or one that is not a number of at most 18 digits.
    """
    values = headers.all("Content-Length")
    if not values:
        return None
    if len(values) > 1 or not grammar.CONTENT_LENGTH.fullmatch(values[0]):
        raise ProtocolError(REASONS["content-length"])
    digits = values[0].lstrip("0")
    if len(digits) > _MAX_LENGTH_DIGITS:
        raise ProtocolError(REASONS["content-length"])
    return int(digits or "0")


class ResponseHead(msgspec.Struct, frozen=True):
    """The head of a response, as a client reads it (RFC 9112 §4)."""

    version: tuple[int, int]
    status: int
    phrase: str
    headers: Headers
    size: int


def read_response_head(buffer: bytes | bytearray, limits: HeadLimits) -> ResponseHead | Literal[NeedData.NEED_DATA]:
    """Return the head at the beginning of ``buffer``, or NEED_DATA; ``size`` is the number of its bytes.

    Raises:
        ProtocolError: this is not an acceptable HTTP response.
    """
    if not buffer.startswith(b"HTTP/"[: len(buffer)]):
        raise ProtocolError(REASONS["not-http"], 0)
    end = grammar.HEAD_END.search(buffer)
    if (end.end() if end else len(buffer)) > limits.head_bytes:
        raise ProtocolError(REASONS["head-long"], limits.head_bytes)
    if end is None:
        return NEED_DATA
    line_end = buffer.index(b"\n")
    match = grammar.STATUS_LINE.fullmatch(bytes(buffer[:line_end]).removesuffix(b"\r"))
    if match is None or grammar.BAD_VALUE_OCTET.search(match["reason"] or b""):
        raise ProtocolError(REASONS["status-line"], 0)
    block = bytes(buffer[line_end + 1 : end.start() + 1])
    headers = parse_fields(block, line_end + 1, limits.fields, unfold=True)
    version, status = (int(match["major"]), int(match["minor"])), int(match["status"])
    return ResponseHead(version, status, (match["reason"] or b"").decode("iso-8859-1"), headers, end.end())
