"""The state of all processes of the server in shared memory: their counts, and the state of each client.

Each process counts in plain numbers (``Counters``). A few times a second it copies them into its own segment of shared
memory. No other process writes there, so no lock is needed, and a response costs nothing extra. When a process has
ended, the main process adds the counts in its segment to its own, so that totals only grow.

    segment = header of 64 numbers | client | client | ...
"""

from __future__ import annotations

import mmap
import os
import struct
import threading
import time
from collections.abc import Callable, Iterable
from itertools import islice

import msgspec

from httpmini.server.core.connection import Interest
from httpmini.server.core.counters import Counters, ProcessRow
from httpmini.server.core.events import Recording
from httpmini.server.core.transfer import Client

# How many clients a segment has room for. A child serves one client; a worker serves many, of whom the first 256 are
# shown and all are counted.
SOLO = 1
CROWD = 256

_HEADER_BYTES = 64 * 8
# Positions in the header. After them come pairs of an outcome and how often it occurred.
_PID, _REQUESTS, _SENT_BYTES, _ADMITTED, _CLIENTS, _RELOADS, _FAILED_RELOADS = range(7)
_OUTCOMES = 8
# Address, state, port, number, bytes sent, begun, quiet since, deadline.
_CLIENT = struct.Struct("<46sBxHxxxxQQddd")
_STATES = tuple(Interest)


class ClientRow(msgspec.Struct, frozen=True):
    """The state of one client.

    Attributes:
        process: the number of the process that serves it.
        host: its address.
        port: its port.
        number: the serial number of the connection in the process that accepted it.
        state: the name of the ``Interest`` of its connection.
        sent_bytes: how many bytes it has been sent so far.
        seconds: how long ago it was admitted.
    """

    process: int
    host: str
    port: int
    number: int
    state: str
    sent_bytes: int
    seconds: float


class Quiet(msgspec.Struct, frozen=True):
    """Whether one client does anything with its slot.

    Attributes:
        interest: what its connection waits for.
        quiet_since: since when it does nothing; the future if it does something.
        deadline: until when it is waited for.
    """

    interest: Interest
    quiet_since: float
    deadline: float


class Snapshot(msgspec.Struct, frozen=True):
    """The state of all processes and clients at one moment.

    Attributes:
        processes: one row for each process that serves.
        clients: one row for each client that a segment has room for.
    """

    processes: list[ProcessRow]
    clients: list[ClientRow]


class Segment:
    """The part of the shared memory that one process writes and all may read.

    Attributes:
        capacity: how many clients it has room for.
    """

    def __init__(self, memory: memoryview, capacity: int) -> None:
        self._header = memory[:_HEADER_BYTES].cast("Q")
        self._clients = memory[_HEADER_BYTES:]
        self.capacity = capacity

    def write(self, counters: Counters, clients: list[Client]) -> None:
        """Write the present state of this process."""
        now = time.monotonic()
        header = self._header
        header[_REQUESTS] = counters.requests
        header[_SENT_BYTES] = counters.sent_bytes + sum(client.connection.sent_bytes for client in clients)
        header[_ADMITTED] = counters.admitted
        header[_RELOADS] = counters.reloads
        header[_FAILED_RELOADS] = counters.failed_reloads
        for at, pair in enumerate(counters.outcomes.copy().items()):
            header[_OUTCOMES + 2 * at], header[_OUTCOMES + 2 * at + 1] = pair
        for at, client in enumerate(islice(clients, self.capacity)):
            peer, connection = client.peer, client.connection
            state = _STATES.index(connection.interest)
            place = peer.host.encode()[:46], state, peer.port, peer.number
            times = connection.begun, client.quiet_since(now), connection.deadline
            _CLIENT.pack_into(self._clients, at * _CLIENT.size, *place, connection.sent_bytes, *times)
        header[_CLIENTS] = len(clients)
        header[_PID] = os.getpid()

    def clear(self) -> None:
        """Mark the segment as unused."""
        for at in range(len(self._header)):
            self._header[at] = 0

    def read(self) -> ProcessRow | None:
        """Return the counts, or None if no process uses the segment."""
        header = self._header
        if not header[_PID]:
            return None
        pairs = header[_OUTCOMES:].tolist()
        outcomes = {outcome: count for outcome, count in zip(pairs[::2], pairs[1::2], strict=True) if outcome}
        return ProcessRow(
            process=header[_PID],
            clients=header[_CLIENTS],
            requests=header[_REQUESTS],
            sent_bytes=header[_SENT_BYTES],
            admitted=header[_ADMITTED],
            outcomes=outcomes,
            reloads=header[_RELOADS],
            failed_reloads=header[_FAILED_RELOADS],
        )

    def read_clients(self, now: float) -> Iterable[ClientRow]:
        """Yield the state of each client that the segment has room for; ``now`` is monotonic time."""
        for at in range(min(self._header[_CLIENTS], self.capacity)):
            host, state, port, number, sent, begun, _, _ = _CLIENT.unpack_from(self._clients, at * _CLIENT.size)
            name = host.rstrip(b"\0").decode("utf-8", "replace")
            yield ClientRow(self._header[_PID], name, port, number, _STATES[state].name, sent, max(0.0, now - begun))

    def read_quiet(self) -> Quiet | None:
        """Return what the only client of the process does; None if there is none."""
        if not self._header[_CLIENTS]:
            return None
        _, state, _, _, _, _, quiet_since, deadline = _CLIENT.unpack_from(self._clients)
        return Quiet(_STATES[state], quiet_since, deadline)


