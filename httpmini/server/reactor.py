"""The poll set: sockets that are watched together, and the clients among them.

Select mode has all its clients in here. Iterative mode lets them wait in here until their request is complete. Forking
and threading keep only those here that are being refused.

``selectors`` takes epoll or kqueue where there is one, so descriptors beyond 1023 are like any others (``select()``
itself cannot name them).
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable
from typing import Protocol

from httpmini.server.connection import Interest
from httpmini.server.transfer import Client, advance, contained, drain, expire

# Deadlines are looked at this often, over all clients: one pass costs less than keeping them in order at every event.
SWEEP_S = 0.25

_EVENTS = {
    Interest.READ: selectors.EVENT_READ,
    Interest.LINGER: selectors.EVENT_READ,
    Interest.WRITE: selectors.EVENT_WRITE,
}


class HasFileno(Protocol):
    """What can be watched."""

    def fileno(self) -> int:
        """The descriptor."""
        ...


class Reactor:
    """Waits for many sockets at once and moves what is ready.

    Args:
        log: takes a line for a fault of ours; it costs that client its connection, and nobody else anything.
        move: moves the bytes of one client that is ready.
    """

    def __init__(self, log: Callable[[str], None], move: Callable[[Client, float], None] = advance) -> None:
        self._log = log
        self._move = move
        self._selector = selectors.DefaultSelector()
        self._clients: set[Client] = set()
        self._next_sweep = 0.0

    @property
    def clients(self) -> set[Client]:
        """Those in the poll set."""
        return self._clients

    def watch(self, what: HasFileno, handler: Callable[[], None]) -> None:
        """Call ``handler`` whenever ``what`` can be read."""
        self._selector.register(what, selectors.EVENT_READ, handler)

    def unwatch(self, what: HasFileno) -> None:
        """No longer."""
        self._selector.unregister(what)

    def add(self, client: Client, now: float) -> None:
        """Take ``client`` in; its socket must not block. What can be moved is moved at once."""
        try:
            self._selector.register(client.sock, selectors.EVENT_READ, client)
        except OSError as error:  # the kernel has no room for one more
            self._log(f"cannot watch a client: {error.strerror}")
            client.connection.lose(now)
            client.close()
            return
        self._clients.add(client)
        self._move_and_settle(client, self._move, now)

    def turn(self, timeout: float | None = None) -> None:
        """Wait for something to happen, at most ``timeout`` seconds, and do what it asks for."""
        if self._clients:
            timeout = SWEEP_S if timeout is None else min(timeout, SWEEP_S)
        ready = [key.data for key, _ in self._selector.select(timeout)]
        for data in ready:  # clients first: one that leaves makes room for one that is at the door
            if isinstance(data, Client):
                self._move_and_settle(data, self._move, time.monotonic())
        for data in ready:
            if not isinstance(data, Client):
                data()
        now = time.monotonic()
        if self._clients and now >= self._next_sweep:
            self._next_sweep = now + SWEEP_S
            self._expire(now)

    def finish(self, deadline: Callable[[], float]) -> None:
        """Let every client come to its end; those that have not by ``deadline()`` are cut off."""
        for client in list(self._clients):
            self._move_and_settle(client, drain, time.monotonic())
        while self._clients and time.monotonic() < deadline():
            self.turn(max(0.0, deadline() - time.monotonic()))
        for client in list(self._clients):
            client.connection.lose(time.monotonic())
            self._settle(client)

    def close(self) -> None:
        """Give back the descriptor of the poll set. Clients in it are the caller's to close."""
        self._selector.close()

    def _move_and_settle(self, client: Client, move: Callable[[Client, float], None], now: float) -> None:
        contained(client, self._log, lambda client: move(client, now))
        self._settle(client)

    def _settle(self, client: Client) -> None:
        """Watch for what the client waits for now, or see it out."""
        interest = client.connection.interest
        if interest is Interest.CLOSED:
            self._clients.discard(client)
            self._selector.unregister(client.sock)
            client.close()
        elif self._selector.get_key(client.sock).events != _EVENTS[interest]:
            self._selector.modify(client.sock, _EVENTS[interest], client)

    def _expire(self, now: float) -> None:
        for client in [client for client in self._clients if client.connection.deadline <= now]:
            self._move_and_settle(client, expire, time.monotonic())
