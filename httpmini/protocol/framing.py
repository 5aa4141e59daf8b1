"""Where the body of an answer ends (RFC 9112 §6.3, §7.1): counted, chunked, or with the connection. No sockets.

Bytes in, bytes of the body out; what came behind the end is kept apart and never becomes the next answer's.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Protocol

from httpmini.errors import ProtocolError
from httpmini.protocol.message import Headers
from httpmini.protocol.reader import parse_content_length
from httpmini.reasons import REASONS

# RFC 9112 §7.1:  chunk-size = 1*HEXDIG, then extensions that nobody uses. 16 digits are more than any disk has.
_CHUNK_SIZE = re.compile(rb"(?P<size>[0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n]*)?")
_MAX_LINE_BYTES = 1024
_MAX_TRAILER_BYTES = 16 * 1024


Data = bytes | memoryview


class Framing(Protocol):
    """Cuts a body out of the bytes of a connection.

    Attributes:
        done: whether the end of the body was seen.
        surplus: whether anything came behind it, which is no answer to anything (RFC 9112 §6.3).
    """

    done: bool
    surplus: bool

    @property
    def announced(self) -> int:
        """The length of the body in bytes, if it was announced; else 0."""
        ...

    def receive(self, data: Data) -> Data:
        """What of ``data`` belongs to the body; what lies behind its end is dropped.

        Raises:
            ProtocolError: the framing is broken.
        """
        ...

    def end(self) -> str:
        """The connection has ended: empty when that is the body's end too, else where it was cut off."""
        ...


class Counted:
    """``Content-Length``: so many bytes."""

    def __init__(self, length: int) -> None:
        self.announced = self._left = length
        self.done = length == 0
        self.surplus = False

    def receive(self, data: Data) -> Data:
        """See ``Framing``."""
        if len(data) > self._left:
            self.surplus = True
            data = data[: self._left]
        self._left -= len(data)
        self.done = self._left == 0
        return data

    def end(self) -> str:
        """See ``Framing``."""
        return "" if self.done else f"after {self.announced - self._left} of {self.announced} bytes"


class UntilEnd:
    """Neither length nor chunks: the body ends with the connection (RFC 1945 §7.2.2)."""

    done = False
    surplus = False
    announced = 0

    def receive(self, data: Data) -> Data:
        """See ``Framing``."""
        return data

    def end(self) -> str:
        """See ``Framing``."""
        self.done = True
        return ""


class _Expects(Enum):
    """What comes next in a chunked body."""

    SIZE = "the line with the size of a chunk"
    DATA = "the bytes of a chunk"
    LINE_END = "the line end behind them"
    TRAILER = "the fields behind the last chunk"


class Chunked:
    """``Transfer-Encoding: chunked``, from servers of 1.1 that send it whatever we ask (RFC 9112 §7.1)."""

    announced = 0

    def __init__(self) -> None:
        self.done = self.surplus = False
        self._expects = _Expects.SIZE
        self._left = 0  # of the present chunk
        self._taken = 0  # bytes of earlier pieces, for the errors
        self._line = b""  # the beginning of a line that is not all here
        self._trailer_bytes = 0

    def receive(self, data: Data) -> Data:
        """See ``Framing``."""
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
            self._line += data[at : end if end >= 0 else len(data)]
            if len(self._line) > _MAX_LINE_BYTES or (end >= 0 and not self._take_line()):
                raise ProtocolError(REASONS["chunk"], self._taken + at)
            at = end + 1 if end >= 0 else len(data)
        self.surplus = self.surplus or at < len(data)
        self._taken += at
        return b"".join(body)

    def end(self) -> str:
        """See ``Framing``."""
        return "" if self.done else "in the middle of its chunks"

    def _take_line(self) -> bool:
        """Understand the line; False when it is not what has to be there.

        It has to end in CRLF: the leniency of RFC 9112 §2.2 is for heads, and a line that ends at a bare LF for us has
        another end for others.
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
    """How the body of an answer is framed (RFC 9112 §6.3).

    Args:
        method: what was asked with.
        status: of the answer.
        headers: of the answer.

    Raises:
        ProtocolError: a length that is none, or two of them, or a transfer coding that is not chunked, or both.
    """
    length = parse_content_length(headers)
    if method == "HEAD" or status in (204, 304) or status < 200:
        return Counted(0)
    # Blanks only are stripped: strip() alone takes octet 160 for one, and others see a coding that they do not know.
    values = headers.all("Transfer-Encoding")
    codings = [coding.strip(" \t").lower() for value in values for coding in value.split(",")]
    if codings:
        if codings != ["chunked"] or length is not None:
            raise ProtocolError(REASONS["answer-coding"])
        return Chunked()
    return UntilEnd() if length is None else Counted(length)
