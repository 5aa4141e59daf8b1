"""A separate listener for the status pages, with its own slots, so that operators can connect even when the server is
full. In every mode, its clients are in the poll set of the main process.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Sequence
from functools import partial

from httpmini.server.core.connection import Service
from httpmini.server.core.reactor import Reactor
from httpmini.server.core.room import occupants_of
from httpmini.server.core.transfer import Client
from httpmini.server.core.turn import next_turn
from httpmini.server.limits.admission import Admission, Slot
from httpmini.server.limits.slots import Slots
from httpmini.server.listeners.tcp import accept
from httpmini.server.logs.error import Log

SLOTS = 8


class StatusListener:
    """The listener of the status pages.

    Args:
        service: makes the connections of these clients.
        reactor: the poll set of the main process.
        log: takes lines about the server itself.
    """

    def __init__(self, service: Service, reactor: Reactor, log: Log) -> None:
        self._service = service
        self._reactor = reactor
        self._admission = Admission(Slots(SLOTS, log), "refuse")
        self._listeners: list[socket.socket] = []
        self._spare = _open_spare()

    def open(self, listeners: Sequence[socket.socket]) -> None:
        """Accept clients on ``listeners`` from now on, and on no others."""
        for gone in [one for one in self._listeners if one not in listeners]:
            self._reactor.unwatch(gone)
            self._listeners.remove(gone)
        for new in [one for one in listeners if one not in self._listeners]:
            self._reactor.watch(new, partial(self._accept, new))
            self._listeners.append(new)

    def _accept(self, listener: socket.socket) -> None:
        try:
            fd, peer = accept(listener)
        except (BlockingIOError, ConnectionError):  # the client has gone again
            return
        except OSError:  # out of descriptors
            self._turn_away(listener)
            return
        now = time.monotonic()
        if self._admission.active >= SLOTS:
            self._make_room(now)
        slot = self._admission.admit(peer.host)
        if isinstance(slot, Slot):
            self._reactor.add(Client(fd, peer, self._service.connect(peer, now), slot), now, next_turn())
        else:
            os.close(fd)

    def _make_room(self, now: float) -> None:
        """End the connection that has done nothing for the longest time: probes ask at once."""
        quiet = occupants_of(self._reactor, self._admission.slots, now)
        longest = min(quiet, key=lambda one: (one.is_sent_to, one.quiet_since), default=None)
        if longest is not None:
            longest.leave()

    def _turn_away(self, listener: socket.socket) -> None:
        """Close one waiting connection with the help of the spare descriptor, or the poll would report it for ever."""
        os.close(self._spare)
        with contextlib.suppress(OSError):
            os.close(accept(listener)[0])
        self._spare = _open_spare()

    def close(self) -> None:
        """Stop accepting, and close the spare descriptor."""
        self.open(())
        os.close(self._spare)


def _open_spare() -> int:
    """Return a descriptor to give up when no other is left. A pipe needs no file, so it works after a chroot."""
    spare, other = os.pipe()
    os.close(other)
    return spare
