"""Find the client behind a trusted proxy, from the one source that the operator has chosen.

Anybody can write Forwarded (RFC 7239) and X-Forwarded-For. So only the one that our proxies write is read
(``proxies.client_from``), and only what a trusted proxy has written in it: a list is read from its right end, where our
neighbour has added the address that it saw, and only as far as the addresses in it are trusted too.

An entry that cannot be parsed identifies no client, and the request is refused. If it counted as the proxy itself,
anyone who got garbage through to us would have the rights of the proxy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from itertools import chain
from typing import Literal

import msgspec

from httpmini.protocol.message import Headers
from httpmini.server.limits.address_rules import AddressRules, Network
from httpmini.server.listeners.peer import LOCAL, Peer, client_host

Source = Literal["x-forwarded-for", "forwarded", "proxy-protocol"]
"""Where proxies name their clients: in which field, or in the PROXY protocol."""

Node = tuple[str, int]
"""Address and port of one hop; the port is 0 if the proxy does not say."""

MAX_HOPS = 16  # a longer chain of our own proxies is a mistake, or an attempt to keep us busy
_MAX_COMMAS = 64  # examined to find the beginning of one element

# RFC 9110 §5.6.2 and §5.6.4:  token, and quoted-string = DQUOTE *( qdtext / quoted-pair ) DQUOTE
_WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_QUOTED = r'"(?:[^"\\]|\\.)*+"'
# RFC 7239 §4:  forwarded-pair = token "=" ( token / quoted-string )
_PAIR = rf"({_WORD})=({_WORD}|{_QUOTED})"
# forwarded-element = [ forwarded-pair ] *( ";" [ forwarded-pair ] ); some proxies write a blank after the semicolon.
_ELEMENT = re.compile(rf"[ \t]*+(?:{_PAIR})?(?:[ \t]*+;[ \t]*+(?:{_PAIR})?)*+[ \t]*+")
_PAIRS = re.compile(_PAIR)
_QUOTED_PAIR = re.compile(r"\\(.)")

# RFC 7239 §6:  node = nodename [ ":" node-port ], where a port may be a made-up name, and IPv6 has brackets.
_NODE = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::(?:([0-9]{1,5})|_[0-9A-Za-z._-]+))?")
# What proxies write in X-Forwarded-For, for which there is no standard: mostly addresses alone.
_BARE_IPV6 = re.compile(r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")


class TrustedProxies(msgspec.Struct, frozen=True):
    """The proxies whose forwarding fields are trusted.

    Attributes:
        networks: where they are.
        local: whether clients of our unix sockets are among them.
        client_from: where they name their clients.
        rules: which clients may make requests through them.
    """

    networks: Sequence[Network]
    local: bool
    client_from: Source
    rules: AddressRules

    @property
    def speak_first(self) -> bool:
        """Whether each of their connections begins with a header of the PROXY protocol."""
        return self.client_from == "proxy-protocol"

    def trusts(self, host: str) -> bool:
        """Whether a trusted proxy is at ``host``."""
        if host == LOCAL:
            return self.local
        return bool(self.networks) and AddressRules(self.networks).permits(host)

    def find_client(self, headers: Headers, proxy: Peer, client_from: Source) -> Peer | None:
        """Find the client of a request.

        Args:
            headers: of the request.
            proxy: the trusted proxy that sent it.
            client_from: where that proxy names its clients.

        Returns:
            The client, which is ``proxy`` if the field is not there; None if the field cannot be parsed.
        """
        client = proxy
        for hop, node in enumerate(_nodes(headers, client_from)):
            if node is None or hop == MAX_HOPS:
                return None
            client = Peer(*node, proxy.number, proxy.tls)
            if not self.trusts(client.host):
                break
        return client


def _nodes(headers: Headers, client_from: Source) -> Iterator[Node | None]:
    """Yield each hop from the right end, our neighbour's client first; None for an entry that cannot be parsed."""
    read = _READERS.get(client_from)
    return iter(()) if read is None else chain.from_iterable(map(read, reversed(headers.all(client_from))))


def _x_forwarded_for(line: str) -> Iterator[Node | None]:
    rest, comma = line, ","
    while comma:
        rest, comma, last = rest.rpartition(",")
        yield _read_address(last.strip(" \t"))


def _forwarded(line: str) -> Iterator[Node | None]:
    """Yield the elements of one field line from the right.

    A comma may be inside a quoted string. The last element is the shortest one that is whole: a text that begins inside
    a quoted string ends with one quote too many. So a quote that somebody has not closed, further to the left, does not
    swallow what our proxy has added.
    """
    end = len(line)
    while end >= 0:
        begin = end
        for _ in range(_MAX_COMMAS):
            begin = line.rfind(",", 0, begin)
            if begin < 0 or _ELEMENT.fullmatch(line, begin + 1, end):
                break
        yield _read_element(line[begin + 1 : end])
        end = begin


def _read_element(text: str) -> Node | None:
    """Return the client that one element names, or None. No parameter may occur twice (RFC 7239 §4)."""
    if not _ELEMENT.fullmatch(text):
        return None
    pairs = [(name.lower(), value) for name, value in _PAIRS.findall(text)]
    values = dict(pairs)
    if len(values) < len(pairs):
        return None
    value = values.get("for", "")
    if value.startswith('"'):
        value = _QUOTED_PAIR.sub(r"\1", value[1:-1])
    return _read_node(value)


def _read_node(text: str) -> Node | None:
    """Parse a node of RFC 7239; return None for "unknown", for a made-up name, and for anything else."""
    match = _NODE.fullmatch(text)
    if match is None:
        return None
    try:
        address = IPv6Address(match[1]) if match[1] else IPv4Address(match[2])
    except ValueError:
        return None
    port = int(match[3] or 0)
    return (client_host(address), port) if port <= 65535 else None


def _read_address(text: str) -> Node | None:
    """Return an entry of X-Forwarded-For: a node, or an IPv6 address without brackets."""
    return _read_node(f"[{text}]" if _BARE_IPV6.fullmatch(text) else text)


_READERS: Mapping[Source, Callable[[str], Iterator[Node | None]]] = {
    "x-forwarded-for": _x_forwarded_for,
    "forwarded": _forwarded,
}
"""The reader of one line of each field, by its name."""
