"""The door: accept(), the addresses, the slots, and a polite no for those who get none.

All modes stand at the same door. What differs is what becomes of a client that was let in.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Sequence
from errno import EMFILE, ENFILE, ENOBUFS, ENOMEM
from functools import partial

from httpmini.server.admission import Slot
from httpmini.server.assignment import Assignment
from httpmini.server.connection import Peer, Refusal
from httpmini.server.reactor import Reactor
from httpmini.server.transfer import Client

# Clients taken from one listener before the others get their turn.
ACCEPTS_PER_TURN = 64
# Without a descriptor left, accept() fails and the listener stays readable; asking again at once would be a busy loop.
PAUSE_S = 0.2

_OUT_OF_RESOURCES = (EMFILE, ENFILE, ENOBUFS, ENOMEM)


class Acceptor:
    """Lets clients in.

    Args:
        assignment: whose listeners are watched, never closed, and whose control's wake-ups end a wait.
        reactor: where to wait; clients that are being refused are kept there.
    """

    def __init__(self, assignment: Assignment, reactor: Reactor) -> None:
        self._service = assignment.service
        self._admission = assignment.admission
        self._log = assignment.log
        self._reactor = reactor
        self._handlers = {listener: partial(self._accept_from, listener) for listener in assignment.listeners}
        self._watching = False
        self._paused_until = 0.0
        self._starved = False
        self._admitted: list[Client] = []
        reactor.watch(assignment.control, lambda: assignment.control.clear(time.monotonic()))

    def wait(self) -> list[Client]:
        """Wait for something to happen. The clients that were let in meanwhile, often none."""
        pause_s = self._paused_until - time.monotonic()
        self._watch(self._admission.accepting and pause_s <= 0)
        self._admitted = []
        self._reactor.turn(pause_s if pause_s > 0 else None)
        return self._admitted

    def release(self) -> None:
        """Give the listeners back: they are not looked at any more."""
        self._watch(False)

    def refuse(self, client: Client, refusal: Refusal) -> None:
        """Turn away a client that was let in, before it was served."""
        if client.slot is not None:
            client.slot.release()
        self._show_out(client.sock, client.peer, refusal)

    def _watch(self, on: bool) -> None:
        if on != self._watching:
            self._watching = on
            for listener, handler in self._handlers.items():
                if on:
                    self._reactor.watch(listener, handler)
                else:
                    self._reactor.unwatch(listener)

    def _accept_from(self, listener: socket.socket) -> None:
        for _ in range(ACCEPTS_PER_TURN):
            if not self._admission.accepting:
                return
            try:
                sock, address = listener.accept()
            except BlockingIOError:
                return
            except ConnectionError:  # it came and went while it was in the backlog
                continue
            except OSError as error:
                self._starve(error)
                return
            self._starved = False
            self._let_in(sock, _peer(address))

    def _let_in(self, sock: socket.socket, peer: Peer) -> None:
        sock.setblocking(False)
        with contextlib.suppress(OSError):  # not a TCP socket, or reset already
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        place = self._admission.admit(peer.host)
        if isinstance(place, Slot):
            self._admitted.append(Client(sock, peer, self._service.connect(peer, time.monotonic()), place))
        else:
            self._show_out(sock, peer, place)

    def _show_out(self, sock: socket.socket, peer: Peer, refusal: Refusal) -> None:
        now = time.monotonic()
        self._reactor.add(Client(sock, peer, self._service.refuse(peer, refusal, now), None), now)

    def _starve(self, error: OSError) -> None:
        if error.errno not in _OUT_OF_RESOURCES:
            raise error
        self._paused_until = time.monotonic() + PAUSE_S
        if not self._starved:
            self._starved = True
            self._log(f"cannot accept: {error.strerror}; clients wait in the backlog until descriptors are free")


def _peer(address: Sequence[object]) -> Peer:
    return Peer(str(address[0]), int(str(address[1])))
