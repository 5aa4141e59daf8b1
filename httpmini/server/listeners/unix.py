"""Listening Unix sockets: for clients on this machine, guarded by the permissions of a path (unix(7))."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from errno import ECONNREFUSED
from pathlib import Path

from httpmini.errors import CannotRun
from httpmini.files import draft
from httpmini.server.listeners.peer import LOCAL


class UnixListener(socket.socket):
    """A listening Unix socket that removes its file when the process that created it closes it.

    Args:
        path: the path of the socket.
        mode: the permissions of the file.
        backlog: how many connections the kernel queues until they are accepted.

    Attributes:
        path: the path of the socket.

    Raises:
        OSError: the socket cannot be created at ``path``.
    """

    def __init__(self, path: str, mode: int, backlog: int) -> None:
        super().__init__(socket.AF_UNIX, socket.SOCK_STREAM)
        self.path = path
        self._process = os.getpid()
        self._identity: tuple[int, int] | None = None
        # The socket has a temporary name until it listens. So no client meets one that does not listen yet, and a
        # file that it replaces is never missing in between.
        try:
            with draft(path, name=f"{path}.{self._process}") as name:
                self.bind(name)
                Path(name).chmod(mode)
                self.listen(backlog)
                self.setblocking(False)
            self._identity = _identify(path)
        except OSError:
            super().close()
            raise

    def is_at(self, path: str) -> bool:
        """Return whether ``path``, however it is spelled, leads to this socket."""
        return self._identity is not None and _identify(path) == self._identity

    def permit(self, mode: int) -> None:
        """Change the permissions of the file, if it is still this socket and has others.

        Raises:
            CannotRun: that is not permitted.
        """
        try:
            fd = os.open(self.path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:  # somebody has removed it
            return
        try:
            status = os.fstat(fd)
            if (status.st_dev, status.st_ino) == self._identity and stat.S_IMODE(status.st_mode) != mode:
                os.chmod(f"/proc/self/fd/{fd}", mode)  # not by its name, which may lead elsewhere by now
        except OSError as error:
            raise CannotRun(f"cannot set the mode of {LOCAL}{self.path}: {error.strerror}") from error
        finally:
            os.close(fd)

    def close(self) -> None:
        """Close the socket, and remove its file unless another process created it or another file has replaced it."""
        super().close()
        if self._process == os.getpid() and self._identity is not None and _identify(self.path) == self._identity:
            with contextlib.suppress(OSError):  # the folder may not be writable any more
                Path(self.path).unlink()
        self._identity = None


def open_unix_listener(path: str, mode: int, backlog: int) -> UnixListener:
    """Listen at ``path``. A socket without a listener is replaced; any other file is left alone.

    Args:
        path: the path of the socket.
        mode: the permissions of the file.
        backlog: how many connections the kernel queues until they are accepted.

    Raises:
        CannotRun: another program listens there, another kind of file is there, or the path cannot be used.
    """
    try:
        _refuse_what_is_there(path)
        return UnixListener(path, mode, backlog)
    except OSError as error:
        raise CannotRun(f"cannot listen on {LOCAL}{path}: {error.strerror or error}") from error


def _refuse_what_is_there(path: str) -> None:
    """Raise CannotRun if there is anything at ``path`` but a socket without a listener."""
    try:
        kind = Path(path).lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise CannotRun(f"cannot listen on {LOCAL}{path}: there is a file that is not a socket; choose another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # BlockingIOError means that the queue of a listener is full
        try:
            probe.connect(path)
        except OSError as error:
            if error.errno == ECONNREFUSED:  # a server that was killed has left it
                return
            if not isinstance(error, BlockingIOError):
                raise
    raise CannotRun(f"cannot listen on {LOCAL}{path}: another program does; stop it, or choose another path")


def _identify(path: str) -> tuple[int, int] | None:
    """Return the device and inode of the file at ``path``, or None if there is none."""
    try:
        status = Path(path).lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
