"""A site for listeners without TLS that sends its clients to https (RFC 9110 §15.4.2)."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote_from_bytes

import msgspec

from httpmini.errors import ProtocolError
from httpmini.protocol.message import Request, Response, bare_host
from httpmini.server.http.virtual_hosts import Respond
from httpmini.site.refusals import redirection
from httpmini.site.target import Path, parse_target
from httpmini.work import Pending

# Where an authority looks for a proof that we have the name (RFC 8555 §8.3): over http, before there is a certificate.
_CHALLENGES = (b".well-known", b"acme-challenge")
_TEXT = "This site is served by https."


class ToHttps(msgspec.Struct, frozen=True):
    """Redirects every GET and HEAD to the same path of the site's own host name.

    Attributes:
        site: answers everything else.
        hosts: the names of the site; a client that asks for none of them is sent to the first.
        port: where the listener for https is.
        has_proxies: whether trusted proxies may say that their client has used https.
    """

    site: Respond
    hosts: Sequence[str]
    port: int
    has_proxies: bool

    def respond(self, request: Request, host: str, /) -> Response | Pending[Response]:
        """Return a redirection, or what the site responds."""
        if request.method not in ("GET", "HEAD") or (self.has_proxies and _came_by_https(request)):
            return self.site.respond(request, host)
        try:
            path = parse_target(request.target, request.target_offset)
        except ProtocolError as error:
            return self.site.refuse(error)
        if path.names[:2] == _CHALLENGES:
            return self.site.respond(request, host)
        return redirection(301, self._location(request, path), _TEXT)

    def refuse(self, error: ProtocolError) -> Response:
        """Return the refusal as the site renders it."""
        return self.site.refuse(error)

    def _location(self, request: Request, path: Path) -> str:
        asked = bare_host(request.host or "")
        host = next((known for known in self.hosts if bare_host(known) == asked), self.hosts[0])
        port = "" if self.port == 443 else f":{self.port}"
        folder = "/" if path.is_directory_form and path.names else ""
        names = "/".join(quote_from_bytes(name, safe="!$&'()*+,;=:@~") for name in path.names)
        return f"https://{host}{port}/{names}{folder}{path.query}"


def _came_by_https(request: Request) -> bool:
    """Return whether the proxy in front of us says that its client has used https: the last entry is its own."""
    said = (request.headers.get("X-Forwarded-Proto") or "").rpartition(",")[2]
    return said.strip(" \t").lower() == "https"
