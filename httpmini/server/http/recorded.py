"""Connections that are recorded, and the service that makes them in place of others."""

from __future__ import annotations

import os
from typing import Generic

from httpmini.protocol.body import FileSlice, Piece
from httpmini.server.core.connection import Connection
from httpmini.server.core.turn import NO_TURN
from httpmini.server.http.connection import HttpConnection
from httpmini.server.http.generation import Generations
from httpmini.server.http.proxied import ProxiedConnection
from httpmini.server.http.service import G, HttpService
from httpmini.server.http.tape import Recorder, Tape
from httpmini.server.limits.admission import Refusal
from httpmini.server.listeners.peer import Peer


class _Recorded(Connection):
    """What its owner reports, written to a tape as well. Put it before the class of the connection.

    Attributes:
        tape: takes it.
    """

    __slots__ = ()
    tape: Tape

    def receive(self, data: bytes, now: float, turn: int = NO_TURN) -> bytes | None:
        """Record what has arrived, and take it."""
        self.tape.client(data, now)
        octets = super().receive(data, now, turn)
        self.tape.response = octets or b""
        return octets

    def sent(self, count: int, now: float) -> None:
        """Record what was sent of the first piece, while its file is open."""
        self.tape.server(_octets(self.output[0], self.position, min(count, self.tape.room)), now)
        super().sent(count, now)

    def sent_at_once(self, count: int, now: float) -> None:
        """Record the small response."""
        self.tape.server(self.tape.response, now)
        super().sent_at_once(count, now)

    def abandon(self) -> None:
        """Record what was held back: nothing follows."""
        self.tape.release()
        super().abandon()

    def lose(self, now: float) -> None:
        """Record what was held back: nothing follows."""
        self.tape.release()
        super().lose(now)


class RecordedConnection(_Recorded, HttpConnection):
    """One client's conversation, recorded."""

    __slots__ = ("tape",)


class RecordedProxiedConnection(_Recorded, ProxiedConnection):
    """One connection of a trusted proxy, recorded."""

    __slots__ = ("tape",)


class RecordingService(Generic[G]):
    """HTTP for everybody, recorded. What refuses a client at once is not.

    Args:
        service: what makes the connections when no more can be recorded.
        recorder: makes the tapes.
    """

    def __init__(self, service: HttpService[G], recorder: Recorder) -> None:
        self._service = service
        self._recorder = recorder

    def connect(self, peer: Peer, now: float) -> Connection:
        """Return a conversation with a client that was admitted."""
        tape = self._recorder.tape(now)
        if tape is None:
            return self._service.connect(peer, now)
        connection = _connect(self._service, peer, now)
        connection.tape = tape
        return connection

    def refuse(self, peer: Peer, refusal: Refusal, now: float, retry_s: float) -> Connection:
        """Return a short conversation with a client that was not admitted."""
        return self._service.refuse(peer, refusal, now, retry_s)

    def tick(self) -> bool | None:
        """Do what was put off."""
        return self._service.tick()


def _connect(service: Generations, peer: Peer, now: float) -> RecordedConnection | RecordedProxiedConnection:
    proxies = service.generation.proxies
    if proxies is not None and proxies.trusts(peer.host):
        return RecordedProxiedConnection(service, proxies, peer, now)
    return RecordedConnection(service, peer, now)


def _octets(piece: Piece, position: int, count: int) -> bytes:
    """Return octets of a piece that have just been sent; fewer if its file has become shorter since."""
    if isinstance(piece, bytes):
        return piece[position : position + count]
    if not isinstance(piece, FileSlice):
        return b""  # a promise is never sent itself
    try:
        return os.pread(piece.fd, count, piece.offset + position)
    except OSError:
        return b""
