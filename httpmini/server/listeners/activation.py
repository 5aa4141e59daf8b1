"""Listening sockets that somebody else has opened for us: socket activation, as systemd does it (sd_listen_fds(3)).

They are descriptors from 3 on; LISTEN_FDS says how many, LISTEN_PID for whom, LISTEN_FDNAMES what they are called. Who
opened them goes on to own them: a client that connects while nobody serves waits there for the next server.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping

from httpmini.errors import CannotRun

_FIRST = 3
_UNNAMED = "unknown"  # what systemd itself calls it


class InheritedListener(socket.socket):
    """A listening socket that others have, too: it may be closed here, and never shut down."""


class InheritedSockets:
    """The sockets that this process was given.

    Args:
        environ: the environment. What is meant for this process alone is taken out of it.

    Attributes:
        names: what they are called, each once.
    """

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        count, process = environ.pop("LISTEN_FDS", ""), environ.pop("LISTEN_PID", "")
        said = environ.pop("LISTEN_FDNAMES", "").split(":")
        self._sockets: dict[str, list[int]] = {}
        if count.isdigit() and process == str(os.getpid()):
            for number in range(int(count)):
                name = said[number] if number < len(said) and said[number] else _UNNAMED
                os.set_inheritable(_FIRST + number, False)
                self._sockets.setdefault(name, []).append(_FIRST + number)
        self.names = list(self._sockets)

    def open(self, name: str) -> list[socket.socket]:
        """Those of this name. The descriptors that we were given stay open: a reload may want them again.

        Raises:
            CannotRun: there is none, or it is no listening TCP socket.
        """
        if name not in self._sockets:
            given = ", ".join(f'"systemd:{known}"' for known in self.names) or "none at all"
            raise CannotRun(f'no socket named "{name}" was given to this process; it was given: {given}')
        return [_open(fd, name) for fd in self._sockets[name]]


def _open(fd: int, name: str) -> socket.socket:
    try:
        listener = InheritedListener(fileno=os.dup(fd))
    except OSError as error:
        raise CannotRun(f'the socket "{name}" that was given to this process: {error.strerror}') from error
    is_tcp = listener.family in (socket.AF_INET, socket.AF_INET6) and listener.type == socket.SOCK_STREAM
    if not is_tcp or not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        listener.close()
        raise CannotRun(f'the socket "{name}" that was given to this process is not a listening TCP socket')
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setblocking(False)
    return listener
