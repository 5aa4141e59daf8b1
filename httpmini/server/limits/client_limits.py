"""What one client may take, request by request: how often, and how fast."""

from __future__ import annotations

import msgspec

from httpmini.server.core.connection import LOCAL, Connection
from httpmini.server.limits.bandwidth import Bucket, LocalBucket, SharedBucket, Throttle
from httpmini.server.limits.per_address import AddressRates


class ClientLimits(msgspec.Struct, eq=False):
    """The limits of a server.

    Attributes:
        rates: how often an address may ask; None when that has no limit.
        client_rate: bytes per second for one connection; 0 when that has no limit.
        total_rate: the same for all of them together.
        total: their bucket; None when there is none.
    """

    rates: AddressRates | None
    client_rate: int
    total_rate: int
    total: SharedBucket | None

    def limit(self, connection: Connection, host: str) -> float:
        """Hold ``connection`` to its limits. Seconds until ``host`` may ask again; 0 when that is now.

        "" and a unix socket are no address that could have a limit.
        """
        if not self._holds(connection.throttle):
            connection.throttle = self._make_throttle()
        return self.rates.take(host) if self.rates and host not in ("", LOCAL) else 0.0

    def _holds(self, throttle: Throttle | None) -> bool:
        """Whether it is one of ours."""
        return throttle.owner is self if throttle else not (self.client_rate or self.total)

    def _make_throttle(self) -> Throttle | None:
        buckets: list[Bucket] = []
        if self.client_rate:
            buckets.append(LocalBucket(self.client_rate))
        if self.total:
            buckets.append(self.total)
        rates = [rate for rate in (self.client_rate, self.total_rate) if rate]
        return Throttle(self, tuple(buckets), min(rates)) if buckets else None
