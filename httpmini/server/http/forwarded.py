"""Who really asks, when proxies stand in between: the PROXY protocol, Forwarded (RFC 7239), X-Forwarded-For.

Anybody can write these. So only what a trusted proxy has written counts: a list of addresses is read from its right
end, where our neighbour has added the one that it saw, and as far as each of those is trusted, too.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Sequence
from ipaddress import ip_address

import msgspec

from httpmini.protocol.message import Headers
from httpmini.server.core.connection import LOCAL, Peer
from httpmini.server.limits.admission import AddressRules, Network

# https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt, version 2.0, §2.1 and §2.2
V1_BEGINS = b"PROXY "
V2_BEGINS = b"\r\n\r\n\0\r\nQUIT\n"
_V1_MOST_BYTES = 107
_V2_HEAD_BYTES = 16
_V2_MOST_BYTES = 16 + 1024  # addresses, and what may follow them
_V1 = re.compile(rb"PROXY (?:UNKNOWN[^\r]*|TCP[46] ([0-9A-Fa-f.:]+) [0-9A-Fa-f.:]+ ([0-9]{1,5}) [0-9]{1,5})\r\n")
_V2_ADDRESSES = {0x11: (socket.AF_INET, 4), 0x21: (socket.AF_INET6, 16)}  # TCP over each
_V2_LOCAL, _V2_PROXY = 0x20, 0x21

_FOR = re.compile(r'(?:^|[;,])[ \t]*for=(?:"([^"\\]*)"|([^";, \t]+))', re.IGNORECASE)
_NODE = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)|([0-9A-Fa-f:]+:[0-9A-Fa-f:.]*))(?::([0-9]{1,5}))?")


class TrustedProxies(msgspec.Struct, frozen=True):
    """What is believed, and of whom.

    Attributes:
        trusted: the networks of the proxies.
        local: whether who comes in by a unix socket is one.
        speak_first: whether each of their connections begins with a header of the PROXY protocol.
        rules: which clients behind them may come in.
    """

    trusted: Sequence[Network]
    local: bool
    speak_first: bool
    rules: AddressRules

    def trusts(self, host: str) -> bool:
        """Whether a proxy of ours is at ``host``."""
        if host == LOCAL:
            return self.local
        return bool(self.trusted) and AddressRules(self.trusted).permits(host)

    def find_client(self, headers: Headers, peer: Peer) -> Peer:
        """Who asks, by what ``peer``, which is trusted, has written; ``peer`` itself when that is nothing."""
        client = peer
        for node in reversed(list(_nodes(headers))):
            found = _read_node(node)
            if found is None:  # "unknown", a made-up name, or rubbish: whoever wrote that is the last we know of
                break
            client = Peer(*found, peer.number)
            if not self.trusts(client.host):
                break
        return client


def _nodes(headers: Headers) -> Iterator[str]:
    """What stands for each hop, the client's first; Forwarded counts when it is there."""
    forwarded = headers.all("Forwarded")
    if forwarded:
        for match in _FOR.finditer(",".join(forwarded)):
            yield match[1] or match[2]
        return
    for value in headers.all("X-Forwarded-For"):
        yield from (node.strip() for node in value.split(","))


def _read_node(text: str) -> tuple[str, int] | None:
    match = _NODE.fullmatch(text)
    if match is None:
        return None
    try:
        return str(ip_address(match[1] or match[2] or match[3])), int(match[4] or 0)
    except ValueError:
        return None


class Opening(msgspec.Struct, frozen=True):
    """A header of the PROXY protocol.

    Attributes:
        length: its bytes.
        client: host and port of whom the connection is made for; None when it is the proxy's own.
    """

    length: int
    client: tuple[str, int] | None


def read_opening(data: bytes) -> Opening | None:
    """The header at the beginning of ``data``; None when it is not all here.

    Raises:
        ValueError: there is none.
    """
    if data.startswith(V2_BEGINS):
        return _read_v2(data)
    if data.startswith(V1_BEGINS):
        return _read_v1(data)
    if V2_BEGINS.startswith(data) or V1_BEGINS.startswith(data):
        return None
    raise ValueError("no header of the PROXY protocol")


def _read_v1(data: bytes) -> Opening | None:
    match = _V1.match(data)
    if match is None:
        if b"\r\n" in data or len(data) >= _V1_MOST_BYTES:
            raise ValueError("a wrong header of the PROXY protocol, version 1")
        return None
    if match[1] is None:
        return Opening(match.end(), None)
    if int(match[2]) > 65535:
        raise ValueError("a wrong port in a header of the PROXY protocol, version 1")
    return Opening(match.end(), (str(ip_address(match[1].decode())), int(match[2])))


def _read_v2(data: bytes) -> Opening | None:
    if len(data) < _V2_HEAD_BYTES:
        return None
    command, kind, length = data[12], data[13], _V2_HEAD_BYTES + int.from_bytes(data[14:16], "big")
    if command not in (_V2_LOCAL, _V2_PROXY) or length > _V2_MOST_BYTES:
        raise ValueError("a wrong header of the PROXY protocol, version 2")
    if len(data) < length:
        return None
    if command == _V2_LOCAL or kind not in _V2_ADDRESSES:
        return Opening(length, None)
    family, size = _V2_ADDRESSES[kind]
    if length < _V2_HEAD_BYTES + 2 * size + 4:
        raise ValueError("a header of the PROXY protocol, version 2, that is too short for its addresses")
    host = socket.inet_ntop(family, data[16 : 16 + size])
    port = int.from_bytes(data[16 + 2 * size : 18 + 2 * size], "big")
    return Opening(length, (host, port))
