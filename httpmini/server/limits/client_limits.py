"""What one client may use, request by request: how often, and how fast."""

from __future__ import annotations

import msgspec

from httpmini.server.limits.bandwidth import Bucket, LocalBucket, SharedBucket, Throttle
from httpmini.server.limits.per_address import AddressRates
from httpmini.server.listeners.peer import LOCAL
from httpmini.token_bucket import TokenBucket


class ClientLimits(msgspec.Struct, frozen=True, eq=False):
    """The limits of one generation.

    Attributes:
        requests: how often one address may make a request; None when that has no limit.
        rates: counts the requests of each address; there is one when ``requests`` is set.
        client_rate: bytes per second for one connection; 0 when that has no limit.
        total_rate: bytes per second for all connections together; 0 when that has no limit.
        total: their bucket; there is one when ``total_rate`` is set.
    """

    requests: TokenBucket | None = None
    rates: AddressRates | None = None
    client_rate: int = 0
    total_rate: int = 0
    total: SharedBucket | None = None

    def wait_s(self, host: str) -> float:
        """Return 0 when ``host`` may make a request now, else in how many seconds.

        A unix socket, and "" for requests that count for nobody, have no limit.
        """
        if self.requests is None or self.rates is None or host in ("", LOCAL):
            return 0.0
        return self.rates.take(host, self.requests)

    def throttle(self, present: Throttle | None) -> Throttle | None:
        """Return what holds a connection to its rates: the ``present`` one if it was made for these limits."""
        if not (self.client_rate or self.total):
            return None
        if present is not None and present.owner is self:
            return present
        buckets: list[Bucket] = []
        if self.client_rate:
            buckets.append(LocalBucket(self.client_rate))
        if self.total:
            buckets.append(self.total)
        return Throttle(self, tuple(buckets), min(rate for rate in (self.client_rate, self.total_rate) if rate))
