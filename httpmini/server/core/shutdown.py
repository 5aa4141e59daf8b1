"""How the life of the process speaks to a running mode: wake up; drain, and by when.

Two pipes, because a pipe can be polled together with sockets:

- the wake-up pipe (``WakeUpPipe``) is the main loop's own, as long as the process lives. Signals write into it
  (``signal.set_wakeup_fd``), so that one that arrives just before the poll is not slept through; threads write into it
  when they free a slot.
- the drain pipe belongs to one running mode and is never written. When draining begins its write end is closed, and all
  who poll the read end see that at once: threads and child processes alike. Children see it too when their parent dies.
"""

from __future__ import annotations

import contextlib
import os
from math import inf
from typing import Protocol


class StopSignal(Protocol):
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


class WakeUpPipe:
    """Wakes the main loop, which may have to do something else than to serve: see ``is_called``.

    Attributes:
        is_called: whether ``serve`` of the running mode is to return, for its owner to look after something.
        controls: all that are not closed. A child must not keep the write ends of their pipes.
    """

    def __init__(self) -> None:
        self.is_called = False
        self.shutdowns: list[Shutdown] = []
        self._read, self.wake_fd = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self.wake_fd, False)

    def fileno(self) -> int:
        """What the main loop polls."""
        return self._read

    def ring(self) -> None:
        """Make the main loop look around; from any thread."""
        with contextlib.suppress(BlockingIOError):  # a full pipe wakes as well as a fuller one
            os.write(self.wake_fd, b"\0")

    def silence(self) -> None:
        """Empty the pipe."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._read, 4096):
                pass

    def close(self) -> None:
        """Give back the descriptors."""
        os.close(self._read)
        os.close(self.wake_fd)


class Shutdown:
    """The main loop's side, for one running mode.

    Args:
        bell: wakes the main loop.
        drain_s: how many seconds clients that are being answered get to the end.
    """

    stays_readable = False

    def __init__(self, bell: WakeUpPipe, drain_s: float) -> None:
        self.drain_s = drain_s
        self.deadline = inf
        self._bell = bell
        self._drain_read, self._drain_write = os.pipe()
        self._draining = False
        bell.shutdowns.append(self)

    @property
    def draining(self) -> bool:
        """Whether to finish and begin nothing new."""
        return self._draining

    @property
    def serving(self) -> bool:
        """Whether to go on accepting: neither draining, nor called to something else."""
        return not self._draining and not self._bell.is_called

    def fileno(self) -> int:
        """What the main loop polls."""
        return self._bell.fileno()

    def wake(self) -> None:
        """Make the main loop look around; from any thread."""
        self._bell.ring()

    def clear(self, now: float) -> None:  # noqa: ARG002  (a Follower needs the time)
        """Empty the wake-up pipe."""
        self._bell.silence()

    def drain(self, now: float) -> None:
        """Ask everybody to finish in time; asked again: to finish now."""
        hurry = self._draining and self.deadline < inf
        self._finish_by(now if hurry else now + self.drain_s)

    def retire(self) -> None:
        """Ask everybody to finish, however long it takes: others serve those who come now."""
        self._finish_by(inf)

    def _finish_by(self, deadline: float) -> None:
        self.deadline = min(self.deadline, deadline)
        if not self._draining:
            self._draining = True
            os.close(self._drain_write)
        self.wake()

    def follow(self) -> Follower:
        """For one thread that serves a client."""
        return Follower(self._drain_read, self.drain_s)

    def follow_in_child(self) -> Follower:
        """For a child process that serves clients: gives up what is the parent's."""
        for shutdown in self._bell.shutdowns:
            if not shutdown.draining:
                os.close(shutdown._drain_write)
        self._bell.close()
        return Follower(self._drain_read, self.drain_s, os.getppid())

    def close(self) -> None:
        """Give back the descriptors."""
        self._bell.shutdowns.remove(self)
        os.close(self._drain_read)
        if not self._draining:
            os.close(self._drain_write)


class Follower:
    """The side of a thread or a child process. The drain pipe tells it to finish, and its owner when to give up.

    Args:
        drain_fd: the read end of the drain pipe.
        drain_s: how many seconds clients that are being answered get to the end when the owner has died.
        parent: the process that is the owner; 0 for a thread, which dies with it.
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
        """Whether to go on accepting."""
        return not self.draining

    def fileno(self) -> int:
        """What to poll until ``draining``."""
        return self._drain_fd

    def clear(self, now: float) -> None:
        """Take note: the drain pipe is closed."""
        self.draining = True
        if self._parent and os.getppid() != self._parent:
            self.deadline = min(self.deadline, now + self._drain_s)

    def give_up(self) -> None:
        """Finish now."""
        self.draining = True
        self.deadline = 0.0
