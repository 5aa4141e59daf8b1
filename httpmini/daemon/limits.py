"""What one client may take, from the settings."""

from __future__ import annotations

import time

from httpmini.config import Config
from httpmini.server.addresses import AddressPlaces, AddressRates, Rate
from httpmini.server.limiter import Limiter
from httpmini.server.throttle import SharedBucket


def make_limiter(config: Config) -> Limiter | None:
    """What is looked at for each request; None when there is nothing.

    Raises:
        CannotRun: this system cannot do that.
    """
    limits = config.limits
    per_s, client, total = limits.address_requests_per_s, limits.client_bytes_per_s, limits.total_bytes_per_s
    if not (per_s or client or total):
        return None
    rates = AddressRates(Rate(per_s, limits.address_burst), time.monotonic) if per_s else None
    return Limiter(rates, client, total, SharedBucket(total) if total else None)


def make_addresses(config: Config, workers: int) -> AddressPlaces | None:
    """What is looked at for each client; None when there is nothing.

    Raises:
        CannotRun: this system cannot do that.
    """
    most = config.limits.address_clients
    return AddressPlaces(most, workers if config.server.mode == "prefork" else 1) if most else None
