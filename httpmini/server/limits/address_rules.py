"""Which addresses may connect, and which of them are trusted proxies."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import msgspec

from httpmini.server.listeners.peer import LOCAL

Network = IPv4Network | IPv6Network


def plain_address(host: str) -> IPv4Address | IPv6Address:
    """Parse ``host`` without an IPv6 zone; an IPv4 address seen through an IPv6 socket counts as IPv4."""
    address = ip_address(host.partition("%")[0])
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def address_key(host: str) -> int:
    """Return what ``host`` counts as: 64 bits, never 0; a /64, or an IPv4 address where no /64 is (::/16 is reserved).

    An IPv6 client can choose among all addresses of its /64, so these count as one.
    """
    if host == LOCAL:
        return 1
    if ":" not in host:
        return 2 << 32 | int.from_bytes(socket.inet_aton(host), "big")
    address = plain_address(host)
    return int(address) >> 64 or 1 if isinstance(address, IPv6Address) else 2 << 32 | int(address)


class AddressRules(msgspec.Struct, frozen=True):
    """Lists of networks.

    Attributes:
        allow: who may connect; empty allows everybody.
        deny: who may not, even if ``allow`` says otherwise.
        proxies: trusted proxies may always connect; the rules apply to their clients once those are known.
    """

    allow: Sequence[Network] = ()
    deny: Sequence[Network] = ()
    proxies: Sequence[Network] = ()

    def __bool__(self) -> bool:
        """Whether any address is treated differently from the others."""
        return bool(self.allow or self.deny)

    def permits(self, host: str) -> bool:
        """Whether a client at the numeric address ``host`` may connect."""
        if host == LOCAL:  # the permissions of the socket decide
            return True
        if self.is_proxy(host):
            return True
        address = plain_address(host)
        if any(address in network for network in self.deny):
            return False
        return not self.allow or any(address in network for network in self.allow)

    def is_proxy(self, host: str) -> bool:
        """Whether a connection from ``host`` may carry the requests of others; those by our unix socket always may."""
        if host == LOCAL:
            return True
        return bool(self.proxies) and any(plain_address(host) in network for network in self.proxies)
