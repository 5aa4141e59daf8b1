"""Work that takes long: whoever needs it says so, and whoever may wait does it.

A site answers most requests at once. What takes longer than a few milliseconds (a password's hash, the listing of a
large folder) it hands back as ``Pending``: work to be done, and what comes after it. A thread or a child that serves
one client does the work itself; a loop has a helper thread do it (``server/core/helpers.py``). Nobody else waits.

Several may wait for the same work, in one thread or in many: it is done once.
"""

from __future__ import annotations

import os
import sys
from _thread import allocate_lock
from collections.abc import Callable, Generator
from threading import Semaphore
from typing import Any, Generic, TypeVar

# While one thread computes, another one that wants to go on is given its turn after this time. Python's own 5 ms would
# be waited for at every system call of a small response.
SWITCH_S = 0.000_5

T = TypeVar("T")


class Lane:
    """Bounds how many works of one kind are done at the same time in this process.

    Args:
        most: that many.
    """

    def __init__(self, most: int) -> None:
        self.most = most

    @property
    def places(self) -> Semaphore:
        """What a thread holds while it does such work."""
        return _places.get(self) or _places.setdefault(self, Semaphore(self.most))


# Of each lane that was used in this process. A child begins with all places free: a thread of the parent may hold some,
# and is not in the child. Making them when they are first needed costs a fork nothing.
_places: dict[Lane, Semaphore] = {}
os.register_at_fork(after_in_child=_places.clear)


HASHES = Lane(max(1, (os.cpu_count() or 1) // 2))
"""Hashes of passwords: half of the processors are left to everybody else."""

LISTINGS = Lane(1)
"""Listings of large folders: one at a time, because each needs memory for all of its entries."""


ARCHIVES = Lane(1)
"""Walks through folders that are to be archived, and checksums of what is in them: the disk is one."""

DIGESTS = Lane(1)
"""Slices of files that are read for a digest: one at a time, because the disk is shared with those that are sent."""


class Work(Generic[T]):
    """Something that takes long.

    Args:
        lane: how much of its kind is done at the same time.
        do: does it, in any thread.
    """

    def __init__(self, lane: Lane, do: Callable[[], T]) -> None:
        self.lane = lane
        self._do: Callable[[], T] | None = do  # until it is done
        self._lock = allocate_lock()
        self._results: list[T] = []
        self._error: Exception | None = None

    def run(self) -> None:
        """Do it, unless it is done; if another thread is at it, wait for that."""
        sys.setswitchinterval(SWITCH_S)
        with self._lock:
            if self._do is None:
                return
            with self.lane.places:
                try:
                    self._results.append(self._do())
                except Exception as error:
                    self._error = error
                self._do = None

    def result(self) -> T:
        """Return what came of it; it has been done.

        Raises:
            Exception: what it raised.
        """
        if self._error is not None:
            raise self._error
        return self._results[0]


Steps = Generator[Work[Any], None, T]
"""What yields each work that it needs, goes on when that is done, and returns a result."""


class Pending(Generic[T]):
    """A result that needs work first.

    Attributes:
        work: what has to be done.
    """

    __slots__ = ("_steps", "work")

    def __init__(self, work: Work[Any], steps: Steps[T]) -> None:
        self.work = work
        self._steps = steps

    def resume(self) -> T | Pending[T]:
        """Go on; the work has been done."""
        return begin(self._steps)


def begin(steps: Steps[T]) -> T | Pending[T]:
    """Go as far as possible without waiting."""
    try:
        work = next(steps)
    except StopIteration as end:
        result: T = end.value
        return result
    return Pending(work, steps)


def finish(result: T | Pending[T]) -> T:
    """Return the result, and do the work that it needs, however long that takes."""
    while isinstance(result, Pending):
        result.work.run()
        result = result.resume()
    return result
