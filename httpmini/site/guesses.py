"""How often one address may try a password that turns out wrong.

A hash costs this server more than a guess costs the guesser. So an address has a bucket of guesses that fills up
slowly; when it is empty, nothing is computed for it. Right passwords cost none.

The buckets are numbers in shared memory, so that all children and workers count together. An address has two of them,
chosen by a secret, and the fuller one counts: no number of other addresses makes it be forgotten, and it is held back
for others only if both of its buckets are emptied by them.
"""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from httpmini.token_bucket import TokenBucket

GUESSES = TokenBucket(per_s=2.0, burst_s=30.0)  # 60 at once
_BUCKETS = 8192
_LONG_AGO = -1e9  # the clock may begin with the machine


class Guesses:
    """The guesses of all addresses.

    Args:
        now: monotonic seconds, the same in all processes.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._secret = os.urandom(8)
        self._paid_until = memoryview(mmap.mmap(-1, 8 * _BUCKETS)).cast("d")
        for at in range(_BUCKETS):
            self._paid_until[at] = _LONG_AGO

    def take(self, host: str) -> float:
        """Take one guess from an address, and return 0; or in how many seconds it may guess again.

        What is no Internet address has no limit: a unix socket.
        """
        buckets = self._buckets_of(host)
        now = self._now()
        wait_s = min((self._reserved(at, 1, now) - now for at in buckets), default=0.0)
        if wait_s > 0:
            return wait_s
        for at in buckets:
            self._paid_until[at] = self._reserved(at, 1, now)
        return 0.0

    def give_back(self, host: str) -> None:
        """Take note that it was no guess: the password was right."""
        for at in self._buckets_of(host):
            self._paid_until[at] = self._reserved(at, -1, self._now())

    def _reserved(self, at: int, count: int, now: float) -> float:
        return GUESSES.reserve(self._paid_until[at], count, now)

    def _buckets_of(self, host: str) -> tuple[int, ...]:
        """Return the buckets of an address; an IPv6 client can choose among all of its /64, which counts as one."""
        try:
            address = ip_address(host.partition("%")[0])
        except ValueError:
            return ()
        block = int(address)
        if isinstance(address, IPv6Address):
            block = int(address.ipv4_mapped) if address.ipv4_mapped else block >> 64 << 64
        return tuple({hash((turn, block, self._secret)) % _BUCKETS for turn in (0, 1)})
