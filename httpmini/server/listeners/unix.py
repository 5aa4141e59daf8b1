"""Listening sockets that are files: for who is on this machine, by the permissions of a path (unix(7))."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from errno import ECONNREFUSED
from pathlib import Path

from httpmini.errors import CannotRun
from httpmini.files import draft
from httpmini.server.core.connection import LOCAL


class UnixListener(socket.socket):
    """One that takes its file away when it is closed, if it is still there, by the process that has made it.

    Args:
        path: where.
        mode: the permissions of the file.
        backlog: as for any listener.

    Attributes:
        path: the same.

    Raises:
        OSError: the path is not possible.
    """

    def __init__(self, path: str, mode: int, backlog: int) -> None:
        super().__init__(socket.AF_UNIX, socket.SOCK_STREAM)
        self.path = path
        self._process = os.getpid()
        self._identity: tuple[int, int] | None = None
        # Under another name until it listens: nobody meets one that does not, and an old file is never missing.
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

    def close(self) -> None:
        """See ``socket.socket``."""
        super().close()
        if self._process == os.getpid() and self._identity is not None and _identify(self.path) == self._identity:
            with contextlib.suppress(OSError):  # the folder is not ours any more
                Path(self.path).unlink()
        self._identity = None


def open_unix_listener(path: str, mode: int, backlog: int) -> UnixListener:
    """Listen at ``path``; a socket that nobody listens at is replaced, anything else is left alone.

    Raises:
        CannotRun: somebody listens there, there is something else, or the path is not possible.
    """
    try:
        _refuse_what_is_there(path)
        return UnixListener(path, mode, backlog)
    except OSError as error:
        raise CannotRun(f"cannot listen on {LOCAL}{path}: {error.strerror or error}") from error


def _refuse_what_is_there(path: str) -> None:
    try:
        kind = Path(path).lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise CannotRun(f"cannot listen on {LOCAL}{path}: what is there is no socket; choose another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # one whose queue is full is there, too
        try:
            probe.connect(path)
        except OSError as error:
            if error.errno == ECONNREFUSED:  # left behind by one that was killed
                return
            if not isinstance(error, BlockingIOError):
                raise
    raise CannotRun(f"cannot listen on {LOCAL}{path}: another program does; stop it, or choose another path")


def _identify(path: str) -> tuple[int, int] | None:
    try:
        status = Path(path).lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
