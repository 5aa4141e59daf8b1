"""The pid file: the process number of the server, for programs that signal it.

A number alone proves little: the process may be gone, another may have its number, and anyone who may write the file
may have written any number. So the server locks the file as long as it lives, and the kernel says which process has
locked it: that is the one to signal. The number in the file says only that the process is ready for signals. The lock
is a POSIX record lock (fcntl(2)): it belongs to one process, children do not inherit it, and it ends with its owner.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

from httpmini.errors import CannotRun

# struct flock, which F_GETLK fills in: type, whence, start, length, process.
_LOCK = struct.Struct("@hhqqi4x" if sys.platform == "linux" else "@qqihh")
_MAX_NUMBER_BYTES = 64


class PidFile:
    """A locked pid file. It is empty until ``publish``.

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
        self._is_published = False

    def is_at(self, path: str) -> bool:
        """Return whether ``path`` is another name of this file, or of none if this is none.

        Opening and closing the file once more would end the lock.
        """
        return _is_at(self._fd, path) if self._fd >= 0 and path else self.path == path

    def publish(self) -> None:
        """Write our process number into the file: from now on, signals are understood."""
        if self._fd >= 0 and not self._is_published:
            os.write(self._fd, f"{os.getpid()}\n".encode())
            self._is_published = True

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
    """Lock and empty the file at ``path``; return its descriptor."""
    while True:
        try:
            fd = _open(path)
        except OSError as error:
            raise CannotRun(f"cannot write the pid file {path}: {error.strerror}") from error
        try:
            _refuse_other_files(fd, path)
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(fd, path):
                _refuse_other_content(fd, path)
                os.ftruncate(fd, 0)
                return fd
        except (BlockingIOError, PermissionError) as error:
            owner = _owner(fd)
            os.close(fd)
            remedy = "stop that server, or set another daemon.pid_file"
            raise CannotRun(f"{path} is locked by process {owner or '?'}; {remedy}") from error
        except OSError as error:
            os.close(fd)
            raise CannotRun(f"cannot write the pid file {path}: {error.strerror}") from error
        except CannotRun:
            os.close(fd)
            raise
        os.close(fd)  # its previous owner has just removed it


def _open(path: str) -> int:
    """Open or create the file, to append: nothing here ever overwrites what a file holds."""
    flags = os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        return os.open(path, os.O_RDWR | flags, 0o644)
    except PermissionError:  # the sandbox lets us write but not read beside the pid file
        return os.open(path, os.O_WRONLY | flags, 0o644)


def _refuse_other_files(fd: int, path: str) -> None:
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise CannotRun(f"{path} is not a pid file: it is not a regular file; choose another path")


def _refuse_other_content(fd: int, path: str) -> None:
    """Refuse a file with anything in it but the number of a process that is gone: the path is wrong then."""
    if os.fstat(fd).st_size == 0:
        return
    try:
        said = os.pread(fd, _MAX_NUMBER_BYTES, 0).strip()
    except OSError as error:  # opened to write only
        raise CannotRun(f"{path} is not empty, and the sandbox does not let this server read it; remove it") from error
    if not said.isdigit():
        raise CannotRun(f"{path} is not a pid file: there is something else in it; choose another path")


def _is_at(fd: int, path: str) -> bool:
    """Return whether ``path`` still names the open file ``fd``."""
    try:
        return os.path.samestat(Path(path).stat(), os.fstat(fd))
    except OSError:
        return False


def _owner(fd: int) -> int | None:
    """Return the number of the process that has locked the file, as the kernel says; None if none has.

    A process that has no number here, because it is outside this container, is 0.
    """
    if sys.platform == "linux":
        asked = _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, process = _LOCK.unpack(fcntl.fcntl(fd, fcntl.F_GETLK, asked))
    else:
        asked = _LOCK.pack(0, 0, 0, fcntl.F_WRLCK, os.SEEK_SET)
        _, _, process, kind, _ = _LOCK.unpack(fcntl.fcntl(fd, fcntl.F_GETLK, asked))
    return None if kind == fcntl.F_UNLCK else max(0, int(process))


def find_owner(path: str) -> int | None:
    """Return the number of the process that has locked the pid file at ``path``, or None if none has.

    Raises:
        CannotRun: the file cannot be read, or the process is in another container.
    """
    with _opened(path) as fd:
        owner = None if fd is None else _owner(fd)
    if owner == 0:
        raise CannotRun(f"the process that has locked {path} cannot be seen from here: it is in another container")
    return owner


def is_published(path: str) -> bool:
    """Return whether the owner of the pid file at ``path`` understands signals.

    Raises:
        CannotRun: the file cannot be read.
    """
    with _opened(path) as fd:
        return fd is not None and os.fstat(fd).st_size > 0


@contextlib.contextmanager
def _opened(path: str) -> Iterator[int | None]:
    """Open a pid file that may belong to another process; None if there is none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        yield None
        return
    except OSError as error:
        raise CannotRun(f"cannot read the pid file {path}: {error.strerror}") from error
    try:
        yield fd
    finally:
        os.close(fd)
