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

from httpmini.server.core.events import FORMAT, Conversation, Event, Kind, Recording
from httpmini.server.core.kernel import connected_ms, quiet_ms
from httpmini.server.limits.shared_lock import SharedLock
from httpmini.server.listeners.peer import LOCAL, Peer

ROWS = 10_000
EVENTS, KEPT = 48, 6  # the first of a connection are never overwritten: what it waited for at the start
_HEAD = struct.Struct("<QQH46s")  # the number of the connection, how many events it had, port, address
_EVENT = struct.Struct("<dQ")
_EVENTS_AT = 64
_ROW_BYTES = _EVENTS_AT + EVENTS * _EVENT.size
_VALUE_BITS = 56
_MOST = (1 << _VALUE_BITS) - 1
_NUMBER, _COUNT = struct.Struct("<Q"), struct.Struct("<Q")
_COUNT_AT = 8

Accept = Callable[[socket.socket], tuple[int, Peer]]
"""Accepts the next client of a listener."""


def place_of(count: int) -> int:
    """Return where the event after ``count`` others is kept."""
    return count if count < EVENTS else KEPT + (count - KEPT) % (EVENTS - KEPT)


class Row:
    """Where the events of one connection are written.

    Args:
        memory: of the ring.
        at: where the row begins.
        number: the number of the connection.
        fd: the connection's descriptor; -1 if the kernel cannot tell anything of it.
    """

    __slots__ = ("_at", "_blocked_at", "_count", "_fd", "_memory", "_number")

    def __init__(self, memory: mmap.mmap, at: int, number: int, fd: int) -> None:
        self._memory = memory
        self._at = at
        self._number = number
        self._fd = fd
        self._count = 0
        self._blocked_at = -1

    def note(self, kind: int, value: int = 0) -> None:
        """Write an event of this moment, unless the row belongs to another connection by now."""
        memory, at, count = self._memory, self._at, self._count
        if _NUMBER.unpack_from(memory, at)[0] != self._number:
            return
        place = at + _EVENTS_AT + 16 * (count if count < EVENTS else place_of(count))
        _EVENT.pack_into(memory, place, time.monotonic(), kind << _VALUE_BITS | value)
        self._count = count = count + 1
        _COUNT.pack_into(memory, at + _COUNT_AT, count)

    def note_blocked(self) -> None:
        """Write that the kernel takes no more; if that is the last event already, count it there."""
        last = self._count - 1
        if self._blocked_at != last:
            self._blocked_at = last + 1
            self.note(Kind.BLOCKED, 1)
        elif _NUMBER.unpack_from(self._memory, self._at)[0] == self._number:
            place = self._at + _EVENTS_AT + 16 * place_of(last)
            moment, packed = _EVENT.unpack_from(self._memory, place)
            _EVENT.pack_into(self._memory, place, moment, packed + 1)

    def waited_ms(self) -> int:
        """Return how long ago the last bytes of the client have arrived, as the kernel estimates."""
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
        self._memory = mmap.mmap(-1, _NUMBER.size + ROWS * _ROW_BYTES)  # pages that nobody touches cost nothing
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

    def _take(self, peer: Peer, fd: int) -> Row:
        """Return the row for a new connection."""
        memory = self._memory
        with self._lock:
            number = _NUMBER.unpack_from(memory)[0] + 1
            _NUMBER.pack_into(memory, 0, number)
        at = _NUMBER.size + (number - 1) % ROWS * _ROW_BYTES
        _HEAD.pack_into(memory, at, number, 0, peer.port, peer.host.encode()[:46])
        return Row(memory, at, number, fd)

    def read(self) -> Recording:
        """Return everything that is known at this moment."""
        total = _NUMBER.unpack_from(self._memory)[0]
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
        at = _NUMBER.size + (number - 1) % ROWS * _ROW_BYTES
        _, count, port, host = _HEAD.unpack_from(self._memory, at)
        kept = range(count) if count <= EVENTS else (*range(KEPT), *range(count - EVENTS + KEPT, count))
        events = [self._read_event(at + _EVENTS_AT + 16 * place_of(which)) for which in kept]
        name = host.rstrip(b"\0").decode("utf-8", "replace")
        return Conversation(number, name, port, max(0, count - EVENTS), events)

    def _read_event(self, place: int) -> Event:
        moment, packed = _EVENT.unpack_from(self._memory, place)
        kind = packed >> _VALUE_BITS
        return Event(round(moment - self._begun, 6), Kind(kind or Kind.ACCEPTED), packed & _MOST)
