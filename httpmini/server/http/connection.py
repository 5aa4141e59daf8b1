"""HTTP/1.0 on a Connection: request heads in, responses out, kept alive when the client asks (RFC 1945, RFC 9112 §9).

reading a head --> responding --> reading the next head       (Connection: keep-alive, asked and announced)
                              \\-> closed, or lingering first  (everything else)

There is one way from bytes to a response: ``_respond`` gets every request that could be read, whoever read it;
``refuse`` gets every other one.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from httpmini.errors import ProtocolError
from httpmini.protocol.body import Piece, body_length
from httpmini.protocol.message import Response
from httpmini.protocol.reader import NEED_DATA, RequestReader
from httpmini.protocol.writer import response_head
from httpmini.reasons import REASONS
from httpmini.server.core.connection import READ, Connection, Interest, Sending
from httpmini.server.core.turn import NO_TURN
from httpmini.server.http.generation import Generations, HttpGeneration
from httpmini.server.http.heads import Head, Reply
from httpmini.server.http.response_cache import CachedResponse, Key
from httpmini.server.http.retry_after import retry_after
from httpmini.server.listeners.peer import Peer
from httpmini.work import Pending

if TYPE_CHECKING:
    from httpmini.server.limits.client_limits import ClientLimits

MAX_JOINED_BYTES = 64 * 1024
# People who watch see the progress of responses that are at least this long.
LONG_BYTES = 1024 * 1024


class HttpConnection(Connection):
    """One client's requests, one after the other.

    Args:
        service: knows the current generation.
        peer: the client.
        now: the time.
    """

    __slots__ = (
        "_begun",
        "_draining",
        "_generation",
        "_head_deadline",
        "_peer",
        "_pending",
        "_reader",
        "_reply",
        "_reply_starts",
        "_service",
    )

    def __init__(self, service: Generations, peer: Peer, now: float) -> None:
        super().__init__(service.generation.timeouts, now)
        self._service = service
        self._peer = peer
        self._reader: RequestReader | None = None  # while a part of a head is here
        self._generation: HttpGeneration | None = None  # of the request of which a part is here
        self._head_deadline: float | None = None
        self._reply: Reply | None = None  # what is being sent
        self._begun = now  # when its request was complete
        self._reply_starts = 0  # in ``sent_bytes``
        self._draining = False
        self._pending: PendingRequest | None = None  # the request whose response needs work first

    # Reading heads.

    def receive(self, data: bytes, now: float, turn: int = NO_TURN) -> bytes | None:
        """Respond to a whole head, as most come; everything else goes the long way, through ``on_data``."""
        if self._reader is None and data and self.next_interest is READ:
            generation = self._service.generation  # as in ``_begin_request``, written out for speed
            head = generation.heads.read(data)
            if head is not None:
                if generation.timeouts is not self.timeouts:
                    self._adopt(generation)
                return self._respond(generation, head, data, now, turn)
        return super().receive(data, now, turn)

    def on_data(self, data: bytes, now: float) -> None:
        """Feed the careful reader."""
        octets = None
        if self._reader is None:
            self._generation, octets = self._begin_request(), data
            self._reader = RequestReader(self._generation.head_limits)
        self._reader.feed(data)
        self._read_request(self._reader, now, octets)

    def _begin_request(self) -> HttpGeneration:
        """Return the current generation; the request uses it for everything, up to its line in the log."""
        generation = self._service.generation
        if generation.timeouts is not self.timeouts:
            self._adopt(generation)
        return generation

    def _adopt(self, generation: HttpGeneration) -> None:
        """Take over what a connection keeps of a generation while it waits for its next request."""
        self.timeouts = generation.timeouts
        if generation.client_limits is None:
            self.throttle = None

    def _read_request(self, reader: RequestReader, now: float, octets: bytes | None = None) -> None:
        """Respond to the next request, if it is complete.

        Args:
            reader: what has arrived.
            now: the time.
            octets: all that has arrived, if it was one piece.
        """
        generation = self._generation = self._generation or self._begin_request()
        reader.limits = generation.head_limits
        try:
            request = reader.next()
        except ProtocolError as error:
            self.refuse(error, now)
            return
        if request is NEED_DATA:
            self._wait_for_head(generation, now)
            return
        self._generation = self._head_deadline = None
        if reader.is_empty:
            self._reader = None
        else:
            octets = None
        ready = self._respond(generation, generation.heads.make(request), octets, now, self.turn)
        if ready is not None:
            self.send_later(ready, 0, now)

    def _wait_for_head(self, generation: HttpGeneration, now: float) -> None:
        """Let the first byte of a head start its clock; further ones do not extend it."""
        if not self._has_begun:
            self._generation = self._head_deadline = None
            self.deadline = now + self.timeouts.idle_s
        else:
            if self._head_deadline is None:
                self._head_deadline = now + generation.head_s
            self.deadline = self._head_deadline

    @property
    def _has_begun(self) -> bool:
        """Whether a part of the next request is here."""
        return self._reader is not None and not self._reader.is_empty

    @property
    def quiet_since(self) -> float:
        """While it waits: since the beginning of a head, or since the last byte."""
        if self._head_deadline is None or self.next_interest is not READ:
            return super().quiet_since
        return self._head_deadline - (self._generation or self._service.generation).head_s

    @property
    def sending(self) -> Sending | None:
        """The long response that is being sent; no cached response is one."""
        reply = self._reply
        if reply is None or reply.response is None or reply.request is None:
            return None
        total = body_length(_body(reply.request.method, reply.response))
        if total < LONG_BYTES:
            return None
        sent = self.sent_bytes - self._reply_starts - reply.head_bytes
        return Sending(reply.request.target, total, min(max(sent, 0), total))

    def on_end(self, now: float) -> None:
        """End between two requests; refuse a request that is not complete."""
        if self._has_begun:
            self.refuse(ProtocolError(REASONS["head-incomplete"]), now)
        else:
            self.abandon()

    def on_timeout(self, now: float) -> None:
        """Close between two requests without a word (RFC 9112 §9.5); refuse a head that comes too slowly (408)."""
        if self._has_begun:
            self.refuse(ProtocolError(REASONS["head-slow"]), now)
        else:
            self.abandon()

    def drain(self, now: float) -> None:  # noqa: ARG002
        """End at once between two requests. A request that has begun to arrive is still answered, as the last.

        A request pipelined after a response is not: the client was told nothing of it, and may send it again.
        """
        self._draining = True
        if self.interest is Interest.READ and not self._has_begun:
            self.abandon()

    def retire(self, now: float) -> None:
        """Answer one request, unless one has been answered: a client that has just connected has nowhere to retry."""
        self._draining = True
        if self.sent_bytes:
            self.drain(now)

    # Responding.

    def _respond(
        self, generation: HttpGeneration, head: Head, octets: bytes | None, now: float, turn: int
    ) -> bytes | None:
        """Return the cached response to a request, if there is one and it may leave at once; else queue a response.

        Args:
            generation: the request's.
            head: the request.
            octets: its head as it came, if nothing came with it.
            now: the time.
            turn: the token of the turn in which it came.
        """
        limits = generation.client_limits
        if limits is not None:
            refusal = self._apply_limits(generation, limits)
            if refusal is not None:
                self._send(generation, head, generation.refuse(refusal, head.host), now)
                return None
        key, keep_alive = head.key, head.keep_alive
        if keep_alive and self._draining:
            key, keep_alive = None, False
        cached = generation.cache.find(key, turn) if key is not None else None
        if cached is None:
            cached = self._ask_site(generation, head, key, now)
            if cached is None:
                return None
        reply = head.reply
        if reply is None or reply.number != cached.number:
            reply = head.reply_with(cached)
            if octets:
                generation.heads.remember(octets, head)
        self._reply = reply
        if not keep_alive:
            self.end(now, expects_more=self._expects_more(head))
        if limits is None:
            return cached.octets
        self.send_later(cached.octets, 0, now)
        return None

    def _ask_site(self, generation: HttpGeneration, head: Head, key: Key | None, now: float) -> CachedResponse | None:
        """Have the site's response cached, if ``key`` is not None and that is possible; else queue it."""
        response = generation.respond(head, self._peer.host)
        if isinstance(response, Pending):
            self._wait(PendingRequest(generation, head, response, now))
            return None
        if key is not None and response.is_current is not None:
            cached = self._cache(generation, head, key, response)
            if cached is not None:
                return cached
        self._send(generation, head, response, now)
        return None

    def _wait(self, pending: PendingRequest) -> None:
        """Have the work done that the response needs; nothing that needs work is cached."""
        self._pending = pending
        self.wait_for(pending.answer.work)

    def on_work_done(self, now: float) -> None:
        """Go on with the request that has waited."""
        pending, self._pending = self._pending, None
        if pending is None:
            return
        response = pending.generation.respond(pending.head, self._peer.host, pending.answer)
        if isinstance(response, Pending):
            self._wait(replace(pending, answer=response))
        else:
            self._send(pending.generation, pending.head, response, now)
            self._begun = pending.begun

    def _apply_limits(self, generation: HttpGeneration, limits: ClientLimits) -> ProtocolError | None:
        """Hold the client to its rates; return why the request is refused."""
        self.throttle = limits.throttle(self.throttle)
        wait_s = limits.wait_s(self._limited_address(generation))
        return ProtocolError(REASONS["address-requests"], fields=(retry_after(wait_s),)) if wait_s else None

    def _limited_address(self, _generation: HttpGeneration) -> str:
        """Return the address whose requests are counted; "" for nobody's."""
        return self._peer.host

    def _cache(self, generation: HttpGeneration, head: Head, key: Key, response: Response) -> CachedResponse | None:
        """Have a response cached, if that is possible; then its descriptors are closed."""
        wall = generation.wall()
        spelled = response_head(response, keep_alive=head.keep_alive, server=generation.server_name, wall=wall)
        cached = generation.cache.add(key, response, spelled, _body(head.read.method, response), wall)
        if cached is not None:
            _close(response)
        return cached

    def refuse(self, error: ProtocolError, now: float) -> None:
        """Respond to a request that could not be read, and read no further."""
        generation = self._generation or self._begin_request()
        self._generation = None
        self._send(generation, None, generation.refuse(error), now)

    def _send(self, generation: HttpGeneration, head: Head | None, response: Response, now: float) -> None:
        """Send a response; ``head`` is None when the request could not be read."""
        request, reader = (head.read if head else None), self._reader
        keep_alive = head is not None and head.keep_alive and not response.is_last and not self._draining
        method = request.method if request else reader.method if reader else ""
        line = request.line if request else reader.first_line() if reader else ""
        spelled = b""
        if request is None or request.version >= (1, 0):  # a Simple-Response is the entity alone (RFC 1945 §6)
            spelled = response_head(
                response, keep_alive=keep_alive, server=generation.server_name, wall=generation.wall()
            )
        log = (head.host if head else generation.hosts.default).log
        pieces = _body(method, response)
        description = log.describe(line, request, response.status, body_length(pieces), response.error)
        self._begun, self._reply_starts = now, self.sent_bytes
        self._reply = Reply(log, description, line, request, response.status, len(spelled), response=response)
        if not keep_alive:
            self.end(now, expects_more=self._expects_more(head))
        self.send(*_join(spelled, pieces), now=now)
        if not self.output:  # a Simple-Response with an empty file: nothing to send
            self.on_flushed(now)

    def _expects_more(self, head: Head | None) -> bool:
        """Whether the client is likely to send more: it was refused, has a body, or may pipeline."""
        return head is None or head.expects_more or self._has_begun

    # Afterwards.

    def sent_at_once(self, count: int, now: float) -> None:
        """Log a cached response, and wait for the next request or the end: ``on_flushed``, shorter."""
        reply = self._reply
        if reply is None:
            super().sent_at_once(count, now)
            return
        self._reply = None
        self.sent_bytes += count
        self.deadline = now + (self.timeouts.idle_s if self.next_interest is READ else self.timeouts.linger_s)
        reply.log.write(self._peer, "", reply.description, now)

    def send_later(self, octets: bytes, count: int, now: float) -> None:
        """Queue a cached response, and note what its line in the log needs if it is cut off."""
        self._begun, self._reply_starts = now, self.sent_bytes
        super().send_later(octets, count, now)

    def on_flushed(self, now: float) -> None:
        """Log the response that was sent, and go on to the next request or to the end."""
        reply, self._reply = self._reply, None
        if reply is not None:
            if reply.response is not None:
                self._close_response(reply.response)
            reply.log.write(self._peer, reply.user, reply.description, self._begun)
        if self.next_interest is not READ:
            super().on_flushed(now)
        elif self._draining:
            self.end(now, expects_more=True)
        elif self._reader is None:
            self.deadline = now + self.timeouts.idle_s
        else:
            self.turn = NO_TURN  # that in which these bytes came may be long over
            self._read_request(self._reader, now)

    def on_lost(self, now: float) -> None:
        """Log what was cut off: a response, or a head that was never complete (as 400, as others do)."""
        self._pending = None  # gives back what the site holds for it
        reply, self._reply = self._reply, None
        if reply is not None:
            if reply.response is not None:
                self._close_response(reply.response)
            elif not self.output:  # a fault of ours before it was sent or queued
                self._begun, self._reply_starts = now, self.sent_bytes
            body_bytes = max(0, self.sent_bytes - self._reply_starts - reply.head_bytes)
            reply.log.write(self._peer, reply.user, reply.describe_cut(body_bytes), self._begun)
        elif self._has_begun and not self.is_ending and self._reader is not None:
            generation = self._generation or self._begin_request()
            lost = ProtocolError(REASONS["head-incomplete"])
            self._service.counters.count_outcome(lost.reason.status)
            log = generation.hosts.default.log
            log.write(self._peer, "", log.describe(self._reader.first_line(), None, lost.reason.status, 0, lost), now)

    def _close_response(self, response: Response) -> None:
        """Close what a response needed, and count it if it is a refusal."""
        _close(response)
        if response.status >= 400:
            self._service.counters.count_outcome(response.status)


class PendingRequest(msgspec.Struct, frozen=True, eq=False):
    """A request whose response needs work first.

    Attributes:
        generation: the request's.
        head: the request.
        answer: what the site has returned.
        begun: when the request was complete.
    """

    generation: HttpGeneration
    head: Head
    answer: Pending[Response]
    begun: float


def _body(method: str, response: Response) -> tuple[Piece, ...]:
    """Return what is sent after the head: nothing for HEAD, 204 and 304 (RFC 9112 §6.3)."""
    return () if method == "HEAD" or response.content_length is None else response.body


def _join(head: bytes, pieces: tuple[Piece, ...]) -> tuple[Piece, ...]:
    """Return a head and a short body of bytes as one piece, so that they leave in one send.

    A long one may be sent to many at once, and is not copied for each of them.
    """
    if body_length(pieces) <= MAX_JOINED_BYTES and all(isinstance(piece, bytes) for piece in pieces):
        return (b"".join((head, *(piece for piece in pieces if isinstance(piece, bytes)))),)
    return (head, *pieces)


def _close(response: Response) -> None:
    for fd in response.owned_fds:
        os.close(fd)
    if response.release is not None:
        response.release()
