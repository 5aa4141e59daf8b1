"""Where lines of a log go: standard output, a file, or nowhere.

Each line is one ``write`` of at most PIPE_BUF bytes, so that lines of several processes do not get mixed. A log that
cannot be written (a full disk, a reader that went away) never costs a client its answer.
"""

from __future__ import annotations

import contextlib
import os

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
        if self._fd is not None:
            data = line.encode("utf-8", "backslashreplace")[: MAX_LINE_BYTES - 1] + b"\n"
            with contextlib.suppress(OSError):
                os.write(self._fd, data)

    def close(self) -> None:
        """Close the file, if it is ours."""
        if self._owned and self._fd is not None:
            os.close(self._fd)
        self._fd = None
