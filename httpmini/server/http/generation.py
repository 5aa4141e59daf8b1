"""What one configuration says about HTTP: a frozen record that is made whole and exchanged whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import msgspec

from httpmini.errors import ProtocolError
from httpmini.protocol.message import Headers, Response
from httpmini.protocol.reader import HeadLimits
from httpmini.reasons import REASONS
from httpmini.server.core.connection import Timeouts
from httpmini.server.core.counters import Counters
from httpmini.server.http.heads import Head, HeadReader
from httpmini.server.http.response_cache import ResponseCache
from httpmini.server.http.virtual_hosts import VirtualHost, VirtualHosts
from httpmini.server.logs.error import Level, Log, describe
from httpmini.work import Pending

if TYPE_CHECKING:
    from httpmini.server.http.forwarded import TrustedProxies
    from httpmini.server.limits.client_limits import ClientLimits


class HttpGeneration(msgspec.Struct, frozen=True, eq=False):
    """Everything that a request needs. It uses one generation from its first byte to its line in the log.

    Attributes:
        hosts: the sites, each with its access log.
        heads: reads whole request heads.
        cache: the responses that were made by these sites.
        head_limits: how large a request head may be.
        head_s: seconds from the first byte of a head to its last.
        timeouts: how long a client is waited for.
        server_name: the value of the Server field.
        log: takes lines about the server itself.
        wall: the time of day, in seconds since the epoch.
        tick: does what was put off (``Service.tick``).
        client_limits: what one client may use; None when there are no such limits.
        proxies: whose forwarding headers are trusted; None for nobody's.
    """

    hosts: VirtualHosts
    heads: HeadReader
    cache: ResponseCache
    head_limits: HeadLimits
    head_s: float
    timeouts: Timeouts
    server_name: str
    log: Log
    wall: Callable[[], float]
    tick: Callable[[], bool | None]
    client_limits: ClientLimits | None = None
    proxies: TrustedProxies | None = None

    def respond(
        self, head: Head, address: str, pending: Pending[Response] | None = None
    ) -> Response | Pending[Response]:
        """Ask the site; a fault of ours costs this client a 500, and the others nothing.

        Args:
            head: the request.
            address: the client's.
            pending: what the site has returned before, if its work is done now.
        """
        line = head.read.line
        try:
            response = pending.resume() if pending else head.host.site.respond(head.request, address)
        except Exception as fault:
            self.log(f"fault while answering {line!r}: {describe(fault)}", Level.ERROR)
            return self.refuse(ProtocolError(REASONS["fault"]), head.host)
        if isinstance(response, Pending):
            return response
        if response.status == 500 and response.error and response.error.__cause__:
            self.log(f"while answering {line!r}: {describe(response.error.__cause__)}", Level.ERROR)
        return response

    def refuse(self, error: ProtocolError, host: VirtualHost | None = None) -> Response:
        """Draw the page of a refusal; that of the default site when the request's site is not known."""
        try:
            return (host or self.hosts.default).site.refuse(error)
        except Exception as fault:  # not even the page can be drawn (no memory, no descriptors): then without one
            self.log(f"fault while drawing {error.reason.token}: {describe(fault)}", Level.ERROR)
            body = f"{error.reason.text}\n".encode()
            plain = ("Content-Type", "text/plain; charset=utf-8")
            return Response(error.reason.status, Headers((plain, *error.fields)), (body,), error=error)


class Generations(Protocol):
    """Knows which generation is current: a service."""

    @property
    def generation(self) -> HttpGeneration:
        """The generation of a request that begins now."""
        ...

    @property
    def counters(self) -> Counters:
        """Count the refusals, over all generations."""
        ...
