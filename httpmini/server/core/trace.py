"""A trace of connections: a ring in memory that all processes of the server share.

Each connection has a row with room for ``EVENTS`` events, written by whoever serves it at the moment; only the number
of the next row is shared, under a lock. A connection with more events keeps the first few and the last ones. When all
rows are used, a new connection takes the row of the oldest, whose further events are dropped.

    memory = number of the last row | row | row | ...        row = head | event | event | ...
"""

from __future__ import annotations

import mmap
import socket
import struct
import time
from collections.abc import Callable
from time import monotonic

from httpmini.server.core.events import FORMAT, Conversation, Event, Kind, Recording
from httpmini.server.core.kernel import connected_ms, quiet_ms
from httpmini.server.limits.shared_lock import SharedLock
from httpmini.server.listeners.peer import LOCAL, Peer

ROWS = 10_000
EVENTS, KEPT = 48, 6  # the first of a connection are never overwritten: what it waited for at the start
_WORD = 8  # bytes
_TOTAL = struct.Struct("=Q")
_HEAD = struct.Struct("=QQH46s")  # the number of the connection, how many events it had, port, address
_EVENT, _TWO_EVENTS = struct.Struct("=dQ"), struct.Struct("=dQdQ")  # when, and its kind with its value
_ROW_BYTES = _HEAD.size + EVENTS * _EVENT.size
_WRAP = _HEAD.size + KEPT * _EVENT.size  # where the events after the last place go on
VALUE_BITS = 56
_MOST = (1 << VALUE_BITS) - 1
_ASKED, _ANSWERED = Kind.ASKED << VALUE_BITS, Kind.ANSWERED << VALUE_BITS

Accept = Callable[[socket.socket], tuple[int, Peer]]
"""Accepts the next client of a listener."""


def place_of(count: int) -> int:
    """Return where the event after ``count`` others is kept."""
    return count if count < EVENTS else KEPT + (count - KEPT) % (EVENTS - KEPT)


def _place_of_row(number: int) -> int:
    """Return the byte at which the row of a connection begins."""
    return _TOTAL.size + (number - 1) % ROWS * _ROW_BYTES


class Row:
    """Where the events of one connection are written.

    Args:
        memory: the ring.
        at: at which of its bytes the row begins.
        number: the number of the connection.
        fd: the connection's descriptor; -1 if the kernel cannot tell anything of it.

    Attributes:
        last: when the last event was noted.
    """

    # Each response on a kept connection is written here. So the next place is known, not computed, and the number of
    # the connection and of its events are read and written as items of an array: half the time of ``struct``.
    __slots__ = (
        "_at",
        "_blocked",
        "_count",
        "_end",
        "_fd",
        "_memory",
        "_next",
        "_number",
        "_numbers",
        "last",
    )

    def __init__(self, memory: memoryview, at: int, number: int, fd: int) -> None:
        self._memory = memory
        self._numbers = memory[at : at + 2 * _WORD].cast("Q")  # the number of the connection, and of its events
        self._at = at
        self._number = number
        self._fd = fd
        self._count = 0
        self._next = at + _HEAD.size
        self._end = at + _ROW_BYTES
        self._blocked = -1, 0  # after how many events it was blocked, and where that is written
        self.last = 0.0

    def note(self, kind: int, value: int = 0) -> None:
        """Write an event of this moment."""
        self._put(monotonic(), kind << VALUE_BITS | value)

    def note_answered(self, asked_at: float, waited_ms: int, count: int) -> None:
        """Write that a request came in one step, and that its response has left in one.

        Args:
            asked_at: when the request was read.
            waited_ms: how long it had waited then.
            count: how many bytes have left.
        """
        self.last = answered_at = monotonic()
        place = self._next
        after = place + _TWO_EVENTS.size
        if after > self._end:
            self._put(asked_at, _ASKED | waited_ms)
            self._put(answered_at, _ANSWERED | count)
        elif self._numbers[0] == self._number:
            _TWO_EVENTS.pack_into(self._memory, place, asked_at, _ASKED | waited_ms, answered_at, _ANSWERED | count)
            self._numbers[1] = self._count = self._count + 2
            self._next = after if after < self._end else self._at + _WRAP

    def _put(self, at: float, packed: int) -> None:
        """Write an event, unless the row belongs to another connection by now."""
        if self._numbers[0] == self._number:
            self.last = at
            _EVENT.pack_into(self._memory, self._next, at, packed)
            self._numbers[1] = self._count = self._count + 1
            self._next += _EVENT.size
            if self._next == self._end:
                self._next = self._at + _WRAP

    def note_blocked(self) -> None:
        """Write that the kernel takes no more; if that is the last event already, count it there."""
        count, place = self._blocked
        if count != self._count:
            self._blocked = self._count + 1, self._next
            self.note(Kind.BLOCKED, 1)
        elif self._numbers[0] == self._number:
            at, packed = _EVENT.unpack_from(self._memory, place)
            _EVENT.pack_into(self._memory, place, at, packed + 1)

    def waited_ms(self) -> int:
        """Return how long ago the last bytes of the client have arrived, as the kernel estimates.

        Less than ``LEAST_WAIT_S`` after the last event there is nothing to ask: its clock cannot tell so little.
        """
        return quiet_ms(self._fd) if self._fd >= 0 else 0


