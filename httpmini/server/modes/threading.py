"""Threading mode: accept, then a thread for each client.

Like forking, but in one process: cheaper to begin, nothing isolated, and in CPython only one thread computes at a time;
while one waits for its client, the others go on. ``max_clients`` bounds the number of threads. A thread whose client
has left waits a second for another one, because starting a thread costs more than a small response.

Good at: clients that mostly wait. Bad at: thousands of them.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import ClassVar

from httpmini.server.core.acceptor import Acceptor
from httpmini.server.core.client_threads import ClientThreads
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
        self._threads = ClientThreads(self._shutdown, self._serve_client, self._note_end)
        self._faults = Faults(context.log)
        self._acceptor = Acceptor(context)

    @property
    def clients(self) -> list[Client]:
        """The clients of all threads."""
        return [client for client, _ in self._threads.clients]

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
        self._threads.join(GRACE_S)

    def retire(self) -> None:
        """Have the threads that have no client end; the others will see that draining has begun."""
        self._threads.end_idle()

    @property
    def is_done(self) -> bool:
        """Whether all clients have left; after ``retire`` their threads go on until then."""
        return not self._threads.clients

    def occupants(self, now: float) -> Iterable[Occupant]:
        """Return the clients that do nothing."""
        return self._threads.occupants(self._context.admission.slots, now)

    def _take(self, clients: list[Client]) -> None:
        for client in clients:
            try:
                self._threads.give(client)
            except RuntimeError as error:
                self._context.log(f"cannot start a thread: {error}; a client was refused", Level.ERROR)
                self._acceptor.refuse(client, Refusal.RESOURCES)

    def _serve_client(self, client: Client, follower: Follower) -> None:
        client.connection.on_taken()
        try:
            contained(client, self._context.log, partial(pump, signal=follower, look=self._look_of(client)))
        finally:
            has_copies = bool(self._context.children)  # a child that was forked meanwhile may have one
            self._faults.contain("while closing a client", partial(self._threads.close, client, has_copies))
            self._context.board.counters.count_sent(client.connection.sent_bytes)

    def _look_of(self, client: Client) -> Callable[[], object]:
        """Return what a thread does after each wait: the tick of the poll set does not tell of its client."""
        tell = self._context.board.tell
        return (lambda: None) if tell is None else partial(tell, client)

    def _note_end(self) -> None:
        """Wake the main thread if it has to know that a slot is free, or that the last client has left."""
        if self._acceptor.has_lobby or self._shutdown.draining:
            self._shutdown.wake()

    def _wait(self, until: Callable[[], float]) -> None:
        while self._threads.clients and time.monotonic() < until():
            self._context.reactor.turn(max(0.0, until() - time.monotonic()))
