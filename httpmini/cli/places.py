"""Who can open a server where, from the URLs that it names."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  (compared with, not bound to)


class Place(msgspec.Struct, frozen=True):
    """Where a server can be opened.

    Attributes:
        local: URLs for this machine.
        network: URLs for others.
        is_everywhere: whether it listens on all addresses.
    """

    local: tuple[str, ...]
    network: tuple[str, ...]
    is_everywhere: bool


def place_of(urls: Sequence[str], addresses: Sequence[str]) -> Place:
    """Sort the URLs of a server by who can open them; what listens on all addresses is opened at each."""
    local: dict[str, None] = {}
    network: dict[str, None] = {}
    everywhere = False
    for url in urls:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme, parts.hostname or "", parts.port
        if host in _LOOPBACK or host in _EVERYWHERE:
            local[f"{scheme}://localhost:{port}/" if host != "::1" else url] = None
        if host in _EVERYWHERE:
            everywhere = True
            fitting = [one for one in addresses if (":" in one) == (":" in host)]
            network.update(
                (f"{scheme}://[{one}]:{port}/" if ":" in one else f"{scheme}://{one}:{port}/", None) for one in fitting
            )
        elif host not in _LOOPBACK:
            network[url] = None
    return Place(tuple(local), tuple(network), everywhere)
