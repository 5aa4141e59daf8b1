"""Python as it is on a system that is not Linux: what only Linux has is taken away before anything is imported.

Python imports this file at its start when its folder is in PYTHONPATH: in the tests, and in every server they start.
The kernel is Linux all the same, so what a system has instead (kqueue, procctl) is not tested.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import select
import selectors
import socket
from types import ModuleType

MISSING: dict[ModuleType, tuple[str, ...]] = {
    fcntl: ("F_SETPIPE_SZ", "F_GETPIPE_SZ"),
    os: (
        *("O_PATH", "O_TMPFILE", "eventfd", "eventfd_read", "eventfd_write", "memfd_create", "sched_getaffinity"),
        *("sendfile", "getresuid", "getresgid", "setresuid", "setresgid", "posix_fadvise", "posix_fallocate", "splice"),
    ),
    resource: ("prlimit",),
    select: ("epoll", *(name for name in dir(select) if name.startswith("EPOLL"))),
    selectors: ("EpollSelector",),
    socket: ("TCP_CORK", "TCP_DEFER_ACCEPT", "TCP_QUICKACK", "TCP_USER_TIMEOUT", "SO_PEERCRED"),
}
SYSTEM_CALLS = ("syscall", "prctl")


class LibraryWithout(ctypes.CDLL):
    """A C library that lacks the functions of Linux."""

    def __getattr__(self, name: str) -> ctypes._NamedFuncPointer:
        if name in SYSTEM_CALLS:
            raise AttributeError(name)
        return super().__getattr__(name)


for module, names in MISSING.items():
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
selectors.DefaultSelector = selectors.PollSelector  # type: ignore[misc,assignment]  # chosen when socket was imported
ctypes.CDLL = LibraryWithout  # type: ignore[misc]
