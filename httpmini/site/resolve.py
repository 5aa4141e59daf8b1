"""Resolve the names of a path to an open file inside the root, or to the fact that explains why there is none.

The walk holds a descriptor of the current directory. It looks at the next name without following it, then opens it
relative to that descriptor with O_NOFOLLOW. If a directory is swapped for a symlink between the two, the open fails.
Symlinks are followed by hand, one name at a time, so the walk notices when one leaves the root. (The usual ``realpath``
and then ``open`` has a race between the two.)
"""

from __future__ import annotations

import os
import stat
from collections import deque
from enum import Enum
from errno import EACCES, EINVAL, ELOOP, EMFILE, ENAMETOOLONG, ENFILE, ENOENT, ENOTDIR, ENXIO, EPERM

import msgspec

from httpmini.site.names import begins_with_dot, may_be_short
from httpmini.site.target import MAX_NAMES

_MAX_RESTARTS = 40  # as many symlinks as Linux follows before it fails with ELOOP

# O_PATH needs permission to search the directory, not to read it. Systems without it open for reading.
_DIRECTORY_FLAGS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: if a FIFO has taken the place of the file, open must not wait for a writer.
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


FolderId = tuple[int, int]
"""Device and inode of a folder, which are the same under each of its names."""


class Fact(Enum):
    """Why a path leads to nothing that can be sent."""

    MISSING = "no such file"
    HIDDEN = "a name that begins with a dot"
    DOTS = "a component that is . or .."
    NOT_REGULAR = "a FIFO, a socket or a device"
    OUTSIDE = "a symlink that leaves the root, or any symlink where none is followed"
    FORBIDDEN = "no permission"
    RESOURCES = "no descriptors left"
    DISK_ERROR = "the disk failed"


_FACTS = {
    **dict.fromkeys((ENOENT, ENOTDIR, ELOOP, ENAMETOOLONG, ENXIO, EINVAL), Fact.MISSING),
    **dict.fromkeys((EACCES, EPERM), Fact.FORBIDDEN),
    **dict.fromkeys((EMFILE, ENFILE), Fact.RESOURCES),
}


def fact_of(error: OSError) -> Fact:
    """Return the fact that a system error stands for."""
    return _FACTS.get(error.errno or 0, Fact.DISK_ERROR)


class File(msgspec.Struct, frozen=True):
    """A regular file, open for reading. Its holder closes ``fd``.

    Attributes:
        fd: its descriptor.
        status: of the open file.
        reached_ns: when its path last began to lead to it, as far as symlinks and renamed folders show, in nanoseconds
            since the epoch.
        folders: those on its path below the root; empty if a symlink is on it.
    """

    fd: int
    status: os.stat_result
    reached_ns: int = 0
    folders: tuple[FolderId, ...] = ()


class Directory(msgspec.Struct, frozen=True):
    """A directory, open for searching, not for reading. Its holder closes ``fd``.

    Attributes:
        fd: its descriptor.
        folders: those on its path below the root, and itself; empty if a symlink is on it.
    """

    fd: int
    folders: tuple[FolderId, ...] = ()


class Resolver(msgspec.Struct, frozen=True):
    """Finds files below a root.

    Attributes:
        root: the directory, an absolute path. It is opened again for each request, so the next request sees a root that
            has been replaced (a new release moved into place).
        hidden: whether to serve names that begin with a dot. ``.well-known`` at the top is always served (RFC 8615).
        symlinks: whether to follow symlinks that stay inside the root.
        only: the name of the only file in it that is served; empty for all of them.
    """

    root: bytes
    hidden: bool
    symlinks: bool
    only: bytes = b""

    def resolve(self, names: tuple[bytes, ...]) -> File | Directory | Fact:
        """Open what ``names`` lead to. Never raises OSError, and never blocks on what it opens."""
        if len(names) > MAX_NAMES or (self.only and names != (self.only,)):
            return Fact.MISSING
        for position, name in enumerate(names):
            if name in (b".", b".."):
                return Fact.DOTS
            if not self.shows(name, at_top=position == 0):
                return Fact.HIDDEN
            if b"/" in name:
                return Fact.MISSING
            if may_be_short(name) and self._is_second_name(names[: position + 1]):
                return Fact.HIDDEN
        walk = _Walk(self.root, self.symlinks)
        try:
            return walk.to(names)
        except OSError as error:
            return fact_of(error)
        finally:
            walk.close()

    def shows(self, name: bytes, *, at_top: bool) -> bool:
        """Whether the name of an entry is visible. The requested name counts, not the name of a symlink's target."""
        return self.hidden or not begins_with_dot(name) or (at_top and name == b".well-known")

    def folder_id(self, names: tuple[bytes, ...]) -> FolderId | None:
        """Return what identifies the folder at ``names``; None if there is none."""
        try:
            status = os.stat(b"/".join((self.root, *names)))
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _is_second_name(self, names: tuple[bytes, ...]) -> bool:
        """Whether ``names`` lead to an entry that has a hidden name in the same folder (GIT~1 for .git)."""
        if self.hidden:
            return False
        folder, at_top = b"/".join((self.root, *names[:-1])), len(names) == 1
        try:
            here = os.lstat(folder + b"/" + names[-1])
            hidden = [entry for entry in os.listdir(folder) if not self.shows(entry, at_top=at_top)]
            return any(os.path.samestat(here, os.lstat(folder + b"/" + entry)) for entry in hidden)
        except OSError:
            return False  # the walk will find out what is wrong


