"""Listening sockets: names and numbers through getaddrinfo, bind, listen.

A listening socket never carries data; accept() returns another one that does.
"""

from __future__ import annotations

import os
import re
import socket
from errno import EACCES, EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT
from ipaddress import IPv6Address
from itertools import count

import msgspec

from httpmini.errors import CannotRun
from httpmini.server.listeners.peer import LOCAL, Peer

# A number, or a service name: letters, digits and hyphens with a letter among them (RFC 6335 §5.1).
_PORT = re.compile(r"[0-9]+|(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9][A-Za-z0-9_-]*")
_DEFER_S = 1
_numbers = count(1)  # of clients
INHERITED = "systemd"  # stands for the host
UNIX = "unix"  # the same
_MAX_PATH_BYTES = 90  # of 107, so that there is room for a name that it has for a moment (unix(7))
_NAME = re.compile(r"[!-9;-~]{1,255}")  # of such a socket (sd_listen_fds_with_names(3))
_HOST = re.compile(r"[^\[\]/:@?#\x00-\x1f]*")


class Endpoint(msgspec.Struct, frozen=True):
    """Where to listen, as a person writes it: ``host:port``; the host may be a name, the port a service name.

    An empty host means all addresses of the machine.
    """

    host: str
    port: str

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_endpoint(text: str) -> Endpoint:
    """Read ``host:port``, ``[v6]:port``, ``:port``, ``*:port``, ``systemd:name`` for a socket that was inherited, or
    ``unix:path``.

    Raises:
        ValueError: with what would be right.
    """
    if text.startswith((LOCAL, f"{INHERITED}:")):
        return _parse_named(text)
    if any(character.isspace() for character in text):
        raise ValueError("has white space in it")
    if text.endswith("]"):
        raise ValueError('has no port behind the brackets; write it, for example "[::1]:8080"')
    host, colon, port = text.rpartition(":")
    if not colon or not port:
        raise ValueError('has no port; write "host:port", for example "127.0.0.1:8080"')
    if not _PORT.fullmatch(port):
        raise ValueError('a port is a number or a service name, for example "127.0.0.1:8080" or "localhost:http-alt"')
    if port.isdecimal() and (len(port) > 5 or int(port) > 65535):
        raise ValueError("a port is at most 65535")
    if host.startswith("[") and host.endswith("]"):
        return Endpoint(_parse_ipv6(host[1:-1]), port)
    if ":" in host:
        raise ValueError('an IPv6 address needs brackets, for example "[::1]:8080"')
    if not _HOST.fullmatch(host):
        raise ValueError('is not a host and a port; write "host:port", for example "127.0.0.1:8080"')
    return Endpoint("" if host == "*" else host, port)


def _parse_named(text: str) -> Endpoint:
    """What has a name instead of an address."""
    kind, _, name = text.partition(":")
    if kind == UNIX and (not 0 < len(os.fsencode(name)) <= _MAX_PATH_BYTES or "\0" in name):
        raise ValueError(f'needs a path of at most {_MAX_PATH_BYTES} bytes, for example "unix:/run/httpmini/http"')
    if kind == INHERITED and not _NAME.fullmatch(name):
        raise ValueError('needs a name of letters, digits and the like, for example "systemd:web"')
    return Endpoint(kind, name)


def _parse_ipv6(text: str) -> str:
    try:
        IPv6Address(text)
    except ValueError as error:
        raise ValueError('only an IPv6 address stands in brackets, for example "[::1]:8080"') from error
    return text


