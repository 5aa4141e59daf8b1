"""Threads that each serve one client after another, and which of these clients do nothing.

A thread whose client has left waits a second for the next one, because starting a thread costs more than a small
response.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from queue import Empty, SimpleQueue

from httpmini.server.core.connection import Interest
from httpmini.server.core.shutdown import Follower, Shutdown
from httpmini.server.core.transfer import Client
from httpmini.server.limits.admission import Slot
from httpmini.server.limits.crowd import Occupant
from httpmini.server.limits.slots import Slots

IDLE_S = 1.0  # how long a thread waits for another client


class ClientThreads:
    """The threads of one mode.

    Args:
        shutdown: what they follow.
        serve: serves a client to its end, in its thread.
        left: called in the thread when its client does not count as busy any more.
    """

    def __init__(self, shutdown: Shutdown, serve: Callable[[Client, Follower], None], left: Callable[[], None]) -> None:
        self._shutdown = shutdown
        self._serve = serve
        self._left = left
        # Entries of these two come and go as a whole, so no lock is needed.
        self._busy: dict[_Thread, tuple[Client, Follower]] = {}
        self._idle: list[_Thread] = []
        self._closing = threading.Lock()  # held to close a socket, and to shut down that of another thread's client

    @property
    def clients(self) -> list[tuple[Client, Follower]]:
        """The clients that are being served, each with what its thread follows."""
        return list(self._busy.values())

    def give(self, client: Client) -> None:
        """Have a client served.

        Raises:
            RuntimeError: no thread can be started; the client is the caller's again.
        """
        try:
            thread = self._idle.pop()
        except IndexError:
            thread = _Thread(self._run)
        self._busy[thread] = client, self._shutdown.follow()
        thread.clients.put(client)
        if not thread.is_alive():
            try:
                thread.start()
            except RuntimeError:
                del self._busy[thread]
                raise

    def close(self, client: Client, has_copies: bool) -> None:
        """Close a client, in its thread; ``has_copies`` if other processes may have copies of its socket."""
        with self._closing:
            if has_copies and not client.connection.aborted:
                client.hang_up()
            client.close()

    def occupants(self, slots: Slots, now: float) -> Iterator[Occupant]:
        """Yield the clients that have one of ``slots`` and do nothing with it."""
        for client, follower in self.clients:
            slot, interest, quiet_since = client.slot, client.connection.interest, client.quiet_since(now)
            if slot is not None and quiet_since <= now and slot.is_one_of(slots):
                leave = partial(self._make_leave, client, slot, slots, follower)
                is_sent_to, is_leaving = interest is Interest.WRITE, follower.deadline <= now
                yield Occupant(slot.key, quiet_since, client.connection.deadline, is_sent_to, leave, is_leaving)

    def _make_leave(self, client: Client, slot: Slot, slots: Slots, follower: Follower) -> None:
        """Have a thread end the connection of its client; nothing else than the end of its stream would wake it."""
        follower.give_up()
        with self._closing:
            if slot.is_one_of(slots):  # not closed yet
                client.hang_up(socket.SHUT_RD)

    def end_idle(self) -> None:
        """Have the threads that have no client end."""
        for thread in list(self._idle):
            thread.clients.put(None)

    def join(self, timeout_s: float) -> None:
        """Wait for all to end; one that hangs in the kernel (a dead disk) is left behind."""
        for thread in [*self._busy, *self._idle]:
            thread.join(timeout_s)

    def _run(self, thread: _Thread) -> None:
        while (client := self._next_client(thread)) is not None:
            _, follower = self._busy[thread]
            try:
                self._serve(client, follower)
            finally:
                del self._busy[thread]
                self._idle.append(thread)
                self._left()

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