class Scoreboard:
    """All segments, as one process sees them.

    Args:
        counters: the counts of this process.

    Attributes:
        counters: the counts of this process.
        reload_problem: in the main process, why the last reload was refused; "" if it was not.
        certificates: when each certificate in use expires, in seconds since the epoch, by its first name.
        refused_certificates: why files that have changed are not used as certificates, one line for each.
        recording: returns what has happened on all connections; None without a trace.
        tell: takes each client now and then, for people who watch; None if nobody does.
    """

    def __init__(self, counters: Counters) -> None:
        self.counters = counters
        self.reload_problem = ""
        self.certificates: dict[str, float] = {}
        self.refused_certificates: tuple[str, ...] = ()
        self.recording: Callable[[], Recording] | None = None
        self.tell: Callable[[Client], None] | None = None
        self._segments: list[Segment] = []
        self._free: dict[int, list[Segment]] = {SOLO: [], CROWD: []}
        self._clients: Callable[[], Iterable[Client]] = tuple
        self._lock = threading.Lock()
        self.reserve(1, CROWD)
        self._own: Segment | None = self.take(CROWD)

    def reserve(self, count: int, capacity: int) -> None:
        """Make sure that ``count`` segments of this capacity are free for the children to come."""
        missing = count - len(self._free[capacity])
        if missing > 0:
            size = _HEADER_BYTES + capacity * _CLIENT.size
            memory = memoryview(mmap.mmap(-1, missing * size))  # untouched pages cost nothing
            fresh = [Segment(memory[at * size : (at + 1) * size], capacity) for at in range(missing)]
            self._segments += fresh
            self._free[capacity] += reversed(fresh)

    def take(self, capacity: int) -> Segment | None:
        """Return a segment for a child about to start, or None if none is left: then the child is not shown."""
        free = self._free[capacity]
        return free.pop() if free else None

    def give_back(self, segment: Segment | None) -> None:
        """Add the counts of a process that has ended to ours, and free its segment."""
        if segment is None:
            return
        row = segment.read()
        if row is not None:
            self.counters.add(row)
        segment.clear()
        self._free[segment.capacity].append(segment)

    def watch(self, clients: Callable[[], Iterable[Client]]) -> None:
        """Set the function that returns the clients of this process."""
        self._clients = clients

    def move_to(self, segment: Segment | None, clients: Callable[[], Iterable[Client]]) -> None:
        """Start counting from zero in ``segment``. Call it in a new child."""
        self._own = segment
        self._lock = threading.Lock()
        self.counters.clear()
        self.watch(clients)
        self.publish()

    def publish(self) -> None:
        """Write the present state of this process, for the others to read, and tell of its clients."""
        clients = list(self._clients())
        if self._own is not None:
            with self._lock:
                self._own.write(self.counters, clients)
        if self.tell is not None:
            for client in clients:
                self.tell(client)

    def read(self) -> Snapshot:
        """Publish the state of this process, then return what every process has published."""
        self.publish()
        now = time.monotonic()
        busy = [(segment, row) for segment in self._segments if (row := segment.read()) is not None]
        return Snapshot(
            [row for _, row in busy], [client for segment, _ in busy for client in segment.read_clients(now)]
        )
