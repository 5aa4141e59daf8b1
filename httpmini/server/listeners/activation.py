"""Inherited listening sockets: socket activation, as systemd does it (sd_listen_fds(3)).

The descriptors start at 3. LISTEN_FDS is their number, LISTEN_PID the process they are meant for, LISTEN_FDNAMES their
names. The program that opened them keeps them: a client that connects while no server runs waits for the next one.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping

from httpmini.errors import CannotRun

_FIRST = 3
_UNNAMED = "unknown"  # systemd's own name for a socket without one


class InheritedListener(socket.socket):
    """A listening socket that other processes share. It may be closed here, but never shut down."""


class InheritedSockets:
    """The listening sockets that this process inherited.

    Args:
        environ: the environment. The variables of socket activation are removed from it: they are meant for this
            process alone.

    Attributes:
        names: the names of the sockets, each once.
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
        """Open the sockets called ``name``, non-blocking.

        The inherited descriptors stay open beside them, because a later reload may ask for them again.

        Raises:
            CannotRun: no socket has this name, or one that has it is not a listening TCP socket.
        """
        if name not in self._sockets:
            given = ", ".join(f'"systemd:{known}"' for known in self.names) or "none at all"
            raise CannotRun(f'no socket named "{name}" was given to this process; it was given: {given}')
        return [_open(fd, name) for fd in self._sockets[name]]


def _open(fd: int, name: str) -> socket.socket:
    try:
        listener = InheritedListener(fileno=os.dup(fd))
    except OSError as error:
        raise CannotRun(f'cannot use the socket "{name}" that was given to this process: {error.strerror}') from error
    is_tcp = listener.family in (socket.AF_INET, socket.AF_INET6) and listener.type == socket.SOCK_STREAM
    if not is_tcp or not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        listener.close()
        raise CannotRun(f'the socket "{name}" that was given to this process is not a listening TCP socket')
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setblocking(False)
    return listener
