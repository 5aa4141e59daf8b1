"""Where lines of a log go: standard output, a file, or nowhere; the system's log is in ``system_log.py``.

A log that cannot be written (a full disk, a pipe whose reader went away or has fallen asleep) never costs a client its
answer: the lines are lost, and how many were is said when there is room again.

Lines of several processes do not get mixed: what goes into a pipe is written in pieces of whole lines that are at most
PIPE_BUF long, and a file that is appended to takes every write as a whole.

A file that was moved away is left to whoever did that (logrotate), and its path opened anew. Every process sees that
for itself before it writes, so none needs to be told, and a line is in the old file or in the new one, never in both.
"""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Callable
from typing import Protocol

from httpmini.errors import CannotRun
from httpmini.server.logs.error import Level

MAX_LINE_BYTES = 4096  # PIPE_BUF on Linux; POSIX promises 512
BATCH_LINES = 256  # that wait for the next tick at most
STDOUT = "stdout"
OFF = "off"


class LogWriter(Protocol):
    """Takes lines."""

    def write(self, line: str, level: Level = Level.INFO, /) -> None:
        """Take a line, which has no line end yet."""
        ...

    def flush(self) -> None:
        """Write the lines that wait."""
        ...

    def stop_batching(self) -> None:
        """Write the lines that wait, and from now on each line at once."""
        ...

    def reopen(self) -> None:
        """Open the place anew, if it can be opened; else go on with the old one."""
        ...

    def close(self) -> None:
        """Write what waits, and give the descriptor back."""
        ...


class LogFile:
    """An open log.

    Args:
        target: "stdout", "off", or a file's path; the file is appended to.
        batched: keep lines until ``flush``, or until there are many: a write costs as much as half an answer.
        count: told how many lines there were, when they are written.

    Raises:
        CannotRun: the file cannot be opened.
    """

    def __init__(
        self, target: str, *, batched: bool = False, count: Callable[[int], None] = lambda _lines: None
    ) -> None:
        self._fd: int | None = None
        self._path = "" if target in (STDOUT, OFF) else target
        self._waiting: list[str] = []
        self._batched = batched
        self._lost = 0
        self._is_torn = False
        self._count = count
        if self._path:
            try:
                self._fd = _open(self._path)
            except OSError as error:
                raise CannotRun(f"cannot write the log {target}: {error.strerror}") from error
        elif target == STDOUT:
            self._fd = 1
        self._identity = _identify(self._fd) if self._path and self._fd is not None else None
        self._is_file = self._fd is not None and _is_regular(self._fd)

    def write(self, line: str, _level: Level = Level.INFO, /) -> None:
        """Take ``line``, which has no line end yet; in a pipe it is cut to ``MAX_LINE_BYTES``."""
        if self._batched:
            self._waiting.append(line)
            if len(self._waiting) >= BATCH_LINES:
                self.flush()
        else:  # by threads too, who must not share a list
            self._write([line])

    def flush(self) -> None:
        """Write the lines that wait; what cannot be written is lost, and counted."""
        lines, self._waiting = self._waiting, []
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
        """Say how many lines are missing, on a line of its own also when the last one is torn."""
        note = b"\n" * self._is_torn + f"({lost} lines were lost here)\n".encode()
        return self._put(note) == len(note)

    def _put(self, piece: bytes) -> int:
        """How many bytes of ``piece`` could be written; of a disk that becomes full, some."""
        count = _put(self._fd, piece) if self._fd is not None else 0
        if count:
            self._is_torn = piece[count - 1 : count] != b"\n"
        return count

    def reopen(self) -> None:
        """Open the path anew; while that is not possible, the file that was moved away gets the lines."""
        if self._fd is None or not self._path:
            return
        try:
            fd = _open(self._path)
        except OSError:
            return
        os.dup2(fd, self._fd, inheritable=False)  # at once: threads write meanwhile
        os.close(fd)
        self._identity = _identify(self._fd)
        self._is_file = _is_regular(self._fd)

    def close(self) -> None:
        """Write what waits, and close the file if it is ours."""
        self.flush()
        if self._path and self._fd is not None:
            os.close(self._fd)
        self._fd = None


def _open(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)


def _identify(file: str | int) -> tuple[int, int] | None:
    """Which file it is; None when there is none."""
    try:
        status = os.stat(file)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _put(fd: int, piece: bytes) -> int:
    """How many bytes of ``piece`` were written, without waiting."""
    try:
        # A pipe says that it can be written when it has room for PIPE_BUF bytes, and so does not make us wait.
        if not select.select([], [fd], [], 0)[1]:
            return 0
    except (OSError, ValueError):  # not open any more, or too high a number for select(): then try
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
