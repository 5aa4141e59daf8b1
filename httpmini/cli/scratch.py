"""A temporary folder that is gone once this process has ended, however it ends.

The server may not remove anything: the sandbox does not let it. So another process does that, which waits until the
last end of a pipe is closed.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from httpmini.errors import CannotRun

if TYPE_CHECKING:
    from types import TracebackType

_NOT_FOR_US = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class ScratchFolder:
    """A context whose value is the path of an empty folder that only this user can enter."""

    def __enter__(self) -> Path:
        """Make the folder, and start the process that will remove it.

        Raises:
            CannotRun: there is no place for it, or no process.
        """
        try:
            self._folder = tempfile.mkdtemp(prefix="httpmini-docs-")
            waiting, self._held = os.pipe()
            self._remover = os.fork()
        except OSError as error:
            raise CannotRun(f"cannot make a temporary folder: {error.strerror}") from error
        if self._remover == 0:
            _remove_later(self._folder, waiting, self._held)
        os.close(waiting)
        return Path(self._folder)

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Have it removed, and wait for that."""
        os.close(self._held)
        os.waitpid(self._remover, 0)


def _remove_later(folder: str, waiting: int, held: int) -> None:
    """Be the process that waits for the end of the other one, and removes the folder. It never returns."""
    try:
        for number in _NOT_FOR_US:
            signal.signal(number, signal.SIG_IGN)
        os.close(held)
        os.read(waiting, 1)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os._exit(0)
