"""A local folder that a stranger's names are written into: nothing leaves it, and no symlink in it is followed.

Every path is walked from the folder's own descriptor, one name at a time, with O_NOFOLLOW: a symlink that is there, or
that somebody puts there meanwhile, ends the walk. Files are written under a name of ours and renamed when they are
complete.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress

from httpmini.client.mirror.listings import Names
from httpmini.errors import CannotRun
from httpmini.protocol.framing import Data

MAX_DEPTH = 64
"""How many folders one may lie in another; more are a loop, or meant to be one."""

PART = b".httpmini-mirror.part"
STATE = b".httpmini-mirror.json"
RESERVED = (PART, STATE)
"""Names of our own, which no remote file may have."""

_STATE_BYTES = 256 * 1024**2
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# What is wrong with one place; anything else (a full disk) is wrong with all of them.
_LOCAL = {
    errno.ELOOP: "a symlink is in its way",
    errno.ENOTDIR: "a file or a symlink is in its way",
    errno.EISDIR: "a folder is in its way",
    errno.EEXIST: "something is in its way",
    errno.ENOTEMPTY: "it is not empty",
    errno.ENAMETOOLONG: "the name is too long for this disk",
    errno.EINVAL: "this disk does not take such a name",
    errno.EILSEQ: "this disk does not take such a name",
    errno.EACCES: "no permission",
    errno.EPERM: "no permission",
    errno.EBUSY: "it is in use",
}


class InTheWay(CannotRun):
    """One place on the disk is not as it must be; the others may be."""


def shown(names: Names) -> str:
    """A path for a message."""
    return os.fsdecode(b"/".join(names)) or "."


class Tree:
    """The folder, locked against another one at work in it.

    Nothing is made before something is written.

    Args:
        folder: its path. It may lead through symlinks: the person has named it.

    Raises:
        CannotRun: it cannot be opened, or another mirror is at work in it.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._fd: int | None = None
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
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(fd)
            raise CannotRun(f"{self.folder}: another mirror is at work in it") from error
        except OSError:
            pass  # a file system without locks
        self._fd = fd
        return fd

    def close(self) -> None:
        """Let go of it."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def look(self, names: Names) -> os.stat_result | None:
        """What is at ``names``; None when nothing is.

        Raises:
            InTheWay: a part of the way is not a folder.
            CannotRun: the disk failed.
        """
        if self._fd is None:
            return None
        with self._saying(names):
            try:
                with self._open(names[:-1]) as fd:
                    return os.stat(names[-1], dir_fd=fd, follow_symlinks=False) if names else os.fstat(fd)
            except FileNotFoundError:
                return None

    def make_folder(self, names: Names) -> os.stat_result:
        """The folder at ``names``, made when it is not there.

        Raises:
            InTheWay, CannotRun: as for ``look``.
        """
        with self._saying(names), self._open(names, create=True) as fd:
            return os.fstat(fd)

    def write(self, names: Names, pieces: Iterable[Data], modified: int | None = None) -> os.stat_result:
        """Make ``pieces`` the content of the file at ``names``, all of it or nothing; the file's status.

        Args:
            names: in a folder that need not be there.
            pieces: what they raise is passed on, and nothing is changed.
            modified: its time, in seconds since the epoch; None for the present.

        Raises:
            InTheWay, CannotRun: as for ``look``.
        """
        with self._saying(names), self._open(names[:-1], create=True) as folder:
            with suppress(FileNotFoundError):
                os.unlink(PART, dir_fd=folder)  # of a run that was killed
            part = os.open(PART, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=folder)
            try:
                with open(part, "wb", buffering=0) as file:
                    for piece in pieces:
                        view = memoryview(piece)
                        while view:
                            view = view[file.write(view) :]
                    if modified is not None:
                        os.utime(part, (modified, modified))
                    status = os.fstat(part)
                os.replace(PART, names[-1], src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                with suppress(FileNotFoundError):
                    os.unlink(PART, dir_fd=folder)
                raise
            return status

    def read_state(self) -> bytes:
        """What ``write_state`` wrote; empty when there is none that can be read."""
        if self._fd is None:
            return b""
        try:
            fd = os.open(STATE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._fd)
        except OSError:
            return b""
        with open(fd, "rb") as file:
            usable = stat.S_ISREG(os.fstat(fd).st_mode) and os.fstat(fd).st_size <= _STATE_BYTES
            return file.read() if usable else b""

    def write_state(self, data: bytes) -> None:
        """Keep ``data`` for the next run.

        Raises:
            CannotRun: it cannot be written.
        """
        self.write((STATE,), (data,))

    def others(
        self, folder: Names, keep: Collection[bytes], spare: Callable[[os.stat_result], bool]
    ) -> Iterator[tuple[Names, os.stat_result]]:
        """What is in ``folder`` and not in ``keep``, and all below that, each before the folder that it lies in.

        Args:
            folder: its names.
            keep: names of entries that stay.
            spare: whether an entry stays because of what it is.

        Raises:
            InTheWay, CannotRun: as for ``look``.
        """
        if self._fd is None:
            return
        with self._saying(folder):
            try:
                with self._open(folder) as fd:
                    there = sorted(os.fsencode(name) for name in os.listdir(fd))
                    kinds = {name: os.stat(name, dir_fd=fd, follow_symlinks=False) for name in there}
            except (FileNotFoundError, PermissionError):  # then it cannot be removed either, and that is said
                return
        for name, status in kinds.items():
            if name in keep or spare(status) or (*folder, name) == (STATE,):
                continue
            if stat.S_ISDIR(status.st_mode) and len(folder) < MAX_DEPTH:
                yield from self.others((*folder, name), (), spare)
            yield (*folder, name), status

    def remove(self, names: Names) -> None:
        """Take away the regular file or the empty folder at ``names``.

        Raises:
            InTheWay: it is something else, or not empty.
            CannotRun: the disk failed.
        """
        with self._saying(names), suppress(FileNotFoundError), self._open(names[:-1]) as fd:
            mode = os.stat(names[-1], dir_fd=fd, follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                os.rmdir(names[-1], dir_fd=fd)
            elif stat.S_ISREG(mode):
                os.unlink(names[-1], dir_fd=fd)
            else:
                raise InTheWay("it is neither a file nor a folder")

    @contextmanager
    def _open(self, names: Names, *, create: bool = False) -> Iterator[int]:
        """A descriptor of the folder at ``names``."""
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
    def _saying(self, names: Names) -> Iterator[None]:
        """System errors as sentences."""
        try:
            yield
        except OSError as error:
            if error.errno in _LOCAL:
                raise InTheWay(_LOCAL[error.errno]) from error
            where = os.path.join(self.folder, shown(names))
            raise CannotRun(f"cannot write {where}: {error.strerror or error}") from error
