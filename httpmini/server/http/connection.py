"""HTTP/1.0 on a Connection: request heads in, answers out, kept alive when the client asks (RFC 1945, RFC 9112 §9).

reading a head --> answering --> reading the next head        (Connection: keep-alive, asked and announced)
                             \\-> closed, or lingering first   (everything else)
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from httpmini.errors import ProtocolError
from httpmini.protocol.body import Piece
from httpmini.protocol.message import Headers, Request, Response, bare_host
from httpmini.protocol.reader import NEED_DATA, HeadLimits, PlainHead, RequestReader, read_plain_head
from httpmini.protocol.writer import response_head
from httpmini.reasons import REASONS
from httpmini.server.core.connection import Connection, Interest, Peer, Refusal, Timeouts
from httpmini.server.core.counters import Counters
from httpmini.server.http.response_cache import CachedResponse, Known, Question, ResponseCache
from httpmini.server.limits.client_limits import ClientLimits
from httpmini.server.logs.access import AccessLog, Exchange
from httpmini.server.logs.error import Level, Log, describe

_REFUSALS = {
    Refusal.BUSY: "too-many-clients",
    Refusal.CROWDED: "address-clients",
    Refusal.DENIED: "address-denied",
    Refusal.RESOURCES: "out-of-resources",
}
_LONGEST_RETRY_S = 3600


class Respond(Protocol):
    """What answers requests: a site."""

    def respond(self, request: Request, host: str, /) -> Response:
        """The answer to a request that could be read; ``host`` is the address of who asks."""
        ...

    def refuse(self, error: ProtocolError) -> Response:
        """The answer to one that could not."""
        ...


class HttpService(msgspec.Struct, eq=False):
    """HTTP as the modes see it. It may become another one: connections ask it anew for each request.

    Attributes:
        site: what answers requests.
        limits: how large a request head may be.
        patience: how long a client is waited for.
        head_s: seconds from the first byte of a head to its last.
        server_name: the Server field's value.
        log: takes every exchange when it is over.
        recall: keeps answers that are ready.
        negotiates: whether the site looks at Accept-Encoding.
        log_error: takes one line for a fault of ours.
        now: the present, in seconds since the epoch.
        put_off: does what can wait (see ``Service.tick``).
        tally: counts the refusals.
        limiter: what one client may take; None when there are no such limits.
        name: what tells its answers from those of the others.
        others: the same for other sites, by the host that is asked for; they share all but site, log and negotiates.
        connect_proxy: makes the conversation with a proxy that is trusted, and None with everybody else.
    """

    site: Respond
    limits: HeadLimits
    timeouts: Timeouts
    head_s: float
    server_name: str
    log: AccessLog
    recall: ResponseCache
    negotiates: bool
    log_error: Log
    now: Callable[[], float]
    put_off: Callable[[], None]
    counters: Counters
    limiter: ClientLimits | None = None
    name: str = ""
    others: Mapping[str, HttpService] = msgspec.field(default_factory=dict)
    connect_proxy: Callable[[HttpService, Peer, float], Connection | None] | None = None

    def become(self, other: HttpService) -> None:
        """Be as ``other`` from now on: what is asked next is answered so, also on connections that are open."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(other, name))

    def of(self, host: str | None) -> HttpService:
        """The one whose site is asked for; who names no host, or an unknown one, gets this one."""
        return self.others.get(bare_host(host), self) if host and self.others else self

    def connect(self, peer: Peer, now: float) -> Connection:
        """A conversation with a client that was let in."""
        return (self.connect_proxy and self.connect_proxy(self, peer, now)) or HttpConnection(self, peer, now)

    def refuse(self, peer: Peer, refusal: Refusal, now: float, retry_s: float) -> Connection:
        """Say 403, 429 or 503 without having been asked, and goodbye."""
        connection = HttpConnection(self, peer, now)
        fields = () if refusal is Refusal.DENIED else (_retry_after(retry_s),)
        connection.refuse(ProtocolError(REASONS[_REFUSALS[refusal]], fields=fields), now)
        return connection

    def tick(self) -> None:
        """Do what was put off (see ``Service.tick``)."""
        self.put_off()


