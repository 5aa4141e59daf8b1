"""How a running mode is woken, and how it learns to drain and by when.

Three pipes carry this, because a pipe can be polled together with sockets:

- The wake-up pipe (``WakeUpPipe``) belongs to the main loop and lives as long as the process. Signals write into it
  (``signal.set_wakeup_fd``), so a signal that arrives just before a poll is not slept through. Threads write into it
  when they free a slot.
- The drain pipe belongs to one running mode. Draining begins when its write end is closed: every thread and child
  process that polls the read end sees that at once. A byte in it, which nobody takes out, says that another mode takes
  over.
- The hurry pipe belongs to one running mode, too. A byte in it, which nobody takes out, says to give up now. If it ends
  without one, the process that held its write end has died: the kernel closes it, however that process came to its end,
  so nobody has to ask whether the parent still lives.
"""

from __future__ import annotations

import contextlib
import os
import select
from math import inf
from typing import Protocol


class StopSignal(Protocol):
    """What code that serves clients checks between two waits: ``Shutdown`` or ``Follower``.

    Attributes:
        deadline: when to give up whatever is unfinished, in monotonic seconds; ``inf`` until a stop is requested.
    """

    deadline: float

    @property
    def draining(self) -> bool:
        """Whether to finish what has begun and begin nothing new."""
        ...

    @property
    def replaced(self) -> bool:
        """Whether it is draining because another mode takes over; then no accepted client may be turned away."""
        ...

    @property
    def may_have_news(self) -> bool:
        """Whether ``fileno()`` is worth polling."""
        ...

    def fileno(self) -> int:
        """Return the descriptor to poll for reading; after ``clear`` it may be another one."""
        ...

    def clear(self, now: float) -> None:
        """Take note that ``fileno()`` was readable."""
        ...


class WakeUpPipe:
    """A pipe that wakes the main loop from its poll.

    Attributes:
        interrupted: whether ``serve()`` of the running mode has to return, so that its owner can act on a signal.
        shutdowns: every ``Shutdown`` that is not closed yet. A child process closes the write ends of their pipes:
            while one is open anywhere, the drain and the death of the parent stay invisible.
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

    may_have_news = True

    def __init__(self, wake_up: WakeUpPipe, drain_s: float) -> None:
        self.drain_s = drain_s
        self.deadline = inf
        self._wake_up = wake_up
        self._draining = False
        with contextlib.ExitStack() as undo:
            self._drain_read, self._drain_write = os.pipe()
            undo.callback(os.close, self._drain_read)
            undo.callback(os.close, self._drain_write)
            self._hurry_read, self._hurry_write = os.pipe()
            undo.pop_all()
        wake_up.shutdowns.append(self)

    @property
    def draining(self) -> bool:
        """Whether to finish what has begun and begin nothing new."""
        return self._draining

    @property
    def replaced(self) -> bool:
        """Whether it is draining because another mode takes over."""
        return self._draining and self.deadline == inf

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
        if not self._draining:
            os.write(self._drain_write, b"!")
        self._finish_by(inf)

    def _finish_by(self, deadline: float) -> None:
        self.deadline = min(self.deadline, deadline)
        if not self._draining:
            self._draining = True
            os.close(self._drain_write)
        self.wake()

    def give_up(self) -> None:
        """Have all followers finish now."""
        os.write(self._hurry_write, b"!")

    def follow(self) -> Follower:
        """Return the side of a thread that serves a client."""
        return Follower(self._drain_read, self._hurry_read, self.drain_s)

    def follow_in_child(self) -> Follower:
        """Return the side of a child process, and close the parent's descriptors. Call it in the child."""
        for shutdown in self._wake_up.shutdowns:
            shutdown._close_write_ends()
        self._wake_up.close()
        return self.follow()

    def close(self) -> None:
        """Close both pipes. To drain after that does nothing: a signal may ask for it at any moment."""
        self._wake_up.shutdowns.remove(self)
        self._finish_by(self.deadline)
        for fd in (self._drain_read, self._hurry_read, self._hurry_write):
            os.close(fd)

    def _close_write_ends(self) -> None:
        os.close(self._hurry_write)
        if not self._draining:
            os.close(self._drain_write)


class Follower:
    """The side of a thread or a child process, which learns from the pipes to finish, and then by when.

    Args:
        drain_fd: the read end of the drain pipe.
        hurry_fd: the read end of the hurry pipe.
        drain_s: how many seconds are left for responses that are being sent when the owner has died.

    Attributes:
        draining: whether to finish what has begun and begin nothing new.
        replaced: whether that is because another mode takes over.
        deadline: when to give up whatever is unfinished, in monotonic seconds; ``inf`` until there is a hurry.
        is_orphan: whether the process at the other end has died.
    """

    def __init__(self, drain_fd: int, hurry_fd: int, drain_s: float) -> None:
        self._drain_fd = drain_fd
        self._hurry_fd = hurry_fd
        self._drain_s = drain_s
        self.draining = False
        self.replaced = False
        self.deadline = inf
        self.is_orphan = False

    @property
    def serving(self) -> bool:
        """Whether to go on accepting clients."""
        return not self.draining

    @property
    def may_have_news(self) -> bool:
        """Whether there is anything left to hear."""
        return self.deadline == inf

    def fileno(self) -> int:
        """Return the descriptor to poll: the drain pipe's, then the hurry pipe's, until there is a deadline."""
        return self._hurry_fd if self.draining else self._drain_fd

    def give_up(self) -> None:
        """Finish now, without being told: only this follower does."""
        self.deadline = 0.0

    def clear(self, now: float) -> None:
        """Take note that ``fileno()`` was readable: draining has begun, or there is a hurry."""
        if not self.draining:
            self.draining = True
            self.replaced = bool(_events(self._drain_fd) & select.POLLIN)
            return
        events = _events(self._hurry_fd)
        if events & select.POLLIN:
            self.deadline = 0.0
        elif events:  # it has ended, and nothing is in it
            self.is_orphan = True
            self.deadline = now + self._drain_s


def _events(pipe: int) -> int:
    """Return what poll says of a pipe: POLLIN if a byte is in it."""
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    return dict(poll.poll(0)).get(pipe, 0)
