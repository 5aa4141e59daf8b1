"""The sites of a server, by the host that is asked for (RFC 9110 §7.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from httpmini.errors import ProtocolError
from httpmini.protocol.message import Request, Response, bare_host
from httpmini.server.logs.access import AccessLog
from httpmini.work import Pending


class Respond(Protocol):
    """What answers requests: a site."""

    def respond(self, request: Request, host: str, /) -> Response | Pending[Response]:
        """Return the response to a request, or what has to be done first; ``host`` is the address of the client."""
        ...

    def refuse(self, error: ProtocolError) -> Response:
        """Return the response to a request that could not be read."""
        ...


class VirtualHost(msgspec.Struct, frozen=True, eq=False):
    """One site, as the server sees it.

    Attributes:
        name: tells its cached responses from those of the others.
        site: answers its requests.
        log: takes a line for each of its responses.
        queries: those that mean something to it. All others it ignores, so a cached response holds for any of them.
    """

    name: str
    site: Respond
    log: AccessLog
    queries: frozenset[str] = frozenset()


class VirtualHosts(msgspec.Struct, frozen=True, eq=False):
    """All sites.

    Attributes:
        default: answers requests that name no host, or an unknown one.
        others: the others, by their bare host.
    """

    default: VirtualHost
    others: Mapping[str, VirtualHost] = {}

    def of(self, host: str | None) -> VirtualHost:
        """Return the site for the value of a Host field, or of a target's authority."""
        return self.others.get(bare_host(host), self.default) if host and self.others else self.default
