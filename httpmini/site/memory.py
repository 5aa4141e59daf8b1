"""A bounded memory of what was found out about files."""

from __future__ import annotations

import os
from _thread import allocate_lock
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
Identity = tuple[int, int, int, int, int]

_MAX_REMEMBERED = 4096


def identity_of(status: os.stat_result) -> Identity:
    """Return what changes whenever a file does: the kernel sets the change time, and nobody else."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


class Memory(Generic[Key, Value]):
    """The newest things that were remembered. Threads may share it."""

    def __init__(self) -> None:
        self._known: OrderedDict[Key, Value] = OrderedDict()
        self._lock = allocate_lock()

    def __len__(self) -> int:
        return len(self._known)

    def find(self, key: Key) -> Value | None:
        """Return what is known about ``key``, or None."""
        return self._known.get(key)

    def keep(self, key: Key, value: Value) -> None:
        """Remember ``value``; the oldest makes room."""
        with self._lock:
            while len(self._known) >= _MAX_REMEMBERED:
                self._known.popitem(last=False)
            self._known[key] = value
