"""What the limits of the settings count in; it outlives reloads, so that limits are exact over any number of them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from httpmini.config import Config
from httpmini.server.limits.one_each import OneEach
from httpmini.server.limits.slots import Slots
from httpmini.server.logs.error import Log

if TYPE_CHECKING:
    from httpmini.server.limits.bandwidth import SharedBytes
    from httpmini.server.limits.client_limits import ClientLimits
    from httpmini.server.limits.per_address import AddressRates, AddressSlots


class Tables:
    """Tables in memory that all processes share, each made when the settings first need it.

    Args:
        log: takes lines about the slots.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._slots: Slots | None = None
        self._addresses: AddressSlots | None = None
        self._rates: AddressRates | None = None
        self._bytes: SharedBytes | None = None
        self._archives: OneEach | None = None

    def slots(self, config: Config) -> Slots:
        """Return the slots; a reload that changes their number resizes them when it takes effect."""
        self._slots = self._slots or Slots(config.server.max_clients, self._log)
        return self._slots

    def archives(self) -> OneEach:
        """Return what gives each address one archive at a time."""
        self._archives = self._archives or OneEach()
        return self._archives

    def close(self) -> None:
        """Close what the kernel counts in."""
        if self._archives is not None:
            self._archives.close()
        if self._slots is not None:
            self._slots.close()

    def addresses(self, config: Config) -> AddressSlots | None:
        """Return what counts the clients of each address; None when that has no limit.

        Raises:
            CannotRun: this system cannot do that.
        """
        if not config.limits.address_clients:
            return None
        from httpmini.server.limits.per_address import AddressSlots  # few servers have such limits

        self._addresses = self._addresses or AddressSlots()
        return self._addresses

    def client_limits(self, config: Config) -> ClientLimits | None:
        """Return what is applied to each request; None when there is nothing.

        Raises:
            CannotRun: this system cannot do that.
        """
        limits = config.limits
        per_s, client, total = limits.address_requests_per_s, limits.client_bytes_per_s, limits.total_bytes_per_s
        if not (per_s or client or total):
            return None
        from httpmini.server.limits.bandwidth import SharedBucket, SharedBytes
        from httpmini.server.limits.client_limits import ClientLimits
        from httpmini.server.limits.per_address import AddressRates
        from httpmini.token_bucket import TokenBucket

        requests, bucket = None, None
        if per_s:
            self._rates = self._rates or AddressRates(time.monotonic)
            requests = TokenBucket(per_s, limits.address_burst / per_s)
        if total:
            self._bytes = self._bytes or SharedBytes()
            bucket = SharedBucket(total, self._bytes)
        return ClientLimits(requests, self._rates, client, total, bucket)
