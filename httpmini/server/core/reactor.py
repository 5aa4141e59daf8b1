"""The poll set: sockets that are watched together, and the clients among them.

Select mode has all its clients in here. Iterative mode lets them wait in here until their request is complete. Forking
and threading keep only those here that are being refused.

``epoll`` where there is one, else ``poll``: so descriptors beyond 1023 are like any others (``select()`` itself cannot
name them). Not ``selectors``, which makes an object for each event: a sixth of what a response costs.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Protocol

from httpmini.server.core.connection import CLOSED, PAUSE, WORK, WRITE
from httpmini.server.core.counters import Counters
from httpmini.server.core.faults import Faults
from httpmini.server.core.helpers import Helpers
from httpmini.server.core.transfer import HANG_UP, Client, Step, drain, expire, go_on, make_way
from httpmini.server.core.turn import next_turn
from httpmini.server.logs.error import Level, Log, describe

# Deadlines are looked at this often, over all clients: one pass costs less than keeping them in order at every event.
SWEEP_S = 0.25

# Clients served in one turn (of an epoll): between two turns deadlines and ticks get theirs, however many are ready.
MOST_EVENTS = 128

_READ, _WRITE = select.POLLIN, select.POLLOUT  # epoll's numbers are the same
_HAS_EPOLL = hasattr(select, "epoll")
_EXCLUSIVE = getattr(select, "EPOLLEXCLUSIVE", 0)


class HasFileno(Protocol):
    """Something that can be watched."""

    def fileno(self) -> int:
        """Return the descriptor."""
        ...


class Reactor:
    """Waits for many sockets at once and moves what is ready.

    Args:
        log: takes a line for a fault of ours.
        tick: called ``SWEEP_S`` after the start, and after anything that was done for a client; returns whether to call
            it again even if nothing happens.
        counters: count the bytes sent to clients that have left.

    Attributes:
        longest_wait_s: how long a turn may take when nothing happens; None for ever.
    """

    def __init__(
        self,
        log: Log,
        tick: Callable[[], bool | None] = lambda: None,
        counters: Counters | None = None,
    ) -> None:
        self._log = log
        self._faults = Faults(log)
        self._counters = counters or Counters()
        self._tick = tick
        self._poll = select.epoll() if _HAS_EPOLL else select.poll()
        self._most = (MOST_EVENTS,) if _HAS_EPOLL else ()
        self._unit = 1.0 if _HAS_EPOLL else 1000.0  # of their timeouts, in one second
        self._clients: dict[int, Client] = {}
        self._paused: dict[int, Client] = {}
        self._handlers: dict[int, Callable[[], None]] = {}
        self._helpers: Helpers[Client] | None = None  # once there was work
        self._events: dict[int, int] = {}  # what the descriptors with handlers are watched for
        self._resting: set[int] = set()  # those whose handlers failed: watched again from the next sweep on
        self._next_sweep = time.monotonic() + SWEEP_S
        self._tick_is_due = True
        self._look_s = SWEEP_S  # how long a turn may take when there are clients
        self.longest_wait_s: float | None = None

    @property
    def clients(self) -> Collection[Client]:
        """The clients in the poll set."""
        return self._clients.values()

    def watch(self, what: HasFileno, handler: Callable[[], None], *, exclusively: bool = False) -> None:
        """Call ``handler`` when ``what`` is readable; of several processes that wait ``exclusively``, in one only."""
        fd, events = what.fileno(), _READ | _EXCLUSIVE if exclusively else _READ
        self._poll.register(fd, events)
        self._handlers[fd], self._events[fd] = handler, events

    def unwatch(self, what: HasFileno) -> None:
        """Stop watching ``what``."""
        fd = what.fileno()
        del self._handlers[fd], self._events[fd]
        if fd in self._resting:
            self._resting.remove(fd)
        else:
            self._poll.unregister(fd)

    def add(self, client: Client, now: float, turn: int) -> None:
        """Take ``client`` in; its socket must not block. What can be moved is moved at once."""
        client.connection.on_taken()
        self._attend(client, client.step, now, turn)

    def evict(self, client: Client, now: float) -> None:
        """End the connection of a client at once, for others."""
        self._attend(client, make_way, now, next_turn())

    def is_needed_by_others(self, client: Client) -> bool:
        """Whether something is ready beside ``client``, which is being served outside of ``turn``."""
        return any(fd != client.fd for fd, _ in self._poll.poll(0))

    def turn(self, timeout: float | None = None) -> None:
        """Wait for something to happen, at most ``timeout`` seconds, and react to it."""
        clients = self._clients
        if clients or self._tick_is_due:
            timeout = self._look_s if timeout is None else min(timeout, self._look_s)
        elif self.longest_wait_s is not None:
            timeout = self.longest_wait_s if timeout is None else min(timeout, self.longest_wait_s)
        ready = self._poll.poll(None if timeout is None else timeout * self._unit, *self._most)
        others = []
        now, turn = time.monotonic(), next_turn()
        for fd, _ in ready:  # clients first: one that leaves makes room for one that wants to connect
            client = clients.get(fd)
            if client is None:
                others.append(fd)
                continue
            try:  # what ``_attend`` does, written out: a call costs a twentieth of a small response
                if client.step(client, now, turn):
                    continue
                self._settle(client)
            except Exception as fault:
                self._lose(client, fault, now)
        if ready:
            self._tick_is_due = True
        for fd in others:
            self._handle(fd)
        if now >= self._next_sweep or self._paused:
            self._sweep()

    def look(self) -> None:
        """Tick when it is time; for a mode that serves one client for long, outside of ``turn``."""
        if (now := time.monotonic()) >= self._next_sweep:
            self._next_sweep = now + SWEEP_S
            self._faults.contain("in a tick", self._tick)

    def drain(self, step: Step = drain) -> None:
        """Have every client come to its end: in ``finish``, or in the turns before it."""
        for client in list(self.clients):
            self._attend(client, step, time.monotonic(), next_turn())

    def finish(self, deadline: Callable[[], float]) -> None:
        """Serve the clients until all have left; those that have not by ``deadline()`` are cut off."""
        while self._clients and time.monotonic() < deadline():
            self.turn(max(0.0, deadline() - time.monotonic()))
        for client in list(self.clients):
            self._attend(client, _lose, time.monotonic(), next_turn())
        self._faults.contain("in a tick", self._tick)

    def close(self) -> None:
        """Close the descriptors of the poll set and the helpers. Clients in it are the caller's to close."""
        if self._helpers is not None:
            self._helpers.close()
        if _HAS_EPOLL and isinstance(self._poll, select.epoll):
            self._poll.close()

    def _attend(self, client: Client, step: Step, now: float, turn: int) -> None:
        """Move the bytes of one client, contain faults, and watch for what it waits for then."""
        self._tick_is_due = True
        try:
            step(client, now, turn)
            self._settle(client)
        except Exception as fault:
            self._lose(client, fault, now)

    def _lose(self, client: Client, fault: Exception, now: float) -> None:
        """Contain a fault of ours: it costs this client its connection, and the others nothing."""
        self._log(f"fault while serving a client: {describe(fault)}", Level.ERROR)
        try:
            client.connection.lose(now)
            self._settle(client)
        except Exception as second:
            self._forget(client)
            self._log(f"fault while closing a client: {describe(second)}", Level.ERROR)

    def _forget(self, client: Client) -> None:
        """Take a client out of the poll set whatever its state."""
        self._paused.pop(client.fd, None)
        if self._clients.pop(client.fd, None) is not None:
            with suppress(OSError):
                self._poll.unregister(client.fd)
            with suppress(Exception):
                client.close()

    def _handle(self, fd: int) -> None:
        """Call the handler of a descriptor that is readable; let it rest if that fails, or it would fail for ever."""
        handler = self._handlers.get(fd)  # another handler of this turn may have stopped watching it
        if handler is None:
            with suppress(OSError, KeyError):  # it is not in the poll set any more
                self._poll.unregister(fd)
            return
        if self._faults.contain("while handling an event", handler):
            return
        if fd in self._handlers:
            self._poll.unregister(fd)
            self._resting.add(fd)

    def _wake_resting(self) -> None:
        for fd in self._resting:
            self._poll.register(fd, self._events[fd])
        self._resting.clear()

    def _settle(self, client: Client) -> None:
        """Watch for what the client waits for now, or close it."""
        interest = client.connection.interest
        if interest is PAUSE:
            self._paused[client.fd] = client
            self._look_s = 0.0  # the next turn finds out how long they have to wait
        elif self._paused:
            self._paused.pop(client.fd, None)
        if interest is CLOSED:
            self._clients.pop(client.fd, None)
            if client.watched:
                self._leave_alone(client)
            client.close()
            self._counters.count_sent(client.connection.sent_bytes)
            return
        if interest is WORK:
            self._have_work_done(client)
            return
        wanted = _WRITE if interest is WRITE else HANG_UP if interest is PAUSE else _READ
        if client.watched == wanted:
            return
        if client.watched:
            self._poll.modify(client.fd, wanted)
        elif not self._register(client, wanted):
            return
        client.watched = wanted

    def _leave_alone(self, client: Client) -> None:
        """Stop watching a client that is watched."""
        self._poll.unregister(client.fd)
        client.watched = 0

    def _have_work_done(self, client: Client) -> None:
        """Wait for what a connection needs before it can respond. Its client is in the set, but nothing wakes it."""
        work = client.connection.work
        if work is None:
            return
        if client.watched:
            self._leave_alone(client)
        self._clients[client.fd] = client
        if self._helpers is None:
            self._helpers = Helpers()
            self.watch(self._helpers, self._on_work_done)
        self._helpers.do(work, client)

    def _on_work_done(self) -> None:
        """Go on with the clients whose work has been done."""
        for client in self._helpers.collect() if self._helpers else ():
            if client.connection.interest is WORK:  # not one that was cut off meanwhile
                self._attend(client, go_on, time.monotonic(), next_turn())

    def _resume(self) -> None:
        """Go on with the clients that have paused for long enough; the one that has waited longest first."""
        now, turn = time.monotonic(), next_turn()
        due = [client for client in self._paused.values() if client.connection.deadline <= now]
        for client in sorted(due, key=lambda client: client.connection.deadline):
            self._attend(client, expire, now, turn)
        soon = min((client.connection.deadline for client in self._paused.values()), default=now + SWEEP_S)
        self._look_s = max(0.0, min(SWEEP_S, soon - time.monotonic()))

    def _register(self, client: Client, wanted: int) -> bool:
        """Add the client to the poll set; return False, with the client closed, when the kernel has no room."""
        try:
            self._poll.register(client.fd, wanted)
        except OSError as error:
            self._log(f"cannot watch a client: {error.strerror}", Level.ERROR)
            client.connection.lose(time.monotonic())
            client.close()
            return False
        self._clients[client.fd] = client
        return True

    def _sweep(self) -> None:
        """Look at all deadlines and tick, when it is time; clients that pause are looked at in each turn."""
        if self._paused:
            self._resume()
        now = time.monotonic()
        if now < self._next_sweep:
            return
        self._next_sweep = now + SWEEP_S
        self._tick_is_due = False
        for client in [client for client in self._clients.values() if client.connection.deadline <= now]:
            self._attend(client, expire, time.monotonic(), next_turn())
        self._wake_resting()
        self._faults.contain("in a tick", self._tick_and_note)

    def _tick_and_note(self) -> None:
        if self._tick():
            self._tick_is_due = True


def _lose(client: Client, now: float, _turn: int) -> bool:
    """Cut the client off."""
    client.connection.lose(now)
    return False
