"""Where the body of a response ends (RFC 9112 §6.3, §7.1): counted, chunked, or at the end of the connection.

Bytes of the connection in, bytes of the body out. What follows the end is dropped, so it can never become part of the
next response.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Protocol

from httpmini.errors import ProtocolError
from httpmini.protocol.message import Headers
from httpmini.protocol.reader import parse_content_length
from httpmini.reasons import REASONS

# RFC 9112 §7.1:  chunk-size = 1*HEXDIG, then extensions, which are ignored. 16 digits are more than any disk holds.
_CHUNK_SIZE = re.compile(rb"(?P<size>[0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n]*)?")
_MAX_LINE_BYTES = 1024
_MAX_TRAILER_BYTES = 16 * 1024


Data = bytes | memoryview


class Framing(Protocol):
    """The framing of one body: separates it from the other bytes of the connection.

    Attributes:
        done: whether the body has ended.
        surplus: whether bytes came after the end, which belong to no response (RFC 9112 §6.3).
    """

    done: bool
    surplus: bool

    @property
    def announced(self) -> int:
        """The announced length of the body in bytes, or 0 if none was announced."""
        ...

    def receive(self, data: Data) -> Data:
        """Return the part of ``data`` that belongs to the body.

        Raises:
            ProtocolError: the framing is broken.
        """
        ...

    def end(self) -> str:
        """Note that the connection has ended.

        Returns:
            Where the body was cut off, in words; empty if it is complete.
        """
        ...


class Counted:
    """A body of a given length (``Content-Length``)."""

    def __init__(self, length: int) -> None:
        self.announced = self._left = length
        self.done = length == 0
        self.surplus = False

    def receive(self, data: Data) -> Data:
        """Return what of ``data`` is within the announced length."""
        if len(data) > self._left:
            self.surplus = True
            data = data[: self._left]
        self._left -= len(data)
        self.done = self._left == 0
        return data

    def end(self) -> str:
        """Say after how many bytes the body was cut off, unless it is complete."""
        return "" if self.done else f"after {self.announced - self._left} of {self.announced} bytes"


class UntilEnd:
    """A body that ends with the connection, without length or chunks (RFC 1945 §7.2.2)."""

    done = False
    surplus = False
    announced = 0

    def receive(self, data: Data) -> Data:
        """Return all of ``data``."""
        return data

    def end(self) -> str:
        """Note that the body is complete: it ends with the connection."""
        self.done = True
        return ""


class _Expects(Enum):
    """What must come next in a chunked body."""

    SIZE = "the line with the size of a chunk"
    DATA = "the bytes of a chunk"
    LINE_END = "the line end after a chunk"
    TRAILER = "the fields after the last chunk"


class Chunked:
    """A chunked body (RFC 9112 §7.1). Some HTTP/1.1 servers send one even in response to an HTTP/1.0 request."""

    announced = 0

    def __init__(self) -> None:
        self.done = self.surplus = False
        self._expects = _Expects.SIZE
        self._left = 0  # bytes of the current chunk
        self._taken = 0  # bytes received before, for offsets in errors
        self._line_at = 0  # where the current line began, as such an offset
        self._line = b""  # the beginning of an incomplete line
        self._trailer_bytes = 0

    def receive(self, data: Data) -> Data:
        """Return the content of the chunks in ``data``, without their framing."""
        data = bytes(data)
        body: list[bytes] = []
        at = 0
        while at < len(data) and not self.done:
            if self._expects is _Expects.DATA:
                piece = data[at : at + self._left]
                body.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if not self._left:
                    self._expects = _Expects.LINE_END
                continue
            end = data.find(b"\n", at)
            if not self._line:
                self._line_at = self._taken + at
            self._line += data[at : end if end >= 0 else len(data)]
            if len(self._line) > _MAX_LINE_BYTES or (end >= 0 and not self._take_line()):
                raise ProtocolError(REASONS["chunk"], self._line_at)
            at = end + 1 if end >= 0 else len(data)
        self.surplus = self.surplus or at < len(data)
        self._taken += at
        return b"".join(body)

    def end(self) -> str:
        """Say that the body was cut off, unless the last chunk has come."""
        return "" if self.done else "in the middle of its chunks"

    def _take_line(self) -> bool:
        """Process a complete line; return whether it is what must come next.

        It must end in CRLF. RFC 9112 §2.2 lets a bare LF end a line in heads only: in a chunked body, other
        implementations would see the end of the line elsewhere.
        """
        line, self._line = self._line, b""
        if not line.endswith(b"\r"):
            return False
        line = line[:-1]
        if self._expects is _Expects.LINE_END:
            self._expects = _Expects.SIZE
            return not line
        if self._expects is _Expects.TRAILER:
            self._trailer_bytes += len(line)
            self.done = not line
            return self._trailer_bytes <= _MAX_TRAILER_BYTES
        match = _CHUNK_SIZE.fullmatch(line)
        if match is None:
            return False
        self._left = int(match["size"], 16)
        self._expects = _Expects.DATA if self._left else _Expects.TRAILER
        return True


def framing_of(method: str, status: int, headers: Headers) -> Framing:
    """Return the framing of the body of a response (RFC 9112 §6.3).

    Args:
        method: the method of the request.
        status: the status code of the response.
        headers: the header fields of the response.

    Raises:
        ProtocolError: a malformed length, two lengths, a transfer coding other than chunked, or both.
    """
    length = parse_content_length(headers)
    if method == "HEAD" or status in (204, 304) or status < 200:
        return Counted(0)
    if "Transfer-Encoding" in headers:
        # strip() without arguments would remove octet 160 too, where other implementations see an unknown coding.
        values = headers.all("Transfer-Encoding")
        codings = [coding.strip(" \t").lower() for value in values for coding in value.split(",")]
        if codings != ["chunked"] or length is not None:
            raise ProtocolError(REASONS["answer-coding"])
        return Chunked()
    return UntilEnd() if length is None else Counted(length)
