"""A lock that processes share, and their threads."""

from __future__ import annotations

import fcntl
import os
from _thread import allocate_lock

from httpmini.errors import CannotRun

# One for all threads of this process: the kernel's lock is the process's. Nobody holds it across a fork.
_threads = allocate_lock()
os.register_at_fork(before=_threads.acquire, after_in_parent=_threads.release, after_in_child=_threads.release)


class SharedLock:
    """Held for a moment by one thread of one process; a process that is killed lets it go (fcntl(2)).

    It is made before the processes are.

    Raises:
        CannotRun: this system has no file in memory to lock.
    """

    def __init__(self) -> None:
        if not hasattr(os, "memfd_create"):
            raise CannotRun("limits by address or in total need memfd_create(2), which Linux has")
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
