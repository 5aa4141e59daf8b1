"""A service that speaks TLS with clients of TLS listeners, and to all others what it always speaks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from httpmini.server.core.connection import Connection, Service
from httpmini.server.core.events import Kind
from httpmini.server.limits.admission import Refusal
from httpmini.server.listeners.peer import Peer
from httpmini.server.tls.security import Security

if TYPE_CHECKING:
    from httpmini.server.core.trace import Trace


class SecureService:
    """Any service, with TLS where the listener asks for it.

    Args:
        service: makes the conversations.
        security: returns the current one; None if there is no TLS at present.
        refuse_plain: says no to clients of TLS listeners that speak without TLS; None to hang up.
        plain: returns what clients of other listeners speak with, if that is not ``service``.
        trace: where the events of connections go; None for nowhere.
    """

    def __init__(
        self,
        service: Service,
        security: Callable[[], Security | None],
        refuse_plain: Callable[[Peer, float], Connection] | None = None,
        plain: Callable[[], Service | None] = lambda: None,
        trace: Trace | None = None,
    ) -> None:
        self._service = service
        self._security = security
        self._refuse_plain = refuse_plain
        self._plain = plain
        self._trace = trace

    def connect(self, peer: Peer, now: float) -> Connection:
        """Return a conversation with a client that was admitted."""
        if peer.tls is None:
            return (self._plain() or self._service).connect(peer, now)
        return self._secure(Kind.SLOT, peer, self._service.connect, now)

    def refuse(self, peer: Peer, refusal: Refusal, now: float, retry_s: float) -> Connection:
        """Return a short conversation with a client that was not admitted; it is encrypted like any other."""

        def refuse(peer: Peer, now: float) -> Connection:
            return self._service.refuse(peer, refusal, now, retry_s)

        return refuse(peer, now) if peer.tls is None else self._secure(Kind.REFUSED, peer, refuse, now)

    def tick(self) -> bool | None:
        """Do what was put off."""
        return self._service.tick()

    def _secure(self, kind: Kind, peer: Peer, connect: Callable[[Peer, float], Connection], now: float) -> Connection:
        from httpmini.server.tls.connection import TlsConnection  # and with it ssl, only where there is TLS

        security = self._security()
        if security is None:  # it came in before a reload that has switched TLS off
            return connect(peer._replace(tls=None), now)
        if self._trace is not None:
            from httpmini.server.tls.traced import TracedTlsConnection

            return TracedTlsConnection(self._trace, kind, security, peer, connect, self._refuse_plain, now)
        return TlsConnection(security, peer, connect, self._refuse_plain, now)
