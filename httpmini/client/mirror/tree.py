"""A local folder into which files are written under a stranger's names: nothing leaves it, no symlink is followed.

Every path is walked from the folder's own descriptor, one name at a time, with O_NOFOLLOW: a symlink, even one put
there during the run, ends the walk. Files are written under a temporary name and renamed once they are complete.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader

from httpmini.client.locks import FolderLock
from httpmini.client.mirror.listings import Names
from httpmini.errors import CannotRun
from httpmini.files import new_file, write_all
from httpmini.protocol.framing import Data

MAX_DEPTH = 64
"""The deepest nesting of folders; anything deeper is a loop, or an attack."""

PART = b".httpmini-mirror.part"
STATE = b".httpmini-mirror.json"
RESERVED = (PART, STATE)
"""Names for httpmini's own files, which no remote file may have."""

_STATE_BYTES = 256 * 1024**2
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Errors that concern one path; any other (a full disk) concerns them all.
_LOCAL = {
    errno.ELOOP: "a symlink is in the way",
    errno.ENOTDIR: "a file or a symlink is in the way",
    errno.EISDIR: "a folder is in the way",
    errno.EEXIST: "something is in the way",
    errno.ENOTEMPTY: "it is not empty",
    errno.ENAMETOOLONG: "the name is too long for this file system",
    errno.EINVAL: "this file system does not allow such a name",
    errno.EILSEQ: "this file system does not allow such a name",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EBUSY: "it is in use",
}


Surplus = tuple[Names, os.stat_result]
"""Something on the disk, and its status."""


class InTheWay(CannotRun):
    """One path on the disk cannot be used; others may work."""


def _is_regular(fd: int) -> bool:
    return stat.S_ISREG(os.fstat(fd).st_mode)


def shown(names: Names) -> str:
    """Return a path for use in a message."""
    return os.fsdecode(b"/".join(names)) or "."


