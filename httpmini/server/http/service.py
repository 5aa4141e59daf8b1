"""HTTP as the modes see it: a service that makes connections and points to the current generation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from httpmini.errors import ProtocolError
from httpmini.reasons import REASONS
from httpmini.server.core.connection import Connection
from httpmini.server.core.counters import Counters
from httpmini.server.http.connection import HttpConnection
from httpmini.server.http.generation import Generations, HttpGeneration
from httpmini.server.http.retry_after import retry_after
from httpmini.server.limits.admission import Refusal
from httpmini.server.listeners.peer import Peer

_REASONS = {
    Refusal.BUSY: "too-many-clients",
    Refusal.CROWDED: "address-clients",
    Refusal.DENIED: "address-denied",
    Refusal.RESOURCES: "out-of-resources",
}

G = TypeVar("G", bound=HttpGeneration)


class HttpService(Generic[G]):
    """HTTP for everybody. A reload assigns ``generation``, and each request takes it once.

    Args:
        generation: the first one.
        counters: count the refusals, over all generations.

    Attributes:
        generation: the current one.
        counters: the same counters.
    """

    def __init__(self, generation: G, counters: Counters | None = None) -> None:
        self.generation: G = generation
        self.counters = counters or Counters()

    def connect(self, peer: Peer, now: float) -> Connection:
        """Return a conversation with a client that was admitted."""
        return _connect(self, peer, now)

    def refuse(self, peer: Peer, refusal: Refusal, now: float, retry_s: float) -> Connection:
        """Return a conversation that says 403, 429 or 503 without having been asked, and ends."""
        return _refuse(self, peer, refusal, now, retry_s)

    def refuse_plain(self, peer: Peer, now: float) -> Connection:
        """Return a conversation that tells a client of a TLS port that it has to speak TLS, and ends."""
        connection = HttpConnection(self, peer, now)
        connection.refuse(ProtocolError(REASONS["plain-on-tls"]), now)
        return connection

    def tick(self) -> bool | None:
        """Do what was put off (``Service.tick``)."""
        return self.generation.tick()


class PartialService:
    """HTTP for some listeners: it uses a part of the current generation, such as the one that has the status pages.

    Args:
        current: returns that part.
        counters: count the refusals.
    """

    def __init__(self, current: Callable[[], HttpGeneration], counters: Counters) -> None:
        self._current = current
        self.counters = counters

    @property
    def generation(self) -> HttpGeneration:
        """That part of the current generation."""
        return self._current()

    def connect(self, peer: Peer, now: float) -> Connection:
        """Return a conversation with a client of these listeners."""
        return _connect(self, peer, now)

    def refuse(self, peer: Peer, refusal: Refusal, now: float, retry_s: float) -> Connection:
        """Return a conversation that says 503 without having been asked, and ends."""
        return _refuse(self, peer, refusal, now, retry_s)

    def tick(self) -> None:
        """Do nothing: the service for everybody ticks."""


def _connect(service: Generations, peer: Peer, now: float) -> Connection:
    proxies = service.generation.proxies
    if proxies is not None and proxies.trusts(peer.host):
        from httpmini.server.http.proxied import ProxiedConnection  # loaded with the proxies

        return ProxiedConnection(service, proxies, peer, now)
    return HttpConnection(service, peer, now)


def _refuse(service: Generations, peer: Peer, refusal: Refusal, now: float, retry_s: float) -> Connection:
    connection = HttpConnection(service, peer, now)
    connection.refuse(refusal_of(refusal, retry_s), now)
    return connection


def refusal_of(refusal: Refusal, retry_s: float) -> ProtocolError:
    """Return what a client is told that was not admitted; there may be room in ``retry_s``."""
    fields = () if refusal is Refusal.DENIED else (retry_after(retry_s),)
    return ProtocolError(REASONS[_REASONS[refusal]], fields=fields)
