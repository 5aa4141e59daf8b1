"""What single addresses use: slots and requests, counted over all processes.

An IPv6 client can choose among all addresses of its /64, so these count as one.

The tables outlive reloads; how much one address may use is said at each call, by the generation that asks. They do not
grow: when there is no row for an address, one that has been used least recently is taken from another. So every address
is counted, however many there are.
"""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Callable
from math import inf
from typing import NamedTuple

from httpmini.server.limits.address_rules import address_key
from httpmini.server.limits.shared_lock import SharedLock
from httpmini.server.limits.slots import MAX_PROCESSES
from httpmini.token_bucket import TokenBucket

ROWS = 8192  # addresses that are remembered
PROBES = 16  # rows in which one may be


class _Rows:
    """A hash table in memory that processes share: a few numbers per address. Hold ``lock`` while using it.

    Args:
        width: how many numbers an address has.
    """

    def __init__(self, width: int) -> None:
        self.lock = SharedLock()
        self._width = width
        self._secret = os.urandom(8)  # so that nobody can choose addresses that share a row
        self._keys = memoryview(mmap.mmap(-1, 8 * ROWS)).cast("Q")  # untouched pages cost nothing
        self._numbers = memoryview(mmap.mmap(-1, 8 * ROWS * width)).cast("d")

    def __getitem__(self, row: int) -> memoryview[float]:
        return self._numbers[row * self._width : (row + 1) * self._width]

    def key(self, row: int) -> int:
        """Return whose row it is."""
        return self._keys[row]

    def find(self, key: int) -> int | None:
        """Return the row of an address, by its key; None when it has none."""
        return next((row for row in self._rows_for(key) if self._keys[row] == key), None)

    def replace(self, key: int, last_used: Callable[[memoryview[float]], float]) -> int:
        """Give a row with zeros to an address that has none: that of the address that least needs it.

        Args:
            key: of the address.
            last_used: when a row with these numbers was used last; ``-inf`` if it says no more than an empty one.
        """
        row = min(self._rows_for(key), key=lambda row: last_used(self[row]))
        self._keys[row] = key
        numbers = self[row]
        for at in range(self._width):
            numbers[at] = 0.0
        return row

    def _rows_for(self, key: int) -> list[int]:
        first = hash((key, self._secret))
        return [(first + step) % ROWS for step in range(PROBES)]


_CLIENTS, _MEAN_S, _LEFT, _USED = range(4)  # the numbers of a row


def _last_used(numbers: memoryview[float]) -> float:
    return numbers[_USED] if numbers[_CLIENTS] else -inf


class Place(NamedTuple):
    """A row of the table of slots, and the address that it was taken for.

    Attributes:
        row: its number.
        key: that of the address: when the row has another one now, this slot is not counted any more.
    """

    row: int
    key: int


class AddressSlots:
    """How many clients each address has at this moment.

    What each process holds is also written in a ledger of its own, so that its parent can give that back when it has
    been killed. A process that is killed in the microsecond between the two writes leaves its address one slot less,
    or one more, until the server ends.
    """

    def __init__(self) -> None:
        self._rows = _Rows(4)
        self._ledgers = memoryview(mmap.mmap(-1, 4 * ROWS * MAX_PROCESSES)).cast("I")
        self._own = 0

    def belong_to(self, process: int) -> None:
        """Count for the process of that number (``Slots.new_process``) from now on."""
        self._own = process * ROWS

    def take(self, host: str, limit: int) -> Place | None:
        """Take a slot for ``host``; return its place, or None when the address has ``limit`` already."""
        key = address_key(host)
        with self._rows.lock:
            row = self._rows.find(key)
            if row is None:
                row = self._replace(key)
            numbers = self._rows[row]
            if numbers[_CLIENTS] >= limit:
                return None
            numbers[_CLIENTS] += 1
            numbers[_USED] = time.monotonic()
            self._ledgers[self._own + row] += 1
            return Place(row, key)

    def _replace(self, key: int) -> int:
        """Return a row for a new address. The clients of the address that had it are not counted any more."""
        row = self._rows.replace(key, _last_used)
        for first in range(0, len(self._ledgers), ROWS):
            if self._ledgers[first + row]:
                self._ledgers[first + row] = 0
        return row

    def give(self, place: Place, stayed_s: float) -> None:
        """Give a slot back after ``stayed_s`` seconds."""
        row = place.row
        with self._rows.lock:
            if self._rows.key(row) != place.key or not self._ledgers[self._own + row]:
                return
            numbers = self._rows[row]
            numbers[_CLIENTS] = max(0.0, numbers[_CLIENTS] - 1)
            self._ledgers[self._own + row] -= 1
            numbers[_LEFT] = left = min(numbers[_LEFT] + 1, 8)
            numbers[_MEAN_S] += (stayed_s - numbers[_MEAN_S]) / left

    def retry_s(self, host: str, limit: int) -> float:
        """Estimate in how many seconds one of the ``limit`` slots of ``host`` will be free: its clients' mean stay."""
        with self._rows.lock:
            row = self._rows.find(address_key(host))
            return 0.0 if row is None else self._rows[row][_MEAN_S] / max(1, limit)

    def give_back(self, process: int) -> None:
        """Give back what a process held that has ended."""
        first = process * ROWS
        with self._rows.lock:
            for row, held in enumerate(self._ledgers[first : first + ROWS]):
                if held:
                    numbers = self._rows[row]
                    numbers[_CLIENTS] = max(0.0, numbers[_CLIENTS] - held)
                    self._ledgers[first + row] = 0


_PAID_UNTIL, _WAS_USED = range(2)  # the numbers of a row


def _paid_until(numbers: memoryview[float]) -> float:
    return numbers[_PAID_UNTIL] if numbers[_WAS_USED] else -inf


class AddressRates:
    """A token bucket for each address."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._rows = _Rows(2)

    def take(self, host: str, bucket: TokenBucket) -> float:
        """Return 0 when ``host`` may make a request now, else in how many seconds; a refused request costs nothing."""
        key = address_key(host)
        with self._rows.lock:
            now = self._now()
            row = self._rows.find(key)
            if row is None:
                row = self._rows.replace(key, _paid_until)
            numbers = self._rows[row]
            # The clock begins when the machine starts, and so may be younger than the burst.
            paid_until = bucket.reserve(numbers[_PAID_UNTIL] if numbers[_WAS_USED] else -inf, 1, now)
            if paid_until > now:
                return paid_until - now
            numbers[_PAID_UNTIL], numbers[_WAS_USED] = paid_until, 1.0
            return 0.0
