"""The other end of an accepted connection, and how its address is spelled."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from httpmini.addresses import spell_address

LOCAL = "unix:"  # the host of a client that connected through a Unix socket, and the prefix of such an endpoint
MAPPED = "::ffff:"  # an IPv4 address seen through an IPv6 socket begins with this (RFC 4291 §2.5.5.2)


class Tls(NamedTuple):
    """How a connection is encrypted.

    Attributes:
        version: the version of TLS, such as "TLSv1.3"; empty until the handshake is complete.
        cipher: the name of the cipher suite.
    """

    version: str = ""
    cipher: str = ""


class Peer(NamedTuple):
    """The client at the other end of a connection.

    Attributes:
        host: the client's address as ``client_host`` spells it, perhaps with a zone; ``LOCAL`` for a Unix socket.
        port: the client's port; 0 for a Unix socket.
        number: the serial number of the connection within the process that accepted it, from 1.
        tls: how the connection is encrypted; None if it is not.
    """

    host: str
    port: int
    number: int = 0
    tls: Tls | None = None


def accepted_host(host: str) -> str:
    """Return the address that accept() gave, as the host of a client."""
    return client_host(ip_address(host)) if host.startswith(MAPPED) else host


def client_host(address: IPv4Address | IPv6Address) -> str:
    """Return the host of the client at ``address``: the one spelling that logs, limits, rules and pages have.

    An IPv4 client that is seen through an IPv6 socket has its IPv4 address.
    """
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return spell_address(mapped or address)
