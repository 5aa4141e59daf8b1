"""Threading mode: accept, then a thread for each client.

Like forking, but in one process: cheaper to begin, nothing isolated, and in CPython only one thread computes at a time;
while one waits for its client, the others go on. ``max_clients`` bounds the number of threads. A thread whose client
has left waits a second for another one, because starting a thread costs more than a small response.

Good at: clients that mostly wait. Bad at: thousands of them.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from queue import Empty, SimpleQueue
from typing import ClassVar

from httpmini.server.core.acceptor import Acceptor
from httpmini.server.core.connection import Interest
from httpmini.server.core.context import Context
from httpmini.server.core.faults import Faults
from httpmini.server.core.shutdown import Follower
from httpmini.server.core.transfer import Client, contained, pump
from httpmini.server.limits.admission import Refusal
from httpmini.server.limits.crowd import Occupant
from httpmini.server.logs.error import Level
from httpmini.server.modes.base import Mode

# The threads know the deadline too: for this long after it they may cut their clients off by themselves.
GRACE_S = 0.5
IDLE_S = 1.0  # how long a thread waits for another client


class Threading(Mode):
    """The main thread accepts; each client has a thread of its own."""

    name: ClassVar[str] = "threading"
    batches_logs: ClassVar[bool] = False
    descriptors_per_client: ClassVar[int] = 4  # a socket, and up to three on the way to a file: all walk at once

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._shutdown = context.main_shutdown
        # Entries of these two come and go as a whole, so no lock is needed.
        self._busy: dict[_Thread, tuple[Client, Follower]] = {}
        self._idle: list[_Thread] = []
        self._faults = Faults(context.log)
        self._acceptor = Acceptor(context)
        self._closing = threading.Lock()  # held to close a socket, and to shut down that of another thread's client

    @property
    def clients(self) -> list[Client]:
        """The clients of all threads."""
        return [client for client, _ in list(self._busy.values())]

    def serve(self) -> None:
        """Accept, and give each client a thread."""
        while self._shutdown.serving:
            self._take(self._acceptor.wait())
        self._take(self._acceptor.last_call())

    def finish(self) -> None:
        """Wait for the threads, which have seen that draining began; cut off those that are not done in time."""
        self.retire()
        self._wait(lambda: self._shutdown.deadline)
        self._shutdown.give_up()
        end = time.monotonic() + GRACE_S
        self._wait(lambda: end)
        for client in self.clients:
            with contextlib.suppress(OSError):  # it has just ended by itself
                client.sock.shutdown(socket.SHUT_RDWR)
        for thread in [*self._busy, *self._idle]:
            thread.join(GRACE_S)  # one that hangs in the kernel (a dead disk) is left behind

    def retire(self) -> None:
        """Have the threads that have no client end; the others will see that draining has begun."""
        for thread in list(self._idle):
            thread.clients.put(None)

    @property
    def is_done(self) -> bool:
        """Whether all clients have left; after ``retire`` their threads go on until then."""
        return not self._busy

    def occupants(self, now: float) -> Iterator[Occupant]:
        """Yield the clients that do nothing."""
        for client, follower in list(self._busy.values()):
            slot, interest, quiet_since = client.slot, client.connection.interest, client.quiet_since(now)
            if slot is not None and quiet_since <= now and slot.is_one_of(self._context.admission.slots):
                leave = partial(self._wake_to_leave, client, follower)
                is_sent_to, is_leaving = interest is Interest.WRITE, follower.deadline <= now
                yield Occupant(slot.key, quiet_since, client.connection.deadline, is_sent_to, leave, is_leaving)

    def _wake_to_leave(self, client: Client, follower: Follower) -> None:
        """Have a thread end the connection of its client; nothing else than the end of its stream would wake it."""
        follower.give_up()
        with self._closing:
            if client.slot is not None and client.slot.is_one_of(self._context.admission.slots):  # not closed yet
                client.hang_up(socket.SHUT_RD)

    def _take(self, clients: list[Client]) -> None:
        for client in clients:
            try:
                thread = self._idle.pop()
            except IndexError:
                thread = _Thread(self._serve_clients)
            self._busy[thread] = client, self._shutdown.follow()
            thread.clients.put(client)
            if not thread.is_alive():
                self._start(thread, client)

    def _start(self, thread: _Thread, client: Client) -> None:
        try:
            thread.start()
        except RuntimeError as error:
            del self._busy[thread]
            self._context.log(f"cannot start a thread: {error}; a client was refused", Level.ERROR)
            self._acceptor.refuse(client, Refusal.RESOURCES)

    def _serve_clients(self, thread: _Thread) -> None:
        while (client := self._next_client(thread)) is not None:
            _, follower = self._busy[thread]
            try:
                contained(client, self._context.log, partial(pump, signal=follower, look=self._look_of(client)))
            finally:
                self._faults.contain("while closing a client", partial(self._close, client))
                self._context.board.counters.count_sent(client.connection.sent_bytes)
                del self._busy[thread]
                self._idle.append(thread)
                if self._acceptor.has_lobby or self._shutdown.draining:
                    self._shutdown.wake()  # a slot is free, or the last client has left

    def _look_of(self, client: Client) -> Callable[[], object]:
        """Return what a thread does after each wait: the tick of the poll set does not tell of its client."""
        tell = self._context.board.tell
        return (lambda: None) if tell is None else partial(tell, client)

    def _next_client(self, thread: _Thread) -> Client | None:
        """Wait for a client; return None when the thread should end."""
        try:
            return thread.clients.get(timeout=0 if self._shutdown.draining else IDLE_S)
        except Empty:
            try:
                self._idle.remove(thread)
            except ValueError:  # the main thread has just taken it, and will give it a client
                return thread.clients.get()
            return None

    def _close(self, client: Client) -> None:
        with self._closing:
            if self._context.children and not client.connection.aborted:
                client.hang_up()  # a child that was forked meanwhile may have a copy
            client.close()

    def _wait(self, until: Callable[[], float]) -> None:
        while self._busy and time.monotonic() < until():
            self._context.reactor.turn(max(0.0, until() - time.monotonic()))


class _Thread(threading.Thread):
    """A thread that serves one client after the other.

    Args:
        run: serves them, with the thread as its argument.

    Attributes:
        clients: takes the next one, or None to end.
    """

    def __init__(self, run: Callable[[_Thread], None]) -> None:
        super().__init__(target=run, args=(self,), name="client", daemon=True)
        self.clients: SimpleQueue[Client | None] = SimpleQueue()
