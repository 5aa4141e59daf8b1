"""From the names of a path to a file that is open and inside the root, or to a named fact.

The walk holds a descriptor of the directory it stands in, looks at the next name without following it, and opens
it relative to that descriptor with O_NOFOLLOW. Nobody can swap a directory for a symlink between the look and the
step: the open would fail. Symlinks are followed here, by hand, one name at a time, so that one that leaves the root
is noticed when it does so. (``realpath`` and then ``open`` is the usual way, and has that gap.)
"""

from __future__ import annotations

import os
import stat
from collections import deque
from enum import Enum
from errno import EACCES, EINVAL, ELOOP, EMFILE, ENAMETOOLONG, ENFILE, ENOENT, ENOTDIR, ENXIO, EPERM

import msgspec

_MAX_DETOURS = 40  # as many symlinks as Linux follows before it says ELOOP

# O_PATH asks for no permission to read the directory, only to go through it; where it is missing, reading must do.
_DIRECTORY_FLAGS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: should a FIFO have taken the file's place, open must not wait for a writer.
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Fact(Enum):
    """Why there is nothing to send under a name."""

    MISSING = "no such file"
    HIDDEN = "a name that begins with a dot"
    DOTS = "a component . or .."
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
    """What the system said, in our words."""
    return _FACTS.get(error.errno or 0, Fact.DISK_ERROR)


class File(msgspec.Struct, frozen=True):
    """A regular file, open for reading; whoever holds it closes ``fd``."""

    fd: int
    status: os.stat_result


class Directory(msgspec.Struct, frozen=True):
    """A directory, open for going through, not for reading; whoever holds it closes ``fd``."""

    fd: int


class Resolver(msgspec.Struct, frozen=True):
    """Finds files below one root.

    Attributes:
        root: the directory, an absolute path. It is opened anew for each request, so that a root that is swapped
            (a new release moved into place) is seen by the next one.
        hidden: whether names that begin with a dot are served. ``.well-known`` at the top always is (RFC 8615).
        symlinks: whether symlinks that stay inside the root are followed.
    """

    root: bytes
    hidden: bool
    symlinks: bool

    def resolve(self, names: tuple[bytes, ...]) -> File | Directory | Fact:
        """Open what ``names`` lead to. Never raises OSError, never blocks on what it opens."""
        for position, name in enumerate(names):
            if name in (b".", b".."):
                return Fact.DOTS
            if not self.shows(name, at_top=position == 0):
                return Fact.HIDDEN
            if b"/" in name:
                return Fact.MISSING
        walk = _Walk(self.root, self.symlinks)
        try:
            return walk.to(names)
        except OSError as error:
            return fact_of(error)
        finally:
            walk.close()

    def shows(self, name: bytes, *, at_top: bool) -> bool:
        """Whether ``name`` may be seen at all. What counts is the name asked for, not what a symlink calls it."""
        return self.hidden or not name.startswith(b".") or (at_top and name == b".well-known")


class _Walk(msgspec.Struct):
    """Where we stand: one descriptor, and the names of the directories that led there."""

    root: bytes
    symlinks: bool
    here: int | None = None
    names: list[bytes] = msgspec.field(default_factory=list)
    detours: int = 0

    def close(self) -> None:
        if self.here is not None:
            os.close(self.here)
            self.here = None

    def to(self, names: tuple[bytes, ...]) -> File | Directory | Fact:
        ahead = deque(names)
        here = self._start_again()
        while ahead:
            name = ahead.popleft()
            if name == b"..":  # from a symlink; the names asked for have none
                if not self._step_up(ahead):
                    return Fact.OUTSIDE
                here = self._start_again()
                continue
            mode = os.stat(name, dir_fd=here, follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                here = self._stand_in(os.open(name, _DIRECTORY_FLAGS, dir_fd=here), name)
            elif stat.S_ISLNK(mode):
                if not self._follow(os.readlink(name, dir_fd=here), ahead):
                    return Fact.OUTSIDE
                here = self._start_again()
            elif not stat.S_ISREG(mode):
                return Fact.NOT_REGULAR
            elif ahead:
                return Fact.MISSING
            else:
                return _open_file(name, here)
        self.here = None  # whoever asked has it now
        return Directory(here)

    def _start_again(self) -> int:
        """From the root; ``ahead`` has the whole way."""
        self.names.clear()
        return self._stand_in(os.open(self.root, _DIRECTORY_FLAGS & ~os.O_NOFOLLOW))

    def _stand_in(self, fd: int, name: bytes | None = None) -> int:
        self.close()
        self.here = fd
        if name is not None:
            self.names.append(name)
        return fd

    def _step_up(self, ahead: deque[bytes]) -> bool:
        """Go back by walking the way again without its last name: the ``..`` on the disk may lead elsewhere by now."""
        if not self.names:
            return self._come_back_in(os.path.join(self.root, b"..", *ahead), ahead)
        self._count_detour()
        ahead.extendleft(reversed(self.names[:-1]))
        return True

    def _follow(self, target: bytes, ahead: deque[bytes]) -> bool:
        """Put a symlink's target before what is ahead; False when it leads out of the root."""
        if not self.symlinks:
            return False
        self._count_detour()
        if target.startswith(b"/"):
            return self._come_back_in(os.path.join(target, *ahead), ahead)
        way = [*self.names, *(part for part in target.split(b"/") if part not in (b"", b"."))]
        ahead.extendleft(reversed(way))
        return True

    def _come_back_in(self, path: bytes, ahead: deque[bytes]) -> bool:
        """Go on with a ``path`` that was named from outside, if it leads into the root; False if not.

        The path is only used as a list of names for another walk: what it says of the disk need not be true any more.
        """
        self._count_detour()
        real_root, real_path = os.path.realpath(self.root), os.path.realpath(path)
        if os.path.commonpath([real_root, real_path]) != real_root:
            return False
        ahead.clear()
        ahead.extend(part for part in real_path[len(real_root) :].split(b"/") if part)
        return True

    def _count_detour(self) -> None:
        self.detours += 1
        if self.detours > _MAX_DETOURS:
            raise OSError(ELOOP, os.strerror(ELOOP))


def _open_file(name: bytes, directory: int) -> File | Fact:
    """Open, then look: what was seen before the open may have been swapped for something else."""
    fd = os.open(name, _FILE_FLAGS, dir_fd=directory)
    status = os.fstat(fd)
    if stat.S_ISREG(status.st_mode):
        return File(fd, status)
    os.close(fd)
    return Fact.NOT_REGULAR
