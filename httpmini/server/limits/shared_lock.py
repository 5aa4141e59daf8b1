"""A lock shared by processes and their threads."""

from __future__ import annotations

import fcntl
import os
from _thread import allocate_lock

from httpmini.errors import CannotRun

# The kernel's lock belongs to the whole process, so threads need one of their own. No thread holds it across a fork.
_threads = allocate_lock()
os.register_at_fork(before=_threads.acquire, after_in_parent=_threads.release, after_in_child=_threads.release)


class SharedLock:
    """A context manager that one thread of one process holds at a time. The kernel frees it if its holder is killed.

    It is a POSIX record lock (fcntl(2)) on an anonymous file. Create it before forking the processes that share it.

    Raises:
        CannotRun: this system has no anonymous files (memfd_create(2)).
    """

    def __init__(self) -> None:
        if not hasattr(os, "memfd_create"):
            raise CannotRun("limits by address or in total need memfd_create(2), which only Linux has")
        try:
            self._fd = os.memfd_create("httpmini")
        except OSError as error:
            raise CannotRun(f"limits by address or in total need memfd_create(2): {error.strerror}") from error

    def __del__(self) -> None:
        if hasattr(self, "_fd"):
            os.close(self._fd)

    def __enter__(self) -> None:
        _threads.acquire()
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX)
        except BaseException:
            _threads.release()
            raise

    def __exit__(self, *_: object) -> None:
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_UN)
        finally:
            _threads.release()
