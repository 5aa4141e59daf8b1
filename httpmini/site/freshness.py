"""Whether a response is still right: by what the disk says of the files that it was made of.

A response about a file depends on the path that leads to it and on the file. A *path stamp* is what the disk said of
both. Before the response is used again, all of it is looked at again:

- Every folder on the path is still the same folder, and no symlink: the same device, inode and mode.
- The file is still the same version: also the same size, modification time and change time, in nanoseconds. The kernel
  sets the change time itself whenever content, permissions, owner or links change; nobody can turn it back.
- No name that would come first is there now, such as another index file.

Many files share a folder, and a busy server answers several requests in one turn of its loop: a folder is looked at
once for all of them.

The path is looked up by name from the root, so a root that is swapped is noticed as well. There is no stamp for a path
through a symlink, nor for a file that was changed a moment ago: within one tick of the clock it could change without a
trace.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence

# Some file systems keep times to two seconds (FAT). A change time in the future, left by a clock that was wrong, will
# not be given again for a while.
SETTLED_S = 2.0
_MAX_FOLDERS = 4096
# A status begins with mode, inode, device, number of links, owner, group and size; whole seconds follow.
_TIMES = 7


class _Folder:
    """A folder as it was when it was first looked at."""

    __slots__ = ("_checked_in", "_identity", "_path")

    def __init__(self, path: bytes) -> None:
        self._path = path
        self._identity = _identify_folder(path)
        self._checked_in = 0

    def is_there(self, turn: int) -> bool:
        """Whether it still is at its place, and is no symlink; looked at once in each turn but 0."""
        if not turn or self._checked_in != turn:
            if self._identity is None or _identify_folder(self._path) != self._identity:
                return False
            self._checked_in = turn
        return True


def _identify_folder(path: bytes) -> tuple[int, int, int] | None:
    """Return device, inode and mode of a folder; None when it is none, or is not there."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return (status.st_dev, status.st_ino, status.st_mode) if stat.S_ISDIR(status.st_mode) else None


class PathStamp:
    """Says whether the path that was walked still leads to the file that was opened.

    Args:
        path: the path.
        folders: on it, without the root.
        status: of the file that was opened.
        missing: paths that would come first, and at which nothing was.
    """

    __slots__ = ("_changed_ns", "_folders", "_identity", "_missing", "_modified_ns", "_path")

    def __init__(
        self, path: bytes, folders: Sequence[_Folder], status: os.stat_result, missing: Sequence[bytes]
    ) -> None:
        self._path = path
        self._folders = folders
        self._missing = missing
        self._identity = status[:_TIMES]
        self._modified_ns, self._changed_ns = status.st_mtime_ns, status.st_ctime_ns

    def __call__(self, turn: int) -> bool:
        """Whether it does; False if that cannot be found out.

        Args:
            turn: a token for this turn of the loop: folders that were found right in it are not looked at again. 0
                belongs to no turn: everything is looked at.
        """
        for folder in self._folders:
            if not folder.is_there(turn):
                return False
        try:
            if self._missing and any(map(os.path.lexists, self._missing)):
                return False
            now = os.lstat(self._path)
        except OSError:
            return False
        return (
            now.st_ctime_ns == self._changed_ns
            and now.st_mtime_ns == self._modified_ns
            and now[:_TIMES] == self._identity
        )


class PathStamps:
    """Makes a stamp for each file of a site.

    Args:
        root: the directory that is served, an absolute path.
    """

    def __init__(self, root: bytes) -> None:
        self._root = root
        self._folders: dict[bytes, _Folder] = {}

    def stamp(
        self,
        names: tuple[bytes, ...],
        status: os.stat_result,
        wall: float,
        missing: Sequence[bytes] = (),
        reached_ns: int = 0,
    ) -> PathStamp | None:
        """Return a stamp of the file with ``status`` at ``names``; None when there can be none.

        Args:
            names: the path that was walked.
            status: of the file that was opened at its end.
            wall: the time of day, in seconds since the epoch.
            missing: names in the same folder that would come first, and are not there.
            reached_ns: when the path last began to lead to this file, in nanoseconds since the epoch.
        """
        if abs(wall - max(status.st_ctime, reached_ns / 1e9)) < SETTLED_S:
            return None
        path, folders = self._root, []
        for name in names[:-1]:
            path += b"/" + name
            folders.append(self._folder(path))
        stamp = PathStamp(path + b"/" + names[-1], folders, status, [path + b"/" + name for name in missing])
        return stamp if stamp(0) else None

    def _folder(self, path: bytes) -> _Folder:
        """Return the folder at ``path``; another one than before if that has changed."""
        folder = self._folders.get(path)
        if folder is None or not folder.is_there(0):
            if len(self._folders) >= _MAX_FOLDERS:
                self._folders.clear()
            folder = self._folders[path] = _Folder(path)
        return folder
