"""The way in: accept(), the addresses, the slots, and a polite no for clients that get none.

All modes accept in the same way. What differs is what becomes of a client that was admitted.
"""

from __future__ import annotations

import socket
import time
from collections import deque
from enum import Enum
from functools import partial

import msgspec

from httpmini.server.core.context import Context
from httpmini.server.core.refusals import MAX_REFUSED, Refusals
from httpmini.server.core.transfer import Client, welcome
from httpmini.server.limits.admission import Refusal, Slot
from httpmini.server.listeners.peer import Peer
from httpmini.server.listeners.tcp import accept
from httpmini.server.logs.error import Level

# Clients taken from one listener before the others get their turn.
ACCEPTS_PER_TURN = 64
# When accept() fails for want of a descriptor, the listener stays readable; trying again at once would be a busy loop.
PAUSE_S = 0.2
# A client that has seen its connection close may be back before the thread or process that served it has given its slot
# back.
SECOND_LOOK_S = 0.25


class Gate(Enum):
    """The state of an acceptor's listeners; there are no others.

    | gate   | listeners watched | slots watched (by workers that share them) |
    |--------|-------------------|--------------------------------------------|
    | OPEN   | yes               | no                                         |
    | FULL   | no                | yes: a slot that comes free opens the gate |
    | PAUSED | no                | no: it opens after ``PAUSE_S``             |
    | SHUT   | no                | no: before the first turn, and at the end  |
    """

    OPEN = "clients may connect"
    FULL = "clients wait in the backlog until a slot is free"
    PAUSED = "accept() fails for want of a descriptor; clients wait in the backlog"
    SHUT = "the listeners are not in use"


class _Waiting(msgspec.Struct, frozen=True):
    """A client that was accepted when no slot was free, and until when to look for one again."""

    fd: int
    peer: Peer
    until: float


class Acceptor:
    """Admits clients.

    Args:
        context: its listeners are watched, never closed; clients that are being refused are kept in its reactor.
    """

    def __init__(self, context: Context) -> None:
        self._service = context.service
        self._admission = context.admission
        self._log = context.log
        self._reactor = context.reactor
        self._counters = context.board.counters
        self._refusals = Refusals(context.service, context.admission, context.reactor)
        self._handlers = {listener: partial(self._accept_from, listener) for listener in context.listeners}
        self._gate = Gate.SHUT
        self._paused_until = 0.0
        self._pause_was_logged = False
        self._admitted: list[Client] = []
        self._waiting: deque[_Waiting] = deque()

    def wait(self) -> list[Client]:
        """Wait for something to happen; return the clients that were admitted meanwhile, often none."""
        now = time.monotonic()
        self._turn_gate(self._gate_at(now))
        moments = [self._paused_until] if self._paused_until > now else []
        if self._waiting and not self._queues:
            moments.append(self._waiting[0].until)
        self._admitted = []
        self._reactor.turn(max(0.0, min(moments) - now) if moments else None)
        self._look_again()
        return self._admitted

    def last_call(self) -> list[Client]:
        """Give the listeners back; return the clients that had connected already, as far as there are slots."""
        self._admitted = []
        for accept_from in self._handlers.values():
            if self._admission.accepting:
                accept_from()
        self._turn_gate(Gate.SHUT)
        for one in self._waiting:
            self._refusals.turn_away(one.fd, one.peer, Refusal.BUSY)
        self._waiting.clear()
        return self._admitted

    @property
    def descriptors(self) -> list[int]:
        """Descriptors of clients that belong to no child: a new child closes its copies of them.

        Among them are clients that ``wait`` returned and the mode has not taken out of that list yet.
        """
        refused = [client.fd for client in self._reactor.clients]
        return [*(client.fd for client in self._admitted), *(one.fd for one in self._waiting), *refused]

    def refuse(self, client: Client, refusal: Refusal) -> None:
        """Turn away a client that was admitted, before it was served."""
        client.release()
        self._refusals.turn_away(client.fd, client.peer, refusal)

    @property
    def _queues(self) -> bool:
        """Whether clients without a slot wait for one: in the backlog, or here if another worker was faster."""
        return self._admission.overflow == "queue"

    def _gate_at(self, now: float) -> Gate:
        """Return the state that the listeners should be in."""
        if not self._admission.accepting or (self._queues and self._waiting):
            return Gate.FULL
        return Gate.PAUSED if self._paused_until > now else Gate.OPEN

    def _turn_gate(self, gate: Gate) -> None:
        """Watch what has to be watched in the new state, and nothing else."""
        before, self._gate = self._gate, gate
        if before is gate:
            return
        slots = self._admission.slots
        if before is Gate.OPEN:
            for listener in self._handlers:
                self._reactor.unwatch(listener)
        elif before is Gate.FULL and slots.is_shared:
            self._reactor.unwatch(slots)
        if gate is Gate.OPEN:
            for listener, handler in self._handlers.items():
                self._reactor.watch(listener, handler, exclusively=True)
        elif gate is Gate.FULL and slots.is_shared:
            self._reactor.watch(slots, self._on_free_slot)

    def _accept_from(self, listener: socket.socket) -> None:
        """Accept the clients in one backlog, within bounds."""
        self._look_again()  # those who came before
        for _ in range(ACCEPTS_PER_TURN):
            if not self._admission.accepting:
                return
            try:
                fd, peer = accept(listener)
            except BlockingIOError:
                return
            except ConnectionError:  # it came and went while it was in the backlog
                continue
            except OSError as error:  # no descriptors; a firewall or a network that says no (accept(2))
                self._pause(error)
                return
            self._pause_was_logged = False
            self._admit(fd, peer)

    def _admit(self, fd: int, peer: Peer) -> None:
        slot = self._admission.admit(peer.host)
        if isinstance(slot, Slot):
            self._connect(fd, peer, slot)
        elif slot is Refusal.BUSY:
            self._waiting.append(_Waiting(fd, peer, time.monotonic() + SECOND_LOOK_S))
        else:
            self._refusals.turn_away(fd, peer, slot)

    def _on_free_slot(self) -> None:
        """React to a slot that another process has given back."""
        self._admission.slots.settle()  # or a free slot that is owed would be reported for ever
        self._look_again()

    def _look_again(self) -> None:
        """Give slots to waiting clients in the order in which they came; refuse those that have waited long enough."""
        while self._waiting:
            one = self._waiting[0]
            slot = self._admission.admit(one.peer.host)
            if isinstance(slot, Slot):
                self._connect(one.fd, one.peer, slot)
            elif (
                slot is not Refusal.BUSY
                or (one.until <= time.monotonic() and not self._queues)
                or len(self._waiting) > MAX_REFUSED
            ):
                self._refusals.turn_away(one.fd, one.peer, slot)
            else:
                return
            self._waiting.popleft()

    def _connect(self, fd: int, peer: Peer, slot: Slot) -> None:
        client = welcome(self._service, fd, peer, slot, self._log)
        if client is not None:
            self._counters.admitted += 1
            self._admitted.append(client)

    def _pause(self, error: OSError) -> None:
        """Stop accepting for a moment; log it once until accept() succeeds again."""
        self._paused_until = time.monotonic() + PAUSE_S
        if not self._pause_was_logged:
            self._pause_was_logged = True
            text = f"cannot accept: {error.strerror}; clients wait in the backlog until it is possible again"
            self._log(text, Level.ERROR)
