"""Whether an answer is still right: by what the disk says of the files that it was made of.

An answer about a file depends on the path that leads to it and on the file. Both are looked at anew before the answer
is used again:

- Every folder on the path is still the folder that it was, and no symlink: the same device, inode and mode.
- The file is still the same version: also the same size, modification time and change time, in nanoseconds. The kernel
  sets the change time itself, whenever content, permissions, owner or links change; nobody can turn it back.
- No name that would come first is there now, such as another index file.

The path is looked up by name from the root, so a root that is swapped is seen as well. A path that leads through a
symlink is vouched for by nobody, and neither is a file that was changed a moment ago: within one tick of the clock it
could change without a trace.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

# Some file systems keep times to two seconds (FAT).
SETTLED_S = 2.0


class Witness:
    """Says whether the path that was walked still leads to the file that was opened.

    Args:
        root: the directory that is served, an absolute path.
        names: what was walked, below it.
        status: of the file that was opened.
        missing: names beside the last one that were not there.
    """

    __slots__ = ("_changed_ns", "_device", "_folders", "_inode", "_missing", "_mode", "_modified_ns", "_path", "_size")

    def __init__(
        self, root: bytes, names: tuple[bytes, ...], status: os.stat_result, missing: Iterable[bytes] = ()
    ) -> None:
        folders = [os.path.join(root, *names[:depth]) for depth in range(1, len(names))]
        self._path = os.path.join(root, *names)
        self._missing = [os.path.join(os.path.dirname(self._path), name) for name in missing]
        self._folders = [(folder, _identify_folder(folder)) for folder in folders]
        self._inode, self._device, self._mode = status.st_ino, status.st_dev, status.st_mode
        self._size, self._modified_ns, self._changed_ns = status.st_size, status.st_mtime_ns, status.st_ctime_ns

    def __call__(self) -> bool:
        """Whether it does; False also when that cannot be found out."""
        try:
            for folder, identity in self._folders:
                if identity is None or _identify_folder(folder) != identity:
                    return False
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


def vouch(
    root: bytes, names: tuple[bytes, ...], status: os.stat_result, now: float, missing: Iterable[bytes] = ()
) -> Witness | None:
    """A witness for the file with ``status`` at ``names``; None when nobody can vouch for it.

    Args:
        root: the directory that is served.
        names: the path that was walked.
        status: of the file that was opened at its end.
        now: seconds since the epoch.
        missing: names in the same folder that come first, and are not there.
    """
    if max(status.st_mtime, status.st_ctime) > now - SETTLED_S:
        return None
    witness = Witness(root, names, status, missing)
    return witness if witness() else None


def _identify_folder(path: bytes) -> tuple[int, int, int] | None:
    """Device, inode and mode of a folder; None when it is none, or is not there."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return (status.st_dev, status.st_ino, status.st_mode) if stat.S_ISDIR(status.st_mode) else None
