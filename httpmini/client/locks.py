"""Locks on open files and folders, which the kernel releases with the process that holds them (flock).

What cannot be locked is never shared: each caller says what it does without.
"""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import suppress

from httpmini.errors import CannotRun
from httpmini.files import open_folder


class InUse(CannotRun):
    """Another process, or another part of this one, holds the lock."""


def lock(fd: int, *, shared: bool = False) -> bool:
    """Lock an open file or folder until all descriptors of this opening are closed.

    Args:
        fd: of the file or folder.
        shared: whether others may share the lock.

    Returns:
        False if this file system has no locks.

    Raises:
        InUse: it is locked already.
    """
    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:  # EACCES: NFS makes another kind of lock of it
        raise InUse("locked by another process") from error
    except OSError:
        return False
    return True


class FolderLock:
    """A lock on a folder and everything below it, held against other locks of this kind.

    The folder itself is locked exclusively, and those above it are shared, as a database locks a table before a row:
    so a lock on D and one on D/sub exclude each other, whichever comes first, while D/a and D/b do not. A folder that
    everybody shares (/tmp) is not locked on the way: others lock it for purposes of their own.

    Args:
        fd: of the folder; remains the caller's.
        shown: its path, for messages.

    Raises:
        InUse: it, a folder above or one below it is locked.
        CannotRun: it cannot be locked.
    """

    def __init__(self, fd: int, shown: str) -> None:
        self._held: list[int] = []
        try:
            if not self._take(fd, ".", shared=False):
                raise CannotRun(f"{shown} cannot be locked on this file system, so it cannot be kept as a mirror")
            self._lock_those_above(fd)
        except InUse as error:
            self.close()
            raise InUse(f"{shown}: another mirror is running in it, or in a folder above or below it") from error
        except BaseException:
            self.close()
            raise

    def _lock_those_above(self, fd: int) -> None:
        here = os.dup(fd)
        try:
            while True:
                above, _ = open_folder("../x", dir_fd=here)
                is_root = os.path.samestat(os.fstat(above), os.fstat(here))
                os.close(here)
                here = above
                if is_root:
                    return
                if not os.fstat(above).st_mode & stat.S_ISVTX:
                    with suppress(OSError):  # a folder that may not be read
                        self._take(above, ".", shared=True)
        except OSError:  # the rest of the path is closed to us
            return
        finally:
            os.close(here)

    def _take(self, folder: int, name: str, *, shared: bool) -> bool:
        """Lock a folder by a descriptor of our own: those of the caller may be duplicates."""
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
        self._held.append(fd)
        return lock(fd, shared=shared)

    def close(self) -> None:
        """Release the locks."""
        while self._held:
            os.close(self._held.pop())
