"""From a host name to addresses, within a time limit."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import zip_longest
from typing import Any

from httpmini.client.transport.routing import Routing
from httpmini.client.transport.timings import Deadline
from httpmini.client.url import Url
from httpmini.errors import NotResolved

_FAMILIES = {0: socket.AF_UNSPEC, 4: socket.AF_INET, 6: socket.AF_INET6}


@dataclass(frozen=True, slots=True)
class Address:
    """An address to connect to, in the form that the kernel takes."""

    family: int
    sockaddr: tuple[Any, ...]

    def __str__(self) -> str:
        host, port = self.sockaddr[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    @property
    def version(self) -> int:
        """The IP version: 4 or 6."""
        return 6 if self.family == socket.AF_INET6 else 4


def resolve(url: Url, peer: str, routing: Routing, deadline: Deadline) -> list[Address]:
    """Return the addresses of ``url.host`` in the order in which to try them; at least one.

    Args:
        url: of the server or proxy.
        peer: what errors call it.
        routing: overrides and the wanted address family.
        deadline: for the resolver.

    Raises:
        NotResolved: there is no address, or none of the wanted family.
        TimedOut: the resolver did not return in time.
    """
    only = f" (only IPv{routing.family} was requested)" if routing.family else ""
    found = _known_addresses(url, peer, routing)
    if not found:
        try:
            found = _look_up(url, peer, _FAMILIES[routing.family], deadline)
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "this is not a host name"
            raise NotResolved(f"{peer}: {reason}{only}") from error
    wanted = [address for address in dict.fromkeys(found) if routing.family in (0, address.version)]
    if not wanted:
        raise NotResolved(f"{peer}: there is no address of the right family{only}")
    return _interleave(wanted)


def _known_addresses(url: Url, peer: str, routing: Routing) -> list[Address]:
    """Return what needs no look-up: an override, or a host that is an address; empty for anything else.

    Raises:
        NotResolved: the override is not an address.
    """
    override = routing.overrides.get((url.host, url.port))
    try:
        for text in override or ():
            ip_address(text)  # the resolver accepts more: "1" would be 0.0.0.1
        return [found for text in override or (url.host,) for found in _ask_resolver(text, url.port, numeric=True)]
    except (OSError, ValueError) as error:  # ValueError: a label that is too long, a NUL
        if override:
            raise NotResolved(f"{peer}: overridden with {', '.join(override)}, which is not an address") from error
        return []


def _look_up(url: Url, peer: str, family: int, deadline: Deadline) -> list[Address]:
    """Ask the system's resolver, and stop waiting for it at the deadline.

    getaddrinfo() cannot be interrupted, and if the name servers do not reply it takes as long as resolv.conf says (by
    default 5 s for each of up to three servers, twice). It therefore runs in a thread of its own. A thread that is not
    back in time is abandoned: as a daemon thread it does not keep the process from exiting.
    """
    results: queue.SimpleQueue[list[Address] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            results.put(_ask_resolver(url.host, url.port, family))
        except Exception as error:
            results.put(error)

    thread = threading.Thread(target=ask, name="httpmini-resolver", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # no more threads: wait as long as it takes
        ask()
    try:
        result = results.get(timeout=deadline.remaining())
    except queue.Empty:
        raise deadline.expired(f"{peer} was not resolved") from None
    if thread.ident is not None:
        thread.join()  # it is about to end
    if isinstance(result, Exception):
        raise result
    return result


def _ask_resolver(host: str, port: int, family: int = socket.AF_UNSPEC, *, numeric: bool = False) -> list[Address]:
    flags = socket.AI_NUMERICHOST if numeric else 0
    # Names are encoded as IDNs even if they are ASCII, by a codec that takes 1 ms to import; addresses need not be.
    name = host.encode("utf-8", "replace") if numeric else host
    found = socket.getaddrinfo(name, port, family, socket.SOCK_STREAM, flags=flags)
    return [Address(kind, sockaddr) for kind, _, _, _, sockaddr in found if kind in _FAMILIES.values()]


def _interleave(addresses: Sequence[Address]) -> list[Address]:
    """Alternate between the families, beginning with the one that the resolver puts first (RFC 8305 §4)."""
    first = [address for address in addresses if address.family == addresses[0].family]
    others = [address for address in addresses if address.family != addresses[0].family]
    return [address for pair in zip_longest(first, others) for address in pair if address is not None]
