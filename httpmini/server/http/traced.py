"""HTTP whose connections write into a trace. A server without a trace has none of this.

Each method notes what has happened and leaves the rest to the connection that is not traced.
"""

from __future__ import annotations

import threading
from typing import TypeVar

from httpmini.errors import ProtocolError
from httpmini.protocol.message import Response
from httpmini.server.core.connection import READ, WRITE, Connection
from httpmini.server.core.counters import Counters
from httpmini.server.core.events import End, Kind
from httpmini.server.core.trace import Row, Trace
from httpmini.server.core.turn import NO_TURN
from httpmini.server.http.connection import HttpConnection
from httpmini.server.http.generation import HttpGeneration
from httpmini.server.http.heads import Head
from httpmini.server.http.proxied import ProxiedConnection
from httpmini.server.http.service import HttpService, refusal_of
from httpmini.server.limits.admission import Refusal
from httpmini.server.listeners.peer import Peer

# Numbers: a member of an enumeration costs more to look up, and to shift.
_ACCEPTED, _SLOT, _REFUSED, _TAKEN, _FIRST_BYTE, _HEAD, _FILE, _FIRST_OUT, _LAST_OUT = map(int, list(Kind)[:9])
_BLOCKED, _LINGERING, _CLOSED, _ASKED, _ANSWERED = map(int, list(Kind)[9:])
_NOTHING = -1

G = TypeVar("G", bound=HttpGeneration)


class TracedConnection(HttpConnection):
    """A connection whose events are noted.

    Attributes:
        row: where.
        has_begun: whether a part of the next request is here.
        waited_ms: how long that part has waited to be read, until it is noted; then ``_NOTHING``.
        is_sending: whether the first byte of its response has left.
        ended_by: who ends the connection, as far as that is known.
    """

    row: Row
    has_begun: bool
    waited_ms: int
    is_sending: bool
    ended_by: End | None

    def begin_notes(self, row: Row) -> None:
        """Note everything from now on."""
        self.row = row
        self.waited_ms = _NOTHING
        self.has_begun = self.is_sending = False
        self.ended_by = None

    def receive(self, data: bytes, now: float, turn: int = NO_TURN) -> bytes | None:
        """Note the first byte of a request; ``_respond`` does so if its head is complete."""
        if self.next_interest is not READ:
            return super().receive(data, now, turn)
        if not data:
            self.ended_by = End.CLIENT
            return super().receive(data, now, turn)
        self.waited_ms = self.row.waited_ms()
        octets = super().receive(data, now, turn)
        if self.waited_ms >= 0 and not self.has_begun:
            self.has_begun = True
            self._note_read(_FIRST_BYTE)
        self.waited_ms = _NOTHING
        return octets

    def _note_read(self, kind: int) -> None:
        self.row.note(kind, max(0, self.waited_ms))
        self.waited_ms = _NOTHING

    def _respond(
        self, generation: HttpGeneration, head: Head, octets: bytes | None, now: float, turn: int
    ) -> bytes | None:
        self._note_read(_HEAD if self.has_begun else _ASKED)
        self.has_begun = False
        return super()._respond(generation, head, octets, now, turn)

    def refuse(self, error: ProtocolError, now: float) -> None:
        """Note that a request was read which has no meaning."""
        if self.waited_ms >= 0:
            self._note_read(_HEAD if self.has_begun else _ASKED)
        super().refuse(error, now)

    def _send(self, generation: HttpGeneration, head: Head | None, response: Response, now: float) -> None:
        if response.owned_fds:
            self.row.note(_FILE)
        super()._send(generation, head, response, now)

    def sent_at_once(self, count: int, now: float) -> None:
        """Note a response that has left in one step."""
        self.row.note(_ANSWERED, count)
        super().sent_at_once(count, now)

    def sent(self, count: int, now: float) -> None:
        """Note the first byte of a response."""
        if not self.is_sending:
            self.is_sending = True
            self.row.note(_FIRST_OUT, count)
        super().sent(count, now)

    def on_flushed(self, now: float) -> None:
        """Note the last byte of a response."""
        if self.is_sending:
            self.is_sending = False
            self.row.note(_LAST_OUT)
        super().on_flushed(now)

    def expire(self, now: float) -> None:
        """Note who ends the connection of a client that takes nothing."""
        if self.interest is WRITE:
            self.ended_by = End.TIMEOUT
        super().expire(now)

    def on_timeout(self, now: float) -> None:
        """Note who ends the connection of a client that sends nothing."""
        self.ended_by = End.TIMEOUT
        super().on_timeout(now)

    def end(self, now: float, *, expects_more: bool) -> None:
        """Note that the server ends the connection, unless somebody has ended it before."""
        self.ended_by = self.ended_by or End.SERVER
        super().end(now, expects_more=expects_more)

    def lose(self, now: float) -> None:
        """Note that the connection has broken, unless somebody has ended it before."""
        self.ended_by = self.ended_by or End.BROKEN
        super().lose(now)

    def on_taken(self) -> None:
        """Note which thread serves it."""
        self.row.note(_TAKEN, threading.get_native_id())

    def on_blocked(self) -> None:
        """Note that the kernel takes no more."""
        if self.interest is WRITE:
            self.row.note_blocked()

    def on_shut_down(self) -> None:
        """Note that it lingers."""
        self.row.note(_LINGERING)

    def on_closed(self) -> None:
        """Note who has ended it."""
        self.row.note(_CLOSED, self.ended_by or End.SERVER)


class TracedProxiedConnection(TracedConnection, ProxiedConnection):
    """A connection of a trusted proxy whose events are noted."""


class TracedService(HttpService[G]):
    """HTTP for everybody, with a trace.

    Args:
        generation: the first one.
        counters: count the refusals, over all generations.
        trace: where the events go.
    """

    def __init__(self, generation: G, counters: Counters, trace: Trace) -> None:
        super().__init__(generation, counters)
        self._trace = trace

    def connect(self, peer: Peer, now: float) -> Connection:
        """Return a conversation with a client that was admitted."""
        proxies = self.generation.proxies
        connection: TracedConnection
        if proxies is not None and proxies.trusts(peer.host):
            connection = TracedProxiedConnection(self, proxies, peer, now)
        else:
            connection = TracedConnection(self, peer, now)
        return self._begin(connection, peer, _SLOT)

    def refuse(self, peer: Peer, refusal: Refusal, now: float, retry_s: float) -> Connection:
        """Return a conversation that says 403, 429 or 503 without having been asked, and ends."""
        connection = self._begin(TracedConnection(self, peer, now), peer, _REFUSED)
        connection.refuse(refusal_of(refusal, retry_s), now)
        return connection

    def _begin(self, connection: TracedConnection, peer: Peer, kind: int) -> TracedConnection:
        row = self._trace.row_of(peer)
        connection.begin_notes(row)
        row.note(kind)
        return connection
