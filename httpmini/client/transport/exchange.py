"""One connection to a server, used for one exchange after the other: a request out, a head in, a body in pieces.

An answer that ends before its end is an error, never a short body.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterator

from httpmini.client.options import Limits, Timeouts
from httpmini.errors import BrokenResponse, NotConnected, ProtocolError, TimedOut, TooLarge, Truncated
from httpmini.protocol.framing import Data, Framing, UntilEnd, framing_of
from httpmini.protocol.reader import NEED_DATA, HeadLimits, ResponseHead, read_response_head

PIECE_BYTES = 128 * 1024
MAX_INTERIM = 100  # answers of 1xx before the answer; servers send one or two


class Wire:
    """A connected socket that speaks HTTP.

    Args:
        sock: the socket, which is closed by ``close``.
        limits: how much is taken.
        timeouts: how long is waited.
        via_proxy: whether it is a proxy that has to be told whole URLs.
        proxy_fields: the fields that this proxy needs in each request.

    Attributes:
        complete: whether the last answer has come to its end.
        reusable: whether another request may follow on it.
        piece_bytes: how much of a body is read at once.
        deadline: when the whole exchange has to be over, by the monotonic clock; None for never.
    """

    def __init__(
        self,
        sock: socket.socket,
        limits: Limits,
        timeouts: Timeouts,
        *,
        via_proxy: bool = False,
        proxy_fields: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.sock = sock
        self.via_proxy = via_proxy
        self.proxy_fields = proxy_fields
        self.limits = limits
        self.timeouts = timeouts
        self.complete = False
        self.reusable = False
        self.piece_bytes = PIECE_BYTES
        self._buffer = memoryview(bytearray(PIECE_BYTES))
        self.deadline: float | None = None
        self._rest = b""  # came with the head, and belongs to the body
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing has come since the last answer: neither its end, nor octets that nobody asked for."""
        pending = getattr(self.sock, "pending", None)  # what TLS has taken from the socket already
        return not self._poll.poll(0) and not (pending and pending())

    def close(self) -> None:
        """Close the socket."""
        self.reusable = False
        self.sock.close()

    def send(self, head: bytes, data: bytes = b"") -> None:
        """Send a request.

        Raises:
            NotConnected: the connection was lost while sending, and nothing had been answered.
            TimedOut: the server takes nothing.
        """
        self.complete = self.reusable = False
        self.piece_bytes = PIECE_BYTES
        try:
            for part in (head + data,) if len(data) < PIECE_BYTES else (head, data):
                view = memoryview(part)
                while view:  # sendall() would have one limit for all of a large body
                    self._set_timeout(self._patience(self.timeouts.silence_s))
                    view = view[self.sock.send(view) :]
        except TimeoutError as error:
            raise self._late("silence", self.timeouts.silence_s, "the server did not take the request") from error
        except (BrokenPipeError, ConnectionResetError):
            return  # it may have answered before it had read everything: what it said is still to be read
        except OSError as error:
            raise NotConnected(f"the connection was lost while asking: {error.strerror}") from error

    def receive_head(self) -> tuple[ResponseHead, bytes]:
        """The head of the answer, and its octets; interim answers are passed over (RFC 9110 §15.2).

        Raises:
            NotConnected: the connection ended before the first byte.
            Truncated: it ended in the middle.
            BrokenResponse: this is no HTTP, or no end is to be seen.
            TimedOut: the first byte, or the next, did not come.
        """
        limits = HeadLimits(self.limits.head_bytes, 0, self.limits.fields)
        buffer = bytearray()
        interim, before = 0, 0
        while True:
            try:
                head = read_response_head(buffer, limits) if buffer else NEED_DATA
            except ProtocolError as error:
                raise _broken(error, before) from error
            if head is NEED_DATA:
                data = self._receive("silence" if buffer else "first byte", PIECE_BYTES)
                if not data:
                    raise self._ended(buffer)
                buffer += data
            elif head.status < 200 and head.status != 101:
                del buffer[: head.size]
                interim, before = interim + 1, before + head.size
                if interim > MAX_INTERIM:
                    raise BrokenResponse(f"more than {MAX_INTERIM} answers of 1xx came before the answer", "interim")
            else:
                self._rest = bytes(buffer[head.size :])
                return head, bytes(buffer[: head.size])

    def receive_body(self, method: str, head: ResponseHead) -> Iterator[Data]:
        """The pieces of the body, as they come; when all are there, ``reusable`` says whether to ask again.

        A piece may be a view of a buffer, and holds until the next one is asked for.

        Raises:
            Truncated, BrokenResponse, TimedOut, TooLarge: see ``errors.py``.
        """
        try:
            framing = framing_of(method, head.status, head.headers)
        except ProtocolError as error:
            raise _broken(error) from error
        if framing.done:
            self.complete = True
            self.reusable = not self._rest and _is_kept(head)
            return iter(())
        return self._pieces(framing, head)

    def _pieces(self, framing: Framing, head: ResponseHead) -> Iterator[Data]:
        data: Data = self._rest
        self._rest = b""
        size, done = 0, False
        while not done:
            data = data or self._receive("silence", self.piece_bytes)
            try:
                piece = framing.receive(data)
            except ProtocolError as error:
                raise _broken(error, head.size) from error
            if not data and (missing := framing.end()):
                raise Truncated(f"the answer ended {missing}")
            data, done = b"", framing.done
            size += len(piece)
            self.check_size(size)
            if done:
                self.complete = True
                self.reusable = not framing.surplus and _is_kept(head) and not isinstance(framing, UntilEnd)
            if piece:
                yield piece

    def check_size(self, size: int) -> None:
        """Whether a body may have ``size`` bytes.

        Raises:
            TooLarge: it may not.
        """
        if self.limits.body_bytes is not None and size > self.limits.body_bytes:
            raise TooLarge(f"the body has more than {self.limits.body_bytes} bytes")

    def _ended(self, buffer: bytearray) -> Exception:
        if buffer:
            return Truncated("the server closed the connection in the middle of its head")
        return NotConnected("the server closed the connection without an answer")

    def _receive(self, phase: str, size: int) -> memoryview:
        """What comes next, in a buffer that is used again: fresh memory for each piece costs a third of the time."""
        limit = self.timeouts.first_byte_s if phase == "first byte" else self.timeouts.silence_s
        timeouts = self._patience(limit)
        try:
            self._set_timeout(timeouts)
            count = self.sock.recv_into(self._buffer, min(size, len(self._buffer)))
        except TimeoutError as error:
            raise self._late(phase, limit, "nothing came") from error
        except OSError as error:
            if phase == "first byte":
                said = error.strerror or error
                raise NotConnected(f"the server broke the connection without an answer: {said}") from error
            raise Truncated(f"the connection broke: {error.strerror or error}") from error
        return self._buffer[:count]

    def _set_timeout(self, seconds: float) -> None:
        if self.sock.gettimeout() != seconds:  # which is a system call
            self.sock.settimeout(seconds)

    def _patience(self, limit: float) -> float:
        if self.deadline is None:
            return limit
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise self._late("total", limit, "")
        return min(limit, left)

    def _late(self, phase: str, limit: float, what: str) -> TimedOut:
        if self.deadline is not None and time.monotonic() >= self.deadline:
            return TimedOut("total", self.timeouts.total_s or 0.0, "the answer was not complete")
        return TimedOut(phase, limit, what)


def _is_kept(head: ResponseHead) -> bool:
    """RFC 9112 §9.3: kept when the server says so; 1.1 does by saying nothing. After a 101 it is no HTTP any more.

    Chunks in an answer of 1.0 are decoded, but who sends them does not know what it does (§6.1).
    """
    options = head.headers.tokens("Connection")
    if head.status == 101 or "close" in options:
        return False
    return head.version >= (1, 1) or ("keep-alive" in options and "Transfer-Encoding" not in head.headers)


def _broken(error: ProtocolError, before: int = 0) -> BrokenResponse:
    """What it is for the caller; ``before``: the bytes before what was being read, for the place."""
    if error.offset is not None:
        error = ProtocolError(error.reason, error.offset + before)
    text = f"the answer is not understood: {error.reason.text} [{error}]"
    return BrokenResponse(text, error.reason.token, error.offset)


Trace = Callable[[str, bytes], None]
"""Takes ">" with each head that is sent and "<" with each that comes."""
