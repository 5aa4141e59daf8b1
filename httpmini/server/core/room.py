"""Clients as occupants of slots (``limits/crowd.py``): those in a poll set."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from httpmini.server.core.connection import WRITE
from httpmini.server.core.reactor import Reactor
from httpmini.server.limits.crowd import Occupant
from httpmini.server.limits.slots import Slots


def occupants_of(reactor: Reactor, slots: Slots, now: float) -> Iterator[Occupant]:
    """Yield the clients in a poll set that have one of ``slots`` and do nothing with it."""
    for client in reactor.clients:
        slot, connection = client.slot, client.connection
        if slot is None or not slot.is_one_of(slots):  # it is being refused, or is at another door
            continue
        client.note_progress(now)
        quiet_since = client.quiet_since(now)
        if quiet_since <= now:
            leave = partial(reactor.evict, client, now)
            yield Occupant(slot.key, quiet_since, connection.deadline, connection.interest is WRITE, leave)
