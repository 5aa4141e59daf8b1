"""The client behind a trusted proxy, by Forwarded (RFC 7239) or X-Forwarded-For.

Anybody can write these fields. So only what a trusted proxy has written counts: a list of addresses is read from its
right end, where our neighbour has added the address that it saw, and only as far as those addresses are trusted too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from itertools import islice

import msgspec

from httpmini.protocol.message import MAX_MEMBERS, Headers
from httpmini.server.limits.address_rules import AddressRules, Network
from httpmini.server.listeners.peer import LOCAL, Peer

_FOR = re.compile(r'(?:^|[;,])[ \t]*for=(?:"([^"\\]*)"|([^";, \t]+))', re.IGNORECASE)
_NODE = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)|([0-9A-Fa-f:]+:[0-9A-Fa-f:.]*))(?::([0-9]{1,5}))?")


class TrustedProxies(msgspec.Struct, frozen=True):
    """The proxies whose forwarding headers are trusted.

    Attributes:
        networks: where they are.
        local: whether clients of our unix sockets are among them.
        speak_first: whether each of their connections begins with a header of the PROXY protocol.
        rules: which clients may make requests through them.
    """

    networks: Sequence[Network]
    local: bool
    speak_first: bool
    rules: AddressRules

    def trusts(self, host: str) -> bool:
        """Whether a trusted proxy is at ``host``."""
        if host == LOCAL:
            return self.local
        return bool(self.networks) and AddressRules(self.networks).permits(host)

    def find_client(self, headers: Headers, peer: Peer) -> Peer:
        """Return the client of a request, by what ``peer``, a trusted proxy, has written; else ``peer`` itself."""
        client = peer
        for node in islice(reversed(list(_nodes(headers))), MAX_MEMBERS):
            found = _read_node(node)
            if found is None:  # "unknown", a made-up name, or rubbish: the last address that we know of wrote that
                break
            client = Peer(*found, peer.number)
            if not self.trusts(client.host):
                break
        return client


def _nodes(headers: Headers) -> Iterator[str]:
    """Yield what stands for each hop, the client's first; Forwarded counts if it is there."""
    forwarded = headers.all("Forwarded")
    if forwarded:
        for match in _FOR.finditer(",".join(forwarded)):
            yield match[1] or match[2]
        return
    for value in headers.all("X-Forwarded-For"):
        yield from (node.strip() for node in value.rsplit(",", MAX_MEMBERS)[-MAX_MEMBERS:])


def _read_node(text: str) -> tuple[str, int] | None:
    """Return address and port of a node, or None."""
    match = _NODE.fullmatch(text)
    if match is None:
        return None
    try:
        return str(ip_address(match[1] or match[2] or match[3])), int(match[4] or 0)
    except ValueError:
        return None
