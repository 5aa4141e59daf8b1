"""Decide which clients make room when the server is full.

Somebody who holds all slots, with 256 connections that send one byte each, would otherwise lock everybody else out. So
while clients wait for a slot, those that do nothing with theirs give it up, in this order:

1. clients of the address that has the most slots,
2. before clients that are being sent to, those that are silent: before, within or after a request,
3. the one that has done nothing for the longest time.

An address with more slots than that of the client who waits has to be quick (``CROWDED_S``); any other is given time.
A client that takes its response is never in the list. Knows neither sockets nor modes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

# Seconds after which a silent client gives up its slot to one that waits: if its address has more slots than that of
# the one that waits, and if it has not.
CROWDED_S = 0.1
SILENT_S = 2.0
# Seconds for which a client that takes nothing is still waited for, beyond its patience (``Client.patient_until``), if
# its address has no large share of the slots. A mobile phone in a tunnel should not lose its download.
STALLED_S = 5.0
LARGE_SHARE = 8  # an eighth
# As the second half of the slots fills up, times for silent clients shrink to this part of what the settings say.
SHORTEST = 0.25


class Member(Protocol):
    """A slot that is taken."""

    @property
    def key(self) -> int:
        """For whom it counts (``Admission.key_of``); 0 stands for many people, who have one each."""


class Crowd:
    """The slots that this process has given to clients. Threads may change it.

    Clients come all the time and seldom wait for a slot. So they are not counted by address when they come and go, but
    when one waits.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everybody; in a new child, whose clients are others."""
        self._members: set[Member] = set()
        self.join = self._members.add  # atomic, and so is what counts() does: no lock
        self.leave = self._members.discard

    def counts(self) -> Counter[int]:
        """Return how many clients each address has."""
        return Counter(member.key for member in self._members.copy())


def share_of(key: int, counts: Mapping[int, int]) -> int:
    """Return how many clients an address has."""
    return counts.get(key, 0) if key else 1


class Occupant(msgspec.Struct, frozen=True, eq=False):
    """A client that has a slot and does nothing with it.

    Attributes:
        key: for whom it counts (``Admission.key_of``).
        quiet_since: since when it does nothing.
        deadline: until when it is waited for if nobody else waits.
        is_sent_to: whether it has asked for something and does not take it.
        leave: closes its connection.
        is_leaving: whether ``leave`` was called.
    """

    key: int
    quiet_since: float
    deadline: float
    is_sent_to: bool
    leave: Callable[[], None]
    is_leaving: bool = False


def choose(
    occupants: Iterable[Occupant], waiting: Sequence[int], clients: Mapping[int, int], limit: int, now: float
) -> list[Occupant]:
    """Choose the clients that make room for those that wait: at most one for each.

    Args:
        occupants: those that do nothing.
        waiting: the addresses of the clients that wait; the first is served first.
        clients: how many each address has.
        limit: how many slots there are.
        now: the time.
    """
    occupants = list(occupants)
    counts = {one.key: share_of(one.key, clients) for one in occupants}
    rest = sorted(
        (one for one in occupants if not one.is_leaving),
        key=lambda one: (-counts[one.key], one.is_sent_to, one.quiet_since),
    )
    leaving = sum(one.is_leaving for one in occupants)  # for the first of those who wait
    chosen = []
    for key in waiting[leaving:]:
        theirs = clients.get(key, 0)
        one = next((one for one in rest if _may_go(one, counts[one.key], theirs, limit, now)), None)
        if one is not None:
            rest.remove(one)
            chosen.append(one)
            counts[one.key] -= 1
    return chosen


def _may_go(one: Occupant, ours: int, theirs: int, limit: int, now: float) -> bool:
    """Whether an occupant has to leave for a client of an address with ``theirs`` slots; its own has ``ours``."""
    if one.is_sent_to:
        patience_s = 0.0 if ours > max(theirs + 1, limit // LARGE_SHARE) else STALLED_S
    else:
        patience_s = CROWDED_S if ours > theirs + 1 else SILENT_S
    return now - one.quiet_since >= patience_s


def overdue(occupants: Iterable[Occupant], active: int, limit: int, now: float) -> list[Occupant]:
    """Return the silent clients that have been waited for long enough, considering how full the server is."""
    share = 1.0 - (1.0 - SHORTEST) * max(0.0, min(1.0, 2.0 * active / limit - 1.0))
    return [
        one
        for one in occupants
        if not one.is_sent_to
        and not one.is_leaving
        and now - one.quiet_since >= share * (one.deadline - one.quiet_since)
    ]
