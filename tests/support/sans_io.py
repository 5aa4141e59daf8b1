"""Drive an HttpConnection without sockets: feed it pieces of requests, collect the exact bytes that it sends."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from httpmini import config
from httpmini.daemon.build_http import build_http
from httpmini.daemon.build_site import build_site
from httpmini.protocol.body import FileSlice
from httpmini.server.core.connection import Connection, Interest
from httpmini.server.core.turn import NO_TURN
from httpmini.server.http.service import HttpService
from httpmini.server.listeners.peer import Peer
from httpmini.site.respond import Site
from tests.support.logs import log_into

PEER = Peer("192.0.2.1", 4711)


@cache
def _load(root: Path) -> tuple[config.Config, Site]:
    settings = config.load(None, config.Flags(root=str(root)))
    return settings, build_site(settings)


class Conversation:
    """One connection to a site, its logs, and the bytes that it has sent."""

    def __init__(self, root: Path, now: float = 0.0) -> None:
        self.log: list[str] = []
        self.errors: list[str] = []
        settings, self.site = _load(root)
        generation = build_http(settings, [self.site], lambda _place: self.log.append, log_into(self.errors))
        self.service = HttpService(generation)
        self.limits = settings.limits
        self.connection: Connection = self.service.connect(PEER, now)
        self.said = b""

    def hear(self, data: bytes, now: float = 0.0) -> None:
        """Pass ``data`` (empty: the client has ended its side) to the connection; collect everything that it sends."""
        if self.connection.interest in (Interest.READ, Interest.LINGER):
            octets = self.connection.receive(data, now)
            if octets is not None:
                self.said += octets
                self.connection.sent_at_once(len(octets), now)
        self.flush(now)

    def flush(self, now: float = 0.0) -> None:
        do_work(self.connection, now)
        pieces = []
        while self.connection.interest is Interest.WRITE:
            piece, position = self.connection.output[0], self.connection.position
            if isinstance(piece, FileSlice):
                data = os.pread(piece.fd, min(65536, piece.length - position), piece.offset + position)
            else:
                assert isinstance(piece, bytes)
                data = piece[position:]
            pieces.append(data)
            self.connection.sent(len(data), now)
            do_work(self.connection, now)
        self.said += b"".join(pieces)


def do_work(connection: Connection, now: float) -> None:
    """Do what a connection waits for."""
    while connection.work is not None:
        connection.work.run()
        connection.work_done(now)


def deliver(connection: Connection, data: bytes, now: float, turn: int = NO_TURN) -> None:
    """Pass ``data`` to a connection, and leave everything that it sends in its output."""
    octets = connection.receive(data, now, turn)
    if octets is not None:
        connection.send_later(octets, 0, now)


def answers_to(root: Path, pieces: Iterable[bytes]) -> bytes:
    """Return everything that a client receives that sends ``pieces`` and then ends its side."""
    conversation = Conversation(root)
    for piece in pieces:
        conversation.hear(piece)
    conversation.hear(b"")
    assert conversation.connection.interest is Interest.CLOSED
    assert conversation.errors == []
    return conversation.said
