"""Listening TCP sockets: resolve names with getaddrinfo(), bind, listen, accept.

A listening socket never carries data; accept() returns another socket that does.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from errno import EACCES, EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT
from itertools import count

from httpmini.errors import CannotRun
from httpmini.server.listeners.endpoint import UNIX, Endpoint
from httpmini.server.listeners.peer import LOCAL, Peer, Tls, accepted_host

Address = tuple[object, ...]
"""What bind() takes and getsockname() returns."""

_DEFER_S = 1
_ALL = ("0.0.0.0", "::")  # noqa: S104  (compared with, not bound to)
_numbers = count(1)  # serial numbers of accepted connections


class TcpListener(socket.socket):
    """A listening TCP socket.

    Attributes:
        tls: what its clients' connections begin with; None for no TLS.
    """

    tls: Tls | None = None


def open_listeners(
    endpoints: list[Endpoint],
    backlog: int,
    *,
    peers_begin: bool = False,
    present: Collection[socket.socket] = (),
    leaving: Collection[socket.socket] = (),
) -> list[socket.socket]:
    """Bind and listen on every address that the endpoints resolve to.

    Args:
        endpoints: where to listen.
        backlog: how many connections the kernel queues until they are accepted. This does not limit clients: admission
            counts those after accept().
        peers_begin: whether clients speak first, so that the kernel may hold a connection back until its first byte.
        present: listeners that are used for the addresses that they are bound to.
        leaving: listeners that will be closed: they may have the same port at other addresses.

    Returns:
        Non-blocking sockets, at least one for each endpoint.

    Raises:
        CannotRun: a name does not resolve, or a port is taken or not permitted. Nothing new stays open then.
    """
    listeners: list[socket.socket] = []
    try:
        for endpoint in endpoints:
            _listen_at(endpoint, backlog, peers_begin, present, leaving, listeners)
    except CannotRun:
        for listener in listeners:
            if listener not in present:
                listener.close()
        raise
    return listeners


def bound_to(endpoint: Endpoint, listeners: Collection[socket.socket]) -> list[socket.socket]:
    """Return those of the TCP listeners that are bound to addresses of ``endpoint``, however it is spelled.

    Raises:
        CannotRun: its name does not resolve.
    """
    addresses = _resolve(endpoint)
    return [one for one in listeners if is_tcp(one) and (one.family, one.getsockname()) in addresses]


def covered_by(listeners: Collection[socket.socket], others: Collection[socket.socket]) -> list[socket.socket]:
    """Return those of the TCP listeners ``others`` at whose addresses ``listeners`` listen too, as on all addresses."""
    everywhere = {(one.family, one.getsockname()[1]) for one in listeners if one.getsockname()[0] in _ALL}
    return [one for one in others if is_tcp(one) and (one.family, one.getsockname()[1]) in everywhere]


def is_tcp(listener: socket.socket) -> bool:
    """Return whether a listener has an address and a port."""
    return listener.family in (socket.AF_INET, socket.AF_INET6)


def endpoint_of(listener: socket.socket) -> Endpoint:
    """Return the numeric address and port, or the path, that a listening socket is bound to."""
    if listener.family == socket.AF_UNIX:
        return Endpoint(UNIX, str(getattr(listener, "path", listener.getsockname())))
    host, port = listener.getsockname()[:2]
    return Endpoint(host, str(port))


def accept(listener: socket.socket) -> tuple[int, Peer]:
    """Accept the next client.

    Returns:
        A non-blocking descriptor, which the caller has to close, and the client's address.

    Raises:
        BlockingIOError: no client is waiting.
        OSError: the client is gone already, or cannot be accepted (accept(2)).
    """
    # This is what socket.accept() calls itself. A socket object around the descriptor would cost more than the system
    # call does.
    fd, address = listener._accept()  # type: ignore[attr-defined]
    os.set_blocking(fd, False)
    if isinstance(address, str | bytes):
        return fd, Peer(LOCAL, 0, next(_numbers))
    return fd, Peer(accepted_host(address[0]), address[1], next(_numbers), getattr(listener, "tls", None))


def _resolve(endpoint: Endpoint) -> list[tuple[socket.AddressFamily, Address]]:
    try:
        found = socket.getaddrinfo(
            _for_lookup(endpoint.host), endpoint.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:  # gaierror is an OSError; an over-long label is a UnicodeError
        said = error.strerror if isinstance(error, OSError) else "not a host name"
        raise CannotRun(f"cannot listen on {endpoint}: {said}; is the name right?") from error
    addresses = dict.fromkeys((family, address) for family, _, _, _, address in found)
    return [(family, address) for family, address in addresses if family in (socket.AF_INET, socket.AF_INET6)]


def _for_lookup(host: str) -> str | bytes | None:
    """Return ``host`` in the form that getaddrinfo() takes; None stands for every address.

    Numeric addresses are passed as bytes: for text, Python would load its codec for international names.
    """
    is_numeric = host.isascii() and (":" in host or host.replace(".", "").isdecimal())
    return (host.encode() if is_numeric else host) or None


def _listen_at(
    endpoint: Endpoint,
    backlog: int,
    peers_begin: bool,
    present: Collection[socket.socket],
    leaving: Collection[socket.socket],
    listeners: list[socket.socket],
) -> None:
    """Add to ``listeners`` one for each address of ``endpoint`` that this machine has; at least one."""
    missing: list[OSError] = []
    port = None
    for family, address in _resolve(endpoint):
        if endpoint.port == "0" and port is not None:  # use the same free port for every address of a name
            address = (address[0], port, *address[2:])
        try:
            listener = next(
                (one for one in present if (one.family, one.getsockname()) == (family, address)), None
            ) or _listen(family, address, backlog, peers_begin, leaving)
        except OSError as error:
            if error.errno in (EAFNOSUPPORT, EADDRNOTAVAIL):  # no IPv6 here, say: the other addresses may work
                missing.append(error)
                continue
            raise CannotRun(_explain(error, endpoint, address, leaving)) from error
        listeners.append(listener)
        port = listener.getsockname()[1]
    if port is None:
        raise CannotRun(_explain(missing[0], endpoint, (endpoint.host, endpoint.port)))


def _listen(
    family: socket.AddressFamily,
    address: Address,
    backlog: int,
    peers_begin: bool,
    leaving: Collection[socket.socket],
) -> socket.socket:
    listener = TcpListener(family, socket.SOCK_STREAM)
    try:
        _set_options(listener, peers_begin)
        with _beside(_same_port(leaving, family, address), listener):
            listener.bind(address)
            listener.listen(backlog)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _same_port(listeners: Collection[socket.socket], family: int, address: Address) -> list[socket.socket]:
    return [one for one in listeners if one.family == family and one.getsockname()[1] == address[1]]


@contextmanager
def _beside(leaving: list[socket.socket], listener: socket.socket) -> Iterator[None]:
    """Let ``listener`` be bound to all addresses, say, while one of them is still in use by a listener that is leaving.

    The kernel lets both have the port if both say so, for this moment only: no other program may join them. It also
    asks that the same user has opened them.
    """
    both = (*leaving, listener) if leaving and hasattr(socket, "SO_REUSEPORT") else ()
    for one in both:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        yield
    finally:
        for one in both:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)


def _set_options(listener: socket.socket, peers_begin: bool) -> None:
    # Connections of the previous run may stay in TIME_WAIT for a minute; without this, bind() fails for that long.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if listener.family == socket.AF_INET6:  # each family has its own socket, whatever the system's default is
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    # Accepted sockets inherit this: a response leaves at once, even if it is written in two pieces.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if peers_begin and hasattr(socket, "TCP_DEFER_ACCEPT"):  # Linux
        # The kernel holds a client back until its first byte arrives, or for this long. That saves one event, one
        # registration and one futile read for each connection: a third of what its response costs.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, _DEFER_S)


def _explain(error: OSError, endpoint: Endpoint, address: Address, leaving: Collection[socket.socket] = ()) -> str:
    """Return what failed, why, and what to do about it."""
    numeric = str(Endpoint(str(address[0]), str(address[1])))
    where = numeric if numeric == str(endpoint) else f"{numeric} ({endpoint})"
    remedies = {
        EADDRINUSE: "another program has this port; stop it, choose another port, or --port 0 for any free one",
        EACCES: "ports below 1024 are for root; choose another one, such as --port 8080",
        EADDRNOTAVAIL: "this machine does not have that address",
    }
    ours = [str(endpoint_of(one)) for one in leaving if is_tcp(one) and one.getsockname()[1] == address[1]]
    if ours:
        remedies[EADDRINUSE] = f"this server itself listens on {ours[0]}, as another user; that needs a new start"
    said = os.strerror(error.errno) if error.errno else str(error)
    remedy = remedies.get(error.errno or 0)
    return f"cannot listen on {where}: {said}" + (f": {remedy}" if remedy else "")
