"""A TCP connection to whichever of several addresses accepts first ("Happy Eyeballs", RFC 8305)."""

from __future__ import annotations

import errno
import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Iterable
from typing import Any

from httpmini.client.transport.resolve import Address
from httpmini.client.transport.timings import Deadline
from httpmini.errors import NotConnected

STAGGER_S = 0.25  # between two attempts: RFC 8305 §5, "Connection Attempt Delay"


def connect_first(addresses: Iterable[Address], peer: str, deadline: Deadline) -> socket.socket:
    """Return a socket connected to the first of ``addresses`` that accepts.

    Args:
        addresses: in the order in which to try them.
        peer: what errors call the server.
        deadline: for all attempts together.

    Raises:
        NotConnected: every address refused; the message gives the reason for each.
        TimedOut: some address had not replied by the deadline.
    """
    race = _Race(addresses)
    sock = race.run(deadline)
    if sock is not None:
        return sock
    if race.pending:
        raise deadline.expired(f"no connection to {peer} ({race.explain()})")
    hint = "; is it running?" if set(race.failures.values()) == {errno.ECONNREFUSED} else ""
    raise NotConnected(f"cannot connect to {peer} ({race.explain()}){hint}")


class _Race:
    """Connection attempts to several addresses, started one after another, until one succeeds (RFC 8305 §5).

    An address that does not reply (IPv6 that is announced but leads nowhere, say) costs a quarter of a second instead
    of the whole limit. Everything runs in one thread, with non-blocking sockets and one poll set.

    Attributes:
        failures: the addresses that failed, each with its errno.
        pending: the addresses that had not replied, or not even been tried, by the deadline.
    """

    def __init__(self, addresses: Iterable[Address]) -> None:
        self.failures: dict[Address, int] = {}
        self.pending: list[Address] = []
        self._waiting = deque(addresses)
        self._running: dict[socket.socket, Address] = {}
        self._poll = selectors.PollSelector()  # unlike epoll, it needs no descriptor of its own

    def run(self, deadline: Deadline) -> socket.socket | None:
        """Return the first connected socket; None if all attempts have failed or the deadline has passed."""
        try:
            start_at = time.monotonic()
            while (self._waiting or self._running) and (left := deadline.remaining()):
                now = time.monotonic()
                if self._waiting and (now >= start_at or not self._running):
                    started = self._start(self._waiting.popleft())
                    start_at = now + STAGGER_S if started else now
                timeout = min(left, start_at - now) if self._waiting else left
                for key, _ in self._poll.select(timeout if self._running else 0):
                    sock = self._settle(key.fileobj)
                    if sock is not None:
                        return sock
                    start_at = now  # after a failure the next attempt need not wait
            return None
        finally:
            self._give_up()

    def explain(self) -> str:
        """List each address with the reason why it was not connected."""
        failed = [f"{address}: {os.strerror(number)}" for address, number in self.failures.items()]
        return "; ".join([*failed, *(f"{address}: no reply" for address in self.pending)])

    def _start(self, address: Address) -> bool:
        """Start an attempt; return whether there is anything to wait for."""
        sock = None
        try:
            sock = socket.socket(address.family, socket.SOCK_STREAM)
            sock.setblocking(False)
            # Requests are written whole; nothing is gained by waiting for more to send (RFC 9293 §3.7.4).
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            number = sock.connect_ex(address.sockaddr)
        except OSError as error:  # no IPv6 on this machine, or no descriptor left
            number = error.errno or errno.EINVAL
        if sock is None or number not in (0, errno.EINPROGRESS):
            if sock is not None:
                sock.close()
            self.failures[address] = number
            return False
        self._running[sock] = address
        self._poll.register(sock, selectors.EVENT_WRITE)
        return True

    def _settle(self, sock: Any) -> socket.socket | None:
        """End an attempt: return ``sock`` if it is connected, otherwise close it."""
        number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self._poll.unregister(sock)
        address = self._running.pop(sock)
        if number == 0:
            connected: socket.socket = sock
            return connected
        sock.close()
        self.failures[address] = number
        return None

    def _give_up(self) -> None:
        """Close the attempts that are still running."""
        for sock in self._running:
            sock.close()
        self.pending = [*self._running.values(), *self._waiting]
        self._poll.close()
