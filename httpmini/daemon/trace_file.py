"""The file of ``serve --trace``: opened before the process gives up its rights, written when it ends."""

from __future__ import annotations

import os

import msgspec

from httpmini.errors import CannotRun, visible
from httpmini.files import write_all
from httpmini.server.core.events import Recording


class TraceFile:
    """A file for one recording. Only its owner can read it: it names the clients.

    Args:
        path: where it is, or will be.

    Raises:
        CannotRun: it cannot be written.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise CannotRun(f"cannot write the trace {visible(path)}: {error.strerror}") from error

    def write(self, recording: Recording) -> None:
        """Write the recording, and close the file.

        Raises:
            CannotRun: the disk is full, or broken.
        """
        try:
            write_all(self._fd, msgspec.json.encode(recording) + b"\n")
        except OSError as error:
            raise CannotRun(f"cannot write the trace {visible(self._path)}: {error.strerror}") from error
        finally:
            os.close(self._fd)
