"""HTTP with a proxy that we trust: each request may be somebody else's."""

from __future__ import annotations

from httpmini.errors import ProtocolError
from httpmini.protocol.message import Headers, Request
from httpmini.reasons import REASONS
from httpmini.server.core.connection import Peer
from httpmini.server.http.connection import HttpConnection, HttpService
from httpmini.server.http.forwarded import TrustedProxies, read_opening
from httpmini.server.logs.error import Level


class ProxiedConnection(HttpConnection):
    """One connection of a proxy.

    Args:
        service: the site's.
        proxies: what is believed.
        proxy: who is at the other end.
        now: the time.
    """

    __slots__ = ("_opening", "_proxies", "_proxy")

    def __init__(self, service: HttpService, proxies: TrustedProxies, proxy: Peer, now: float) -> None:
        super().__init__(service, proxy, now)
        self._proxies = proxies
        self._proxy = proxy  # or whom it has named at the beginning
        self._opening: bytes | None = b"" if proxies.speak_first else None  # what has come of its header

    def find_ready(self, data: bytes, now: float) -> bytes | None:
        """As for everybody; only who asks is found out anew."""
        if self._opening is not None:
            return None
        octets = super().find_ready(data, now)
        if octets is None:
            return None
        text = data.decode("latin-1").replace("\r\n", "\n")
        self._peer = self._find_client(Headers.from_lines(text[text.index("\n") + 1 : -1]))
        return octets if self._proxies.rules.permits(self._peer.host) else None

    def on_data(self, data: bytes, now: float) -> None:
        """The proxy's header first, where it sends one."""
        if self._opening is None:
            super().on_data(data, now)
            return
        if not self._opening:
            self._head_deadline = now + self._service.head_s
        self._opening += data
        self.deadline = self._head_deadline or self.deadline
        try:
            opening = read_opening(self._opening)
        except ValueError as error:
            self._service.log_error(f"{self._proxy.host}:{self._proxy.port} began with {error}", Level.WARNING)
            self.abandon()
            return
        if opening is None:
            return
        rest, self._opening, self._head_deadline = self._opening[opening.length :], None, None
        if opening.client is not None:
            self._peer = self._proxy = Peer(*opening.client, self._proxy.number)
        self.deadline = now + self.timeouts.idle_s
        if rest:
            super().on_data(rest, now)

    def _answer_request(self, request: Request, head: bytes | None, now: float) -> None:
        self._peer = self._find_client(request.headers)
        if self._proxies.rules.permits(self._peer.host):
            super()._answer_request(request, head, now)
        else:
            self.refuse(ProtocolError(REASONS["address-denied"]), now)

    @property
    def _limited_host(self) -> str:
        """See ``HttpConnection``. What a proxy asks for itself is not counted: its look at our health."""
        return "" if self._proxies.trusts(self._peer.host) else self._peer.host

    def _find_client(self, headers: Headers) -> Peer:
        if not self._proxies.trusts(self._proxy.host):
            return self._proxy
        return self._proxies.find_client(headers, self._proxy)