class HttpConnection(Connection):
    """One client's requests, one after the other."""

    __slots__ = (
        "_answer",
        "_answer_begins_at",
        "_answer_begun",
        "_draining",
        "_head",
        "_head_deadline",
        "_known",
        "_peer",
        "_reader",
        "_service",
    )

    def __init__(self, service: HttpService, peer: Peer, now: float) -> None:
        super().__init__(service.timeouts, now)
        self._service = service
        self._peer = peer
        self._reader: RequestReader | None = None  # while something of a head is here that was not answered at once
        self._head: PlainHead | None = None  # one that was read and is not answered yet
        self._head_deadline: float | None = None
        self._answer: _Answer | Known | None = None
        self._answer_begins_at = 0  # in ``sent_bytes``
        self._answer_begun = now
        self._draining = False

    @property
    def _limited_host(self) -> str:
        """Whose requests are counted, where they are; "" is nobody's."""
        return self._peer.host

    @property
    def _has_begun(self) -> bool:
        """Whether something of a next request is here."""
        return self._reader is not None and not self._reader.is_empty

    def find_ready(self, data: bytes, now: float) -> bytes | None:
        """What is kept for a head of these very octets, when it is still right."""
        if self._reader is not None or self._then is not Interest.READ or self._draining or self._service.limiter:
            return None
        known = self._service.recall.find_head(data, now) or self._recognise(data, now)
        if known is None:
            return None
        self._known = known
        return known.kept.octets

    def _recognise(self, data: bytes, now: float) -> Known | None:
        """What is kept for the question that is asked with a new head, when it is still right."""
        head = self._head = read_plain_head(data, self._service.limits)
        if head is None:
            return None
        keep_alive, is_last = head.persistence
        service = self._service.of(head.host)
        recall = service.recall
        question = _question(service, head.method, head.path, head.accept_encoding, keep_alive=keep_alive)
        kept = recall.find(question, now)
        if kept is None:
            return None  # receive() comes next
        around = service.log.around_plain(head, kept.status)
        known = Known(kept, keep_alive, not is_last, around, service.log.fill(around, kept.body_bytes), head.host)
        recall.remember_head(data, known)
        return known

    def sent_ready(self, answer: bytes, count: int, now: float) -> bool:
        """All of it at once, as good as always: write it down, and wait for more or end. Else it becomes output."""
        known = self._known
        if count == len(answer):
            self.sent_bytes += count
            self.deadline = now + self.timeouts.idle_s
            service = self._service
            log = service.of(known.host).log if service.others else service.log
            log.add_ready(self._peer, known)
            if known.keep_alive:
                return True
            self.end(now, expects_more=known.expects_more)
            return False
        self._answer_known(known, now)
        if count:
            self.sent(count, now)
        return False

    def on_data(self, data: bytes, now: float) -> None:
        """A whole head, as most come; or anything else, which is for the reader."""
        if self._reader is None:
            head, self._head = self._head or read_plain_head(data, self._service.limits), None
            if head is not None:
                self._answer_request(head.as_request(data), data, now)
                return
            self._reader = RequestReader(self._service.limits)
            self._reader.feed(data)
            self._read_request(self._reader, now, data)
        else:
            self._reader.feed(data)
            self._read_request(self._reader, now)

    def on_end(self, now: float) -> None:
        """The client sends nothing more: fine between two requests, an error in the middle of one."""
        if self._has_begun:
            self.refuse(ProtocolError(REASONS["head-incomplete"]), now)
        else:
            self.abandon()

    def on_timeout(self, now: float) -> None:
        """Silent between two requests: close without a word (RFC 9112 §9.5). Too slow in the middle of one: 408."""
        if self._has_begun:
            self.refuse(ProtocolError(REASONS["head-slow"]), now)
        else:
            self.abandon()

    def on_flushed(self, now: float) -> None:
        """An answer is out: write it down, and go on to the next request or to the end."""
        self._close_answer()
        if self.is_ending:
            super().on_flushed(now)
        elif self._draining:
            self.end(now, expects_more=True)
        elif self._reader is None:
            self.deadline = now + self.timeouts.idle_s
        else:
            self._read_request(self._reader, now)

    def on_lost(self, now: float) -> None:
        """Write down what was cut off: an answer, or a head that was never complete (as 400, as others do)."""
        if self._answer is None and self._has_begun and not self.is_ending:
            lost = ProtocolError(REASONS["head-incomplete"])
            self._begin(_Answer(None, self._first_line, Response(lost.reason.status, error=lost), 0), now)
        self._close_answer()

    def drain(self, now: float) -> None:  # noqa: ARG002
        """Idle connections end at once. A request that has begun to come is still answered, as the last.

        One that is pipelined behind an answer is not: the client was told nothing of it, and may ask again.
        """
        self._draining = True
        if self.interest is Interest.READ and not self._has_begun:
            self.abandon()

    def refuse(self, error: ProtocolError, now: float) -> None:
        """Answer a request that cannot be read, and read no further."""
        self._answer_with(None, self._draw_refusal(error), now)

    def _read_request(self, reader: RequestReader, now: float, data: bytes | None = None) -> None:
        """Answer the next request, if it is complete. ``data`` is all that was fed, when nothing was before."""
        try:
            request = reader.next()
        except ProtocolError as error:
            self.refuse(error, now)
            return
        if request is NEED_DATA:
            self._wait_for_head(now)
        else:
            self._head_deadline = None
            head = None
            if reader.is_empty:
                self._reader, head = None, data
            self._answer_request(request, head, now)

    def _wait_for_head(self, now: float) -> None:
        """The first byte of a head starts its clock; further ones do not wind it up again."""
        if not self._has_begun:
            self._head_deadline = None
            self.deadline = now + self.timeouts.idle_s
        else:
            if self._head_deadline is None:
                self._head_deadline = now + self._service.head_s
            self.deadline = self._head_deadline

    def _answer_request(self, request: Request, head: bytes | None, now: float) -> None:
        """Send what is kept for ``request``, or ask the site.

        Args:
            request: what is asked.
            head: its octets, when nothing came before or behind them.
            now: the time.
        """
        if self._service.limiter is None:
            self.throttle = None  # a reload may have ended it
        elif wait_s := self._service.limiter.limit(self, self._limited_host):
            often = ProtocolError(REASONS["address-requests"], fields=(_retry_after(wait_s),))
            self._answer_with(request, self._draw_refusal(often, self._service.of(request.host)), now)
            return
        service = self._service.of(request.host)
        recall = service.recall
        keep_alive = self._may_keep_alive(request)
        question = self._question_of(service, request, head, keep_alive=keep_alive)
        kept = recall.find(question, now) if question else None
        if kept is None:
            response = self._respond(service, request)
            if question and response.is_current:
                kept = self._keep(question, request, response, keep_alive=keep_alive)
            if kept is None:
                self._answer_with(request, response, now)
                return
        around = service.log.around(request.line, request, kept.status)
        line = service.log.fill(around, kept.body_bytes)
        known = Known(kept, keep_alive, self._expects_more(request), around, line, request.host or "")
        if head:
            recall.remember_head(head, known)
        self._answer_known(known, now)

    def _question_of(
        self, service: HttpService, request: Request, head: bytes | None, *, keep_alive: bool
    ) -> Question | None:
        """What the answer depends on: conditions are looked up by their octets only."""
        if request.version < (1, 0) or request.content_length or self._draining:
            return None
        if request.is_conditional:
            return head
        path, chosen_by = request.target.partition("?")[0], request.headers.get("Accept-Encoding")
        return _question(service, request.method, path, chosen_by, keep_alive=keep_alive)

    def _keep(
        self, question: Question, request: Request, response: Response, *, keep_alive: bool
    ) -> CachedResponse | None:
        """Have ``response`` kept, if that is possible; then its descriptors are closed."""
        recall = self._service.recall
        pieces = () if _has_no_body(request.method, response) else response.body
        if not recall.takes(response, pieces):
            return None
        now = self._service.now()
        kept = recall.keep(question, response, self._spell(response, now, keep_alive=keep_alive), pieces, now)
        if kept is not None:
            _close_files(response)
        return kept

    def _answer_known(self, known: Known, now: float) -> None:
        """Send what is kept: one piece, ready as it is."""
        self._begin(known, now)
        if not known.keep_alive:
            self.end(now, expects_more=known.expects_more)
        self.output.append(known.kept.octets)
        self.deadline = now + self.timeouts.send_stall_s

    def _respond(self, service: HttpService, request: Request) -> Response:
        try:
            response = service.site.respond(request, self._peer.host)
            if response.error and response.error.__cause__ and response.status == 500:
                self._service.log_error(
                    f"while answering {request.line!r}: {describe(response.error.__cause__)}", Level.ERROR
                )
            return response
        except Exception as fault:  # a fault of ours costs this client a 500, and nobody else anything
            self._service.log_error(f"fault while answering {request.line!r}: {describe(fault)}", Level.ERROR)
            return self._draw_refusal(ProtocolError(REASONS["fault"]), service)

    def _draw_refusal(self, error: ProtocolError, service: HttpService | None = None) -> Response:
        """The page; of the first site, when it is not known which one is asked for."""
        try:
            return (service or self._service).site.refuse(error)
        except Exception as fault:  # not even the page can be drawn (no memory, no descriptors): then without one
            self._service.log_error(f"fault while drawing {error.reason.token}: {describe(fault)}", Level.ERROR)
            body = f"{error.reason.text}\n".encode()
            plain = ("Content-Type", "text/plain; charset=utf-8")
            return Response(error.reason.status, Headers((plain, *error.fields)), (body,), error=error)

    def _answer_with(self, request: Request | None, response: Response, now: float) -> None:
        keep_alive = not response.is_last and self._may_keep_alive(request)
        method = request.method if request else self._reader.method if self._reader else ""
        pieces: tuple[Piece, ...] = () if _has_no_body(method, response) else response.body
        head = b""
        if request is None or request.version >= (1, 0):  # a Simple-Response is the entity alone (RFC 1945 §6)
            head = self._spell(response, self._service.now(), keep_alive=keep_alive)
        line = request.line if request else self._first_line
        self._begin(_Answer(request, line, response, len(head)), now)
        if not keep_alive:
            self.end(now, expects_more=self._expects_more(request))
        self.send(*_join(head, pieces), now=now)
        if not self.output:  # a Simple-Response with an empty file: nothing to send
            self.on_flushed(now)

    def _spell(self, response: Response, now: float, *, keep_alive: bool) -> bytes:
        return response_head(response, keep_alive=keep_alive, server=self._service.server_name, wall=now)

    def _begin(self, answer: _Answer | Known, now: float) -> None:
        self._answer = answer
        self._answer_begun = now
        self._answer_begins_at = self.sent_bytes

    @property
    def _first_line(self) -> str:
        """What is here of a request line that cannot be read."""
        return self._reader.first_line() if self._reader else ""

    def _may_keep_alive(self, request: Request | None) -> bool:
        """RFC 9112 §9.3 and §C.2.2; a body that was announced is not read, so it must not stand before a request."""
        return (
            request is not None
            and request.version >= (1, 0)
            and request.persistence.wants_keep_alive
            and request.content_length == 0
            and not self._draining
        )

    def _expects_more(self, request: Request | None) -> bool:
        """Whether more bytes of the client are likely to come: it was refused, has a body, or may pipeline."""
        return request is None or not request.persistence.is_last or request.content_length > 0 or self._has_begun

    def _close_answer(self) -> None:
        """The answer is out or given up: its descriptors, its line in the log."""
        answer, self._answer = self._answer, None
        if answer is None:
            return
        sent, now = self.sent_bytes - self._answer_begins_at, self._service.now()
        if isinstance(answer, Known):
            log = self._service.of(answer.host).log
            body_bytes = max(0, sent - answer.kept.head_bytes)
            log.add_kept(self._peer, answer, body_bytes, self._answer_begun, now)
            return
        _close_files(answer.response)
        body_bytes = max(0, sent - answer.head_bytes)
        if answer.response.status >= 400:
            self._service.counters.count_outcome(answer.response.status)
        begun = self._answer_begun
        log = self._service.of(answer.request.host if answer.request else None).log
        log.add(Exchange(self._peer, answer.line, answer.request, answer.response, body_bytes, begun, now))


class _Answer(msgspec.Struct, eq=False):
    """What is being sent, and how long its head is."""

    request: Request | None
    line: str
    response: Response
    head_bytes: int


def _question(
    service: HttpService, method: str, path: str, accept_encoding: str | None, *, keep_alive: bool
) -> Question:
    return service.name, method, path, keep_alive, (accept_encoding or "") if service.negotiates else ""


def _retry_after(seconds: float) -> tuple[str, str]:
    """RFC 9110 §10.2.3."""
    return "Retry-After", str(min(max(1, math.ceil(seconds)), _LONGEST_RETRY_S))


def _close_files(response: Response) -> None:
    for fd in response.owned_fds:
        os.close(fd)


def _has_no_body(method: str, response: Response) -> bool:
    """RFC 9112 §6.3: the answer to HEAD, and a 204 or 304, end with the head."""
    return method == "HEAD" or response.content_length is None


def _join(head: bytes, pieces: tuple[Piece, ...]) -> tuple[Piece, ...]:
    """Head and a body of bytes as one piece, so that they leave in one send."""
    if all(isinstance(piece, bytes) for piece in pieces):
        return (b"".join((head, *(piece for piece in pieces if isinstance(piece, bytes)))),)
    return (head, *pieces)
