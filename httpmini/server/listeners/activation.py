"""Inherited listening sockets: socket activation, as systemd does it (sd_listen_fds(3)).

The descriptors start at 3. LISTEN_FDS is their number, LISTEN_PID the process they are meant for, LISTEN_FDNAMES their
names. The program that opened them keeps them: a client that connects while no server runs waits for the next one.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping
from contextlib import suppress

from httpmini.errors import CannotRun, visible
from httpmini.server.listeners.endpoint import SOCKET_NAME
from httpmini.server.listeners.peer import Tls

_FIRST = 3
_UNNAMED = "unknown"  # systemd's own name for a socket without one


class InheritedListener(socket.socket):
    """A listening socket that other processes share. It may be closed here, but never shut down.

    Attributes:
        tls: what its clients' connections begin with; None for no TLS.
    """

    tls: Tls | None = None


class InheritedSockets:
    """The listening sockets that this process inherited.

    Args:
        environ: the environment. The variables of socket activation are removed from it: they are meant for this
            process alone.

    Attributes:
        names: the names of the sockets, each once.

    Raises:
        CannotRun: the variables do not say what is there.
    """

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        count, process = environ.pop("LISTEN_FDS", ""), environ.pop("LISTEN_PID", "")
        said = environ.pop("LISTEN_FDNAMES", "")
        self._sockets: dict[str, list[int]] = {}
        if count and process == str(os.getpid()):
            names = _parse_names(said)
            for number in range(_parse_count(count)):
                name = names[number] if number < len(names) and names[number] else _UNNAMED
                _refuse_unless_open(_FIRST + number, count)
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

    def close(self) -> None:
        """Close this process's copies of the sockets; in a child, which never opens one of them again."""
        for descriptors in self._sockets.values():
            for fd in descriptors:
                with suppress(OSError):
                    os.close(fd)
        self._sockets.clear()


def are_given(environ: MutableMapping[str, str]) -> bool:
    """Return whether the environment says that this process was given sockets."""
    return environ.get("LISTEN_FDS", "0") != "0" and environ.get("LISTEN_PID") == str(os.getpid())


def _parse_count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise CannotRun(f'LISTEN_FDS = "{visible(text)}" is not a number of sockets')
    return int(text)


def _parse_names(text: str) -> list[str]:
    names = text.split(":")
    for name in names:
        if name and not SOCKET_NAME.fullmatch(name):
            raise CannotRun(f'LISTEN_FDNAMES: "{visible(name)}" is not a name of printable ASCII characters')
    return names


def _refuse_unless_open(fd: int, count: str) -> None:
    """Keep the descriptor to this process, if it is a socket.

    Raises:
        CannotRun: it is none.
    """
    try:
        os.set_inheritable(fd, False)
        socket.socket(fileno=fd).detach()
    except (OSError, OverflowError) as error:
        raise CannotRun(f"LISTEN_FDS = {count}, but descriptor {fd} is not a socket") from error


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
