"""Threading mode: accept, then a thread for each client.

Like forking, but in one process: cheaper to begin, nothing isolated, and in CPython only one thread computes at a time;
while one waits for its client, the others go on. ``max_clients`` bounds the number of threads, and a thread is
forgotten when it ends.

Good at: clients that mostly wait. Bad at: thousands of them.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
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


class Threading(Mode):
    """The main thread accepts; each client has a thread of its own."""

    name: ClassVar[str] = "threading"
    batches_logs: ClassVar[bool] = False
    descriptors_per_client: ClassVar[int] = 4  # a socket, and up to three on the way to a file: all walk at once

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._shutdown = context.main_shutdown
        self._threads: dict[threading.Thread, tuple[Client, Follower]] = {}
        self._ended: deque[threading.Thread] = deque()
        self._faults = Faults(context.log)
        self._acceptor = Acceptor(context)
        self._closing = threading.Lock()  # held to close a socket, and to shut down that of another thread's client

    @property
    def clients(self) -> list[Client]:
        """The clients of all threads."""
        return [client for client, _ in list(self._threads.values())]

    def serve(self) -> None:
        """Accept, and start a thread for each client."""
        while self._shutdown.serving:
            self._take(self._acceptor.wait())
            self._join_ended()
        self._take(self._acceptor.last_call())

    def finish(self) -> None:
        """Wait for the threads, which have seen that draining began; cut off those that are not done in time."""
        self._wait(lambda: self._shutdown.deadline)
        self._shutdown.give_up()
        end = time.monotonic() + GRACE_S
        self._wait(lambda: end)
        for thread, (client, _) in self._threads.items():
            with contextlib.suppress(OSError):  # it has just ended by itself
                client.sock.shutdown(socket.SHUT_RDWR)
            thread.join(GRACE_S)  # one that hangs in the kernel (a dead disk) is left behind

    @property
    def is_done(self) -> bool:
        """Whether all threads have ended; after ``retire`` they go on until their clients leave."""
        self._join_ended()
        return not self._threads

    def occupants(self, now: float) -> Iterator[Occupant]:
        """Yield the clients that do nothing."""
        for client, follower in list(self._threads.values()):
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
            self._start(client)

    def _start(self, client: Client) -> None:
        follower = self._shutdown.follow()
        thread = threading.Thread(target=self._serve_client, args=(client, follower), name="client", daemon=True)
        self._threads[thread] = client, follower
        try:
            thread.start()
        except RuntimeError as error:
            del self._threads[thread]
            self._context.log(f"cannot start a thread: {error}; a client was refused", Level.ERROR)
            self._acceptor.refuse(client, Refusal.RESOURCES)

    def _serve_client(self, client: Client, follower: Follower) -> None:
        try:
            contained(client, self._context.log, lambda client: pump(client, follower))
        finally:
            self._faults.contain("while closing a client", partial(self._close, client))
            self._ended.append(threading.current_thread())
            self._shutdown.wake()  # a slot is free, or the last thread has ended

    def _close(self, client: Client) -> None:
        with self._closing:
            if not client.connection.aborted:
                client.hang_up()  # a child that was forked meanwhile may have a copy
            client.close()

    def _wait(self, until: Callable[[], float]) -> None:
        self._join_ended()
        while self._threads and time.monotonic() < until():
            self._context.reactor.turn(max(0.0, until() - time.monotonic()))
            self._join_ended()

    def _join_ended(self) -> None:
        while self._ended:
            thread = self._ended.popleft()
            thread.join()
            client, _ = self._threads.pop(thread)
            self._context.board.counters.sent_bytes += client.connection.sent_bytes
