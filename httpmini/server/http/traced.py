"""HTTP whose connections write into a trace. A server without a trace has none of this.

Each method notes what has happened and leaves the rest to the connection that is not traced.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import IntEnum
from time import monotonic
from typing import TypeVar

from httpmini.errors import ProtocolError
from httpmini.protocol.body import Piece
from httpmini.protocol.message import Response
from httpmini.reasons import REASONS
from httpmini.server.core.connection import WRITE, Connection
from httpmini.server.core.counters import Counters
from httpmini.server.core.events import LEAST_WAIT_S, End, Kind
from httpmini.server.core.trace import Row, Trace
from httpmini.server.core.turn import NO_TURN
from httpmini.server.http.connection import HttpConnection, PendingRequest
from httpmini.server.http.generation import Generations, HttpGeneration
from httpmini.server.http.heads import Head
from httpmini.server.http.proxied import ProxiedConnection
from httpmini.server.http.service import HttpService, PartialService, refusal_of
from httpmini.server.limits.admission import Refusal
from httpmini.server.listeners.peer import Peer

G = TypeVar("G", bound=HttpGeneration)


class Noted(IntEnum):
    """What was noted of the request in hand."""

    NOTHING = 0
    FIRST_BYTE = 1
    HEAD = 2  # or that there is none: the connection is answered without having asked
    FIRST_OUT = 3


_NOTHING, _FIRST_BYTE, _HEAD, _FIRST_OUT = Noted  # a member of an enumeration costs more to look up


class TracedConnection(HttpConnection):
    """A connection whose events are noted.

    A response from the cache to a head that came in one piece passes ``receive`` and ``sent_at_once`` alone; all other
    output passes ``send``. For these two, a subclass names what it overrides: ``super()`` costs as much as an event.

    Attributes:
        row: where.
        noted: what was noted of the request in hand.
        read_at: when the last bytes were read.
        waited_ms: how long they had waited then.
        ended_by: who ends the connection, as far as that is known.
    """

    row: Row
    noted: Noted
    read_at: float
    waited_ms: int
    ended_by: End | None

    receive_untraced = HttpConnection.receive
    sent_at_once_untraced = HttpConnection.sent_at_once

    def begin_notes(self, row: Row) -> None:
        """Note everything from now on."""
        self.row = row
        self.noted = _NOTHING
        self.read_at = 0.0
        self.waited_ms = 0
        self.ended_by = None

    # Requests.

    def receive(self, data: bytes, now: float, turn: int = NO_TURN) -> bytes | None:
        """Find out how long the bytes have waited; others were served since ``now`` perhaps."""
        row = self.row
        self.read_at = read_at = monotonic()
        self.waited_ms = row.waited_ms() if read_at - row.last >= LEAST_WAIT_S else 0
        return self.receive_untraced(data, now, turn)

    def on_data(self, data: bytes, now: float) -> None:
        """Note the first byte of a request whose head is not complete."""
        super().on_data(data, now)
        if self.noted is _NOTHING and self._has_begun:
            self._note_read(Kind.FIRST_BYTE, _FIRST_BYTE)

    def on_end(self, now: float) -> None:
        """Note who ends the connection; no head was complete if that is answered."""
        self.ended_by, self.noted = End.CLIENT, _HEAD
        super().on_end(now)

    def on_timeout(self, now: float) -> None:
        """Note who ends the connection of a client that sends nothing; no head was complete if that is answered."""
        self.ended_by, self.noted = End.TIMEOUT, _HEAD
        super().on_timeout(now)

    def _note_head(self) -> None:
        """Note that a head is complete, if that has not been done."""
        if self.noted is _NOTHING:
            self._note_read(Kind.ASKED, _HEAD)
        elif self.noted is _FIRST_BYTE:
            self._note_read(Kind.HEAD, _HEAD)

    def _note_read(self, kind: Kind, noted: Noted) -> None:
        self.row.note(kind, self.waited_ms)
        self.waited_ms = 0
        self.noted = noted

    def _wait(self, pending: PendingRequest) -> None:
        """Note the head before the work that its response needs."""
        self._note_head()
        super()._wait(pending)

    # Responses.

    def _send(self, generation: HttpGeneration, head: Head | None, response: Response, now: float) -> None:
        """Note the file of a response."""
        if response.owned_fds:
            self._note_head()
            self.row.note(Kind.FILE)
        super()._send(generation, head, response, now)

    def send(self, *pieces: Piece, now: float) -> None:
        """Note the head, now that it is answered."""
        self._note_head()
        super().send(*pieces, now=now)

    def sent_at_once(self, count: int, now: float) -> None:
        """Note a request and a response of one step each."""
        self.row.note_answered(self.read_at, self.waited_ms, count)
        self.sent_at_once_untraced(count, now)

    def sent(self, count: int, now: float) -> None:
        """Note the first byte of a response."""
        if self.noted is not _FIRST_OUT:
            self.noted = _FIRST_OUT
            self.row.note(Kind.FIRST_OUT, count)
        super().sent(count, now)

    def on_flushed(self, now: float) -> None:
        """Note the last byte of a response."""
        if self.noted is _FIRST_OUT:
            self.row.note(Kind.LAST_OUT)
        self.noted = _NOTHING
        super().on_flushed(now)

    # The end.

    def expire(self, now: float) -> None:
        """Note who ends the connection of a client that takes nothing."""
        if self.interest is WRITE:
            self.ended_by = End.TIMEOUT
        super().expire(now)

    def end(self, now: float, *, expects_more: bool) -> None:
        """Note that the server ends the connection, unless somebody has ended it before."""
        self.ended_by = self.ended_by or End.SERVER
        super().end(now, expects_more=expects_more)

    def lose(self, now: float) -> None:
        """Note that the connection has broken: in the middle of a response, or before anybody has ended it."""
        if self.ended_by is None or (self.output and self.ended_by is not End.TIMEOUT):
            self.ended_by = End.BROKEN
        super().lose(now)

    # The owner of the socket.

    def on_taken(self) -> None:
        """Note which thread serves it."""
        self.row.note(Kind.TAKEN, threading.get_native_id())

    def on_blocked(self) -> None:
        """Note that the kernel takes no more."""
        if self.interest is WRITE:
            self.row.note_blocked()

    def on_shut_down(self) -> None:
        """Note that it lingers."""
        self.row.note(Kind.LINGERING)

    def on_closed(self) -> None:
        """Note who ended it."""
        self.row.note(Kind.CLOSED, self.ended_by or End.SERVER)


class TracedProxiedConnection(TracedConnection, ProxiedConnection):
    """A connection of a trusted proxy whose events are noted."""

    receive_untraced = ProxiedConnection.receive
    sent_at_once_untraced = ProxiedConnection.sent_at_once


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
        return _connect(self, self._trace, peer, now)

    def refuse(self, peer: Peer, refusal: Refusal, now: float, retry_s: float) -> Connection:
        """Return a conversation that says 403, 429 or 503 without having been asked, and ends."""
        return _refuse(self, self._trace, peer, refusal_of(refusal, retry_s), now)

    def refuse_plain(self, peer: Peer, now: float) -> Connection:
        """Return a conversation that tells a client of a TLS port that it has to speak TLS, and ends."""
        return _refuse(self, self._trace, peer, ProtocolError(REASONS["plain-on-tls"]), now)


class TracedPartialService(PartialService):
    """HTTP for some listeners, with a trace.

    Args:
        current: returns the part of the current generation.
        counters: count the refusals.
        trace: where the events go.
    """

    def __init__(self, current: Callable[[], HttpGeneration], counters: Counters, trace: Trace) -> None:
        super().__init__(current, counters)
        self._trace = trace

    def connect(self, peer: Peer, now: float) -> Connection:
        """Return a conversation with a client of these listeners."""
        return _connect(self, self._trace, peer, now)


def _connect(service: Generations, trace: Trace, peer: Peer, now: float) -> TracedConnection:
    proxies = service.generation.proxies
    connection: TracedConnection
    if proxies is not None and proxies.trusts(peer.host):
        connection = TracedProxiedConnection(service, proxies, peer, now)
    else:
        connection = TracedConnection(service, peer, now)
    return _begin(connection, trace, peer, Kind.SLOT)


def _refuse(service: Generations, trace: Trace, peer: Peer, error: ProtocolError, now: float) -> TracedConnection:
    connection = _begin(TracedConnection(service, peer, now), trace, peer, Kind.REFUSED)
    connection.noted = _HEAD
    connection.refuse(error, now)
    return connection


def _begin(connection: TracedConnection, trace: Trace, peer: Peer, kind: Kind) -> TracedConnection:
    """Note the first event, unless the connection around it has done so."""
    row = trace.row_of(peer)
    connection.begin_notes(row)
    if peer.tls is None:
        row.note(kind)
    return connection
