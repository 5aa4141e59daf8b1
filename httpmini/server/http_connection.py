"""HTTP/1.0 on a Connection: request heads in, answers out, kept alive when the client asks (RFC 1945, RFC 9112 §9).

reading a head --> answering --> reading the next head        (Connection: keep-alive, asked and announced)
                             \\-> closed, or lingering first   (everything else)
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from httpmini.errors import ProtocolError
from httpmini.protocol.body import Piece
from httpmini.protocol.message import Headers, Request, Response
from httpmini.protocol.reader import NEED_DATA, HeadLimits, RequestReader
from httpmini.protocol.writer import response_head
from httpmini.reasons import REASONS
from httpmini.server.access_log import Exchange
from httpmini.server.connection import Connection, Interest, Patience, Peer, Refusal
from httpmini.server.error_log import describe

_REFUSALS = {Refusal.BUSY: "too-many-clients", Refusal.DENIED: "address-denied", Refusal.RESOURCES: "out-of-resources"}


class Respond(Protocol):
    """What answers requests: a site."""

    def respond(self, request: Request) -> Response:
        """The answer to a request that could be read."""
        ...

    def refuse(self, error: ProtocolError) -> Response:
        """The answer to one that could not."""
        ...


@dataclass(frozen=True)
class HttpService:
    """HTTP as the modes see it.

    Attributes:
        site: what answers requests.
        limits: how large a request head may be.
        patience: how long a client is waited for.
        head_s: seconds from the first byte of a head to its last.
        server_name: the Server field's value.
        log_exchange: takes every exchange when it is over.
        log_error: takes one line for a fault of ours.
        now: the present, in seconds since the epoch.
        load: loads what answering needs (see ``Service.prepare``).
    """

    site: Respond
    limits: HeadLimits
    patience: Patience
    head_s: float
    server_name: str
    log_exchange: Callable[[Exchange], None]
    log_error: Callable[[str], None]
    now: Callable[[], float]
    load: Callable[[], None]

    def connect(self, peer: Peer, now: float) -> Connection:
        """A conversation with a client that was let in."""
        return HttpConnection(self, peer, now)

    def refuse(self, peer: Peer, refusal: Refusal, now: float) -> Connection:
        """Say 403 or 503 without having been asked, and goodbye."""
        connection = HttpConnection(self, peer, now)
        connection.refuse(ProtocolError(REASONS[_REFUSALS[refusal]]), now)
        return connection

    def prepare(self) -> None:
        """Load what answering needs (see ``Service.prepare``)."""
        self.load()


class HttpConnection(Connection):
    """One client's requests, one after the other."""

    def __init__(self, service: HttpService, peer: Peer, now: float) -> None:
        super().__init__(service.patience, now)
        self._service = service
        self._peer = peer
        self._reader = RequestReader(service.limits)
        self._head_deadline: float | None = None
        self._answer: _Answer | None = None
        self._draining = False

    def on_data(self, data: bytes, now: float) -> None:
        """More of a head, or of what follows it."""
        self._reader.feed(data)
        self._read_request(now)

    def on_end(self, now: float) -> None:
        """The client sends nothing more: fine between two requests, an error in the middle of one."""
        if self._reader.is_empty:
            self.abandon()
        else:
            self.refuse(ProtocolError(REASONS["head-incomplete"]), now)

    def on_timeout(self, now: float) -> None:
        """Silent between two requests: close without a word (RFC 9112 §9.5). Too slow in the middle of one: 408."""
        if self._reader.is_empty:
            self.abandon()
        else:
            self.refuse(ProtocolError(REASONS["head-slow"]), now)

    def on_flushed(self, now: float) -> None:
        """An answer is out: write it down, and go on to the next request or to the end."""
        self._close_answer()
        if self.is_ending:
            super().on_flushed(now)
        elif self._draining:
            self.end(now, expects_more=True)
        else:
            self._read_request(now)

    def on_lost(self, now: float) -> None:  # noqa: ARG002
        """Write down what was cut off: an answer, or a head that was never complete (as 400, as others do)."""
        if self._answer is None and not self._reader.is_empty and not self.is_ending:
            lost = ProtocolError(REASONS["head-incomplete"])
            self._answer = _Answer(None, self._reader.first_line(), Response(lost.reason.status, error=lost), 0)
        self._close_answer()

    def drain(self, now: float) -> None:  # noqa: ARG002
        """Idle connections end at once. A request that has begun to come is still answered, as the last.

        One that is pipelined behind an answer is not: the client was told nothing of it, and may ask again.
        """
        self._draining = True
        if self.interest is Interest.READ and self._reader.is_empty:
            self.abandon()

    def refuse(self, error: ProtocolError, now: float) -> None:
        """Answer a request that cannot be read, and read no further."""
        self._answer_with(None, self._draw_refusal(error), now)

    def _read_request(self, now: float) -> None:
        try:
            request = self._reader.next()
        except ProtocolError as error:
            self.refuse(error, now)
            return
        if request is NEED_DATA:
            self._wait_for_head(now)
        else:
            self._head_deadline = None
            self._answer_with(request, self._respond(request), now)

    def _wait_for_head(self, now: float) -> None:
        """The first byte of a head starts its clock; further ones do not wind it up again."""
        if self._reader.is_empty:
            self._head_deadline = None
            self.deadline = now + self.patience.idle_s
        else:
            if self._head_deadline is None:
                self._head_deadline = now + self._service.head_s
            self.deadline = self._head_deadline

    def _respond(self, request: Request) -> Response:
        try:
            response = self._service.site.respond(request)
            if response.error and response.error.__cause__ and response.status == 500:
                self._service.log_error(f"while answering {request.line!r}: {describe(response.error.__cause__)}")
            return response
        except Exception as fault:  # a fault of ours costs this client a 500, and nobody else anything
            self._service.log_error(f"fault while answering {request.line!r}: {describe(fault)}")
            return self._draw_refusal(ProtocolError(REASONS["fault"]))

    def _draw_refusal(self, error: ProtocolError) -> Response:
        try:
            return self._service.site.refuse(error)
        except Exception as fault:  # not even the page can be drawn (no memory, no descriptors): then without one
            self._service.log_error(f"fault while drawing {error.reason.token}: {describe(fault)}")
            body = f"{error.reason.text}\n".encode()
            plain = ("Content-Type", "text/plain; charset=utf-8")
            return Response(error.reason.status, Headers((plain, *error.fields)), (body,), error=error)

    def _answer_with(self, request: Request | None, response: Response, now: float) -> None:
        keep_alive = not response.is_last and self._may_keep_alive(request)
        method = request.method if request else self._reader.method
        pieces: tuple[Piece, ...] = () if _has_no_body(method, response) else response.body
        head = b""
        if request is None or request.version >= (1, 0):  # a Simple-Response is the entity alone (RFC 1945 §6)
            head = response_head(
                response, keep_alive=keep_alive, server=self._service.server_name, now=self._service.now()
            )
        line = request.line if request else self._reader.first_line()
        self._answer = _Answer(request, line, response, -len(head))
        if not keep_alive:
            self.end(now, expects_more=self._expects_more(request))
        self.send(*_join(head, pieces), now=now)
        if self.interest is not Interest.WRITE:  # a Simple-Response with an empty file: nothing to send
            self.on_flushed(now)

    def sent(self, count: int, now: float) -> None:
        """Count what goes out, for the log."""
        if self._answer is not None:
            self._answer.body_bytes += count
        super().sent(count, now)

    def _may_keep_alive(self, request: Request | None) -> bool:
        """RFC 9112 §9.3 and §C.2.2; a body that was announced is not read, so it must not stand before a request."""
        return (
            request is not None
            and request.version >= (1, 0)
            and request.wants_keep_alive
            and request.content_length == 0
            and not self._draining
        )

    def _expects_more(self, request: Request | None) -> bool:
        """Whether more bytes of the client are likely to come: it was refused, has a body, or may pipeline."""
        return request is None or not request.is_last or request.content_length > 0 or not self._reader.is_empty

    def _close_answer(self) -> None:
        """The answer is out or given up: its descriptors, its line in the log."""
        answer, self._answer = self._answer, None
        if answer is None:
            return
        for fd in answer.response.owned_fds:
            os.close(fd)
        self._service.log_exchange(
            Exchange(
                peer=self._peer,
                line=answer.line,
                request=answer.request,
                response=answer.response,
                body_bytes=max(0, answer.body_bytes),
                finished=self._service.now(),
            )
        )


@dataclass(slots=True)
class _Answer:
    """What is being sent; ``body_bytes`` begins below zero by the length of the head."""

    request: Request | None
    line: str
    response: Response
    body_bytes: int


def _has_no_body(method: str, response: Response) -> bool:
    """RFC 9112 §6.3: the answer to HEAD, and a 204 or 304, end with the head."""
    return method == "HEAD" or response.content_length is None


def _join(head: bytes, pieces: tuple[Piece, ...]) -> tuple[Piece, ...]:
    """Head and a body of bytes as one piece, so that they leave in one send."""
    if all(isinstance(piece, bytes) for piece in pieces):
        return (b"".join((head, *(piece for piece in pieces if isinstance(piece, bytes)))),)
    return (head, *pieces)
