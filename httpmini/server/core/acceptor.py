"""The door: accept(), the addresses, the slots, and a polite no for those who get none.

All modes stand at the same door. What differs is what becomes of a client that was let in.
"""

from __future__ import annotations

import socket
import time
from collections import deque
from functools import partial

import msgspec

from httpmini.server.core.connection import Peer, Refusal
from httpmini.server.core.context import Context
from httpmini.server.core.transfer import Client, advance
from httpmini.server.limits.admission import AddressRules, Admission, Slot
from httpmini.server.limits.slots import SharedSlots
from httpmini.server.listeners.tcp import accept
from httpmini.server.logs.error import Level

# Clients taken from one listener before the others get their turn.
ACCEPTS_PER_TURN = 64
# When accept() fails for want of a descriptor, the listener stays readable; asking again at once would be a busy loop.
PAUSE_S = 0.2
# A client that was told goodbye may be back before the thread or process that served it has given its slot back.
SECOND_LOOK_S = 0.25
# The refused are waited for, so that they can read why, but only so many: they cost descriptors too.
MAX_REFUSED = 32


class _Doubtful(msgspec.Struct, frozen=True):
    """A client for whom there was no slot, and until when to look for one again."""

    fd: int
    peer: Peer
    until: float


class Acceptor:
    """Lets clients in.

    Args:
        assignment: whose listeners are watched, never closed; clients that are being refused are kept in its reactor.
    """

    def __init__(self, context: Context) -> None:
        self._service = context.service
        self._admission = context.admission
        self._log = context.log
        self._reactor = context.reactor
        self._counters = context.board.counters
        self._handlers = {listener: partial(self._accept_from, listener) for listener in context.listeners}
        self._watching = False
        self._paused_until = 0.0
        self._starved = False
        self._admitted: list[Client] = []
        self._doubtful: deque[_Doubtful] = deque()
        self._waits_for_slots = False
        self._exit = Admission(MAX_REFUSED, "refuse", AddressRules(), lambda _text, _level=Level.NOTICE: None)

    def wait(self) -> list[Client]:
        """Wait for something to happen. The clients that were let in meanwhile, often none."""
        now = time.monotonic()
        paused = self._paused_until > now
        full = not self._admission.accepting or (self._queues and bool(self._doubtful))
        self._watch(not full and not paused)
        self._watch_slots(full)
        moments = [self._paused_until] if paused else []
        if self._doubtful and not self._queues:
            moments.append(self._doubtful[0].until)
        self._admitted = []
        self._reactor.turn(max(0.0, min(moments) - now) if moments else None)
        self._look_again()
        return self._admitted

    def last_call(self) -> list[Client]:
        """Give the listeners back. The clients that stood at the door already, as far as there are slots."""
        self._admitted = []
        for take_in in self._handlers.values():
            if self._admission.accepting:
                take_in()
        self._watch(False)
        self._watch_slots(False)
        for one in self._doubtful:
            self._show_out(one.fd, one.peer, Refusal.BUSY)
        self._doubtful.clear()
        return self._admitted

    @property
    def at_the_door(self) -> list[int]:
        """Descriptors of sockets that belong to none of the children: a new child gives up its copies of them.

        Among them those that ``wait`` returned and the mode has not taken out of that list yet.
        """
        refused = [client.fd for client in self._reactor.clients]
        return [*(client.fd for client in self._admitted), *(one.fd for one in self._doubtful), *refused]

    def refuse(self, client: Client, refusal: Refusal) -> None:
        """Turn away a client that was let in, before it was served."""
        if client.slot is not None:
            client.slot.release()
        self._show_out(client.fd, client.peer, refusal)

    @property
    def _queues(self) -> bool:
        """Whether clients without a slot wait for one: in the backlog, or here when another worker was faster."""
        return self._admission.overflow == "queue"

    def _watch_slots(self, on: bool) -> None:
        """Have other processes that give slots back wake this one."""
        slots = self._admission.slots
        if isinstance(slots, SharedSlots) and on != self._waits_for_slots:
            self._waits_for_slots = on
            if on:
                self._reactor.watch(slots, self._look_again)
            else:
                self._reactor.unwatch(slots)

    def _watch(self, on: bool) -> None:
        if on != self._watching:
            self._watching = on
            for listener, handler in self._handlers.items():
                if on:
                    self._reactor.watch(listener, handler, exclusively=True)
                else:
                    self._reactor.unwatch(listener)

    def _accept_from(self, listener: socket.socket) -> None:
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
                self._starve(error)
                return
            self._starved = False
            self._let_in(fd, peer)

    def _let_in(self, fd: int, peer: Peer) -> None:
        place = self._admission.admit(peer.host)
        if isinstance(place, Slot):
            self._admit(fd, peer, place)
        elif place is Refusal.BUSY:
            self._doubtful.append(_Doubtful(fd, peer, time.monotonic() + SECOND_LOOK_S))
        else:
            self._show_out(fd, peer, place)

    def _look_again(self) -> None:
        """Slots for the doubtful, in the order in which they came, or a refusal for those who have waited enough."""
        while self._doubtful:
            one = self._doubtful[0]
            place = self._admission.admit(one.peer.host)
            if isinstance(place, Slot):
                self._admit(one.fd, one.peer, place)
            elif (
                place is not Refusal.BUSY
                or (one.until <= time.monotonic() and not self._queues)
                or len(self._doubtful) > MAX_REFUSED
            ):
                self._show_out(one.fd, one.peer, place)
            else:
                return
            self._doubtful.popleft()

    def _admit(self, fd: int, peer: Peer, slot: Slot) -> None:
        self._counters.admitted += 1
        self._admitted.append(Client(fd, peer, self._service.connect(peer, time.monotonic()), slot))

    def _show_out(self, fd: int, peer: Peer, refusal: Refusal) -> None:
        """Say no; wait until it is read, unless too many are being waited for."""
        now = time.monotonic()
        connection = self._service.refuse(peer, refusal, now, self._admission.retry_s(peer.host, refusal))
        place = self._exit.admit(peer.host)
        if isinstance(place, Slot):
            self._reactor.add(Client(fd, peer, connection, place), now)
        else:
            client = Client(fd, peer, connection, None)
            advance(client, now)
            connection.lose(now)
            client.close()

    def _starve(self, error: OSError) -> None:
        self._paused_until = time.monotonic() + PAUSE_S
        if not self._starved:
            self._starved = True
            said = f"cannot accept: {error.strerror}; clients wait in the backlog until it is possible again"
            self._log(said, Level.ERROR)