def open_listeners(endpoints: list[Endpoint], backlog: int, *, peers_begin: bool = False) -> list[socket.socket]:
    """Bind and listen on every address that the endpoints resolve to; the sockets do not block.

    Args:
        endpoints: where.
        backlog: how many connections the kernel keeps until we accept them. No limit on clients: those are counted by
            admission, after accept().
        peers_begin: whether clients speak first, so that they need not be accepted before they do.

    Raises:
        CannotRun: a name without address, a port that is taken or not allowed.
    """
    listeners: list[socket.socket] = []
    try:
        for endpoint in endpoints:
            listeners += _listen_at(endpoint, backlog, peers_begin)
    except CannotRun:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def endpoint_of(listener: socket.socket) -> Endpoint:
    """Where a listening socket really listens, in numbers."""
    if listener.family == socket.AF_UNIX:
        return Endpoint(UNIX, str(getattr(listener, "path", listener.getsockname())))
    host, port = listener.getsockname()[:2]
    return Endpoint(host, str(port))


def accept(listener: socket.socket) -> tuple[int, Peer]:
    """The next client: the descriptor of its socket, which does not block, and its address.

    Raises:
        BlockingIOError: there is none.
        OSError: it is gone already, or cannot be taken (accept(2)).
    """
    # What socket.accept() itself calls; a socket object around the descriptor would cost more than the system call.
    fd, address = listener._accept()  # type: ignore[attr-defined]
    os.set_blocking(fd, False)
    if isinstance(address, str | bytes):
        return fd, Peer(LOCAL, 0, next(_numbers))
    return fd, Peer(address[0], address[1], next(_numbers))


def _resolve(endpoint: Endpoint) -> list[tuple[socket.AddressFamily, tuple[object, ...]]]:
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
    """None is all addresses. For text, Python would load its codec for international names: numbers go as bytes."""
    is_numeric = host.isascii() and (":" in host or host.replace(".", "").isdecimal())
    return (host.encode() if is_numeric else host) or None


def _listen_at(endpoint: Endpoint, backlog: int, peers_begin: bool) -> list[socket.socket]:
    """A listener for each address of ``endpoint`` that this machine has; at least one."""
    listeners: list[socket.socket] = []
    missing: list[OSError] = []
    for family, address in _resolve(endpoint):
        if endpoint.port == "0" and listeners:  # the same free port for all addresses of a name
            address = (address[0], listeners[0].getsockname()[1], *address[2:])
        try:
            listeners.append(_listen(family, address, backlog, peers_begin))
        except OSError as error:
            if error.errno in (EAFNOSUPPORT, EADDRNOTAVAIL):  # no IPv6 here, say: the other addresses may do
                missing.append(error)
                continue
            for listener in listeners:
                listener.close()
            raise CannotRun(_explain(error, endpoint, address)) from error
    if not listeners:
        raise CannotRun(_explain(missing[0], endpoint, (endpoint.host, endpoint.port)))
    return listeners


def _listen(
    family: socket.AddressFamily, address: tuple[object, ...], backlog: int, peers_begin: bool
) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Connections of the last run may be in TIME_WAIT for a minute; without this, bind() fails that long.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # each family has a socket of its own, whatever the system's default
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # Inherited by what is accepted: an answer leaves at once, also when it is written in two pieces.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if peers_begin and hasattr(socket, "TCP_DEFER_ACCEPT"):  # Linux
            # accept() gives a client when its first byte is here, or after this second at the latest: one event, one
            # registration and one vain read less for each that connects; a third of what its answer costs.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, _DEFER_S)
        listener.bind(address)
        listener.listen(backlog)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _explain(error: OSError, endpoint: Endpoint, address: tuple[object, ...]) -> str:
    numeric = str(Endpoint(str(address[0]), str(address[1])))
    where = numeric if numeric == str(endpoint) else f"{numeric} ({endpoint})"
    remedies = {
        EADDRINUSE: "another program has this port; stop it, choose another port, or --port 0 for any free one",
        EACCES: "ports below 1024 are for root; choose another one, such as --port 8080",
        EADDRNOTAVAIL: "this machine does not have that address",
    }
    said = os.strerror(error.errno) if error.errno else str(error)
    remedy = remedies.get(error.errno or 0)
    return f"cannot listen on {where}: {said}" + (f": {remedy}" if remedy else "")
