"""A service that speaks TLS with clients of TLS listeners, and to all others what it always speaks."""

from __future__ import annotations

from collections.abc import Callable

from httpmini.server.core.connection import Connection, Service
from httpmini.server.limits.admission import Refusal
from httpmini.server.listeners.peer import Peer
from httpmini.server.tls.security import Security


class SecureService:
    """Any service, with TLS where the listener asks for it.

    Args:
        service: makes the conversations.
        security: returns the current one; None if there is no TLS at present.
        refuse_plain: says no to clients of TLS listeners that speak without TLS; None to hang up.
        plain: returns what clients of other listeners speak with, if that is not ``service``.
    """

    def __init__(
        self,
        service: Service,
        security: Callable[[], Security | None],
        refuse_plain: Callable[[Peer, float], Connection] | None = None,
        plain: Callable[[], Service | None] = lambda: None,
    ) -> None:
        self._service = service
        self._security = security
        self._refuse_plain = refuse_plain
        self._plain = plain

    def connect(self, peer: Peer, now: float) -> Connection:
        """Return a conversation with a client that was admitted."""
        if peer.tls is None:
            return (self._plain() or self._service).connect(peer, now)
        return self._secure(peer, self._service.connect, now)

    def refuse(self, peer: Peer, refusal: Refusal, now: float, retry_s: float) -> Connection:
        """Return a short conversation with a client that was not admitted; it is encrypted like any other."""

        def refuse(peer: Peer, now: float) -> Connection:
            return self._service.refuse(peer, refusal, now, retry_s)

        return refuse(peer, now) if peer.tls is None else self._secure(peer, refuse, now)

    def tick(self) -> None:
        """Do what was put off."""
        self._service.tick()

    def _secure(self, peer: Peer, connect: Callable[[Peer, float], Connection], now: float) -> Connection:
        from httpmini.server.tls.connection import TlsConnection  # and with it ssl, only where there is TLS

        security = self._security()
        if security is None:  # it came in before a reload that has switched TLS off
            return connect(peer._replace(tls=None), now)
        return TlsConnection(security, peer, connect, self._refuse_plain, now)
