"""Who may connect: ``max_clients``, what happens to client N+1, and rules for addresses.

A client is counted from its accept until its connection is closed. Descriptors, processes and threads are not counted,
and the kernel's backlog is another thing: clients in it have not been accepted yet.
"""

from __future__ import annotations

import time
from enum import Enum
from typing import TYPE_CHECKING, Literal

import msgspec

from httpmini.server.limits.address_rules import AddressRules, address_key
from httpmini.server.limits.slots import Slots
from httpmini.server.listeners.peer import LOCAL

if TYPE_CHECKING:
    from httpmini.server.limits.per_address import AddressSlots, Place

Overflow = Literal["queue", "refuse"]


class Refusal(Enum):
    """Why a client is turned away before it has sent a request."""

    BUSY = "max_clients are being served"
    DENIED = "its address is not allowed"
    CROWDED = "its address has all the slots that it may have"
    RESOURCES = "the machine has no process, thread or descriptor for it"


class Admission(msgspec.Struct, frozen=True, eq=False):
    """Gives slots to clients by the settings of one generation; what it counts in outlives that.

    Attributes:
        slots: one per client.
        overflow: "queue" leaves client N+1 in the kernel's backlog, "refuse" accepts it to say no.
        rules: which addresses may connect.
        addresses: counts the clients of each address; None when that has no limit.
        address_limit: how many clients one address may have.
    """

    slots: Slots
    overflow: Overflow = "queue"
    rules: AddressRules = AddressRules()
    addresses: AddressSlots | None = None
    address_limit: int = 0

    @property
    def active(self) -> int:
        """How many slots are taken."""
        return self.slots.active

    @property
    def accepting(self) -> bool:
        """Whether accept() should be called now."""
        return self.overflow == "refuse" or self.slots.active < self.slots.limit

    def admit(self, host: str) -> Slot | Refusal:
        """Return a slot for the client at ``host``, or why it gets none."""
        if self.rules and not self.rules.permits(host):
            return Refusal.DENIED
        slots = self.slots
        if not slots.take():
            return Refusal.BUSY
        if self.addresses is not None and not self.rules.is_proxy(host):
            place = self.addresses.take(host, self.address_limit)
            if place is None:
                slots.give()
                return Refusal.CROWDED
            slot: Slot = AddressSlot(self, host, self.addresses, place)
        else:
            slot = Slot(self, host)
        slots.note_admitted(self.overflow)
        return slot

    def key_of(self, host: str) -> int:
        """Return for whom ``host`` counts when the server is full; 0 where many people may share one address."""
        return 0 if host == LOCAL or self.rules.is_proxy(host) else address_key(host)

    def retry_s(self, host: str, refusal: Refusal) -> float:
        """Estimate in how many seconds there will be room for ``host``, from the clients that have left so far."""
        if refusal is Refusal.CROWDED and self.addresses is not None:
            return self.addresses.retry_s(host, self.address_limit)
        return self.slots.retry_s() if refusal is Refusal.BUSY else 0.0


class Slot:
    """One client's slot; given back once, however often ``release`` is called.

    Args:
        admission: what gave it.
        host: whose it is.
    """

    __slots__ = ("_admission", "_host", "_slots")

    def __init__(self, admission: Admission, host: str) -> None:
        self._admission = admission
        self._host = host
        self._slots: Slots | None = admission.slots
        admission.slots.crowd.join(self)

    @property
    def key(self) -> int:
        """For whom the client counts."""
        return self._admission.key_of(self._host)

    def is_one_of(self, slots: Slots) -> bool:
        """Whether it is one of these, and has not been given back."""
        return self._slots is slots

    def release(self) -> None:
        """Give the slot back."""
        slots, self._slots = self._slots, None
        if slots is not None:
            slots.crowd.leave(self)
            slots.release()


class AddressSlot(Slot):
    """A slot that also counts against the client's address."""

    __slots__ = ("_addresses", "_begun", "_place")

    def __init__(self, admission: Admission, host: str, addresses: AddressSlots, place: Place) -> None:
        super().__init__(admission, host)
        self._addresses = addresses
        self._place = place
        self._begun = time.monotonic()

    def release(self) -> None:
        """Give both back."""
        if self._slots is not None:
            self._addresses.give(self._place, time.monotonic() - self._begun)
        super().release()
