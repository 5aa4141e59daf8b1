"""Where a download goes: a name in a folder, or something that is written to directly.

The kernel says what a path leads to, not its name: /dev/shm/x is an ordinary file, and a pipe may be called film.mp4.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from httpmini.errors import CannotRun
from httpmini.files import new_file, open_folder, status_of

_MAX_LINKS = 40  # as many as Linux follows


def is_direct(path: str) -> bool:
    """Whether ``path`` leads to a pipe, a device or a socket, or is a descriptor of this process (/dev/stdout)."""
    if _own_descriptor(path) is not None:
        return True
    try:
        return _is_stream(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def open_direct(path: str) -> int:
    """Open what is written to directly. A pipe is opened when somebody reads from it.

    Raises:
        OSError: it cannot be written, or a regular file has taken its place.
    """
    own = _own_descriptor(path)
    if own is not None:
        return os.dup(own)  # opened again, a file would be written from its beginning
    fd = os.open(path, os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC)
    if not _is_stream(os.fstat(fd).st_mode):
        os.close(fd)
        raise FileExistsError(errno.EEXIST, "a regular file has taken its place", path)
    return fd


@contextmanager
def saved_file(path: str, *, sync: bool) -> Iterator[int]:
    """Yield the descriptor of a new file that becomes ``path`` when the block ends, or of what is written to directly.

    Args:
        path: of the file. A symlink there is followed.
        sync: have the file and its name on disk before the block ends.

    Raises:
        OSError: it cannot be written.
    """
    if not is_direct(path):
        with new_file(os.path.realpath(path), sync=sync) as fd:
            yield fd
        return
    fd = open_direct(path)
    try:
        yield fd
    finally:
        os.close(fd)


def _is_stream(mode: int) -> bool:
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISBLK(mode) or stat.S_ISSOCK(mode)


def _own_descriptor(path: str) -> int | None:
    """Return the descriptor of this process that ``path`` leads to by name, as /dev/stdout and /dev/fd/3 do."""
    try:
        own = os.path.realpath("/proc/self/fd")
        for _ in range(_MAX_LINKS):
            folder, name = os.path.split(path)
            if name.isdecimal() and os.path.realpath(folder) == own:
                os.fstat(int(name))
                return int(name)
            path = os.path.join(folder, os.readlink(path))
    except (OSError, ValueError):  # no symlink, or no such descriptor
        return None
    return None


class Target:
    """A name in an open folder. Once this is open, the folder may be moved or replaced by another.

    Args:
        path: of the file, in a folder that exists.

    Attributes:
        path: as given.
        folder: a descriptor of the folder.
        name: of the file in it.

    Raises:
        CannotRun: there is no such folder, or a folder has this name.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            if not path:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            self.folder, self.name = open_folder(path)
        except (OSError, ValueError) as error:
            raise self.explain(error) from error
        try:
            self.is_taken()
        except BaseException:
            self.close()
            raise

    def is_taken(self) -> bool:
        """Whether something has this name, be it a dangling symlink.

        Raises:
            CannotRun: a folder has it, or the file system refuses the name.
        """
        try:
            there = status_of(self.name or ".", self.folder)
        except (OSError, ValueError) as error:
            raise self.explain(error) from error
        if there is not None and stat.S_ISDIR(there.st_mode):
            raise CannotRun(f"cannot write {self.path}: Is a directory")
        return there is not None

    def beside(self, name: str) -> str:
        """Return the path of another name in the folder, for messages."""
        return os.path.join(os.path.dirname(self.path), name)

    def explain(self, error: OSError | ValueError, path: str = "") -> CannotRun:
        """Turn a system error into a sentence about ``path``, by default that of the target."""
        reason = error.strerror if isinstance(error, OSError) else None
        return CannotRun(f"cannot write {path or self.path}: {reason or error}")

    def close(self) -> None:
        """Close the folder."""
        os.close(self.folder)
