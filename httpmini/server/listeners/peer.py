"""The other end of an accepted connection, and how its address is spelled."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

LOCAL = "unix:"  # the host of a client that connected through a Unix socket, and the prefix of such an endpoint
MAPPED = "::ffff:"  # an IPv4 address seen through an IPv6 socket begins with this (RFC 4291 §2.5.5.2)

_ZEROS = re.compile(r"(?:^|:)0(?::0)+(?=:|$)")


class Peer(NamedTuple):
    """The client at the other end of a connection.

    Attributes:
        host: the client's address as ``spell_address`` spells it, perhaps with a zone; ``LOCAL`` for a Unix socket.
        port: the client's port; 0 for a Unix socket.
        number: the serial number of the connection within the process that accepted it, from 1.
    """

    host: str
    port: int
    number: int = 0


def accepted_host(host: str) -> str:
    """Return the address that accept() gave; an IPv4 client of an IPv6 socket has its IPv4 address."""
    return spell_address(ip_address(host)) if host.startswith(MAPPED) else host


def spell_address(address: IPv4Address | IPv6Address) -> str:
    """Return the one spelling of an address (RFC 5952) that logs, limits and pages have.

    Not ``str()``, which spells IPv4 addresses in IPv6 ones differently from one Python to the next.

    Args:
        address: without a zone. An IPv4-mapped IPv6 address is spelled as the IPv4 address.
    """
    if isinstance(address, IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    text = ":".join(f"{int(address) >> shift & 0xFFFF:x}" for shift in range(112, -1, -16))
    longest = max(_ZEROS.finditer(text), key=lambda zeros: zeros[0].count("0"), default=None)  # the first of several
    return text if longest is None else f"{text[: longest.start()]}::{text[longest.end() + 1 :]}"
