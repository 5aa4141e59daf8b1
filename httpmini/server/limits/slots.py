"""The slots of a server, one for each client, counted exactly over all its processes.

A server whose clients all belong to one process counts in that process. As soon as workers share the work, the free
slots are tokens of a semaphore in the kernel (eventfd(2)): two processes cannot take the same slot, and a process that
waits for one can poll it. How many each process holds stands in shared memory, so that its parent can give back what a
killed process held.

Slots outlive reloads and changes of mode; a reload that changes ``max_clients`` resizes them.
"""

from __future__ import annotations

import mmap
import os
import time
from _thread import allocate_lock

from httpmini.errors import CannotRun
from httpmini.server.limits.crowd import Crowd
from httpmini.server.limits.shared_lock import SharedLock
from httpmini.server.logs.error import Level, Log

MAX_PROCESSES = 1024  # the main process, its workers, and those of earlier generations that are still draining
_LIMIT, _DEBT, _CROWDED_SINCE, _USED, _HELD = range(5)  # fields of the shared memory; from _HELD on one per process
_ASKED = _HELD + MAX_PROCESSES  # and from here on: for whom each process looks for a slot


class Slots:
    """``limit`` slots; threads and worker processes may take and give them at any time.

    A resize below the number in use leaves a *debt*: so many slots are not free again when they are given back.

    Args:
        limit: the number of slots.
        log: takes one line when the last slot is taken, and one when there is room again.

    Attributes:
        crowd: whose the slots are that this process has taken.
    """

    def __init__(self, limit: int, log: Log) -> None:
        self.crowd = Crowd()
        self._limit = limit  # as this process knows it: only the main process resizes
        self._held = 0  # by this process
        self._fields = memoryview(mmap.mmap(-1, 8 * (_ASKED + MAX_PROCESSES))).cast("Q")
        self._fields[_LIMIT] = limit
        self._fields[_USED] = _HELD + 1  # one more than the last field that any process has used
        self._log = log
        self._lock = allocate_lock()  # among the threads of this process
        self._own = _HELD
        self._free_processes = list(range(MAX_PROCESSES - 1, 0, -1))
        self._semaphore: int | None = None
        # How long it takes until a client leaves while it is crowded, and when that last happened in this process.
        self._mean_wait_s = 0.0
        self._last_left = 0.0

    @property
    def limit(self) -> int:
        """How many slots there are."""
        return self._fields[_LIMIT]

    @property
    def active(self) -> int:
        """How many slots are taken."""
        if self._semaphore is None:
            return self._held
        return sum(self._fields[_HELD : self._fields[_USED]])

    @property
    def are_filling_up(self) -> bool:
        """Whether more than half of them are taken."""
        if self._semaphore is None:
            return 2 * self._held > self._limit
        return 2 * self.active > self.limit

    @property
    def is_shared(self) -> bool:
        """Whether other processes take slots too, so that ``fileno`` can be polled."""
        return self._semaphore is not None

    def fileno(self) -> int:
        """Return the descriptor that is readable while a slot is free."""
        if self._semaphore is None:
            raise ValueError("slots of one process cannot be polled")
        return self._semaphore

    def take(self) -> bool:
        """Take a slot; return False when none is free."""
        if self._semaphore is None:  # one process: a number of its own will do
            with self._lock:
                if self._held >= self._limit:
                    return False
                self._held += 1
            return True
        try:
            os.read(self._semaphore, 8)
        except BlockingIOError:
            return False
        if self._fields[_DEBT] and self._pay_debt():  # a token that came free while the slots were being resized
            return False
        with self._lock:
            self._held += 1
            self._fields[self._own] = self._held
        return True

    def give(self) -> None:
        """Give a slot back."""
        with self._lock:
            self._held -= 1
            if self._semaphore is None:
                return
            self._fields[self._own] = self._held
        self._free(1)

    def note_admitted(self, overflow: str) -> None:
        """Say once that the last slot was taken."""
        if self._semaphore is None and self._held < self._limit:  # as a rule
            return
        fields = self._fields
        if self.active >= fields[_LIMIT] and not fields[_CROWDED_SINCE]:
            fields[_CROWDED_SINCE] = time.monotonic_ns()
            then = "further ones wait in the backlog" if overflow == "queue" else "further ones get a refusal"
            self._log(f"max_clients reached: {self.limit} clients; {then}", Level.WARNING)

    def release(self) -> None:
        """Give a slot back, and say once that there is room again.

        That is so when a tenth of the slots is free: a busy server that touches its limit writes two lines, not
        thousands.
        """
        self.give()
        if not (since_ns := self._fields[_CROWDED_SINCE]):
            return
        now = time.monotonic()
        waited_s = now - max(since_ns / 1e9, self._last_left)  # an earlier crowd is another matter
        self._mean_wait_s += (waited_s - self._mean_wait_s) / 8
        self._last_left = now
        limit = self.limit
        if (active := self.active) <= limit - max(1, limit // 10):
            self._fields[_CROWDED_SINCE] = 0
            self._log(f"max_clients left: {active} of {limit} clients")

    def retry_s(self) -> float:
        """Estimate in how many seconds a slot will be free, from the clients that have left so far."""
        since_ns = self._fields[_CROWDED_SINCE]
        return max(self._mean_wait_s, time.monotonic() - max(since_ns / 1e9, self._last_left)) if since_ns else 0.0

    def resize(self, limit: int) -> None:
        """Change the number of slots; in the main process. Clients keep the slots that they have."""
        with self._lock:
            growth = limit - self._limit
            self._limit = self._fields[_LIMIT] = limit
        if self._semaphore is not None and growth > 0:
            self._free(growth)
        elif self._semaphore is not None:
            self._owe(-growth)

    def share(self) -> None:
        """Count in the kernel from now on, for worker processes that are forked later.

        Raises:
            CannotRun: this system has no such semaphore.
        """
        if self._semaphore is not None:
            return
        if not hasattr(os, "eventfd"):
            raise CannotRun('mode = "prefork" needs eventfd(2), which Linux has; choose another mode')
        self._shared_lock = SharedLock()
        with self._lock:
            free = self._limit - self._held
            self._fields[self._own] = self._held
            self._fields[_DEBT] = max(0, -free)
            self._semaphore = os.eventfd(max(0, free), os.EFD_SEMAPHORE | os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def new_process(self) -> int:
        """Reserve a number for a process that is about to be forked.

        Raises:
            CannotRun: ``MAX_PROCESSES`` are alive.
        """
        if not self._free_processes:
            raise CannotRun(f"{MAX_PROCESSES} processes serve or are still draining; wait until some have ended")
        process = self._free_processes.pop()
        self._fields[_USED] = max(self._fields[_USED], _HELD + process + 1)
        return process

    def belong_to(self, process: int) -> None:
        """Count for the process of that number from now on; in the child, right after the fork."""
        self._own = _HELD + process
        self._held = self._fields[self._own]
        self.crowd.clear()
        self._lock = allocate_lock()  # a thread of the parent may have held the old one

    def give_back(self, process: int) -> None:
        """Give back what a process held that has ended; its number may be used again."""
        field = _HELD + process
        held, self._fields[field] = self._fields[field], 0
        self._fields[field + MAX_PROCESSES] = 0
        if held:
            self._free(held)
        self._free_processes.append(process)

    def ask(self, key: int) -> None:
        """Tell the other processes for whom this one looks for a slot; 0 for nobody."""
        if self._semaphore is not None and self._fields[self._own + MAX_PROCESSES] != key:
            self._fields[self._own + MAX_PROCESSES] = key

    def asked(self) -> list[int]:
        """Return for whom other processes look for a slot."""
        if self._semaphore is None:
            return []
        fields, own = self._fields, self._own + MAX_PROCESSES
        return [fields[at] for at in range(_ASKED, fields[_USED] + MAX_PROCESSES) if fields[at] and at != own]

    def close(self) -> None:
        """Close the semaphore."""
        if self._semaphore is not None:
            os.close(self._semaphore)
            self._semaphore = None
            del self._shared_lock

    def _free(self, count: int) -> None:
        """Pay the debt with ``count`` slots; those that are left are free."""
        while self._fields[_DEBT] and count and self._pay_debt():
            count -= 1
        if count and self._semaphore is not None:
            os.eventfd_write(self._semaphore, count)

    def _owe(self, count: int) -> None:
        """Take ``count`` slots out of use: free ones at once, the others when they are given back."""
        with self._shared_lock:
            self._fields[_DEBT] += count
        self.settle()

    def settle(self) -> None:
        """Pay what is owed with slots that are free."""
        while self._fields[_DEBT] and self._semaphore is not None:
            try:
                os.read(self._semaphore, 8)
            except BlockingIOError:
                return
            if not self._pay_debt():
                os.eventfd_write(self._semaphore, 1)

    def _pay_debt(self) -> bool:
        """Pay with one slot; return False when nothing is owed any more."""
        with self._shared_lock:
            owed = self._fields[_DEBT]
            self._fields[_DEBT] = max(0, owed - 1)
        return owed > 0
