"""Whether an answer is still right: by what the disk says of the files that it was made of.

An answer about a file depends on the path that leads to it and on the file. Both are looked at anew before the answer
is used again:

- Every folder on the path is still the folder that it was, and no symlink: the same device, inode and mode.
- The file is still the same version: also the same size, modification time and change time, in nanoseconds. The kernel
  sets the change time itself, whenever content, permissions, owner or links change; nobody can turn it back.
- No name that would come first is there now, such as another index file.

Many files share a folder, and a busy server answers several requests in one turn: a folder is looked at once for all
who ask at the same moment.

The path is looked up by name from the root, so a root that is swapped is seen as well. A path that leads through a
symlink is vouched for by nobody, and neither is a file that was changed a moment ago: within one tick of the clock it
could change without a trace.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence

# Some file systems keep times to two seconds (FAT).
SETTLED_S = 2.0
_MOST_FOLDERS = 4096
_NEVER = -1.0


class _Folder:
    """A folder as it was when it was first looked at."""

    __slots__ = ("_identity", "_looked_at", "_path")

    def __init__(self, path: bytes) -> None:
        self._path = path
        self._identity = _identify_folder(path)
        self._looked_at = _NEVER

    def is_there(self, moment: float) -> bool:
        """Whether it still is at its place, and is no symlink."""
        if self._looked_at != moment:
            if self._identity is None or _identify_folder(self._path) != self._identity:
                return False
            self._looked_at = moment
        return True


def _identify_folder(path: bytes) -> tuple[int, int, int] | None:
    """Device, inode and mode of a folder; None when it is none, or is not there."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return (status.st_dev, status.st_ino, status.st_mode) if stat.S_ISDIR(status.st_mode) else None


class PathStamp:
    """Says whether the path that was walked still leads to the file that was opened.

    Args:
        path: what was walked.
        folders: on it, without the root.
        status: of the file that was opened.
        missing: paths that come first, and at which nothing was.
    """

    __slots__ = ("_changed_ns", "_device", "_folders", "_inode", "_missing", "_mode", "_modified_ns", "_path", "_size")

    def __init__(
        self, path: bytes, folders: Sequence[_Folder], status: os.stat_result, missing: Sequence[bytes]
    ) -> None:
        self._path = path
        self._folders = folders
        self._missing = missing
        self._inode, self._device, self._mode = status.st_ino, status.st_dev, status.st_mode
        self._size, self._modified_ns, self._changed_ns = status.st_size, status.st_mtime_ns, status.st_ctime_ns

    def __call__(self, moment: float) -> bool:
        """Whether it does; False also when that cannot be found out.

        Args:
            moment: any number, another one each time, except where one look at the folders is enough for several calls.
        """
        for folder in self._folders:
            if not folder.is_there(moment):
                return False
        try:
            if self._missing and any(map(os.path.lexists, self._missing)):
                return False
            now = os.lstat(self._path)
        except OSError:
            return False
        return (
            now.st_ctime_ns == self._changed_ns
            and now.st_ino == self._inode
            and now.st_mtime_ns == self._modified_ns
            and now.st_size == self._size
            and now.st_dev == self._device
            and now.st_mode == self._mode
        )


class PathStamps:
    """Finds a witness for each file of a site.

    Args:
        root: the directory that is served, an absolute path.
    """

    def __init__(self, root: bytes) -> None:
        self._root = root
        self._folders: dict[bytes, _Folder] = {}

    def vouch(
        self, names: tuple[bytes, ...], status: os.stat_result, now: float, missing: Sequence[bytes] = ()
    ) -> PathStamp | None:
        """A witness for the file with ``status`` at ``names``; None when nobody can vouch for it.

        Args:
            names: the path that was walked.
            status: of the file that was opened at its end.
            now: seconds since the epoch.
            missing: names in the same folder that come first, and are not there.
        """
        if max(status.st_mtime, status.st_ctime) > now - SETTLED_S:
            return None
        path, folders = self._root, []
        for name in names[:-1]:
            path += b"/" + name
            folders.append(self._folder(path, now))
        witness = PathStamp(path + b"/" + names[-1], folders, status, [path + b"/" + name for name in missing])
        return witness if witness(now) else None

    def _folder(self, path: bytes, moment: float) -> _Folder:
        """The folder at ``path``; another one than before when that has changed."""
        folder = self._folders.get(path)
        if folder is None or not folder.is_there(moment):
            if len(self._folders) >= _MOST_FOLDERS:
                self._folders.clear()
            folder = self._folders[path] = _Folder(path)
        return folder
