"""A connection to a server, used for one exchange after another: a request out, a head in, a body in pieces.

A truncated response is an error, never a short body.
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
MAX_INTERIM = 100  # 1xx responses before the final one; servers send one or two


class Connection:
    """A connected socket that speaks HTTP, to a server or to a proxy for it.

    Args:
        sock: the socket, which ``close`` closes. With TLS, b"" stands only for an end that TLS has announced; any other
            end may be an attacker's doing, and raises an OSError (RFC 9112 §9.8).
        limits: on the size of responses.
        timeouts: on each wait.
        via_proxy: whether a proxy reads the requests, and so needs the whole URL as their target (RFC 9112 §3.2.2).
        proxy_fields: the header fields that this proxy needs in each request.

    Attributes:
        complete: whether the last response has been received to its end.
        reusable: whether another request may follow.
        may_be_followed: whether a body that must not come may follow the last response: to HEAD, or with 204 or 304.
        announced_bytes: the announced length of the last body; 0 if none was announced.
        piece_bytes: how much of a body is read at once.
        deadline: the end of the whole exchange, monotonic time; None for no limit.
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
        self._head_limits = HeadLimits(limits.head_bytes, 0, limits.fields)
        self.timeouts = timeouts
        self.complete = False
        self.reusable = False
        self.may_be_followed = False
        self.announced_bytes = 0
        self.piece_bytes = PIECE_BYTES
        self._buffer = memoryview(bytearray(PIECE_BYTES))
        self.deadline: float | None = None
        self._rest = b""  # bytes of the body that came with the head
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing has come since the last response: neither the end of the connection nor stray octets."""
        return self.stays_quiet(0.0)

    def stays_quiet(self, seconds: float) -> bool:
        """Wait, and return whether nothing has come until then since the last response."""
        pending = getattr(self.sock, "pending", None)  # bytes that TLS has read from the socket already
        return not (pending and pending()) and not self._poll.poll(seconds * 1000)

    def close(self) -> None:
        """Close the socket."""
        self.reusable = False
        self.sock.close()

    def send(self, head: bytes, data: bytes = b"") -> None:
        """Send a request.

        Raises:
            NotConnected: the connection was lost while sending.
            TimedOut: the server stopped reading.
        """
        self.complete = self.reusable = False
        self.piece_bytes = PIECE_BYTES
        try:
            for part in (head + data,) if len(data) < PIECE_BYTES else (head, data):
                view = memoryview(part)
                while view:  # sendall() would apply one timeout to all of a large body
                    self._set_timeout(self._timeout(self.timeouts.silence_s))
                    view = view[self.sock.send(view) :]
        except TimeoutError as error:
            raise self._late("silence", self.timeouts.silence_s, "the server did not read the request") from error
        except (BrokenPipeError, ConnectionResetError):
            return  # the server may have responded before reading everything, and that response can still be read
        except OSError as error:
            raise NotConnected(f"the connection was lost while sending the request: {error.strerror}") from error

    def receive_head(self) -> tuple[ResponseHead, bytes]:
        """Receive the head of the response and its octets, skipping interim responses (RFC 9110 §15.2).

        Raises:
            NotConnected: the connection ended before the first byte.
            Truncated: it ended in the middle of the head.
            BrokenResponse: this is not HTTP, or exceeds a limit.
            TimedOut: the first byte, or the next, did not come in time.
        """
        buffer = bytearray()
        interim, before = 0, 0
        while True:
            try:
                head = read_response_head(buffer, self._head_limits) if buffer else NEED_DATA
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
                    raise BrokenResponse(f"more than {MAX_INTERIM} interim responses (1xx) came", "interim")
            else:
                self._rest = bytes(buffer[head.size :])
                return head, bytes(buffer[: head.size])

    def receive_body(self, method: str, head: ResponseHead) -> Iterator[Data]:
        """Yield the pieces of the body as they come; after the last, ``reusable`` is set.

        A piece may be a view of a buffer, valid only until the next one is requested.

        Args:
            method: of the request.
            head: of the response.

        Raises:
            Truncated, BrokenResponse, TimedOut, TooLarge: see ``errors.py``.
        """
        try:
            framing = framing_of(method, head.status, head.headers)
        except ProtocolError as error:
            raise _broken(error) from error
        self.announced_bytes = framing.announced
        self.may_be_followed = framing.done and _announces_body(head)
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
                raise Truncated(f"the response ended {missing}")
            data, done = b"", framing.done
            size += len(piece)
            self.check_size(size)
            if done:
                self.complete = True
                self.reusable = not framing.surplus and _is_kept(head) and not isinstance(framing, UntilEnd)
            if piece:
                yield piece

    def check_size(self, size: int) -> None:
        """Refuse a body of ``size`` bytes if it exceeds the limit.

        Raises:
            TooLarge: it does.
        """
        if self.limits.body_bytes is not None and size > self.limits.body_bytes:
            raise TooLarge(f"the body has more than {self.limits.body_bytes} bytes")

    def _ended(self, buffer: bytearray) -> Exception:
        if buffer:
            return Truncated("the server closed the connection in the middle of the head")
        return NotConnected("the server closed the connection without a response")

    def _receive(self, phase: str, size: int) -> memoryview:
        """Receive into a buffer that is reused: fresh memory for each piece would cost a third of the time."""
        limit = self.timeouts.first_byte_s if phase == "first byte" else self.timeouts.silence_s
        timeout = self._timeout(limit)
        try:
            self._set_timeout(timeout)
            count = self.sock.recv_into(self._buffer, min(size, len(self._buffer)))
        except TimeoutError as error:
            raise self._late(phase, limit, "nothing came") from error
        except OSError as error:
            if phase == "first byte":
                reason = error.strerror or error
                raise NotConnected(f"the server broke the connection without a response: {reason}") from error
            raise Truncated(f"the connection broke: {error.strerror or error}") from error
        return self._buffer[:count]

    def _set_timeout(self, seconds: float) -> None:
        if self.sock.gettimeout() != seconds:  # saves a system call
            self.sock.settimeout(seconds)

    def _timeout(self, limit: float) -> float:
        """Return the seconds to wait: ``limit``, or less if the deadline comes first."""
        if self.deadline is None:
            return limit
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise self._late("total", limit, "")
        return min(limit, left)

    def _late(self, phase: str, limit: float, what: str) -> TimedOut:
        if self.deadline is not None and time.monotonic() >= self.deadline:
            return TimedOut("total", self.timeouts.total_s or 0.0, "the response was not complete")
        return TimedOut(phase, limit, what)


def _is_kept(head: ResponseHead) -> bool:
    """Whether the connection persists (RFC 9112 §9.3): HTTP/1.1 by default, 1.0 if the server says keep-alive.

    After a 101 it no longer speaks HTTP. Chunks in a 1.0 response are decoded, but a server that sends them cannot be
    trusted with the framing of the next response (§6.1).
    """
    options = head.headers.tokens("Connection")
    if head.status == 101 or "close" in options:
        return False
    return head.version >= (1, 1) or ("keep-alive" in options and "Transfer-Encoding" not in head.headers)


def _announces_body(head: ResponseHead) -> bool:
    """Whether the fields promise a body, even if the request or the status forbids it (RFC 9110 §8.6, §15.4.5)."""
    return (head.headers.get("Content-Length") or "0") != "0" or "Transfer-Encoding" in head.headers


# What the table of reasons says of requests.
_OF_RESPONSES = {
    "head-long": "The response head is longer than this client accepts.",
    "fields-many": "The response head has more fields than this client accepts.",
}


def _broken(error: ProtocolError, before: int = 0) -> BrokenResponse:
    """Convert an error of the parser; ``before`` is the number of bytes that preceded what it was parsing."""
    if error.offset is not None:
        error = ProtocolError(error.reason, error.offset + before)
    cause = _OF_RESPONSES.get(error.reason.token, error.reason.text)
    text = f"the response is not valid HTTP: {cause} [{error}]"
    return BrokenResponse(text, error.reason.token, error.offset)


Trace = Callable[[str, bytes], None]
"""Receives ">" with each head that is sent, and "<" with each that is received."""
