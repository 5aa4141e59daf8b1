"""Where lines of a log go: standard output, a file, or nowhere.

Each line is one ``write`` of at most PIPE_BUF bytes, so that lines of several processes do not get mixed. A log that
cannot be written (a full disk, a pipe whose reader went away or has fallen asleep) never costs a client its answer: the
line is lost, and how many were is said when there is room again.
"""

from __future__ import annotations

import contextlib
import os
import select

from httpmini.errors import CannotRun

MAX_LINE_BYTES = 4096  # PIPE_BUF on Linux; POSIX promises 512
STDOUT = "stdout"
OFF = "off"


class LogFile:
    """An open log.

    Args:
        target: "stdout", "off", or a file's path; the file is appended to.

    Raises:
        CannotRun: the file cannot be opened.
    """

    def __init__(self, target: str) -> None:
        self._fd: int | None
        self._owned = target not in (STDOUT, OFF)
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

    def write(self, line: str) -> None:
        """Write ``line``, which has no line end yet."""
        if self._fd is None:
            return
        if not self._has_room(self._fd):
            self._lost += 1
            return
        if self._lost:
            line, self._lost = f"({self._lost} lines were lost here)\n{line}", 0
        data = line.encode("utf-8", "backslashreplace")[: MAX_LINE_BYTES - 1] + b"\n"
        with contextlib.suppress(OSError):
            os.write(self._fd, data)

    def _has_room(self, fd: int) -> bool:
        """Whether a line can be written without waiting; a pipe says so when it has room for PIPE_BUF bytes."""
        try:
            return bool(select.select([], [fd], [], 0)[1])
        except (OSError, ValueError):  # not open any more, or too high a number for select(): then try
            return True

    def close(self) -> None:
        """Close the file, if it is ours."""
        if self._owned and self._fd is not None:
            os.close(self._fd)
        self._fd = None
