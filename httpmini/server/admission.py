"""Who may come in: ``max_clients``, what happens to client N+1, and lists of addresses.

A client is counted from its accept until its connection is closed. Descriptors, processes and threads are not counted,
and the kernel's backlog is another thing: clients in it have not been accepted yet.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Literal

from httpmini.server.connection import Refusal

Network = IPv4Network | IPv6Network
Overflow = Literal["queue", "refuse"]


@dataclass(frozen=True)
class AddressRules:
    """Lists of networks; ``deny`` is looked at first, and an empty ``allow`` allows everybody."""

    allow: Sequence[Network] = ()
    deny: Sequence[Network] = ()

    def permits(self, host: str) -> bool:
        """Whether a client at the numeric address ``host`` may come in."""
        if not self.allow and not self.deny:
            return True
        address = _plain_address(host)
        if any(address in network for network in self.deny):
            return False
        return not self.allow or any(address in network for network in self.allow)


def _plain_address(host: str) -> IPv4Address | IPv6Address:
    """Without an IPv6 zone, and IPv4 seen through an IPv6 socket as IPv4."""
    address = ip_address(host.partition("%")[0])
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


class Admission:
    """The slots of a server. Threads may give slots back at any time.

    Args:
        max_clients: the number of slots.
        overflow: "queue" leaves client N+1 in the kernel's backlog, "refuse" accepts it to say no.
        rules: which addresses may come in.
        log: takes one line when the last slot is taken and one when there is room again.
    """

    def __init__(self, max_clients: int, overflow: Overflow, rules: AddressRules, log: Callable[[str], None]) -> None:
        self.max_clients = max_clients
        self.overflow = overflow
        self._rules = rules
        self._log = log
        self._lock = threading.Lock()
        self._active = 0
        self._at_threshold = False
        # There is room again when a tenth is free: a busy server that touches its limit writes two lines, not
        # thousands.
        self._room_again = max_clients - max(1, max_clients // 10)

    @property
    def active(self) -> int:
        """The number of slots taken."""
        return self._active

    @property
    def accepting(self) -> bool:
        """Whether accept() should be called now."""
        return self._active < self.max_clients or self.overflow == "refuse"

    def admit(self, host: str) -> Slot | Refusal:
        """A slot for the client at ``host``, or why there is none."""
        if not self._rules.permits(host):
            return Refusal.DENIED
        with self._lock:
            if self._active >= self.max_clients:
                return Refusal.BUSY
            self._active += 1
            reached = self._active == self.max_clients and not self._at_threshold
            self._at_threshold = self._at_threshold or reached
        if reached:
            then = "further ones wait in the backlog" if self.overflow == "queue" else "further ones get a refusal"
            self._log(f"max_clients reached: {self.max_clients} clients; {then}")
        return Slot(self)

    def _release(self) -> None:
        with self._lock:
            self._active -= 1
            left = self._at_threshold and self._active <= self._room_again
            self._at_threshold = self._at_threshold and not left
            active = self._active
        if left:
            self._log(f"max_clients left: {active} of {self.max_clients} clients")


class Slot:
    """One client's place; given back once, however often ``release`` is called."""

    __slots__ = ("_admission",)

    def __init__(self, admission: Admission) -> None:
        self._admission: Admission | None = admission

    def release(self) -> None:
        """Give the place back."""
        if self._admission is not None:
            self._admission._release()
            self._admission = None
