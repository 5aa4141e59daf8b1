"""Walk through a folder and find out what its archive contains: what the listings show, and nothing else.

Names are looked at as a request for them would be. So hidden names, symlinks that leave the root, FIFOs and devices are
not in the archive; a symlink that stays inside is what it leads to. A realm inside the folder has a password of its
own, which nobody has been asked for: it is left out, and the archive says so.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterable
from heapq import merge

import msgspec

from httpmini.errors import ProtocolError
from httpmini.reasons import REASONS
from httpmini.site.archive.plan import Member, Names, Plan, version_of
from httpmini.site.folders import modified_of, open_to_read, pieces
from httpmini.site.names import may_be_short
from httpmini.site.resolve import Directory, Fact, File, FolderId, Resolver

_MOST_PATH_BYTES = 4096  # what programs that extract archives can name
_LOOKS = 256  # entries between two looks at the clock: a few files are never too many, however busy the machine is
_MOST_LEFT_OUT = 20  # lines about what is left out

Found = tuple[bytes, os.stat_result]


class Bounds(msgspec.Struct, frozen=True):
    """How much an archive may cost.

    Attributes:
        files: how many files and folders it may contain.
        octets: how many bytes these may have in all.
        walk_s: how many seconds it may take to find out.
    """

    files: int
    octets: int
    walk_s: float = 2.0


class Walk:
    """One walk through one folder.

    Args:
        resolver: decides what is visible, and opens it.
        bounds: how much the archive may cost.
        is_shut: whether this path is in a realm of its own; also asked by folder, which may have several paths.
    """

    def __init__(self, resolver: Resolver, bounds: Bounds, is_shut: Callable[[Names, FolderId | None], bool]) -> None:
        self._resolver = resolver
        self._bounds = bounds
        self._is_shut = is_shut
        self._members: list[Member] = []
        self._left_out: list[str] = []
        self._octets = 0
        self._changed_ns = 0
        self._end = 0.0
        self._looked = 0

    def plan(self, names: Names, title: bytes) -> Plan:
        """Return the plan of the archive of a folder.

        Raises:
            ProtocolError: the folder is gone or cannot be read, has too many files or bytes, or takes too long.
        """
        self._end = time.monotonic() + self._bounds.walk_s
        fact = self._enter(names, b"", ())
        if fact is Fact.FORBIDDEN:
            raise ProtocolError(REASONS["forbidden"])
        if fact is not None:
            raise ProtocolError(REASONS["not-found"])
        left_out = self._left_out[:_MOST_LEFT_OUT]
        if len(self._left_out) > len(left_out):
            left_out.append(f"and {len(self._left_out) - len(left_out)} more")
        return Plan(names, title, tuple(self._members), tuple(left_out), self._changed_ns)

    def _enter(self, names: Names, path: bytes, above: tuple[FolderId, ...]) -> Fact | None:
        """Add a folder with what is in it; return why it cannot be read, None if it can."""
        found = self._resolver.resolve(names)
        if not isinstance(found, Directory):
            if isinstance(found, File):
                os.close(found.fd)
            return found if isinstance(found, Fact) else Fact.MISSING
        try:
            status = os.fstat(found.fd)
            here = (status.st_dev, status.st_ino)
            if here in above:
                self._leave_out(path, "leads back to a folder that contains it")
                return None
            if path and self._is_shut(names, here):
                self._leave_out(path, "asks for a password of its own")
                return None
            entries = self._read(found, names, path)
        except OSError as error:
            return Fact.FORBIDDEN if isinstance(error, PermissionError) else Fact.MISSING
        finally:
            os.close(found.fd)
        self._add(path, status, b"")
        for name, entry in entries:
            self._take((*names, name), _join(path, name), entry, (*above, here))
        return None

    def _take(self, names: Names, path: bytes, status: os.stat_result, above: tuple[FolderId, ...]) -> None:
        if len(path) > _MOST_PATH_BYTES:
            self._leave_out(path[:100], "has too long a path")
        elif stat.S_ISDIR(status.st_mode):
            fact = self._enter(names, path, above)
            if fact is Fact.FORBIDDEN:
                self._leave_out(path, "cannot be read")
        elif self._is_shut(names, None):
            self._leave_out(path, "asks for a password of its own")
        else:
            self._add(path, status, version_of(status))

    def _add(self, path: bytes, status: os.stat_result, version: bytes) -> None:
        is_folder = not version
        size = 0 if is_folder else status.st_size
        modified = modified_of(status)
        is_executable = bool(status.st_mode & stat.S_IXUSR)
        self._members.append(Member(path, size, modified, is_folder, is_executable, version))
        self._octets += size
        self._changed_ns = max(self._changed_ns, status.st_ctime_ns, status.st_mtime_ns)
        if len(self._members) > self._bounds.files:
            raise ProtocolError(REASONS["archive-files"])
        if self._octets > self._bounds.octets:
            raise ProtocolError(REASONS["archive-bytes"])

    def _read(self, directory: Directory, names: Names, path: bytes) -> list[Found]:
        """Return the visible entries of a folder in the order of their names."""
        readable = open_to_read(directory)
        try:
            with os.scandir(readable) as entries:
                every = (os.fsencode(entry.name) for entry in entries)
                shown = (name for name in every if self._resolver.shows(name, at_top=not names))
                found = ((name, self._status((*names, name), _join(path, name), readable)) for name in shown)
                return _sorted((name, status) for name, status in found if status is not None)
        finally:
            os.close(readable)

    def _status(self, names: Names, path: bytes, folder: int) -> os.stat_result | None:
        """Return the status of an entry that can be fetched, else None; look at the clock now and then."""
        self._looked += 1
        if self._looked % _LOOKS == 0 and time.monotonic() > self._end:
            raise ProtocolError(REASONS["archive-slow"])
        name = names[-1]
        try:
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode) or may_be_short(name):
                self._changed_ns = max(self._changed_ns, status.st_ctime_ns)
                return self._status_at_end(names)
            if stat.S_ISREG(status.st_mode):
                if os.access(name, os.R_OK, dir_fd=folder):
                    return status
                self._leave_out(path, "cannot be read")
        except OSError:
            return None
        return status if stat.S_ISDIR(status.st_mode) else None

    def _status_at_end(self, names: Names) -> os.stat_result | None:
        """Return the status of what a symlink leads to."""
        found = self._resolver.resolve(names)
        if isinstance(found, Fact):
            return None
        if isinstance(found, File):
            self._changed_ns = max(self._changed_ns, found.reached_ns)
        try:
            return os.fstat(found.fd)
        finally:
            os.close(found.fd)

    def _leave_out(self, path: bytes, why: str) -> None:
        shown = path.decode("utf-8", "replace")
        name = "".join(character if character.isprintable() else "\ufffd" for character in shown)
        self._left_out.append(f"{name} {why}")


def _sorted(entries: Iterable[Found]) -> list[Found]:
    """Sort entries by name, piece by piece."""
    runs = [sorted(piece, key=_name) for piece in pieces(entries)]
    return runs[0] if len(runs) == 1 else list(merge(*runs, key=_name))


def _join(path: bytes, name: bytes) -> bytes:
    return path + b"/" + name if path else name


def _name(found: Found) -> bytes:
    return found[0]
