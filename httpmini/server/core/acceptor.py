"""Admission of new clients: accept(), address rules, slots, and a refusal for clients that get no slot.

All modes accept in the same way. They differ in what they do with an admitted client.

Clients that find no free slot wait in the *lobby*, at most ``LOBBY`` of them; all others wait in the kernel's backlog.
In the lobby their addresses are known, so a slot that comes free goes to the address that has the fewest, and clients
that do nothing with their slots can be made to give them up (``limits/crowd.py``).
"""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Callable
from enum import Enum
from functools import partial
from itertools import chain

from httpmini.server.core.context import Context, Waiting
from httpmini.server.core.refusals import MAX_REFUSED, Refusals
from httpmini.server.core.room import occupants_of
from httpmini.server.core.transfer import Client, welcome
from httpmini.server.limits.admission import Refusal, Slot
from httpmini.server.limits.crowd import choose, overdue, share_of
from httpmini.server.listeners.peer import Peer
from httpmini.server.logs.error import Level

# Clients taken from one listener before the others get their turn.
ACCEPTS_PER_TURN = 64
# When accept() fails for want of a descriptor, the listener stays readable; trying again at once would be a busy loop.
PAUSE_S = 0.2
# With overflow = "refuse": a client that has seen its connection close may be back before the thread or process that
# served it has given its slot back.
SECOND_LOOK_S = 0.25
LOBBY = MAX_REFUSED  # descriptors, like those of clients that are being refused
# When the lobby is full of clients of one address, this long after the first of them came, one has to go for each that
# comes: clients of other addresses may wait in the backlog.
CROWDED_LOBBY_S = 0.5
# While somebody waits, and while the second half of the slots fills up, occupants are looked at this often.
LOOK_S, SLOW_LOOK_S = 0.1, 0.25


class Gate(Enum):
    """The state of an acceptor's listeners; there are no others.

    | gate   | listeners watched |
    |--------|-------------------|
    | OPEN   | yes               |
    | FULL   | no: it opens when there is room in the lobby |
    | PAUSED | no: it opens after ``PAUSE_S`` |
    | SHUT   | no: before the first turn, and from the beginning of a drain on |
    """

    OPEN = "clients may connect"
    FULL = "clients wait in the backlog until there is room in the lobby"
    PAUSED = "accept() fails for want of a descriptor; clients wait in the backlog"
    SHUT = "the listeners are not in use"


