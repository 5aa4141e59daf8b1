"""Logs on standard output, in a file, or off; ``syslog.py`` has the system log.

A log that cannot be written (a full disk, a pipe whose reader is gone or asleep) never costs a client its response: the
lines are lost, and their number is logged as soon as there is room again.

Lines of several processes do not get mixed up: a pipe gets writes of whole lines, each at most PIPE_BUF long, and a
file opened for appending takes every write as a whole.

When the file has been moved away (by logrotate, say), its path is opened again. Every process checks that itself before
it writes, so none needs a signal, and each line is in the old file or in the new one, never in both.
"""

from __future__ import annotations

import errno
import os
import select
import stat
from _thread import allocate_lock
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from httpmini.errors import CannotRun
from httpmini.server.logs.error import Level

MAX_LINE_BYTES = 4096  # PIPE_BUF on Linux; POSIX promises 512
BATCH_LINES = 256  # at most this many wait for the next tick
STDOUT = "stdout"
OFF = "off"


# Held to take waiting lines out: threads of a mode that has retired may write and flush, too. One for all logs, so that
# a child process can be forked while threads run.
_flushing = allocate_lock()
os.register_at_fork(before=_flushing.acquire, after_in_parent=_flushing.release, after_in_child=_flushing.release)


class LogWriter(Protocol):
    """The destination of a log.

    Attributes:
        trouble: why it could not be opened again; "" if it could.
    """

    trouble: str

    def write(self, line: str, level: Level = Level.INFO, /) -> None:
        """Write ``line``, which does not end in a line break yet."""
        ...

    def flush(self) -> None:
        """Write the lines that are waiting."""
        ...

    def stop_batching(self) -> None:
        """Write the lines that wait, and from now on each line at once."""
        ...

    def reopen(self) -> None:
        """Open the destination again; keep the old one if that fails."""
        ...

    def close(self) -> None:
        """Write the lines that are waiting, and close the destination."""
        ...


class LogFile:
    """A log on standard output, in a file, or off.

    Args:
        target: "stdout", "off", or the path of a file to append to.
        batched: whether to collect lines until ``flush``, at most ``BATCH_LINES`` of them: a write costs half as
            much as a response.
        count: called with the number of lines when they are written.

    Raises:
        CannotRun: the file cannot be opened.
    """

    def __init__(
        self, target: str, *, batched: bool = False, count: Callable[[int], None] = lambda _lines: None
    ) -> None:
        self._fd: int | None = None
        self._path = "" if target in (STDOUT, OFF) else target
        self.trouble = ""
        self._waiting: list[str] = []
        self._batched = batched
        self._lost = 0
        self._is_torn = False
        self._count = count
        if self._path:
            try:
                self._fd = _open(self._path)
            except OSError as error:
                raise CannotRun(f"cannot write the log {target}: {_why(error, target)}") from error
        elif target == STDOUT:
            self._fd = 1
        self._identity = _identify(self._fd) if self._path and self._fd is not None else None
        self._is_file = self._fd is not None and _is_regular(self._fd)

    def write(self, line: str, _level: Level = Level.INFO, /) -> None:
        """Write ``line``, which does not end in a line break yet. In a pipe it is cut to ``MAX_LINE_BYTES``."""
        if self._batched:
            self._waiting.append(line)
            if len(self._waiting) >= BATCH_LINES:
                self.flush()
        else:  # threads may call this, and must not share a list
            self._write([line])

    def flush(self) -> None:
        """Write the lines that are waiting. Those that cannot be written are lost, and counted."""
        with _flushing:
            count = len(self._waiting)
            lines = self._waiting[:count]
            del self._waiting[:count]  # not those that another thread has appended since
        if lines:
            self._write(lines)

    def stop_batching(self) -> None:
        """Write the lines that wait, and from now on each line at once."""
        self._batched = False
        self.flush()

    def __del__(self) -> None:
        self.close()

    def _write(self, lines: list[str]) -> None:
        self._count(len(lines))
        if self._fd is None:
            return
        if self._identity is not None and _identify(self._path) != self._identity:
            self.reopen()
        if self._is_file:
            pieces = ["\n".join((*lines, "")).encode("utf-8", "backslashreplace")]
        else:
            pieces = [line.encode("utf-8", "backslashreplace")[: MAX_LINE_BYTES - 1] + b"\n" for line in lines]
        for piece in pieces:
            if self._lost and self._put_note(self._lost):
                self._lost = 0
            if self._lost:
                self._lost += piece.count(b"\n")
            else:
                self._lost += piece[self._put(piece) :].count(b"\n")

    def _put_note(self, lost: int) -> bool:
        """Write how many lines are missing, on its own line even if the last one was cut off."""
        note = b"\n" * self._is_torn + f"({lost} lines were lost here)\n".encode()
        return self._put(note) == len(note)

    def _put(self, piece: bytes) -> int:
        """Return how many bytes of ``piece`` were written: only some if the disk fills up."""
        count = _put(self._fd, piece) if self._fd is not None else 0
        if count:
            self._is_torn = piece[count - 1 : count] != b"\n"
        return count

    def reopen(self) -> None:
        """Open the path again. If that fails, lines still go to the file that was moved away."""
        if self._fd is None or not self._path:
            return
        try:
            fd = _open(self._path)
        except OSError as error:
            why = _why(error, self._path)
            self.trouble = f"cannot open the log {self._path} again: {why}; lines go to the file that was moved away"
            return
        self.trouble = ""
        os.dup2(fd, self._fd, inheritable=False)  # atomic: other threads may be writing
        os.close(fd)
        self._identity = _identify(self._fd)
        self._is_file = _is_regular(self._fd)

    def close(self) -> None:
        """Write the lines that are waiting, and close the file; standard output stays open."""
        self.flush()
        if self._path and self._fd is not None:
            os.close(self._fd)
        self._fd = None


def _open(path: str) -> int:
    """Open a log; a FIFO that nobody reads is an error, and nothing to wait for."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY, 0o640)


def _why(error: OSError, path: str) -> str:
    """Return why a log cannot be opened. Where permissions allow that, only the sandbox can have refused it."""
    if isinstance(error, PermissionError) and os.access(Path(path).parent, os.W_OK):
        return "its folder is another one than at the start, and outside the sandbox; restart the server"
    if error.errno == errno.ENXIO:
        return "it is a FIFO that nobody reads, or a socket"
    return error.strerror or str(error)


def _identify(file: str | int) -> tuple[int, int] | None:
    """Return the device and inode of a file, or None if there is none."""
    try:
        status = os.stat(file)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _put(fd: int, piece: bytes) -> int:
    """Write ``piece`` without blocking; return how many bytes were written."""
    try:
        # A pipe counts as writable when it has room for PIPE_BUF bytes, so the write does not block.
        if not select.select([], [fd], [], 0)[1]:
            return 0
    except (OSError, ValueError):  # closed, or too high a number for select(): try anyway
        pass
    try:
        return os.write(fd, piece)
    except OSError:
        return 0


def _is_regular(fd: int) -> bool:
    try:
        return stat.S_ISREG(os.fstat(fd).st_mode)
    except OSError:
        return False
