"""A door beside the others, for those who look after the server: with places of its own, so that they get in when all
places are taken. Whoever comes in here is in the poll set of the main process, whatever the mode.
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
from httpmini.server.core.transfer import Client
from httpmini.server.core.turn import next_turn
from httpmini.server.limits.admission import Admission, Slot
from httpmini.server.limits.slots import Slots
from httpmini.server.listeners.tcp import accept
from httpmini.server.logs.error import Log

PLACES = 8


class StatusListener:
    """Lets clients in.

    Args:
        service: what is spoken with them.
        reactor: the poll set.
        log: takes lines about the server itself.
    """

    def __init__(self, service: Service, reactor: Reactor, log: Log) -> None:
        self._service = service
        self._reactor = reactor
        self._admission = Admission(Slots(PLACES, log), "refuse")
        self._listeners: list[socket.socket] = []
        self._spare = _open_spare()

    def open(self, listeners: Sequence[socket.socket]) -> None:
        """Stand at these listeners, and at no others."""
        for gone in [one for one in self._listeners if one not in listeners]:
            self._reactor.unwatch(gone)
            self._listeners.remove(gone)
        for new in [one for one in listeners if one not in self._listeners]:
            self._reactor.watch(new, partial(self._let_in, new))
            self._listeners.append(new)

    def _let_in(self, listener: socket.socket) -> None:
        try:
            fd, peer = accept(listener)
        except (BlockingIOError, ConnectionError):  # it came and went
            return
        except OSError:  # out of descriptors: with the one that is kept for this, it can at least be sent away
            os.close(self._spare)
            with contextlib.suppress(OSError):
                os.close(accept(listener)[0])
            self._spare = _open_spare()
            return
        place = self._admission.admit(peer.host)
        now = time.monotonic()
        if isinstance(place, Slot):
            self._reactor.add(Client(fd, peer, self._service.connect(peer, now), place), now, next_turn())
        else:
            os.close(fd)

    def close(self) -> None:
        """Leave the listeners, and give back what was kept."""
        self.open(())
        os.close(self._spare)


def _open_spare() -> int:
    """Of a pipe, which needs no file, and so is there in any root."""
    spare, other = os.pipe()
    os.close(other)
    return spare
