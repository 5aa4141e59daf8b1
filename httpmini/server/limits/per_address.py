"""What single addresses use: slots and requests, counted over all processes.

An IPv6 client can choose among all addresses of its /64, so these count as one.

The tables outlive reloads; how much one address may use is said at each call, by the generation that asks.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from ipaddress import IPv6Address
from math import inf

from httpmini.server.limits.address_rules import plain_address
from httpmini.server.limits.shared_lock import SharedLock
from httpmini.server.limits.slots import MAX_PROCESSES
from httpmini.server.listeners.peer import LOCAL
from httpmini.token_bucket import TokenBucket

ROWS = 8192  # addresses that are remembered
PROBES = 16  # rows in which one may be
NOT_COUNTED = -1  # the row of an address for which there is no room


def _key_of(host: str) -> int:
    """Return 64 bits, never 0: a /64, or an IPv4 address where no /64 is (::/16 is reserved)."""
    if host == LOCAL:
        return 1
    address = plain_address(host)
    return int(address) >> 64 or 1 if isinstance(address, IPv6Address) else 2 << 32 | int(address)


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

    def find(self, host: str, is_free: Callable[[memoryview[float]], bool]) -> int | None:
        """Return the row of ``host``, perhaps a new one with zeros; None when there is no room for it.

        Args:
            host: an address.
            is_free: whether a row with these numbers says no more than an empty one, and may be used again.
        """
        key = _key_of(host)
        first = hash((key, self._secret)) % ROWS
        free = None
        for row in ((first + step) % ROWS for step in range(PROBES)):
            if self._keys[row] == key:
                return row
            if free is None and is_free(self[row]):
                free = row
        if free is not None:
            self._keys[free] = key
            numbers = self[free]
            for at in range(self._width):
                numbers[at] = 0.0
        return free


_CLIENTS, _MEAN_S, _LEFT = range(3)  # the numbers of a row


def _has_no_clients(numbers: memoryview[float]) -> bool:
    return not numbers[_CLIENTS]


class AddressSlots:
    """How many clients each address has at this moment.

    What each process holds is also written in a ledger of its own, so that its parent can give that back when it has
    been killed. A process that is killed in the microsecond between the two writes leaves its address one slot less,
    or one more, until the server ends.
    """

    def __init__(self) -> None:
        self._rows = _Rows(3)
        self._ledgers = memoryview(mmap.mmap(-1, 4 * ROWS * MAX_PROCESSES)).cast("I")
        self._own = 0

    def belong_to(self, process: int) -> None:
        """Count for the process of that number (``Slots.new_process``) from now on."""
        self._own = process * ROWS

    def take(self, host: str, limit: int) -> int | None:
        """Take a slot for ``host``; return its row, or None when the address has ``limit`` already."""
        with self._rows.lock:
            row = self._rows.find(host, _has_no_clients)
            if row is None:
                return NOT_COUNTED
            numbers = self._rows[row]
            if numbers[_CLIENTS] >= limit:
                return None
            numbers[_CLIENTS] += 1
            self._ledgers[self._own + row] += 1
            return row

    def give(self, row: int, stayed_s: float) -> None:
        """Give a slot back after ``stayed_s`` seconds."""
        if row == NOT_COUNTED:
            return
        with self._rows.lock:
            numbers = self._rows[row]
            numbers[_CLIENTS] = max(0.0, numbers[_CLIENTS] - 1)
            self._ledgers[self._own + row] -= 1
            numbers[_LEFT] = left = min(numbers[_LEFT] + 1, 8)
            numbers[_MEAN_S] += (stayed_s - numbers[_MEAN_S]) / left

    def retry_s(self, host: str, limit: int) -> float:
        """Estimate in how many seconds one of the ``limit`` slots of ``host`` will be free: its clients' mean stay."""
        with self._rows.lock:
            row = self._rows.find(host, _has_no_clients)
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


class AddressRates:
    """A token bucket for each address."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._rows = _Rows(2)

    def take(self, host: str, bucket: TokenBucket) -> float:
        """Return 0 when ``host`` may make a request now, else in how many seconds; a refused request costs nothing."""
        with self._rows.lock:
            now = self._now()

            def is_full(numbers: memoryview[float]) -> bool:
                return not numbers[_WAS_USED] or numbers[_PAID_UNTIL] <= now - bucket.burst_s

            row = self._rows.find(host, is_full)
            if row is None:
                return 0.0
            numbers = self._rows[row]
            # The clock begins when the machine starts, and so may be younger than the burst.
            paid_until = bucket.reserve(numbers[_PAID_UNTIL] if numbers[_WAS_USED] else -inf, 1, now)
            if paid_until > now:
                return paid_until - now
            numbers[_PAID_UNTIL], numbers[_WAS_USED] = paid_until, 1.0
            return 0.0
