"""Child processes: started, counted, reaped, and ended in time when the server stops.

A child that has ended is a zombie until its parent collects its status. SIGCHLD tells the parent, and wakes it even if
no client connects any more. Python handles signals in the main thread only, so only that thread may use this module.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import time
from collections.abc import Callable, Iterable
from typing import NoReturn

import msgspec

from httpmini.server.core.shutdown import Follower, Shutdown
from httpmini.server.core.transfer import Client
from httpmini.server.logs.error import Log

# The children know the deadline too: for this long after it they may cut off their clients themselves, and log that.
GRACE_S = 0.5
# A terminal or a service manager may send these to every process of the group, but the parent alone acts on them.
PARENTS_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR2)


class _Child(msgspec.Struct, frozen=True):
    """A running child.

    Attributes:
        shutdown: what it follows.
        ended: called in the parent when the child has been reaped.
    """

    shutdown: Shutdown
    ended: Callable[[], None]


class ChildProcesses:
    """All children of this process, whichever mode started them.

    Args:
        threads_clients: returns the clients that threads of this process serve; a child closes its copies of them.
    """

    def __init__(self, threads_clients: Callable[[], Iterable[Client]] = tuple) -> None:
        self._threads_clients = threads_clients
        self._living: dict[int, _Child] = {}

    def of(self, shutdown: Shutdown) -> list[int]:
        """Return the process numbers of the children that follow ``shutdown``."""
        return [pid for pid, child in self._living.items() if child.shutdown is shutdown]

    @staticmethod
    def prepare() -> None:
        """Share as much memory with the children as possible. Call it before the first ``start``."""
        gc.collect()
        gc.freeze()  # or the collector would write to every page it visits, and each child would copy it

    def start(self, shutdown: Shutdown, run: Callable[[Follower], object], ended: Callable[[], None]) -> int:
        """Fork a child that calls ``run`` and then exits; return its process number.

        Args:
            shutdown: what the child follows; ``run`` gets the child's side of it.
            run: what the child does.
            ended: called in the parent when the child has been reaped.

        Raises:
            OSError: the system does not allow another process.
        """
        pid = os.fork()
        if pid == 0:
            _be_the_child(shutdown, run, self._threads_clients)
        self._living[pid] = _Child(shutdown, ended)
        return pid

    def reap(self) -> None:
        """Collect the status of every child that has ended."""
        with contextlib.suppress(ChildProcessError):  # there is no child at all
            while self._living and (pid := os.waitpid(-1, os.WNOHANG)[0]) != 0:
                child = self._living.pop(pid, None)
                if child is not None:
                    child.ended()

    def ask_for_reports(self) -> None:
        """Make every child log the state of its clients."""
        for pid in self._living:
            os.kill(pid, signal.SIGUSR2)

    def finish(self, shutdown: Shutdown, wait: Callable[[float], None]) -> None:
        """Wait for the children that follow ``shutdown``, which is draining; end those that miss its deadline.

        Args:
            shutdown: what they follow.
            wait: waits until something happens, for at most the given number of seconds.
        """
        self._wait(shutdown, wait, until=lambda: shutdown.deadline)
        self._signal(shutdown, signal.SIGUSR1)
        end = time.monotonic() + GRACE_S
        self._wait(shutdown, wait, until=lambda: end)
        self._signal(shutdown, signal.SIGKILL)
        for pid in self.of(shutdown):
            os.waitpid(pid, 0)
            del self._living[pid]

    def _signal(self, shutdown: Shutdown, number: signal.Signals) -> None:
        for pid in self.of(shutdown):  # none of these has been reaped, so no other process has its number
            os.kill(pid, number)

    def _wait(self, shutdown: Shutdown, wait: Callable[[float], None], until: Callable[[], float]) -> None:
        self.reap()  # SIGCHLD may have arrived during another wait
        while self.of(shutdown) and time.monotonic() < until():
            wait(max(0.0, until() - time.monotonic()))
            self.reap()


def report_when_asked(clients: Callable[[], Iterable[Client]], log: Log) -> None:
    """Log one line for each of ``clients`` on SIGUSR2. Call it in a child."""

    def report(_number: int, _frame: object) -> None:
        for client in clients():
            log(client.describe(time.monotonic()))

    signal.signal(signal.SIGUSR2, report)


def _be_the_child(
    shutdown: Shutdown, run: Callable[[Follower], object], not_ours: Callable[[], Iterable[Client]]
) -> NoReturn:
    """Run the child; never return into the parent's code."""
    try:
        for client in not_ours():
            client.close_copy()
        follower = shutdown.follow_in_child()
        # Ctrl-C and systemd signal every process, but the parent decides what its children do.
        signal.set_wakeup_fd(-1)
        for number in PARENTS_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGUSR1, lambda _number, _frame: follower.give_up())
        run(follower)
    finally:
        os._exit(0)
