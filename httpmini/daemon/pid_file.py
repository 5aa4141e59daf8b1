"""The pid file: which process the server is, for those who signal it.

A number in a file says little: the process may be gone, and its number another's. So the server locks the file as long
as it lives, and the number counts only while it is locked. The lock is of the kind that belongs to one process (POSIX,
fcntl(2)): children do not have it, and it ends with its owner, however that ends.
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
        path: where; "" is none.

    Attributes:
        path: the same.

    Raises:
        CannotRun: another process has it, or it cannot be written.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = _take(path) if path else -1

    def give_to(self, uid: int, gid: int) -> None:
        """Have it belong to whom this process is going to be."""
        if self._fd >= 0:
            os.fchown(self._fd, uid, gid)

    def close(self) -> None:
        """Take it away, if that is allowed; else nothing is left in it."""
        if self._fd < 0:
            return
        os.ftruncate(self._fd, 0)
        with contextlib.suppress(OSError):  # the folder is not ours, or it is gone already
            if _is_at(self._fd, self.path):
                Path(self.path).unlink()
        os.close(self._fd)
        self._fd = -1


def _take(path: str) -> int:
    while True:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            raise CannotRun(f"cannot write the pid file {path}: {error.strerror}") from error
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not _is_at(fd, path):  # who had it has just taken it away
                os.close(fd)
                continue
            said = os.read(fd, 64).strip()
            if said and not said.isdigit():  # a wrong path, rather than an old pid file
                raise CannotRun(f"{path} is no pid file: there is something else in it; choose another path")
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            number = os.pread(fd, 64, 0).decode("ascii", "replace").strip()
            os.close(fd)
            if isinstance(error, BlockingIOError | PermissionError):
                remedy = "stop that one, or choose another pid_file"
                raise CannotRun(f"{path} is locked: process {number or '?'} serves with it; {remedy}") from error
            raise CannotRun(f"cannot write the pid file {path}: {error.strerror}") from error
        except CannotRun:
            os.close(fd)
            raise
        return fd


def _is_at(fd: int, path: str) -> bool:
    try:
        return os.path.samestat(Path(path).stat(), os.fstat(fd))
    except FileNotFoundError:
        return False


def find_owner(path: str) -> int | None:
    """The process that has locked the pid file at ``path``; None when there is none.

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
