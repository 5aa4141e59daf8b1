"""Who may come in: ``max_clients``, what happens to client N+1, and lists of addresses.

A client is counted from its accept until its connection is closed. Descriptors, processes and threads are not counted,
and the kernel's backlog is another thing: clients in it have not been accepted yet.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Literal

import msgspec

from httpmini.server.core.connection import LOCAL, Refusal
from httpmini.server.limits.per_address import AddressSlots, plain_address
from httpmini.server.limits.slots import LocalSlots, Slots
from httpmini.server.logs.error import Level, Log

Network = IPv4Network | IPv6Network
Overflow = Literal["queue", "refuse"]


class AddressRules(msgspec.Struct, frozen=True):
    """Lists of networks; ``deny`` is looked at first, and an empty ``allow`` allows everybody.

    Proxies may always come in: their clients are looked at when it is known who they are.
    """

    allow: Sequence[Network] = ()
    deny: Sequence[Network] = ()
    proxies: Sequence[Network] = ()

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.allow or self.deny)

    def permits(self, host: str) -> bool:
        """Whether a client at the numeric address ``host`` may come in."""
        if host == LOCAL:  # the permissions of the socket are for that
            return True
        if self.is_proxy(host):
            return True
        address = plain_address(host)
        if any(address in network for network in self.deny):
            return False
        return not self.allow or any(address in network for network in self.allow)

    def is_proxy(self, host: str) -> bool:
        """Whether who connects from there may stand for others: one of these, or the owner of our unix socket."""
        if host == LOCAL:
            return True
        return bool(self.proxies) and any(plain_address(host) in network for network in self.proxies)


class Admission:
    """Gives the slots of a server. Threads may give slots back at any time.

    Args:
        max_clients: the number of slots.
        overflow: "queue" leaves client N+1 in the kernel's backlog, "refuse" accepts it to say no.
        rules: which addresses may come in.
        log: takes one line when the last slot is taken and one when there is room again.
        slots: where they are counted, when not in this process alone.
        addresses: counts those of each address, where that has a limit.
    """

    def __init__(
        self,
        max_clients: int,
        overflow: Overflow,
        rules: AddressRules,
        log: Log,
        slots: Slots | None = None,
        addresses: AddressSlots | None = None,
    ) -> None:
        self.max_clients = max_clients
        self.addresses = addresses
        self.overflow = overflow
        self.slots = slots or LocalSlots(max_clients)
        self._rules = rules
        self._log = log
        # There is room again when a tenth is free: a busy server that touches its limit writes two lines, not
        # thousands.
        self._room_again = max_clients - max(1, max_clients // 10)
        # How long it takes until somebody leaves, while it is crowded; and when that was last in this process.
        self._mean_wait_s = 0.0
        self._left_at = 0.0

    @property
    def active(self) -> int:
        """The number of slots taken."""
        return self.slots.active

    @property
    def accepting(self) -> bool:
        """Whether accept() should be called now."""
        return self.overflow == "refuse" or self.slots.active < self.max_clients

    def change(
        self,
        max_clients: int,
        overflow: Overflow,
        rules: AddressRules,
        slots: Slots | None = None,
        addresses: AddressSlots | None = None,
    ) -> None:
        """Other settings from now on. Clients who are there keep their places; ``slots`` count the new ones."""
        self.addresses = addresses
        self.max_clients, self.overflow, self._rules = max_clients, overflow, rules
        self._room_again = max_clients - max(1, max_clients // 10)
        if slots is not None:
            self.slots = slots
        if isinstance(self.slots, LocalSlots):
            self.slots.resize(max_clients)

    def admit(self, host: str) -> Slot | Refusal:
        """A slot for the client at ``host``, or why there is none."""
        if self._rules and not self._rules.permits(host):
            return Refusal.DENIED
        slots = self.slots
        if not slots.take():
            return Refusal.BUSY
        addresses, place = self.addresses, None
        if addresses is not None and not self._rules.is_proxy(host):
            place = addresses.take(host)
            if place is None:
                slots.give()
                return Refusal.CROWDED
        if not slots.crowded_since and slots.active >= self.max_clients:
            slots.crowded_since = time.monotonic()
            then = "further ones wait in the backlog" if self.overflow == "queue" else "further ones get a refusal"
            self._log(f"max_clients reached: {self.max_clients} clients; {then}", Level.WARNING)
        if addresses is None or place is None:
            return Slot(self, slots)
        return CountedSlot(self, slots, addresses, place)

    def retry_s(self, host: str, refusal: Refusal) -> float:
        """Seconds in which there is likely to be room for ``host``, by what was seen of those who left."""
        if refusal is Refusal.CROWDED and self.addresses is not None:
            return self.addresses.retry_s(host)
        if refusal is Refusal.BUSY and (since := self.slots.crowded_since):
            return max(self._mean_wait_s, time.monotonic() - max(since, self._left_at))
        return 0.0

    def release(self, slots: Slots) -> None:
        """Take a slot back; see ``Slot``."""
        slots.give()
        if not (since := slots.crowded_since):
            return
        now = time.monotonic()
        waited_s = now - max(since, self._left_at)  # what was before it became crowded is another matter
        self._mean_wait_s += (waited_s - self._mean_wait_s) / 8
        self._left_at = now
        if (active := slots.active) <= self._room_again:
            slots.crowded_since = 0.0
            self._log(f"max_clients left: {active} of {self.max_clients} clients")


class Slot:
    """One client's place; given back once, however often ``release`` is called."""

    __slots__ = ("_admission", "_slots")

    def __init__(self, admission: Admission, slots: Slots) -> None:
        self._admission: Admission | None = admission
        self._slots = slots

    def release(self) -> None:
        """Give the place back."""
        if self._admission is not None:
            self._admission.release(self._slots)
            self._admission = None


class CountedSlot(Slot):
    """One of those that its address may have, too."""

    __slots__ = ("_addresses", "_begun", "_place")

    def __init__(self, admission: Admission, slots: Slots, addresses: AddressSlots, place: int) -> None:
        super().__init__(admission, slots)
        self._addresses = addresses
        self._place = place
        self._begun = time.monotonic()

    def release(self) -> None:
        """See ``Slot``."""
        if self._admission is not None:
            self._addresses.give(self._place, time.monotonic() - self._begun)
        super().release()