class Acceptor:
    """Admits clients.

    Args:
        context: its listeners are watched, never closed; clients that are being refused are kept in its reactor.
        batch: how many clients are admitted in one turn. A mode that needs long for each takes few at a time, so that
            those that come meanwhile may be served before those that came in a crowd.
    """

    def __init__(
        self,
        context: Context,
        batch: int = ACCEPTS_PER_TURN,
    ) -> None:
        self._context = context
        self._shutdown = context.shutdown
        self._service = context.service
        self._accept = context.accept
        self._admission = context.admission
        self._slots = context.admission.slots
        self._log = context.log
        self._reactor = context.reactor
        self._counters = context.board.counters
        self._batch = batch
        self._refusals = Refusals(context.service, context.admission, context.reactor)
        self._handlers = {listener: partial(self._accept_from, listener) for listener in context.listeners}
        self._gate = Gate.SHUT
        self._watches_slots = False
        self._paused_until = 0.0
        self._last_look = 0.0
        self._pause_was_logged = False
        self._admitted: list[Client] = []
        self._batch_was_full = False
        self._lobby = context.lobby

    @property
    def has_lobby(self) -> bool:
        """Whether somebody waits for a slot."""
        return bool(self._lobby)

    def wait(self, until: float | None = None) -> list[Client]:
        """Wait for something to happen; return the clients that were admitted meanwhile, often none.

        Once draining has begun, no client is accepted any more, and those that wait still get their slots.

        Args:
            until: when to return if nothing happens.
        """
        is_busy = self._is_busy
        self._admitted = []
        self._reactor.turn(self._prepare_turn(until) if is_busy or until is not None else None)
        if is_busy or self._lobby:
            self._look_again()
            self._look_at_occupants()
            self._refuse_late()
        return self._admitted

    @property
    def _is_busy(self) -> bool:
        """Whether more is to be done than to accept: somebody waits for a slot or soon will, or the gate is to move."""
        return (
            bool(self._lobby)
            or self._slots.are_filling_up
            or self._gate is not Gate.OPEN
            or self._paused_until > 0
            or self._watches_slots
            or self._shutdown.draining
        )

    def _prepare_turn(self, until: float | None) -> float | None:
        """Watch what has to be watched in the next turn; return how long it may take."""
        now = time.monotonic()
        self._turn_gate(self._gate_at(now))
        self._watch_slots(bool(self._lobby) and self._slots.is_shared)
        moments = [] if until is None else [until]
        if self._paused_until > now:
            moments.append(self._paused_until)
        if self._lobby and self._batch_was_full:
            moments.append(now)
        elif self._lobby or self._slots.are_filling_up:
            moments.append(max(now, self._next_look))
        return max(0.0, min(moments) - now) if moments else None

    def last_call(self) -> list[Client]:
        """Give the listeners back; return the clients that had connected already, as far as there are slots.

        Clients without a slot go on waiting for the next call of ``wait``, by whichever mode; unless the server stops.
        In a worker that is replaced they wait for its own.
        """
        self._admitted = []
        for accept_from in self._handlers.values():
            if self._admission.accepting:
                accept_from()
        self._turn_gate(Gate.SHUT)
        self._watch_slots(False)
        self._look_again(len(self._admitted) + len(self._lobby))
        if self._shutdown.draining and not self._shutdown.replaced:
            self.empty_lobby()
        return self._admitted

    def empty_lobby(self) -> None:
        """Turn away those who wait."""
        self._watch_slots(False)
        while self._lobby:
            one = self._lobby.pop(0)
            self._refusals.turn_away(one.fd, one.peer, Refusal.BUSY)

    @property
    def descriptors(self) -> list[int]:
        """Descriptors of clients that belong to no child: a new child closes its copies of them.

        Among them are clients that ``wait`` returned and the mode has not taken out of that list yet.
        """
        refused = [client.fd for client in self._reactor.clients]
        return [*(client.fd for client in self._admitted), *(one.fd for one in self._lobby), *refused]

    def refuse(self, client: Client, refusal: Refusal) -> None:
        """Turn away a client that was admitted, before it was served."""
        client.release()
        self._refusals.turn_away(client.fd, client.peer, refusal)

    # The listeners.

    def _gate_at(self, now: float) -> Gate:
        """Return the state that the listeners should be in."""
        if self._lobby_is_full and not self._may_thin_out(now):
            return Gate.FULL
        if self._shutdown.draining:
            return Gate.SHUT
        if self._paused_until > now:
            return Gate.PAUSED
        self._paused_until = 0.0
        return Gate.OPEN

    def _turn_gate(self, gate: Gate) -> None:
        """Watch what has to be watched in the new state, and nothing else."""
        before, self._gate = self._gate, gate
        if before is not gate and before is Gate.OPEN:
            for listener in self._handlers:
                self._reactor.unwatch(listener)
        elif before is not gate and gate is Gate.OPEN:
            for listener, handler in self._handlers.items():
                self._reactor.watch(listener, handler, exclusively=True)

    def _watch_slots(self, wanted: bool) -> None:
        """Watch for slots that other processes give back."""
        if wanted and not self._watches_slots:
            self._reactor.watch(self._slots, self._on_free_slot)
        elif self._watches_slots and not wanted:
            self._reactor.unwatch(self._slots)
        self._watches_slots = wanted

    def _on_free_slot(self) -> None:
        """React to a slot that another process has given back."""
        self._slots.settle()  # or a free slot that is owed would be reported for ever
        self._look_again()

    def _accept_from(self, listener: socket.socket) -> None:
        """Accept the clients in one backlog, within bounds."""
        if self._lobby:
            self._look_again()  # those who came before
        for _ in range(ACCEPTS_PER_TURN):
            if self._lobby and self._lobby_is_full and not self._may_thin_out(time.monotonic()):
                return
            try:
                fd, peer = self._accept(listener)
            except BlockingIOError:
                return
            except ConnectionError:  # it came and went while it was in the backlog
                continue
            except OSError as error:  # no descriptors; a firewall or a network that says no (accept(2))
                self._pause(error)
                return
            self._pause_was_logged = False
            self._admit(fd, peer)

    def _pause(self, error: OSError) -> None:
        """Stop accepting for a moment; log it once until accept() succeeds again."""
        self._paused_until = time.monotonic() + PAUSE_S
        if not self._pause_was_logged:
            self._pause_was_logged = True
            text = f"cannot accept: {error.strerror}; clients wait in the backlog until it is possible again"
            self._log(text, Level.ERROR)

    # The lobby.

    def _admit(self, fd: int, peer: Peer) -> None:
        """Give a slot to a client that has just come, refuse it, or let it wait: after those who wait already."""
        if self._lobby or len(self._admitted) >= self._batch or not self._try(fd, peer):
            was_full = self._lobby_is_full
            self._lobby.append(Waiting(fd, peer, time.monotonic()))
            if was_full:
                self._thin_out()

    @property
    def _lobby_is_full(self) -> bool:
        waiting = len(self._lobby)
        return waiting >= LOBBY and waiting >= LOBBY + self._slots.limit - self._slots.active

    def _try(self, fd: int, peer: Peer) -> bool:
        """Give a slot to a client, or turn it away; return False if there is none at present."""
        slot = self._admission.admit(peer.host)
        if slot is Refusal.BUSY:
            return False
        if isinstance(slot, Slot):
            client = welcome(self._service, fd, peer, slot, self._log)
            if client is not None:
                self._counters.admitted += 1
                self._admitted.append(client)
        else:
            self._refusals.turn_away(fd, peer, slot)
        return True

    def _look_again(self, at_least: int = 0) -> None:
        """Give free slots to those who wait: the address with the fewest first, then in the order of their coming."""
        while self._lobby and self._admission.accepting and len(self._admitted) < max(self._batch, at_least):
            one = min(self._lobby, key=self._weigh())
            if not self._try(one.fd, one.peer):
                break
            self._lobby.remove(one)
        self._batch_was_full = len(self._admitted) >= self._batch

    def _refuse_late(self) -> None:
        """Turn away those who have waited long enough, with overflow = "refuse".

        At the end of a turn: if we are late ourselves, a slot that was given back meanwhile may be known by now.
        """
        if self._admission.overflow == "refuse":
            latest = time.monotonic() - SECOND_LOOK_S
            for one in [one for one in self._lobby if one.since <= latest]:
                self._turn_away(one)

    def _weigh(self) -> Callable[[Waiting], int]:
        """Return a function that counts the clients of a client's address, admitted and in the lobby."""
        waiting = Counter(map(self._key, self._lobby))
        counts = self._slots.crowd.counts()
        return lambda one: share_of(self._key(one), counts) + share_of(self._key(one), waiting)

    def _may_thin_out(self, now: float) -> bool:
        """Whether another client may be accepted although the lobby is full."""
        if self._admission.overflow == "refuse":
            return True
        _, count = self._most_in_lobby()
        return count > LOBBY // 2 and self._lobby[0].since <= now - CROWDED_LOBBY_S

    def _thin_out(self) -> None:
        """Turn away the last of the address that has the most clients in the lobby."""
        key, _ = self._most_in_lobby()
        self._turn_away(next(one for one in reversed(self._lobby) if self._key(one) == key))

    def _most_in_lobby(self) -> tuple[int, int]:
        return Counter(self._key(one) for one in self._lobby).most_common(1)[0]

    def _key(self, one: Waiting) -> int:
        return self._admission.key_of(one.peer.host)

    def _turn_away(self, one: Waiting) -> None:
        self._lobby.remove(one)
        self._refusals.turn_away(one.fd, one.peer, Refusal.BUSY)

    # Clients that have slots.

    @property
    def _next_look(self) -> float:
        return self._last_look + (LOOK_S if self._lobby else SLOW_LOOK_S)

    def _look_at_occupants(self) -> None:
        """Make idle clients leave if clients wait for a slot, here or in other processes."""
        now, slots = time.monotonic(), self._slots
        if now < self._next_look or not (self._lobby or slots.are_filling_up):
            return
        self._last_look = now
        occupants = list(chain(occupants_of(self._reactor, slots, now), self._context.occupants(now)))
        gone = overdue(occupants, slots.active, slots.limit, now)
        waiting = [self._key(one) for one in sorted(self._lobby, key=self._weigh())]
        if slots.active >= slots.limit:
            rest = [one for one in occupants if one not in gone]
            gone += choose(rest, [*waiting, *slots.asked()][len(gone) :], slots.crowd.counts(), slots.limit, now)
        slots.ask(waiting[0] if waiting and not gone else 0)
        for one in gone:
            one.leave()
        self._look_again()
