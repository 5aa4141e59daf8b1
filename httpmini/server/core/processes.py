"""Child processes: begun, counted, waited for. Ended in time when the server stops.

A child that has ended is a zombie until its parent asks for its status; the parent learns of it by SIGCHLD, which wakes
it also when nobody connects any more. Only the main thread hears signals, so this is for the main thread.
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

# The children know the deadline too: for this long after it they may cut their clients off by themselves, and log that.
GRACE_S = 0.5
# What a terminal or a service manager may send to all processes of a group.
PARENTS_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR2)


class _Child(msgspec.Struct, frozen=True):
    """Whom it follows, and what to do when it has ended."""

    shutdown: Shutdown
    ended: Callable[[], None]


class ChildProcesses:
    """All children of this process, of whichever mode.

    Args:
        threads_clients: those that threads of this process serve; children have nothing to do with them.
    """

    def __init__(self, threads_clients: Callable[[], Iterable[Client]] = tuple) -> None:
        self._threads_clients = threads_clients
        self._living: dict[int, _Child] = {}

    def of(self, shutdown: Shutdown) -> list[int]:
        """The process numbers of those that follow ``control``."""
        return [pid for pid, child in self._living.items() if child.shutdown is shutdown]

    @staticmethod
    def prepare() -> None:
        """Have memory shared with the children as far as possible."""
        gc.collect()
        gc.freeze()  # the collector would write into every page it looks at, and so copy it into each child

    def start(self, shutdown: Shutdown, run: Callable[[Follower], object], ended: Callable[[], None]) -> None:
        """Begin a child that does ``run`` and nothing else, until ``control`` says to finish.

        Here, ``ended`` is called when it is no more.

        Raises:
            OSError: the system does not give another process.
        """
        pid = os.fork()
        if pid == 0:
            _be_the_child(shutdown, run, self._threads_clients)
        self._living[pid] = _Child(shutdown, ended)

    def reap(self) -> None:
        """Ask for the status of every child that has ended."""
        with contextlib.suppress(ChildProcessError):  # there are none at all
            while self._living and (pid := os.waitpid(-1, os.WNOHANG)[0]) != 0:
                child = self._living.pop(pid, None)
                if child is not None:
                    child.ended()

    def ask_for_reports(self) -> None:
        """Have every child say where its clients are."""
        for pid in self._living:
            os.kill(pid, signal.SIGUSR2)

    def finish(self, shutdown: Shutdown, wait: Callable[[float], None]) -> None:
        """Wait for the children of ``control``, which is draining. End those that are not done in time.

        Args:
            control: what they follow.
            wait: waits for anything to happen, at most so many seconds.
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
        for pid in self.of(shutdown):  # none of them has been waited for, so the number is still theirs
            os.kill(pid, number)

    def _wait(self, shutdown: Shutdown, wait: Callable[[float], None], until: Callable[[], float]) -> None:
        self.reap()  # their signals may have come while something else was waited for
        while self.of(shutdown) and time.monotonic() < until():
            wait(max(0.0, until() - time.monotonic()))
            self.reap()


def report_when_asked(clients: Callable[[], Iterable[Client]], log: Log) -> None:
    """In a child: one line for each of ``clients`` when it is asked for."""

    def report(_number: int, _frame: object) -> None:
        for client in clients():
            log(client.describe(time.monotonic()))

    signal.signal(signal.SIGUSR2, report)


def _be_the_child(
    shutdown: Shutdown, run: Callable[[Follower], object], not_ours: Callable[[], Iterable[Client]]
) -> NoReturn:
    """Never returns into the parent's code."""
    try:
        for client in not_ours():
            client.close_copy()
        follower = shutdown.follow_in_child()
        # Ctrl-C and systemd signal all processes, but it is the parent who tells us what to do.
        signal.set_wakeup_fd(-1)
        for number in PARENTS_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGUSR1, lambda _number, _frame: follower.give_up())
        run(follower)
    finally:
        os._exit(0)
