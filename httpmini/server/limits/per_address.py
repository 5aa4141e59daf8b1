"""What single addresses take up: places and requests, counted over all processes.

An IPv6 client can choose among all addresses of its /64, so these count as one.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from httpmini.server.core.connection import LOCAL
from httpmini.server.limits.shared_lock import SharedLock

ROWS = 8192  # addresses that are remembered
PROBES = 16  # rows in which one may be


def plain_address(host: str) -> IPv4Address | IPv6Address:
    """Without an IPv6 zone, and IPv4 seen through an IPv6 socket as IPv4."""
    address = ip_address(host.partition("%")[0])
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def _key_of(host: str) -> int:
    """64 bits, never 0: a /64, or an IPv4 address where no /64 is (::/16 is reserved)."""
    if host == LOCAL:
        return 1
    address = plain_address(host)
    return int(address) >> 64 or 1 if isinstance(address, IPv6Address) else 2 << 32 | int(address)


class _Rows:
    """A hash table in memory that processes share: numbers by address. Whoever uses it holds its lock.

    Args:
        width: how many numbers an address has.
        is_free: whether a row with these numbers says no more than an empty one.
    """

    def __init__(self, width: int, is_free: Callable[[memoryview[float]], bool]) -> None:
        self.lock = SharedLock()
        self._is_free = is_free
        self._width = width
        self._secret = os.urandom(8)  # so that nobody can choose addresses that share a row
        self._keys = memoryview(mmap.mmap(-1, 8 * ROWS)).cast("Q")  # pages that nobody touches cost nothing
        self._numbers = memoryview(mmap.mmap(-1, 8 * ROWS * width)).cast("d")

    def __getitem__(self, row: int) -> memoryview[float]:
        return self._numbers[row * self._width : (row + 1) * self._width]

    def find(self, host: str) -> int | None:
        """The row of ``host``, perhaps a new one with zeros; None when there is no room for it."""
        key = _key_of(host)
        first = hash((key, self._secret)) % ROWS
        free = None
        for row in ((first + step) % ROWS for step in range(PROBES)):
            if self._keys[row] == key:
                return row
            if free is None and self._is_free(self[row]):
                free = row
        if free is not None:
            self._keys[free] = key
            numbers = self[free]
            for at in range(self._width):
                numbers[at] = 0.0
        return free


class AddressSlots:
    """How many clients of one address there may be at the same time.

    Each process counts in a column of its own: what one held that was killed is given back by its parent.

    Args:
        most: clients of one address.
        processes: that accept clients.
    """

    def __init__(self, most: int, processes: int = 1) -> None:
        self._most = most
        self._processes = processes
        self._own = 0
        self._rows = _Rows(processes + 2, lambda numbers: not any(numbers[:processes]))
        self._mean_s, self._left = processes, processes + 1  # columns: how long clients stay, how many have left

    def belong_to(self, process: int) -> None:
        """From now on this is the process of that number, from 0."""
        self._own = process

    def take(self, host: str) -> int | None:
        """A place for ``host``; None when it has all it may have. -1 is one that is not counted: there is no room."""
        with self._rows.lock:
            row = self._rows.find(host)
            if row is None:
                return -1
            numbers = self._rows[row]
            if sum(numbers[: self._processes]) >= self._most:
                return None
            numbers[self._own] += 1
            return row

    def give(self, place: int, stayed_s: float) -> None:
        """Give it back, after so many seconds."""
        if place < 0:
            return
        with self._rows.lock:
            numbers = self._rows[place]
            numbers[self._own] = max(0.0, numbers[self._own] - 1)
            numbers[self._left] = left = min(numbers[self._left] + 1, 8)
            numbers[self._mean_s] += (stayed_s - numbers[self._mean_s]) / left

    def retry_s(self, host: str) -> float:
        """Seconds until one of its places is likely to be free: its clients stayed so long, and there are so many."""
        with self._rows.lock:
            row = self._rows.find(host)
            return 0.0 if row is None else self._rows[row][self._mean_s] / self._most

    def give_back(self, process: int) -> None:
        """Give back what a process held that has ended."""
        with self._rows.lock:
            for row in range(ROWS):
                numbers = self._rows[row]
                if numbers[process]:
                    numbers[process] = 0.0


class Rate(NamedTuple):
    """Requests that one address may make.

    Attributes:
        per_s: for long.
        burst: at once.
    """

    per_s: float
    burst: int


class AddressRates:
    """A token bucket for each address, kept as in ``throttle.py``."""

    def __init__(self, rate: Rate, now: Callable[[], float]) -> None:
        self._cost_s = 1 / rate.per_s
        self._burst_s = burst_s = rate.burst / rate.per_s
        self._now = now
        self._rows = _Rows(1, lambda numbers: not numbers[0] or numbers[0] <= now() - burst_s)

    def take(self, host: str) -> float:
        """0 when ``host`` may ask now; else the seconds until it may. Who is refused pays nothing."""
        with self._rows.lock:
            row = self._rows.find(host)
            if row is None:
                return 0.0
            numbers, now = self._rows[row], self._now()
            paid = max(numbers[0], now - self._burst_s) + self._cost_s
            if paid > now:
                return paid - now
            numbers[0] = paid
            return 0.0
