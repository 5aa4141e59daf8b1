"""How far apart the core of the servers and the core of the load are.

On a virtual machine the host may move a core at any moment. While the two have no cache in common, everything that one
writes and the other reads costs several times as much: a server that copies 100 KiB for each response then needs
almost three times the processor time. A cell that was measured at such a moment is measured again.
"""

from __future__ import annotations

import mmap
import os
import signal
import time
from typing import NoReturn

from bench.compare.processes import LOAD_CORE, SERVER_CORE

ROUNDS, TRIPS = 30, 100
MOST_LOOKS = 100_000_000  # at a byte that changes after three
FAR = 1.8  # times the shortest distance seen; with a cache in common it varies by a third, without one it is 3 to 5


class Cores:
    """The two cores.

    Attributes:
        nearest_ns: the shortest distance that was seen.
    """

    def __init__(self) -> None:
        self.nearest_ns = self.distance_ns()

    def distance_ns(self) -> float:
        """Return how long a byte takes from one core to the other and back, the best of some rounds."""
        if (os.cpu_count() or 1) < 2:
            return 0.0
        with mmap.mmap(-1, mmap.PAGESIZE) as shared:
            pid = os.fork()
            if pid == 0:
                _answer(shared)
            affinity = os.sched_getaffinity(0)
            try:
                os.sched_setaffinity(0, {int(SERVER_CORE)})
                best = min(_ask(shared) for _ in range(ROUNDS))
            finally:
                os.sched_setaffinity(0, affinity)
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        return best / TRIPS

    def are_near(self) -> bool:
        """Return whether the cores seem to have a cache in common now."""
        now = self.distance_ns()
        self.nearest_ns = min(self.nearest_ns, now)
        return now <= FAR * self.nearest_ns


def _ask(shared: mmap.mmap) -> int:
    begin = time.perf_counter_ns()
    for _ in range(TRIPS):
        shared[0] = 1
        for _ in range(MOST_LOOKS):
            if not shared[0]:
                break
        else:
            raise TimeoutError("the other core does not answer")
    return time.perf_counter_ns() - begin


def _answer(shared: mmap.mmap) -> NoReturn:
    try:
        os.sched_setaffinity(0, {int(LOAD_CORE)})
        for _ in range(ROUNDS * TRIPS):
            while not shared[0]:
                pass
            shared[0] = 0
    finally:
        os._exit(0)
