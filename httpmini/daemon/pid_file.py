"""The pid file: the process number of the server, for programs that signal it.

A number alone says little: the process may be gone, and another may have its number. So the server locks the file as
long as it lives, and the number counts only while the file is locked. The lock is a POSIX record lock (fcntl(2)): it
belongs to one process, children do not inherit it, and it ends with its owner, however that ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from httpmini.errors import CannotRun


class PidFile:
    """A locked pid file.

    Args:
        path: the path of the file; "" for none.

    Attributes:
        path: the path of the file.

    Raises:
        CannotRun: another process has locked it, or it cannot be written.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = _take(path) if path else -1

    def give_to(self, uid: int, gid: int) -> None:
        """Make the user that this process is about to switch to its owner."""
        if self._fd >= 0:
            os.fchown(self._fd, uid, gid)

    def close(self) -> None:
        """Remove the file; if that is not permitted, at least empty it."""
        if self._fd < 0:
            return
        os.ftruncate(self._fd, 0)
        with contextlib.suppress(OSError):  # the folder may not be writable, or the file may be gone
            if _is_at(self._fd, self.path):
                Path(self.path).unlink()
        os.close(self._fd)
        self._fd = -1


def _take(path: str) -> int:
    """Lock the file at ``path`` and write our process number into it; return its descriptor."""
    while True:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            raise CannotRun(f"cannot write the pid file {path}: {error.strerror}") from error
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not _is_at(fd, path):  # its previous owner has just removed it
                os.close(fd)
                continue
            said = os.read(fd, 64).strip()
            if said and not said.isdigit():  # a wrong path rather than a stale pid file
                raise CannotRun(f"{path} is not a pid file: there is something else in it; choose another path")
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            number = os.pread(fd, 64, 0).decode("ascii", "replace").strip()
            os.close(fd)
            if isinstance(error, BlockingIOError | PermissionError):
                remedy = "stop that server, or set another daemon.pid_file"
                raise CannotRun(f"{path} is locked by process {number or '?'}; {remedy}") from error
            raise CannotRun(f"cannot write the pid file {path}: {error.strerror}") from error
        except CannotRun:
            os.close(fd)
            raise
        return fd


def _is_at(fd: int, path: str) -> bool:
    """Return whether ``path`` still names the open file ``fd``."""
    try:
        return os.path.samestat(Path(path).stat(), os.fstat(fd))
    except FileNotFoundError:
        return False


def find_owner(path: str) -> int | None:
    """Return the number of the process that has locked the pid file at ``path``, or None if none has.

    Raises:
        CannotRun: the file cannot be read.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CannotRun(f"cannot read the pid file {path}: {error.strerror}") from error
    try:
        fcntl.lockf(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        said = os.read(fd, 64).strip()
        return int(said) if said.isdigit() else None
    finally:
        os.close(fd)
    return None
