"""What one client may take, from the settings."""

from __future__ import annotations

import time

from httpmini.config import Config
from httpmini.server.limits.bandwidth import SharedBucket
from httpmini.server.limits.client_limits import ClientLimits
from httpmini.server.limits.per_address import AddressRates, AddressSlots, Rate


def make_limiter(config: Config) -> ClientLimits | None:
    """What is looked at for each request; None when there is nothing.

    Raises:
        CannotRun: this system cannot do that.
    """
    limits = config.limits
    per_s, client, total = limits.address_requests_per_s, limits.client_bytes_per_s, limits.total_bytes_per_s
    if not (per_s or client or total):
        return None
    rates = AddressRates(Rate(per_s, limits.address_burst), time.monotonic) if per_s else None
    return ClientLimits(rates, client, total, SharedBucket(total) if total else None)


def make_addresses(config: Config, workers: int) -> AddressSlots | None:
    """What is looked at for each client; None when there is nothing.

    Raises:
        CannotRun: this system cannot do that.
    """
    most = config.limits.address_clients
    return AddressSlots(most, workers if config.server.mode == "prefork" else 1) if most else None
