"""A separate listener for the status pages, with its own slots, so that operators can connect even when the server is
full. In every mode, its clients are in the poll set of the main process.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from functools import partial

from httpmini.server.core.connection import Service
from httpmini.server.core.reactor import Reactor
from httpmini.server.core.room import occupants_of
from httpmini.server.core.transfer import welcome
from httpmini.server.core.turn import next_turn
from httpmini.server.limits.admission import Admission, Slot
from httpmini.server.limits.slots import Slots
from httpmini.server.listeners.tcp import accept
from httpmini.server.logs.error import Level, Log

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
        self._log = log
        self._listeners: list[socket.socket] = []
        self._paused: list[socket.socket] = []
        self._pause_was_logged = False

    def open(self, listeners: Sequence[socket.socket]) -> None:
        """Accept clients on ``listeners`` from now on, and on no others."""
        for gone in [one for one in self._listeners if one not in listeners]:
            if gone in self._paused:
                self._paused.remove(gone)
            else:
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
        except OSError as error:  # no descriptors
            self._pause(listener, error)
            return
        self._pause_was_logged = False
        now = time.monotonic()
        if self._admission.active >= SLOTS:
            self._make_room(now)
        slot = self._admission.admit(peer.host)
        if isinstance(slot, Slot):
            client = welcome(self._service, fd, peer, slot, self._log)
            if client is not None:
                self._reactor.add(client, now, next_turn())
        else:
            os.close(fd)

    def _pause(self, listener: socket.socket, error: OSError) -> None:
        """Stop accepting until the next tick: the listener stays readable, so watching it would be a busy loop."""
        self._reactor.unwatch(listener)
        self._paused.append(listener)
        if not self._pause_was_logged:
            self._pause_was_logged = True
            self._log(f"cannot accept at the status listener: {error.strerror}; its clients wait", Level.ERROR)

    def tick(self) -> None:
        """Accept again after a pause. The main loop calls this a few times a second."""
        while self._paused:
            listener = self._paused.pop()
            self._reactor.watch(listener, partial(self._accept, listener))

    def _make_room(self, now: float) -> None:
        """End the connection that has done nothing for the longest time: probes ask at once."""
        quiet = occupants_of(self._reactor, self._admission.slots, now)
        longest = min(quiet, key=lambda one: (one.is_sent_to, one.quiet_since), default=None)
        if longest is not None:
            longest.leave()

    def close(self) -> None:
        """Stop accepting."""
        self.open(())