class Tree:
    """The folder, locked against other mirror runs in it, above it or below it.

    A missing folder is created with the first write.

    Args:
        folder: its path, which may lead through symlinks: it is the user's own.
        sync: have each file and its name on disk before the next is fetched (fsync).

    Raises:
        CannotRun: it cannot be opened, or another mirror is running in it.
    """

    def __init__(self, folder: str, *, sync: bool = False) -> None:
        self.folder = folder
        self._fd: int | None = None
        self._lock: FolderLock | None = None
        self._sync = sync
        with suppress(FileNotFoundError):
            self._open_root()

    def _open_root(self) -> int:
        try:
            fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise CannotRun(f"cannot use {self.folder} as a folder: {error.strerror}") from error
        try:
            self._lock = FolderLock(fd, self.folder)
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd
        return fd

    def close(self) -> None:
        """Release the lock and the descriptor."""
        if self._lock is not None:
            self._lock.close()
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def look(self, names: Names) -> os.stat_result | None:
        """Return the status of what is at ``names``, or None.

        Raises:
            InTheWay: a component of the path is not a folder.
            CannotRun: the disk failed.
        """
        if self._fd is None:
            return None
        with self._explaining(names):
            try:
                with self._open(names[:-1]) as fd:
                    return os.stat(names[-1], dir_fd=fd, follow_symlinks=False) if names else os.fstat(fd)
            except FileNotFoundError:
                return None

    def make_folder(self, names: Names) -> os.stat_result:
        """Make the folder at ``names`` if it is missing, and return its status.

        Raises:
            InTheWay, CannotRun: as for ``look``.
        """
        with self._explaining(names), self._open(names, create=True) as fd:
            return os.fstat(fd)

    def write(
        self, names: Names, pieces: Iterable[Data], modified: int | None = None, *, overwrite: bool = True
    ) -> os.stat_result:
        """Make ``pieces`` the content of the file at ``names``, all of it or nothing, and return its status.

        Args:
            names: the path; missing folders are created.
            pieces: the content. If iterating over it raises, the error is passed on and nothing changes.
            modified: modification time in seconds since the epoch; None for now.
            overwrite: whether a file at ``names`` may be replaced.

        Raises:
            InTheWay, CannotRun: as for ``look``.
        """
        with (
            self._explaining(names),
            self._open(names[:-1], create=True) as folder,
            new_file(names[-1], name=PART, sync=self._sync, overwrite=overwrite, dir_fd=folder) as fd,
        ):
            for piece in pieces:
                write_all(fd, piece)
            if modified is not None:
                os.utime(fd, (modified, modified))
            return os.fstat(fd)

    def compare(self, names: Names, pieces: Iterable[Data]) -> os.stat_result | None:
        """Return the status of the regular file at ``names`` if ``pieces`` are its content, else None.

        Raises:
            InTheWay, CannotRun: as for ``look``.
        """
        with self._explaining(names), suppress(FileNotFoundError), self._open_file(names) as file:
            is_same = all(file.read(len(piece)) == piece for piece in pieces) and not file.read(1)
            return os.fstat(file.fileno()) if is_same else None
        return None

    def sha256(self, names: Names) -> str:
        """Return the SHA-256 of the regular file at ``names`` in hexadecimal; empty if there is none.

        Raises:
            InTheWay, CannotRun: as for ``look``.
        """
        with self._explaining(names), suppress(FileNotFoundError), self._open_file(names) as file:
            return hashlib.file_digest(file, "sha256").hexdigest() if _is_regular(file.fileno()) else ""
        return ""

    @contextmanager
    def _open_file(self, names: Names) -> Iterator[BufferedReader]:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with self._open(names[:-1]) as folder, open(os.open(names[-1], flags, dir_fd=folder), "rb") as file:
            yield file

    def read_state(self) -> bytes:
        """Return what ``write_state`` wrote; empty if there is nothing readable."""
        if self._fd is None:
            return b""
        try:
            fd = os.open(STATE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._fd)
        except OSError:
            return b""
        with open(fd, "rb") as file:
            usable = _is_regular(fd) and os.fstat(fd).st_size <= _STATE_BYTES
            return file.read() if usable else b""

    def write_state(self, data: bytes) -> None:
        """Save ``data`` for the next run.

        Raises:
            CannotRun: it cannot be written.
        """
        self.write((STATE,), (data,))

    def others(
        self, folder: Names, keep: Collection[bytes], spare: Callable[[bytes, os.stat_result], bool]
    ) -> Iterator[Surplus]:
        """Yield what is in ``folder`` but not in ``keep``, and everything below it, each before its own folder.

        Args:
            folder: the path.
            keep: names in ``folder`` that are left out.
            spare: tells whether to leave out an entry because of its name and status.

        Raises:
            InTheWay, CannotRun: as for ``look``.
        """
        if self._fd is None:
            return
        with self._explaining(folder):
            try:
                with self._open(folder) as fd:
                    there = sorted(os.fsencode(name) for name in os.listdir(fd))
                    kinds = {name: os.stat(name, dir_fd=fd, follow_symlinks=False) for name in there}
            except (FileNotFoundError, PermissionError):  # then it cannot be removed either, which is reported
                return
        for name, status in kinds.items():
            if name in keep or spare(name, status) or (*folder, name) == (STATE,):
                continue
            if stat.S_ISDIR(status.st_mode) and len(folder) < MAX_DEPTH:
                yield from self.others((*folder, name), (), spare)
            yield (*folder, name), status

    def remove(self, names: Names) -> None:
        """Delete the regular file or empty folder at ``names``.

        Raises:
            InTheWay: it is something else, or not empty.
            CannotRun: the disk failed.
        """
        with self._explaining(names), suppress(FileNotFoundError), self._open(names[:-1]) as fd:
            mode = os.stat(names[-1], dir_fd=fd, follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                os.rmdir(names[-1], dir_fd=fd)
            elif stat.S_ISREG(mode):
                os.unlink(names[-1], dir_fd=fd)
            else:
                raise InTheWay("it is neither a file nor a folder")

    @contextmanager
    def _open(self, names: Names, *, create: bool = False) -> Iterator[int]:
        """Open the folder at ``names``."""
        if self._fd is None and create:
            os.makedirs(self.folder, exist_ok=True)
        fd = os.dup(self._open_root() if self._fd is None else self._fd)
        try:
            for name in names:
                if create:
                    with suppress(FileExistsError):
                        os.mkdir(name, dir_fd=fd)
                inner = os.open(name, _FOLDER_FLAGS, dir_fd=fd)
                os.close(fd)
                fd = inner
            yield fd
        finally:
            os.close(fd)

    @contextmanager
    def _explaining(self, names: Names) -> Iterator[None]:
        """Turn system errors into sentences."""
        try:
            yield
        except OSError as error:
            if error.errno in _LOCAL:
                raise InTheWay(_LOCAL[error.errno]) from error
            where = os.path.join(self.folder, shown(names))
            raise CannotRun(f"cannot write {where}: {error.strerror or error}") from error
