"""Clients that are turned away: each is told why, and given a moment to read it."""

from __future__ import annotations

import time

from httpmini.server.core.connection import Service
from httpmini.server.core.reactor import Reactor
from httpmini.server.core.transfer import Client, advance
from httpmini.server.core.turn import next_turn
from httpmini.server.limits.admission import Admission, Refusal, Slot
from httpmini.server.limits.slots import Slots
from httpmini.server.listeners.peer import Peer
from httpmini.server.logs.error import Level

# Clients that are being refused cost descriptors too, so only so many are waited for.
MAX_REFUSED = 32


class Refusals:
    """Turns clients away.

    Args:
        service: says no in its protocol.
        admission: knows when there may be room again.
        reactor: where the refused clients wait for their end; no mode blocks on them.
    """

    def __init__(self, service: Service, admission: Admission, reactor: Reactor) -> None:
        self._service = service
        self._admission = admission
        self._reactor = reactor
        self._room = Admission(Slots(MAX_REFUSED, _log_nothing), "refuse")

    def turn_away(self, fd: int, peer: Peer, refusal: Refusal) -> None:
        """Say no, and wait until the client has read it unless too many are waited for already."""
        now = time.monotonic()
        connection = self._service.refuse(peer, refusal, now, self._admission.retry_s(peer.host, refusal))
        slot = self._room.admit(peer.host)
        if isinstance(slot, Slot):
            self._reactor.add(Client(fd, peer, connection, slot), now, next_turn())
        else:
            client = Client(fd, peer, connection, None)
            advance(client, now, next_turn())
            connection.lose(now)
            client.close()


def _log_nothing(_text: str, _level: Level = Level.NOTICE, /) -> None:
    """Drop the line that 32 clients are being refused: it would read as if max_clients had been reached again."""
