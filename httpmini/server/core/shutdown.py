"""How a running mode is woken, and how it learns to drain and by when.

Two pipes carry this, because a pipe can be polled together with sockets:

- The wake-up pipe (``WakeUpPipe``) belongs to the main loop and lives as long as the process. Signals write into it
  (``signal.set_wakeup_fd``), so a signal that arrives just before a poll is not slept through. Threads write into it
  when they free a slot.
- The drain pipe belongs to one running mode and is never written. Draining begins when its write end is closed: every
  thread and child process that polls the read end sees that at once. A child also sees it when its parent dies.
"""

from __future__ import annotations

import contextlib
import os
from math import inf
from typing import Protocol


class StopSignal(Protocol):
    """What code that serves clients checks between two waits: ``Shutdown`` or ``Follower``.

    Attributes:
        deadline: when to give up whatever is unfinished, in monotonic seconds; ``inf`` until a stop is requested.
        stays_readable: whether ``fileno()`` stays readable for good after ``clear`` has seen it.
    """

    deadline: float
    stays_readable: bool

    @property
    def draining(self) -> bool:
        """Whether to finish what has begun and begin nothing new."""
        ...

    def fileno(self) -> int:
        """Return the descriptor to poll for reading."""
        ...

    def clear(self, now: float) -> None:
        """Take note that ``fileno()`` was readable."""
        ...


class WakeUpPipe:
    """A pipe that wakes the main loop from its poll.

    Attributes:
        interrupted: whether ``serve()`` of the running mode has to return, so that its owner can act on a signal.
        shutdowns: every ``Shutdown`` that is not closed yet. A child process closes the write ends of their pipes:
            while one is open anywhere, the drain stays invisible.
        wake_fd: the write end, for ``signal.set_wakeup_fd``.
    """

    def __init__(self) -> None:
        self.interrupted = False
        self.shutdowns: list[Shutdown] = []
        self._read, self.wake_fd = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self.wake_fd, False)

    def fileno(self) -> int:
        """Return the descriptor that the main loop polls."""
        return self._read

    def wake(self) -> None:
        """Wake the main loop. Any thread may call this."""
        with contextlib.suppress(BlockingIOError):  # a full pipe wakes the loop just as well
            os.write(self.wake_fd, b"\0")

    def clear(self) -> None:
        """Empty the pipe, so that the next poll waits again."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._read, 4096):
                pass

    def close(self) -> None:
        """Close both ends."""
        os.close(self._read)
        os.close(self.wake_fd)


class Shutdown:
    """The main loop's side of one running mode.

    Args:
        wake_up: wakes the main loop.
        drain_s: how many seconds a drain leaves for responses that are being sent.

    Attributes:
        deadline: when to give up whatever is unfinished, in monotonic seconds; ``inf`` until a stop is requested.
        drain_s: how many seconds a drain leaves for responses that are being sent.
    """

    stays_readable = False

    def __init__(self, wake_up: WakeUpPipe, drain_s: float) -> None:
        self.drain_s = drain_s
        self.deadline = inf
        self._wake_up = wake_up
        self._drain_read, self._drain_write = os.pipe()
        self._draining = False
        wake_up.shutdowns.append(self)

    @property
    def draining(self) -> bool:
        """Whether to finish what has begun and begin nothing new."""
        return self._draining

    @property
    def serving(self) -> bool:
        """Whether to go on accepting clients: neither draining nor interrupted by a signal."""
        return not self._draining and not self._wake_up.interrupted

    def fileno(self) -> int:
        """Return the descriptor that the main loop polls."""
        return self._wake_up.fileno()

    def wake(self) -> None:
        """Wake the main loop. Any thread may call this."""
        self._wake_up.wake()

    def clear(self, now: float) -> None:  # noqa: ARG002  (a Follower needs the time)
        """Empty the wake-up pipe."""
        self._wake_up.clear()

    def drain(self, now: float) -> None:
        """Begin to drain, with ``drain_s`` seconds to go. The second call ends the drain at once."""
        hurry = self._draining and self.deadline < inf
        self._finish_by(now if hurry else now + self.drain_s)

    def retire(self) -> None:
        """Begin to drain without a deadline: another mode serves the clients that connect from now on."""
        self._finish_by(inf)

    def _finish_by(self, deadline: float) -> None:
        self.deadline = min(self.deadline, deadline)
        if not self._draining:
            self._draining = True
            os.close(self._drain_write)
        self.wake()

    def follow(self) -> Follower:
        """Return the side of a thread that serves a client."""
        return Follower(self._drain_read, self.drain_s)

    def follow_in_child(self) -> Follower:
        """Return the side of a child process, and close the parent's descriptors. Call it in the child."""
        for shutdown in self._wake_up.shutdowns:
            if not shutdown.draining:
                os.close(shutdown._drain_write)
        self._wake_up.close()
        return Follower(self._drain_read, self.drain_s, os.getppid())

    def close(self) -> None:
        """Close the drain pipe."""
        self._wake_up.shutdowns.remove(self)
        os.close(self._drain_read)
        if not self._draining:
            os.close(self._drain_write)


class Follower:
    """The side of a thread or a child process: the drain pipe tells it to finish, its owner tells it to give up.

    Args:
        drain_fd: the read end of the drain pipe.
        drain_s: how many seconds are left for responses that are being sent when the owner has died.
        parent: the process number of the owner; 0 for a thread, which dies with its owner.

    Attributes:
        draining: whether to finish what has begun and begin nothing new.
        deadline: when to give up whatever is unfinished, in monotonic seconds; ``inf`` until there is a hurry.
    """

    stays_readable = True

    def __init__(self, drain_fd: int, drain_s: float, parent: int = 0) -> None:
        self._drain_fd = drain_fd
        self._drain_s = drain_s
        self._parent = parent
        self.draining = False
        self.deadline = inf

    @property
    def serving(self) -> bool:
        """Whether to go on accepting clients."""
        return not self.draining

    def fileno(self) -> int:
        """Return the descriptor to poll until ``draining`` is set."""
        return self._drain_fd

    def clear(self, now: float) -> None:
        """Take note that the drain pipe is closed. If the parent has died, set a deadline too."""
        self.draining = True
        if self._parent and os.getppid() != self._parent:
            self.deadline = min(self.deadline, now + self._drain_s)

    def give_up(self) -> None:
        """Finish now."""
        self.draining = True
        self.deadline = 0.0
