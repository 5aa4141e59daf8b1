"""The PROXY protocol, in which a proxy names its client before the first request (versions 1 and 2).

Whether a header is complete, and what it says, depends on its bytes only, never on how they arrived.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address

import msgspec

from httpmini.server.listeners.peer import client_host

# https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt, version 2.0, §2.1 and §2.2
V1_BEGINS = b"PROXY "
V2_BEGINS = b"\r\n\r\n\0\r\nQUIT\n"
_V1_MOST_BYTES = 107  # with its CRLF
_V2_HEAD_BYTES = 16
_V2_MOST_BYTES = 16 + 1024  # addresses, and what may follow them

_PORT = rb"(0|[1-9][0-9]{0,4})"  # no leading zeros, which some would read as octal
_ADDRESS = rb"([0-9A-Fa-f.:]+)"
_V1_TCP = re.compile(rb"PROXY TCP([46]) %b %b %b %b" % (_ADDRESS, _ADDRESS, _PORT, _PORT))
_V1_UNKNOWN = re.compile(rb"PROXY UNKNOWN(?: .*)?", re.DOTALL)  # §2.1: what follows must be ignored
_V1_FAMILIES: dict[bytes, type[IPv4Address] | type[IPv6Address]] = {b"4": IPv4Address, b"6": IPv6Address}

_V2_FAMILIES: dict[int, tuple[type[IPv4Address] | type[IPv6Address], int]] = {  # TCP over each
    0x11: (IPv4Address, 4),
    0x21: (IPv6Address, 16),
}
_V2_KINDS = {family << 4 | transport for family in range(4) for transport in range(3)}  # §2.2: others are invalid
_V2_LOCAL, _V2_PROXY = 0x20, 0x21


class ProxyHeader(msgspec.Struct, frozen=True):
    """A header of the PROXY protocol.

    Attributes:
        length: how many bytes it has.
        client: host and port of the client; None when the connection is the proxy's own.
    """

    length: int
    client: tuple[str, int] | None


def read_proxy_header(data: bytes) -> ProxyHeader | None:
    """Return the header at the beginning of ``data``; None when it is not complete.

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


def _read_v1(data: bytes) -> ProxyHeader | None:
    end = data.find(b"\r\n", 0, _V1_MOST_BYTES)
    if end < 0:
        if len(data) < _V1_MOST_BYTES:
            return None
        raise ValueError("a header of the PROXY protocol, version 1, that does not end")
    line = data[:end]
    return ProxyHeader(end + 2, None if _V1_UNKNOWN.fullmatch(line) else _read_v1_client(line))


def _read_v1_client(line: bytes) -> tuple[str, int]:
    """Return the client that a line names. The proxy's own address and port count too: a wrong line is wrong.

    Raises:
        ValueError: not everything is as it must be.
    """
    wrong = ValueError("a wrong header of the PROXY protocol, version 1")
    match = _V1_TCP.fullmatch(line)
    if match is None or max(int(match[4]), int(match[5])) > 65535:
        raise wrong
    family = _V1_FAMILIES[match[1]]
    try:
        client, _ = family(match[2].decode()), family(match[3].decode())
    except ValueError:
        raise wrong from None
    return client_host(client), int(match[4])


def _read_v2(data: bytes) -> ProxyHeader | None:
    if len(data) < _V2_HEAD_BYTES:
        return None
    command, kind, length = data[12], data[13], _V2_HEAD_BYTES + int.from_bytes(data[14:16], "big")
    if command not in (_V2_LOCAL, _V2_PROXY) or length > _V2_MOST_BYTES:
        raise ValueError("a wrong header of the PROXY protocol, version 2")
    if command == _V2_PROXY and kind not in _V2_KINDS:
        raise ValueError("an unknown kind of address in a header of the PROXY protocol, version 2")
    client = None
    if command == _V2_PROXY and kind in _V2_FAMILIES:
        family, size = _V2_FAMILIES[kind]
        if length < _V2_HEAD_BYTES + 2 * size + 4:
            raise ValueError("a header of the PROXY protocol, version 2, that is too short for its addresses")
        if len(data) >= length:
            port = int.from_bytes(data[16 + 2 * size : 18 + 2 * size], "big")
            client = client_host(family(data[16 : 16 + size])), port
    return ProxyHeader(length, client) if len(data) >= length else None
