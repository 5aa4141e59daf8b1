"""The PROXY protocol, in which a proxy names its client before the first request (versions 1 and 2)."""

from __future__ import annotations

import re
import socket
from ipaddress import ip_address

import msgspec

# https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt, version 2.0, §2.1 and §2.2
V1_BEGINS = b"PROXY "
V2_BEGINS = b"\r\n\r\n\0\r\nQUIT\n"
_V1_MOST_BYTES = 107
_V2_HEAD_BYTES = 16
_V2_MOST_BYTES = 16 + 1024  # addresses, and what may follow them
_V1 = re.compile(rb"PROXY (?:UNKNOWN[^\r]*|TCP[46] ([0-9A-Fa-f.:]+) [0-9A-Fa-f.:]+ ([0-9]{1,5}) [0-9]{1,5})\r\n")
_V2_ADDRESSES = {0x11: (socket.AF_INET, 4), 0x21: (socket.AF_INET6, 16)}  # TCP over each
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
    match = _V1.match(data)
    if match is None:
        if b"\r\n" in data or len(data) >= _V1_MOST_BYTES:
            raise ValueError("a wrong header of the PROXY protocol, version 1")
        return None
    if match[1] is None:
        return ProxyHeader(match.end(), None)
    if int(match[2]) > 65535:
        raise ValueError("a wrong port in a header of the PROXY protocol, version 1")
    return ProxyHeader(match.end(), (str(ip_address(match[1].decode())), int(match[2])))


def _read_v2(data: bytes) -> ProxyHeader | None:
    if len(data) < _V2_HEAD_BYTES:
        return None
    command, kind, length = data[12], data[13], _V2_HEAD_BYTES + int.from_bytes(data[14:16], "big")
    if command not in (_V2_LOCAL, _V2_PROXY) or length > _V2_MOST_BYTES:
        raise ValueError("a wrong header of the PROXY protocol, version 2")
    if len(data) < length:
        return None
    if command == _V2_LOCAL or kind not in _V2_ADDRESSES:
        return ProxyHeader(length, None)
    family, size = _V2_ADDRESSES[kind]
    if length < _V2_HEAD_BYTES + 2 * size + 4:
        raise ValueError("a header of the PROXY protocol, version 2, that is too short for its addresses")
    host = socket.inet_ntop(family, data[16 : 16 + size])
    port = int.from_bytes(data[16 + 2 * size : 18 + 2 * size], "big")
    return ProxyHeader(length, (host, port))