class Trace:
    """The events of the last connections of all processes.

    Args:
        mode: the mode that serves.
        max_clients: how many clients are served at the same time.
        overflow: what becomes of others.

    Raises:
        CannotRun: this system cannot lock what processes share.
    """

    def __init__(self, mode: str, max_clients: int, overflow: str) -> None:
        self._facts = mode, max_clients, overflow
        self._lock = SharedLock()
        size = _TOTAL.size + ROWS * _ROW_BYTES
        self._memory = memoryview(mmap.mmap(-1, size))  # pages that nobody touches cost nothing
        self._begun, self._wall = time.monotonic(), time.time()
        self._accepted: dict[int, Row] = {}  # those that have no conversation yet, by the number of the peer

    def accepting(self, accept: Accept) -> Accept:
        """Return the same as ``accept``, with a row for each client."""

        def accept_and_note(listener: socket.socket) -> tuple[int, Peer]:
            fd, peer = accept(listener)
            is_told = peer.host != LOCAL
            row = self._accepted[peer.number] = self._take(peer, fd if is_told else -1)
            row.note(Kind.ACCEPTED, connected_ms(fd) if is_told else 0)
            return fd, peer

        return accept_and_note

    def row_of(self, peer: Peer) -> Row:
        """Return the row of a client that was accepted in this process, or before it was forked; once."""
        row = self._accepted.pop(peer.number, None)
        return row if row is not None else self._take(peer, -1)

    def hand_on(self, peer: Peer, row: Row) -> None:
        """Have a row returned by the next ``row_of`` for the same client."""
        self._accepted[peer.number] = row

    def _take(self, peer: Peer, fd: int) -> Row:
        """Return the row for a new connection."""
        with self._lock:
            number = self._total + 1
            _TOTAL.pack_into(self._memory, 0, number)
        at = _place_of_row(number)
        _HEAD.pack_into(self._memory, at, number, 0, peer.port, peer.host.encode()[:46])
        return Row(self._memory, at, number, fd)

    @property
    def _total(self) -> int:
        """How many connections there were."""
        total: int = _TOTAL.unpack_from(self._memory)[0]
        return total

    def read(self) -> Recording:
        """Return everything that is known at this moment."""
        total = self._total
        mode, max_clients, overflow = self._facts
        return Recording(
            format=FORMAT,
            mode=mode,
            max_clients=max_clients,
            overflow=overflow,
            wall=self._wall,
            seconds=time.monotonic() - self._begun,
            total=total,
            connections=[self._read_row(number) for number in range(max(1, total - ROWS + 1), total + 1)],
        )

    def _read_row(self, number: int) -> Conversation:
        at = _place_of_row(number)
        _, count, port, host = _HEAD.unpack_from(self._memory, at)
        kept = range(count) if count <= EVENTS else (*range(KEPT), *range(count - EVENTS + KEPT, count))
        events = [self._read_event(at + _HEAD.size + _EVENT.size * place_of(which)) for which in kept]
        name = host.rstrip(b"\0").decode("utf-8", "replace")
        return Conversation(number, name, port, max(0, count - EVENTS), events)

    def _read_event(self, place: int) -> Event:
        moment, packed = _EVENT.unpack_from(self._memory, place)
        kind = packed >> VALUE_BITS
        return Event(round(moment - self._begun, 6), Kind(kind or Kind.ACCEPTED), packed & _MOST)
