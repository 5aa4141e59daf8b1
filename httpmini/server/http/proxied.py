"""HTTP with a trusted proxy: each request may come from another client."""

from __future__ import annotations

from httpmini.errors import ProtocolError
from httpmini.reasons import REASONS
from httpmini.server.core.connection import Connection
from httpmini.server.core.turn import NO_TURN
from httpmini.server.http.connection import HttpConnection
from httpmini.server.http.forwarded import TrustedProxies
from httpmini.server.http.generation import Generations, HttpGeneration
from httpmini.server.http.heads import Head
from httpmini.server.http.proxy_protocol import read_proxy_header
from httpmini.server.listeners.peer import Peer
from httpmini.server.logs.error import Level


class ProxiedConnection(HttpConnection):
    """One connection of a proxy.

    Args:
        service: knows the current generation.
        proxies: say what the proxy names its clients in. This stays as long as the connection.
        proxy: the other end.
        now: the time.
    """

    __slots__ = ("_client_from", "_proxied_for", "_proxy_header")

    def __init__(self, service: Generations, proxies: TrustedProxies, proxy: Peer, now: float) -> None:
        super().__init__(service, proxy, now)
        self._client_from = proxies.client_from
        self._proxied_for = proxy  # or the client that it has named at the beginning
        self._proxy_header: bytes | None = b"" if proxies.speak_first else None  # what has arrived of it

    def receive(self, data: bytes, now: float, turn: int = NO_TURN) -> bytes | None:
        """Take the proxy's header first, if it sends one; after it, each request may come from another client."""
        if self._proxy_header is not None:
            return Connection.receive(self, data, now, turn)
        if self._reader is None:
            self._peer = self._proxied_for
        return super().receive(data, now, turn)

    def on_data(self, data: bytes, now: float) -> None:
        """Read the proxy's header, if that is still to come; or a request."""
        if self._proxy_header is None:
            super().on_data(data, now)
            return
        generation = self._service.generation
        if not self._proxy_header:
            self._head_deadline = now + generation.head_s
        self._proxy_header += data
        self.deadline = self._head_deadline or self.deadline
        try:
            header = read_proxy_header(self._proxy_header)
        except ValueError as error:
            peer = self._proxied_for
            generation.log(f"{peer.host}:{peer.port} began with {error}", Level.WARNING)
            self.abandon()
            return
        if header is None:
            return
        rest, self._proxy_header, self._head_deadline = self._proxy_header[header.length :], None, None
        if header.client is not None:
            self._peer = self._proxied_for = Peer(*header.client, self._proxied_for.number)
        self.deadline = now + self.timeouts.idle_s
        if rest:
            super().on_data(rest, now)

    def _begin_request(self) -> HttpGeneration:
        """Forget the client of the request before: this one may come from another."""
        self._peer = self._proxied_for
        return super()._begin_request()

    def _respond(
        self, generation: HttpGeneration, head: Head, octets: bytes | None, now: float, turn: int
    ) -> bytes | None:
        """Find out who the client is, and respond; the address rules apply to the client, not to the proxy."""
        error = self._identify(generation.proxies, head) if generation.proxies is not None else None
        if error is None:
            return super()._respond(generation, head, octets, now, turn)
        denied = generation.refuse(error, head.host)
        denied.is_last = True
        self._send(generation, head, denied, now)
        return None

    def _identify(self, proxies: TrustedProxies, head: Head) -> ProtocolError | None:
        """Note who the client of a request is; return why it is refused."""
        if proxies.trusts(self._peer.host):
            client = proxies.find_client(head.request.headers, self._peer, self._client_from)
            if client is None:
                return ProtocolError(REASONS["client-unknown"])
            self._peer = client
        return None if proxies.rules.permits(self._peer.host) else ProtocolError(REASONS["address-denied"])

    def _limited_address(self, generation: HttpGeneration) -> str:
        """Return the client's address. Requests that the proxy makes itself (health checks) are exempt."""
        proxies = generation.proxies
        return "" if proxies is not None and proxies.trusts(self._peer.host) else self._peer.host
