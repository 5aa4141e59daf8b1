"""How the life of the process speaks to a running mode: wake up; drain, and by when.

Two pipes, because a pipe can be polled together with sockets:

- the wake-up pipe is the main loop's own. Signals write into it (``signal.set_wakeup_fd``), so that one that arrives
  just before the poll is not slept through; threads write into it when they free a slot.
- the drain pipe is never written. When draining begins its write end is closed, and all who poll the read end see that
  at once: threads and child processes alike. Children see it too when their parent dies.
"""

from __future__ import annotations

import contextlib
import os
from math import inf
from typing import Protocol


class Signal(Protocol):
    """What somebody who serves clients has to look at between two waits."""

    deadline: float  # when to give up what is not finished; inf while nobody asked to stop
    stays_readable: bool  # whether fileno() says for ever what ``clear`` has taken note of

    @property
    def draining(self) -> bool:
        """Whether to finish and begin nothing new."""
        ...

    def fileno(self) -> int:
        """What to poll for reading."""
        ...

    def clear(self, now: float) -> None:
        """``fileno()`` was readable: take note."""
        ...


class Control:
    """The main loop's side.

    Args:
        drain_s: how many seconds clients that are being answered get to the end.
    """

    stays_readable = False

    def __init__(self, drain_s: float) -> None:
        self.drain_s = drain_s
        self.deadline = inf
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._drain_read, self._drain_write = os.pipe()
        self._draining = False

    @property
    def draining(self) -> bool:
        """Whether to finish and begin nothing new."""
        return self._draining

    @property
    def wake_fd(self) -> int:
        """Where ``signal.set_wakeup_fd`` may write."""
        return self._wake_write

    def fileno(self) -> int:
        """What the main loop polls."""
        return self._wake_read

    def wake(self) -> None:
        """Make the main loop look around; from any thread."""
        with contextlib.suppress(BlockingIOError):  # a full pipe wakes as well as a fuller one
            os.write(self._wake_write, b"\0")

    def clear(self, now: float) -> None:  # noqa: ARG002  (a Follower needs the time)
        """Empty the wake-up pipe."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wake_read, 4096):
                pass

    def drain(self, now: float) -> None:
        """Ask everybody to finish; asked again: to finish now."""
        self.deadline = min(self.deadline, now if self._draining else now + self.drain_s)
        if not self._draining:
            self._draining = True
            os.close(self._drain_write)
        self.wake()

    def follow(self) -> Follower:
        """For one thread that serves a client."""
        return Follower(self._drain_read, self.drain_s)

    def follow_in_child(self) -> Follower:
        """For a child process that serves a client: gives up what is the parent's."""
        if not self._draining:
            os.close(self._drain_write)
        os.close(self._wake_read)
        os.close(self._wake_write)
        return self.follow()

    def close(self) -> None:
        """Give back the descriptors."""
        for fd in (self._wake_read, self._wake_write, self._drain_read):
            os.close(fd)
        if not self._draining:
            os.close(self._drain_write)


class Follower:
    """The side of a thread or a child process."""

    stays_readable = True

    def __init__(self, drain_fd: int, drain_s: float) -> None:
        self._drain_fd = drain_fd
        self._drain_s = drain_s
        self.draining = False
        self.deadline = inf

    def fileno(self) -> int:
        """What to poll until ``draining``."""
        return self._drain_fd

    def clear(self, now: float) -> None:
        """Take note: the drain pipe is closed."""
        self.draining = True
        self.deadline = min(self.deadline, now + self._drain_s)

    def give_up(self) -> None:
        """Finish now."""
        self.draining = True
        self.deadline = 0.0
