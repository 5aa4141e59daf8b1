"""Child processes: started, counted, reaped, and ended in time when the server stops.

A child that has ended is a zombie until its parent collects its status. SIGCHLD tells the parent, and wakes it even if
no client connects any more. Python handles signals in the main thread only, so only that thread may use this module.

Signals that everybody may send (a terminal, ``systemctl kill`` and ``kill`` reach every process of the server) are for
the parent, and children block them for good. What the parent wants of its children it says with signals of its own
(three of the public ones where there are no real-time signals), or with the pipes of ``shutdown.py``.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NoReturn

import msgspec

from httpmini.server.core.shutdown import Follower, Shutdown, WakeUpPipe
from httpmini.server.logs.error import Level, Log, describe

# The children know the deadline too: for this long after it they may cut off their clients themselves, and log that.
GRACE_S = 0.5
PUBLIC_SIGNALS = frozenset(
    (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM)
)
# From the parent to its children; real-time signals, which nobody else uses, where there are any.
_OWN = getattr(signal, "SIGRTMIN", None)
REPORT = signal.SIGUSR2 if _OWN is None else _OWN
REOPEN = signal.SIGUSR1 if _OWN is None else _OWN + 1
LEAVE = signal.SIGALRM if _OWN is None else _OWN + 2


class _Child(msgspec.Struct, frozen=True):
    """A running child.

    Attributes:
        shutdown: what it follows.
        ended: called in the parent with how it has ended, when it has been reaped.
    """

    shutdown: Shutdown
    ended: Callable[[str], None]


class ChildProcesses:
    """All children of this process, whichever mode started them.

    Args:
        log: takes the last words of a child that fails.
        leave: called first in each new child, with the listeners that it will serve: closes its copies of everything
            else that belongs to the parent.
    """

    def __init__(self, log: Log, leave: Callable[[Collection[socket.socket]], None] = lambda _listeners: None) -> None:
        self._log = log
        self._leave = leave
        self._living: dict[int, _Child] = {}

    def __len__(self) -> int:
        """Return how many are alive, as far as we know."""
        return len(self._living)

    def of(self, shutdown: Shutdown) -> list[int]:
        """Return the process numbers of the children that follow ``shutdown``."""
        return [pid for pid, child in self._living.items() if child.shutdown is shutdown]

    @staticmethod
    def prepare() -> None:
        """Share as much memory with the children as possible. Call it before the first ``start``."""
        gc.collect()
        gc.freeze()  # or the collector would write to every page it visits, and each child would copy it

    def start(
        self,
        shutdown: Shutdown,
        run: Callable[[Follower], object],
        ended: Callable[[str], None],
        listeners: Collection[socket.socket] = (),
    ) -> int:
        """Fork a child that calls ``run`` and then exits.

        Args:
            shutdown: what the child follows; ``run`` gets the child's side of it.
            run: what the child does.
            ended: called in the parent when the child has been reaped, with how it ended: "has ended", or "was killed
                by SIGSEGV".
            listeners: those that the child serves.

        Returns:
            Its process number.

        Raises:
            OSError: the system does not allow another process.
        """
        # Blocked before the fork, and in the child for good: else the parent's handlers would run in it.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, PUBLIC_SIGNALS)
        try:
            pid = os.fork()
            if pid == 0:
                self._be_the_child(shutdown, run, listeners, mask)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        self._living[pid] = _Child(shutdown, ended)
        return pid

    def _be_the_child(
        self,
        shutdown: Shutdown,
        run: Callable[[Follower], object],
        listeners: Collection[socket.socket],
        mask: Iterable[int],
    ) -> NoReturn:
        """Run the child; never return into the parent's code."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            _hear_parent_only(mask)
            follower = shutdown.follow_in_child()
            self._leave(listeners)
            run(follower)
            status = 0
        except Exception as fault:
            self._log(f"process {os.getpid()} ends: fault: {describe(fault)}", Level.ERROR)
        finally:
            os._exit(status)

    def reap(self) -> None:
        """Collect the status of every child that has ended.

        As process 1 of a container this is the parent of all orphans in it, which count as children that have ended.
        """
        with contextlib.suppress(ChildProcessError):  # there is no child at all
            while (found := os.waitpid(-1, os.WNOHANG))[0] != 0:
                child = self._living.pop(found[0], None)
                if child is not None:
                    child.ended(_describe_end(found[1]))

    def tell(self, number: int) -> None:
        """Send every child ``REPORT`` (log the state of your clients) or ``REOPEN`` (reopen your logs)."""
        for pid in self._living:  # none of these has been reaped, so no other process has its number
            os.kill(pid, number)

    def finish(self, shutdown: Shutdown, wait: Callable[[float], None]) -> None:
        """Wait for the children that follow ``shutdown``, which is draining; end those that miss its deadline.

        Args:
            shutdown: what they follow.
            wait: waits until something happens, for at most the given number of seconds.
        """
        self._wait(shutdown, wait, until=lambda: shutdown.deadline)
        shutdown.give_up()
        end = time.monotonic() + GRACE_S
        self._wait(shutdown, wait, until=lambda: end)
        for pid in self.of(shutdown):
            os.kill(pid, signal.SIGKILL)
        for pid in self.of(shutdown):
            os.waitpid(pid, 0)
            del self._living[pid]

    def _wait(self, shutdown: Shutdown, wait: Callable[[float], None], until: Callable[[], float]) -> None:
        self.reap()  # SIGCHLD may have arrived during another wait
        while self.of(shutdown) and time.monotonic() < until():
            wait(max(0.0, until() - time.monotonic()))
            self.reap()


class Orders:
    """Requests from the parent, which arrive as signals: a handler notes them, and they are carried out between turns.

    Args:
        calls: the action for each signal.
    """

    def __init__(self, calls: Mapping[int, Callable[[], None]]) -> None:
        self._calls = calls
        self._pipe = WakeUpPipe()
        self._given: deque[int] = deque()
        for number in calls:
            signal.signal(number, lambda number, _frame: self._given.append(number))
        signal.set_wakeup_fd(self._pipe.wake_fd, warn_on_full_buffer=False)

    def fileno(self) -> int:
        """Return the descriptor that is readable when there are orders."""
        return self._pipe.fileno()

    def carry_out(self) -> None:
        """Carry out all requests that were noted."""
        self._pipe.clear()
        while self._given:
            self._calls[self._given.popleft()]()


def _hear_parent_only(mask: Iterable[int]) -> None:
    """Leave the public signals blocked, in a child; not those by which the parent speaks to it.

    To ignore them would take a call for each, and every call writes to pages that the parent shares with the child.
    """
    spoken = PUBLIC_SIGNALS.intersection((REPORT, REOPEN, LEAVE))
    if spoken:  # where there are no real-time signals
        for number in spoken:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, (PUBLIC_SIGNALS - spoken).union(mask))


def _describe_end(status: int) -> str:
    """Say how a process ended, from what waitpid(2) says of it."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"has ended with status {code}" if code else "has ended"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal without a name
        return f"was killed by signal {-code}"
