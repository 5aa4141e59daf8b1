"""The listeners that the settings ask for, opened once and kept over reloads."""

from __future__ import annotations

import socket

from httpmini.config import DEFAULT, Config, ServerSettings
from httpmini.errors import CannotRun, visible
from httpmini.server.listeners.activation import InheritedListener, InheritedSockets
from httpmini.server.listeners.endpoint import INHERITED, UNIX, parse_endpoint
from httpmini.server.listeners.tcp import endpoint_of, open_listeners
from httpmini.server.listeners.unix import open_unix_listener

Listeners = dict[tuple[str, str], list[socket.socket]]
"""By the setting and what it says."""


def url_of(listener: socket.socket) -> str:
    """Where a client finds it."""
    endpoint = endpoint_of(listener)
    return visible(str(endpoint)) if endpoint.host == UNIX else f"http://{endpoint}/"


def those_of(listeners: Listeners, setting: str) -> list[socket.socket]:
    """The listeners of one setting."""
    return [one for (name, _), group in listeners.items() if name == setting for one in group]


def listen(config: Config, open_already: Listeners, inherited: InheritedSockets) -> Listeners:
    """The listeners of ``config``; those that are open already are the same sockets.

    Where the config says nothing, those that we were given.
    """
    found: Listeners = {}
    given = [f"{INHERITED}:{name}" for name in inherited.names]
    everybody = given if given and config.origins["server.listen"] == DEFAULT else config.server.listen
    settings = {"server.listen": everybody, "status.listen": config.status.listen}
    try:
        for entry in [(setting, where) for setting, said in settings.items() for where in said]:
            found[entry] = open_already.get(entry) or _open(entry[1], config.server, inherited)
    except CannotRun:
        for entry in found.keys() - open_already.keys():
            for listener in found[entry]:
                listener.close()
        raise
    for entry in found.keys() & open_already.keys():
        for listener in found[entry]:
            if not isinstance(listener, InheritedListener):
                listener.listen(config.server.backlog)  # it may be another one; the queue stays
    return found


def _open(where: str, server: ServerSettings, inherited: InheritedSockets) -> list[socket.socket]:
    endpoint = parse_endpoint(where)
    if endpoint.host == INHERITED:
        return inherited.open(endpoint.port)
    if endpoint.host == UNIX:
        return [open_unix_listener(endpoint.port, int(server.socket_mode, 8), server.backlog)]
    return open_listeners([endpoint], server.backlog, peers_begin=True)
