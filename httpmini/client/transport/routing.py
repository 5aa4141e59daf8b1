"""How servers are reached: address family, overrides, a Unix socket, proxies, TLS."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Literal

from httpmini.client.transport.proxy import ProxySettings
from httpmini.client.url import parse_url
from httpmini.errors import UsageError

if TYPE_CHECKING:
    import ssl

_OVERRIDE = re.compile(r"(?P<host>\[[^\[\]]+\]|[^:\[\]]+):(?P<port>[0-9]{1,5}):(?P<addresses>.+)", re.ASCII)


@dataclass(frozen=True)
class Routing:
    """How servers are reached.

    Attributes:
        family: 4 or 6 to use only addresses of that IP version; 0 for both.
        overrides: the addresses to use for a host and port, instead of looking the host up.
        unix_socket: a path. Every connection goes to this socket, and none through a proxy.
        proxies: which proxy to use for which URL.
        tls: the trusted authorities and TLS parameters; None for the system's. (SSL_CERT_FILE and SSL_CERT_DIR are
            OpenSSL's own ways to name other authorities.)
    """

    family: Literal[0, 4, 6] = 0
    overrides: Mapping[tuple[str, int], tuple[str, ...]] = field(default_factory=dict)
    unix_socket: str | None = None
    proxies: ProxySettings = field(default_factory=ProxySettings.none)
    tls: ssl.SSLContext | None = None


def parse_override(text: str) -> tuple[tuple[str, int], tuple[str, ...]]:
    """Parse ``HOST:PORT:ADDRESS[,ADDRESS...]``, the syntax of curl's --resolve, into an entry for ``overrides``.

    Raises:
        UsageError: ``text`` does not have this form.
    """
    match = _OVERRIDE.fullmatch(text)
    if match is None:
        raise UsageError(f"{text}: write HOST:PORT:ADDRESS, for example example.org:443:192.0.2.1")
    url = parse_url(f"http://{match['host']}:{match['port']}/")
    addresses = tuple(address.strip().removeprefix("[").removesuffix("]") for address in match["addresses"].split(","))
    for address in addresses:
        try:
            ip_address(address)
        except ValueError as error:
            raise UsageError(f"{text}: {address!r} is not an IP address") from error
    return (url.host, url.port), addresses
