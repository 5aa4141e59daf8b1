"""The addresses of this machine: those that the neighbours reach it by, and all that can be opened."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from httpmini.errors import CannotRun

# RFC 1918 and RFC 4193 §3.
_PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
_PRIVATE_6 = IPv6Network("fc00::/7")
# Networks between this machine and what runs on it: Docker, Podman, LXC, Kubernetes, libvirt, VirtualBox, VMware.
_INSIDE = re.compile(r"docker|br-|veth|virbr|vnet|cni|podman|lxc|lxd|flannel|cali|cilium|kube|vboxnet|vmnet")

_Address = IPv4Address | IPv6Address


def private_addresses() -> list[str]:
    """Return the private addresses by which other machines reach this one; IPv4 first.

    Raises:
        CannotRun: there is none.
    """
    found = [str(address) for address in _addresses() if _is_private(address)]
    if not found:
        raise CannotRun(
            "--lan: this machine has no private address (10.x, 172.16-31.x, 192.168.x, fc00::/7) of a network with "
            "other machines: it is not connected, or its address is public; -b ADDRESS listens on any one"
        )
    return found


def open_addresses() -> list[str]:
    """Return all addresses by which other machines reach this one, private ones first."""
    return [str(address) for address in sorted(_addresses(), key=lambda address: not _is_private(address))]


def _addresses() -> list[_Address]:
    found = dict.fromkeys(_read_addresses())
    return sorted(found, key=lambda address: address.version)


def _read_addresses() -> Iterator[_Address]:
    """Yield the addresses of all interfaces, without loopback, link-local ones, and networks inside of this machine."""
    import ifaddr  # only for what is not this machine alone

    for adapter in ifaddr.get_adapters():
        if _INSIDE.match(adapter.name):
            continue
        for entry in adapter.ips:
            address = ip_address(entry.ip if isinstance(entry.ip, str) else entry.ip[0])
            if not (address.is_loopback or address.is_link_local):
                yield address


def _is_private(address: _Address) -> bool:
    if isinstance(address, IPv6Address):
        return address in _PRIVATE_6
    return any(address in network for network in _PRIVATE)
