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

from httpmini.server.core.events import FORMAT, LEAST_WAIT_S, Conversation, Event, Kind, Recording
from httpmini.server.core.kernel import connected_ms, quiet_ms
from httpmini.server.limits.shared_lock import SharedLock
from httpmini.server.listeners.peer import LOCAL, Peer

ROWS = 10_000
EVENTS, KEPT = 48, 6  # the first of a connection are never overwritten: what it waited for at the start
_HEAD = struct.Struct("=QQH46s")  # the number of the connection, how many events it had, port, address
_WORD = 8  # bytes; an event is two words: when, and its kind with its value
EVENTS_AT = 8  # words
_ROW_WORDS = EVENTS_AT + 2 * EVENTS
VALUE_BITS = 56
_MOST = (1 << VALUE_BITS) - 1

Accept = Callable[[socket.socket], tuple[int, Peer]]
"""Accepts the next client of a listener."""


def place_of(count: int) -> int:
    """Return where the event after ``count`` others is kept."""
    return count if count < EVENTS else KEPT + (count - KEPT) % (EVENTS - KEPT)


def _place_of_row(number: int) -> int:
    """Return the word in which the row of a connection begins."""
    return 1 + (number - 1) % ROWS * _ROW_WORDS


class Row:
    """Where the events of one connection are written.

    Args:
        words: the memory of the ring as numbers of eight bytes.
        times: the same memory as floating-point numbers.
        at: in which of these the row begins.
        number: the number of the connection.
        fd: the connection's descriptor; -1 if the kernel cannot tell anything of it.
    """

    # Memory as numbers: to assign one takes a quarter of the time of struct's pack_into, and each response has two.
    __slots__ = ("_at", "_blocked_at", "_count", "_fd", "_last", "_number", "_times", "_words")

    def __init__(self, words: memoryview[int], times: memoryview[float], at: int, number: int, fd: int) -> None:
        self._words = words
        self._times = times
        self._at = at
        self._number = number
        self._fd = fd
        self._count = 0
        self._last = 0.0
        self._blocked_at = -1

    def note(self, kind: int, value: int = 0) -> None:
        """Write an event of this moment, unless the row belongs to another connection by now."""
        words, at, count = self._words, self._at, self._count
        if words[at] != self._number:
            return
        place = at + EVENTS_AT + 2 * (count if count < EVENTS else place_of(count))
        self._last = self._times[place] = monotonic()
        words[place + 1] = kind << VALUE_BITS | value
        words[at + 1] = self._count = count + 1

    def note_blocked(self) -> None:
        """Write that the kernel takes no more; if that is the last event already, count it there."""
        last = self._count - 1
        if self._blocked_at != last:
            self._blocked_at = last + 1
            self.note(Kind.BLOCKED, 1)
        elif self._words[self._at] == self._number:
            self._words[self._at + EVENTS_AT + 2 * place_of(last) + 1] += 1

    def waited_ms(self) -> int:
        """Return how long ago the last bytes of the client have arrived, as the kernel estimates.

        The kernel is not asked if that must be less than its clock can tell: they came after the event before.
        """
        if self._fd < 0 or monotonic() - self._last < LEAST_WAIT_S:
            return 0
        return quiet_ms(self._fd)


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
        size = (1 + ROWS * _ROW_WORDS) * _WORD
        self._memory = memoryview(mmap.mmap(-1, size))  # pages that nobody touches cost nothing
        self._words, self._times = self._memory.cast("Q"), self._memory.cast("d")
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
        with self._lock:
            self._words[0] = number = self._words[0] + 1
        at = _place_of_row(number)
        _HEAD.pack_into(self._memory, at * _WORD, number, 0, peer.port, peer.host.encode()[:46])
        return Row(self._words, self._times, at, number, fd)

    def read(self) -> Recording:
        """Return everything that is known at this moment."""
        total = self._words[0]
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
        _, count, port, host = _HEAD.unpack_from(self._memory, at * _WORD)
        kept = range(count) if count <= EVENTS else (*range(KEPT), *range(count - EVENTS + KEPT, count))
        events = [self._read_event(at + EVENTS_AT + 2 * place_of(which)) for which in kept]
        name = host.rstrip(b"\0").decode("utf-8", "replace")
        return Conversation(number, name, port, max(0, count - EVENTS), events)

    def _read_event(self, place: int) -> Event:
        moment, packed = self._times[place], self._words[place + 1]
        kind = packed >> VALUE_BITS
        return Event(round(moment - self._begun, 6), Kind(kind or Kind.ACCEPTED), packed & _MOST)
