"""The listeners that the settings ask for, opened once and kept over reloads."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from itertools import chain

from httpmini.config import DEFAULT, Config, ServerSettings
from httpmini.errors import CannotRun, visible
from httpmini.server.listeners.activation import InheritedListener, InheritedSockets
from httpmini.server.listeners.endpoint import INHERITED, UNIX, parse_endpoint
from httpmini.server.listeners.tcp import endpoint_of, open_listeners
from httpmini.server.listeners.unix import open_unix_listener

Listeners = dict[tuple[str, str], list[socket.socket]]
"""Listening sockets by the setting that asks for them and the entry in it."""


def url_of(listener: socket.socket) -> str:
    """Return where a client finds a listener."""
    endpoint = endpoint_of(listener)
    return visible(str(endpoint)) if endpoint.host == UNIX else f"http://{endpoint}/"


def listeners_of(listeners: Listeners, setting: str) -> list[socket.socket]:
    """Return the listeners of one setting."""
    return [one for (name, _), group in listeners.items() if name == setting for one in group]


def close_all(listeners: Iterable[socket.socket]) -> None:
    """Close listeners; those by unix sockets remove their files."""
    for listener in listeners:
        listener.close()


def open_all(config: Config, already_open: Listeners, inherited: InheritedSockets) -> Listeners:
    """Return the listeners of ``config``; those that are already open stay the same sockets, with their queues.

    Where the config says nothing, they are those that this process was given.

    Raises:
        CannotRun: one of them cannot be opened; then those that were opened here are closed.
    """
    found: Listeners = {}
    given = [f"{INHERITED}:{name}" for name in inherited.names]
    public = given if given and config.origins["server.listen"] == DEFAULT else config.server.listen
    settings = {"server.listen": public, "status.listen": config.status.listen}
    try:
        for entry in [(setting, where) for setting, entries in settings.items() for where in entries]:
            found[entry] = already_open.get(entry) or _open(entry[1], config.server, inherited)
    except CannotRun:
        for entry in found.keys() - already_open.keys():
            close_all(found[entry])
        raise
    return found


def set_backlog(listeners: Listeners, backlog: int) -> None:
    """Change how many connections the kernel keeps for us; those that wait already stay."""
    for listener in chain(*listeners.values()):
        if not isinstance(listener, InheritedListener):
            listener.listen(backlog)


def _open(where: str, server: ServerSettings, inherited: InheritedSockets) -> list[socket.socket]:
    endpoint = parse_endpoint(where)
    if endpoint.host == INHERITED:
        return inherited.open(endpoint.port)
    if endpoint.host == UNIX:
        return [open_unix_listener(endpoint.port, int(server.socket_mode, 8), server.backlog)]
    return open_listeners([endpoint], server.backlog, peers_begin=True)
