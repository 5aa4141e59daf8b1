"""Listening Unix sockets: for clients on this machine, guarded by the permissions of a path (unix(7))."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import stat
from errno import ECONNREFUSED, EEXIST
from pathlib import Path

from httpmini.errors import CannotRun
from httpmini.files import draft
from httpmini.server.listeners.peer import LOCAL

_AT_EMPTY_PATH = 0x1000


class UnixListener(socket.socket):
    """A listening Unix socket that removes its file when the process that created it closes it.

    Args:
        path: the path of the socket.
        mode: the permissions of the file.
        backlog: how many connections the kernel queues until they are accepted.

    Attributes:
        path: the path of the socket.
        mode: the permissions that its file was made with.
        replaced: the socket that had the path before, as long as that may get it back.

    Raises:
        OSError: the socket cannot be created at ``path``.
    """

    def __init__(self, path: str, mode: int, backlog: int) -> None:
        super().__init__(socket.AF_UNIX, socket.SOCK_STREAM)
        self.path = path
        self.mode = mode
        self.replaced: UnixListener | None = None
        self._process = os.getpid()
        self._identity: tuple[int, int] | None = None
        # The socket has a temporary name until it listens. So no client meets one that does not listen yet, and a
        # file that it replaces is never missing in between.
        try:
            with draft(path, name=f"{path}.{self._process}") as name:
                self._bind(name, mode)
                self.listen(backlog)
                self.setblocking(False)
            self._identity = _identify(path)
        except OSError:
            super().close()
            raise

    def is_at(self, path: str) -> bool:
        """Return whether ``path``, however it is spelled, leads to this socket."""
        return self._identity is not None and _identify(path) == self._identity

    def move(self, path: str) -> None:
        """Give the file another name.

        Raises:
            OSError: that is not permitted.
        """
        Path(self.path).rename(path)
        self.path = path

    def _bind(self, name: str, mode: int) -> None:
        """Bind to a new file with permissions ``mode``.

        It has them from the beginning. To change them by name would change those of any file that the owner of the
        folder has put there meanwhile.
        """
        before = os.umask(0o777 & ~mode)
        try:
            self.bind(name)
        finally:
            os.umask(before)

    def give_to(self, uid: int, gid: int) -> None:
        """Make another user the owner of the file. Only root can.

        Raises:
            OSError: the file at our path is not our socket any more, or has another name as well.
        """
        if not hasattr(os, "O_PATH"):  # a socket cannot be opened, so the path may change between these two
            self._check(os.lstat(self.path))
            os.chown(self.path, uid, gid, follow_symlinks=False)
            return
        fd = os.open(self.path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)  # what is checked is what is changed
        try:
            self._check(os.fstat(fd))
            _change_owner(fd, uid, gid)
        finally:
            os.close(fd)

    def _check(self, status: os.stat_result) -> None:
        ours = (status.st_dev, status.st_ino) == self._identity
        if not ours or not stat.S_ISSOCK(status.st_mode) or status.st_nlink != 1:
            raise FileExistsError(EEXIST, "another file has taken its place", self.path)

    def close(self) -> None:
        """Close the socket, and remove its file unless another process created it or another file has replaced it.

        If it has taken the place of a socket that is still open, that gets its path back.
        """
        super().close()
        if self._process == os.getpid() and self.is_at(self.path):
            with contextlib.suppress(OSError):  # the folder may not be writable any more
                if self.replaced is not None and self.replaced.fileno() >= 0:
                    self.replaced.move(self.path)
                else:
                    Path(self.path).unlink()
        self._identity = self.replaced = None


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


def replace_unix_listener(old: UnixListener, mode: int, backlog: int) -> UnixListener:
    """Listen at the path of a socket of ours, with other permissions; the old one moves aside until it is closed.

    Its own permissions stay as they are: to change those of a path could change those of another file.

    Raises:
        CannotRun: the folder does not let us.
    """
    path = old.path
    try:
        old.move(f"{path}.{os.getpid()}.old")
        try:
            new = UnixListener(path, mode, backlog)
        except OSError:
            old.move(path)
            raise
    except OSError as error:
        raise CannotRun(f"cannot listen on {LOCAL}{path}: {error.strerror or error}") from error
    new.replaced = old
    return new


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
        except PermissionError as error:
            remedy = "this server may not find out whether it is in use; remove it, or restart the server"
            raise CannotRun(f"cannot listen on {LOCAL}{path}: there is a socket already, and {remedy}") from error
        except OSError as error:
            if error.errno == ECONNREFUSED:  # a server that was killed has left it
                return
            if not isinstance(error, BlockingIOError):
                raise
    raise CannotRun(f"cannot listen on {LOCAL}{path}: another program does; stop it, or choose another path")


def _change_owner(fd: int, uid: int, gid: int) -> None:
    """Change the owner of what an O_PATH descriptor stands for; os.chown cannot."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.fchownat(fd, b"", uid, gid, _AT_EMPTY_PATH) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _identify(path: str) -> tuple[int, int] | None:
    """Return the device and inode of the file at ``path``, or None if there is none."""
    try:
        status = Path(path).lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
