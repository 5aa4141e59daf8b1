"""Where lines of a log go: standard output, a file, or nowhere.

A log that cannot be written (a full disk, a pipe whose reader went away or has fallen asleep) never costs a client its
answer: the lines are lost, and how many were is said when there is room again.

Lines of several processes do not get mixed: what goes into a pipe is written in pieces of whole lines that are at most
PIPE_BUF long, and a file that is appended to takes every write as a whole.
"""

from __future__ import annotations

import os
import select
import stat

from httpmini.errors import CannotRun

MAX_LINE_BYTES = 4096  # PIPE_BUF on Linux; POSIX promises 512
BATCH_LINES = 256  # that wait for the next tick at most
STDOUT = "stdout"
OFF = "off"


class LogFile:
    """An open log.

    Args:
        target: "stdout", "off", or a file's path; the file is appended to.
        batched: keep lines until ``flush``, or until there are many: a write costs as much as half an answer.

    Raises:
        CannotRun: the file cannot be opened.
    """

    def __init__(self, target: str, *, batched: bool = False) -> None:
        self._fd: int | None
        self._owned = target not in (STDOUT, OFF)
        self._waiting: list[str] = []
        self._most_waiting = BATCH_LINES if batched else 1
        self._lost = 0
        if target == OFF:
            self._fd = None
        elif target == STDOUT:
            self._fd = 1
        else:
            try:
                self._fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
            except OSError as error:
                raise CannotRun(f"cannot write the log {target}: {error.strerror}") from error

        self._is_file = self._fd is not None and _is_regular(self._fd)

    def write(self, line: str) -> None:
        """Take ``line``, which has no line end yet; in a pipe it is cut to ``MAX_LINE_BYTES``."""
        self._waiting.append(line)
        if len(self._waiting) >= self._most_waiting:
            self.flush()

    def flush(self) -> None:
        """Write the lines that wait; what cannot be written is lost, and counted."""
        lines, self._waiting = self._waiting, []
        if self._fd is None or not lines:
            return
        if self._is_file:
            pieces = ["\n".join((*lines, "")).encode("utf-8", "backslashreplace")]
        else:
            pieces = [line.encode("utf-8", "backslashreplace")[: MAX_LINE_BYTES - 1] + b"\n" for line in lines]
        for piece in pieces:
            if self._lost and _write(self._fd, f"({self._lost} lines were lost here)\n".encode()):
                self._lost = 0
            if self._lost or not _write(self._fd, piece):
                self._lost += piece.count(b"\n")

    def close(self) -> None:
        """Write what waits, and close the file if it is ours."""
        self.flush()
        if self._owned and self._fd is not None:
            os.close(self._fd)
        self._fd = None


def _write(fd: int, piece: bytes) -> bool:
    """Whether all of ``piece`` was written, without waiting."""
    try:
        # A pipe says that it can be written when it has room for PIPE_BUF bytes, and so does not make us wait.
        if not select.select([], [fd], [], 0)[1]:
            return False
    except (OSError, ValueError):  # not open any more, or too high a number for select(): then try
        pass
    try:
        return os.write(fd, piece) == len(piece)
    except OSError:
        return False


def _is_regular(fd: int) -> bool:
    try:
        return stat.S_ISREG(os.fstat(fd).st_mode)
    except OSError:
        return False
