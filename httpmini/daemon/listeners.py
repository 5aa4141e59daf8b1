"""The listeners that the settings ask for, opened once and kept over reloads."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from contextlib import suppress
from itertools import chain

from httpmini.config import DEFAULT, Config, ServerSettings
from httpmini.errors import CannotRun, visible
from httpmini.server.listeners.activation import InheritedListener, InheritedSockets
from httpmini.server.listeners.endpoint import INHERITED, UNIX, parse_endpoint
from httpmini.server.listeners.peer import Tls
from httpmini.server.listeners.tcp import TcpListener, bound_to, covered_by, endpoint_of, is_tcp, open_listeners
from httpmini.server.listeners.unix import UnixListener, open_unix_listener, replace_unix_listener

Listeners = dict[tuple[str, str], list[socket.socket]]
"""Listening sockets by the setting that asks for them and the entry in it."""


CTL = "ctl"
"""What asks for the socket of ``httpmini ctl``, in place of a setting."""
_CTL_MODE = 0o600


def ctl_path(config: Config) -> str:
    """Return where ``httpmini ctl`` talks to the server: beside the pid file; "" without one."""
    return f"{config.daemon.pid_file}.ctl" if config.daemon.pid_file else ""


def url_of(listener: socket.socket) -> str:
    """Return where a client finds a listener."""
    endpoint = endpoint_of(listener)
    scheme = "http" if tls_of(listener) is None else "https"
    return visible(str(endpoint)) if endpoint.host == UNIX else f"{scheme}://{endpoint}/"


def tls_of(listener: socket.socket) -> Tls | None:
    """Return what connections to a listener begin with; None for no TLS."""
    return getattr(listener, "tls", None)


def listeners_of(listeners: Listeners, setting: str) -> list[socket.socket]:
    """Return the listeners of one setting."""
    return [one for (name, _), group in listeners.items() if name == setting for one in group]


def close_all(listeners: Iterable[socket.socket]) -> None:
    """Close listeners; those by unix sockets remove their files."""
    for listener in listeners:
        listener.close()


def open_all(config: Config, already_open: Listeners, inherited: InheritedSockets) -> Listeners:
    """Return the listeners of ``config``; those that are already open stay the same sockets, with their queues.

    Listeners are compared by what they are bound to: another spelling, or another setting, is the same listener. Where
    the config says nothing, they are those that this process was given.

    Raises:
        CannotRun: one of them cannot be opened; then those that were opened here are closed.
    """
    given = [f"{INHERITED}:{name}" for name in inherited.names]
    public = given if given and config.origins["server.listen"] == DEFAULT else config.server.listen
    settings = {"server.listen": public, "status.listen": config.status.listen, CTL: _ctl_entries(config)}
    entries = [(setting, where) for setting, places in settings.items() for where in places]
    left = list(chain(*already_open.values()))
    claimed = {entry: _claim(entry, already_open, left, _mode_of(entry, config.server)) for entry in entries}
    found: Listeners = {}
    try:
        for entry in entries:
            found[entry] = _complete(entry, claimed[entry], left, config.server, inherited)
    except CannotRun:
        close_all(set(chain(*found.values())) - set(chain(*already_open.values())))
        raise
    return found


def _ctl_entries(config: Config) -> list[str]:
    """Return the endpoint of ctl; nothing if the path is too long for a socket, which only ctl would miss."""
    entries = [f"{UNIX}:{path}"] if (path := ctl_path(config)) else []
    with suppress(ValueError):
        return [entry for entry in entries if parse_endpoint(entry)]
    return []


def _mode_of(entry: tuple[str, str], server: ServerSettings) -> int:
    """Return the permissions of a unix socket; that of ``httpmini ctl`` is for our user and root alone."""
    return _CTL_MODE if entry[0] == CTL else int(server.socket_mode, 8)


def _claim(
    entry: tuple[str, str], already_open: Listeners, left: list[socket.socket], mode: int
) -> list[socket.socket]:
    """Take the listeners that ``entry`` names out of those that are left; a unix socket must have this mode."""
    endpoint = parse_endpoint(entry[1])
    if endpoint.host == UNIX:
        found: list[socket.socket] = [
            one for one in left if isinstance(one, UnixListener) and one.mode == mode and one.is_at(endpoint.port)
        ]
    elif endpoint.host == INHERITED or endpoint.port == "0":  # bound to nothing that the entry says
        found = _opened_as(entry, already_open, left)
    else:
        found = bound_to(endpoint, [one for one in left if not isinstance(one, InheritedListener)])
    for one in found:
        left.remove(one)
    return found


def _opened_as(entry: tuple[str, str], already_open: Listeners, left: list[socket.socket]) -> list[socket.socket]:
    """Return what was opened for an entry with the same meaning; rather in the same setting."""
    endpoint = parse_endpoint(entry[1])
    for before in sorted(already_open, key=lambda before: before != entry):
        group = already_open[before]
        if parse_endpoint(before[1]) == endpoint and all(one in left for one in group):
            return list(group)
    return []


def _complete(
    entry: tuple[str, str],
    claimed: list[socket.socket],
    left: list[socket.socket],
    server: ServerSettings,
    inherited: InheritedSockets,
) -> list[socket.socket]:
    """Open what ``entry`` names beyond the listeners that it has claimed.

    A listener at one address stays when all addresses of its port are asked for now: no client in its queue is lost.
    """
    endpoint = parse_endpoint(entry[1])
    if entry[0] == CTL:
        return claimed or _open_ctl(endpoint.port, left, server)
    if endpoint.host == UNIX:
        return claimed or [_open_unix(endpoint.port, left, _mode_of(entry, server), server.backlog)]
    if endpoint.host == INHERITED:
        return claimed or inherited.open(endpoint.port)
    if endpoint.port == "0" and claimed:
        return claimed
    leaving = [one for one in left if is_tcp(one) and not isinstance(one, InheritedListener)]
    found = open_listeners([endpoint], server.backlog, peers_begin=True, present=claimed, leaving=leaving)
    kept = covered_by(found, leaving)
    for one in kept:
        left.remove(one)
    return [*found, *kept]


def _open_ctl(path: str, left: list[socket.socket], server: ServerSettings) -> list[socket.socket]:
    """Listen for ``httpmini ctl``. Where a socket cannot be, a server serves all the same; ctl says what it misses."""
    try:
        return [_open_unix(path, left, _CTL_MODE, server.backlog)]
    except CannotRun:
        return []


def _open_unix(path: str, left: list[socket.socket], mode: int, backlog: int) -> UnixListener:
    """Listen at a path, where a socket of ours with another mode may be."""
    for one in left:
        if isinstance(one, UnixListener) and one.is_at(path):
            return replace_unix_listener(one, mode, backlog)
    return open_unix_listener(path, mode, backlog)


def secure(listeners: Listeners) -> None:
    """Have clients of listeners that begin with ``tls:`` speak TLS, and clients of all others not.

    A listener that is kept over a reload may have changed in this.
    """
    for (_, where), group in listeners.items():
        for listener in group:
            if isinstance(listener, TcpListener | InheritedListener):
                listener.tls = Tls() if parse_endpoint(where).is_secure else None


def secure_ports(listeners: Listeners) -> list[int]:
    """Return the ports where clients of the site speak TLS."""
    return [
        one.getsockname()[1]
        for (setting, where), group in listeners.items()
        for one in group
        if setting == "server.listen" and parse_endpoint(where).is_secure
    ]


def set_backlog(listeners: Listeners, backlog: int) -> None:
    """Change how many connections the kernel keeps for us; those that wait already stay."""
    for listener in chain(*listeners.values()):
        if not isinstance(listener, InheritedListener):
            listener.listen(backlog)
