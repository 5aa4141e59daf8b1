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
from collections.abc import Callable
from typing import NoReturn

from httpmini.server.control import Control, Follower

# The children know the deadline too: for this long after it they may cut their clients off by themselves, and log that.
GRACE_S = 0.5


class Children:
    """The children of this process.

    Args:
        control: says when they have to finish; they follow it.
    """

    def __init__(self, control: Control) -> None:
        self._control = control
        self._ended: dict[int, Callable[[], None]] = {}

    def __len__(self) -> int:
        return len(self._ended)

    def prepare(self) -> None:
        """Have the end of a child wake the main loop, and memory shared with the children as far as possible."""
        # The handler need not do anything: that there is one makes the signal write into the wake-up pipe.
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        gc.collect()
        gc.freeze()  # the collector would write into every page it looks at, and so copy it into each child

    def start(self, run: Callable[[Follower], object], ended: Callable[[], None]) -> None:
        """Begin a child that does ``run`` and nothing else; here, ``ended`` is called when it is no more.

        Raises:
            OSError: the system does not give another process.
        """
        pid = os.fork()
        if pid == 0:
            self._be_the_child(run)
        self._ended[pid] = ended

    def reap(self) -> None:
        """Ask for the status of every child that has ended."""
        with contextlib.suppress(ChildProcessError):  # there are none at all
            while self._ended and (pid := os.waitpid(-1, os.WNOHANG)[0]) != 0:
                ended = self._ended.pop(pid, None)
                if ended is not None:
                    ended()

    def finish(self, wait: Callable[[float], None]) -> None:
        """Wait for the children; they have seen that draining began. End those that are not done in time.

        Args:
            wait: waits for anything to happen, at most so many seconds.
        """
        self._wait(wait, until=lambda: self._control.deadline)
        self._signal(signal.SIGUSR1)
        end = time.monotonic() + GRACE_S
        self._wait(wait, until=lambda: end)
        self._signal(signal.SIGKILL)
        for pid in self._ended:
            os.waitpid(pid, 0)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)

    def _be_the_child(self, run: Callable[[Follower], object]) -> NoReturn:
        """Never returns into the parent's code."""
        try:
            follower = self._control.follow_in_child()
            # Ctrl-C and systemd signal all processes, but it is the parent who tells us what to do.
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)
            signal.signal(signal.SIGUSR1, lambda _number, _frame: follower.give_up())
            run(follower)
        finally:
            os._exit(0)

    def _signal(self, number: signal.Signals) -> None:
        for pid in self._ended:  # none of them has been waited for, so the number is still theirs
            os.kill(pid, number)

    def _wait(self, wait: Callable[[float], None], until: Callable[[], float]) -> None:
        self.reap()  # their signals may have come while something else was waited for
        while self._ended and time.monotonic() < until():
            wait(max(0.0, until() - time.monotonic()))
            self.reap()