class _Walk(msgspec.Struct):
    """The walk to one file.

    Attributes:
        root: the path of the root.
        symlinks: whether to follow symlinks.
        here: a descriptor of the current directory, or None before the start and after the end.
        names: the directories that led there from the root.
        restarts: how often the walk has started again from the root.
        reached_ns: the latest change of a symlink or folder on the path that may have made it lead elsewhere.
        folders: what was entered, as long as there was no symlink.
    """

    root: bytes
    symlinks: bool
    here: int | None = None
    names: list[bytes] = msgspec.field(default_factory=list)
    restarts: int = 0
    reached_ns: int = 0
    folders: list[FolderId] = msgspec.field(default_factory=list)

    def close(self) -> None:
        if self.here is not None:
            os.close(self.here)
            self.here = None

    def to(self, names: tuple[bytes, ...]) -> File | Directory | Fact:
        ahead = deque(names)
        here = self._start_again()
        while ahead:
            name = ahead.popleft()
            if name == b"..":  # from a symlink; the requested names contain none
                if not self._step_up(ahead):
                    return Fact.OUTSIDE
                here = self._start_again()
                continue
            status = os.stat(name, dir_fd=here, follow_symlinks=False)
            mode = status.st_mode
            if stat.S_ISDIR(mode):
                self._note(status)
                self.folders.append((status.st_dev, status.st_ino))
                here = self._enter(os.open(name, _DIRECTORY_FLAGS, dir_fd=here), name)
            elif stat.S_ISLNK(mode):
                self._note(status)
                if not self._follow(os.readlink(name, dir_fd=here), ahead):
                    return Fact.OUTSIDE
                here = self._start_again()
            elif not stat.S_ISREG(mode):
                return Fact.NOT_REGULAR
            elif ahead:
                return Fact.MISSING
            else:
                return self._open_file(name)
        self.here = None  # the caller owns it now
        return Directory(here, self._folders())

    def _open_file(self, name: bytes) -> File | Fact:
        """Open, then look: what was seen before opening may have been replaced since."""
        fd = os.open(name, _FILE_FLAGS, dir_fd=self.here)
        status = os.fstat(fd)
        if stat.S_ISREG(status.st_mode):
            return File(fd, status, self.reached_ns, self._folders())
        os.close(fd)
        return Fact.NOT_REGULAR

    def _folders(self) -> tuple[FolderId, ...]:
        return () if self.restarts else tuple(self.folders)

    def _start_again(self) -> int:
        """Go to the root. The names ahead must be the whole path."""
        self.names.clear()
        self._note(os.lstat(self.root))
        return self._enter(os.open(self.root, _DIRECTORY_FLAGS & ~os.O_NOFOLLOW))

    def _note(self, status: os.stat_result) -> None:
        """Note when a symlink was made, or a folder renamed.

        A new entry changes both times of a folder, and says nothing about the others; a new name only one.
        """
        if stat.S_ISLNK(status.st_mode) or status.st_ctime_ns > status.st_mtime_ns:
            self.reached_ns = max(self.reached_ns, status.st_ctime_ns)

    def _enter(self, fd: int, name: bytes | None = None) -> int:
        self.close()
        self.here = fd
        if name is not None:
            self.names.append(name)
        return fd

    def _step_up(self, ahead: deque[bytes]) -> bool:
        """Prepare to walk from the root again, without the last name: ``..`` on disk may lead elsewhere by now.

        Returns:
            False if that leaves the root.
        """
        if not self.names:
            return self._reenter(os.path.join(self.root, b"..", *ahead), ahead)
        self._count_restart()
        ahead.extendleft(reversed(self.names[:-1]))
        return True

    def _follow(self, target: bytes, ahead: deque[bytes]) -> bool:
        """Prepare to walk to the target of a symlink, and then on.

        Returns:
            False if the target is outside the root, or if symlinks are not followed.
        """
        if not self.symlinks:
            return False
        self._count_restart()
        if target.startswith(b"/"):
            return self._reenter(os.path.join(target, *ahead), ahead)
        path = [*self.names, *(part for part in target.split(b"/") if part not in (b"", b"."))]
        ahead.extendleft(reversed(path))
        return True

    def _reenter(self, path: bytes, ahead: deque[bytes]) -> bool:
        """Prepare to walk to ``path``, which begins outside the root, if it leads back into it.

        Its real path only provides the names for another walk, because the disk may have changed by then.

        Returns:
            False if it does not lead into the root.
        """
        self._count_restart()
        real_root, real_path = os.path.realpath(self.root), os.path.realpath(path)
        if os.path.commonpath([real_root, real_path]) != real_root:
            return False
        ahead.clear()
        ahead.extend(part for part in real_path[len(real_root) :].split(b"/") if part)
        return True

    def _count_restart(self) -> None:
        self.restarts += 1
        if self.restarts > _MAX_RESTARTS:
            raise OSError(ELOOP, os.strerror(ELOOP))
