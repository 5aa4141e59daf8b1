"""The places for clients, counted: by one process, or by several together."""

from __future__ import annotations

import mmap
import os
import threading
from typing import Protocol

from httpmini.errors import CannotRun


class Slots(Protocol):
    """So many places.

    Attributes:
        crowded_since: when it was said that the last place was taken, by the monotonic clock, which is the same for all
            processes; 0 when it was said since that there is room again.
    """

    crowded_since: float

    @property
    def active(self) -> int:
        """How many are taken."""
        ...

    def take(self) -> bool:
        """Take one; False when there is none."""
        ...

    def give(self) -> None:
        """Give one back."""
        ...


class LocalSlots:
    """Those of one process; its threads may give them back at any time."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._lock = threading.Lock()
        self.active = 0
        self.crowded_since = 0.0

    def resize(self, count: int) -> None:
        """Another number of places; when more are taken, none is free until that many have been given back."""
        self._count = count

    def take(self) -> bool:
        """See ``Slots``."""
        with self._lock:
            if self.active >= self._count:
                return False
            self.active += 1
            return True

    def give(self) -> None:
        """See ``Slots``."""
        with self._lock:
            self.active -= 1


class SharedSlots:
    """Those of several processes.

    The count is a semaphore in the kernel (eventfd(2)), so that two processes cannot take the same place, and one that
    waits for a place can poll it. How many each holds is written down in shared memory, each in its own field: the
    places of a process that was killed are given back by its parent.

    Args:
        count: how many places.
        processes: how many processes there are at the most.

    Raises:
        CannotRun: this system has no such semaphore.
    """

    def __init__(self, count: int, processes: int) -> None:
        if not hasattr(os, "eventfd"):
            raise CannotRun('mode = "prefork" needs eventfd(2), which Linux has; choose another mode')
        flags = os.EFD_SEMAPHORE | os.EFD_NONBLOCK | os.EFD_CLOEXEC
        self._semaphore = os.eventfd(count, flags)
        self._memory = mmap.mmap(-1, 8 * (processes + 1))
        self._fields = memoryview(self._memory).cast("Q")  # the last one is for all: since when it is crowded, in ns
        self._own = 0

    def belong_to(self, process: int) -> None:
        """From now on this is the process of that number, from 0."""
        self._own = process

    def fileno(self) -> int:
        """What can be read while there is a free place."""
        return self._semaphore

    @property
    def active(self) -> int:
        """See ``Slots``."""
        return sum(self._fields[:-1])

    @property
    def crowded_since(self) -> float:
        """See ``Slots``."""
        return self._fields[-1] / 1e9

    @crowded_since.setter
    def crowded_since(self, moment: float) -> None:
        self._fields[-1] = int(moment * 1e9)

    def take(self) -> bool:
        """See ``Slots``."""
        try:
            os.read(self._semaphore, 8)
        except BlockingIOError:
            return False
        self._fields[self._own] += 1
        return True

    def give(self) -> None:
        """See ``Slots``."""
        self._fields[self._own] -= 1
        os.eventfd_write(self._semaphore, 1)

    def give_back(self, process: int) -> None:
        """Give back what a process held that has ended."""
        held, self._fields[process] = self._fields[process], 0
        if held:
            os.eventfd_write(self._semaphore, held)

    def close(self) -> None:
        """Give back the descriptor."""
        os.close(self._semaphore)
