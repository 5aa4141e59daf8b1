"""Log a root that vanishes or becomes another folder; without that, an operator sees only 404 and 403."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from httpmini.errors import visible
from httpmini.server.logs.error import Level, Log

_State = tuple[int, int] | Literal["gone", "unreadable"]


class RootWatch:
    """A watch on a root: it logs when the folder vanishes, becomes unreadable or is replaced.

    Args:
        root: the path of the root.
        log: takes a line for each change.
    """

    def __init__(self, root: str, log: Log) -> None:
        self._root = root
        self._log = log
        self._state = _look(root)

    def look(self) -> None:
        """Check the root, and log a change since the last check."""
        state = _look(self._root)
        if state == self._state:
            return
        self._state = state
        shown = visible(self._root)
        if state == "gone":
            self._log(f"the root {shown} is gone; requests get a 404 until it is back", Level.ERROR)
        elif state == "unreadable":
            remedy = "restart the server, or name the parent folder in daemon.readable next time"
            said = f"the root {shown} is another folder now, which the sandbox does not let this server read"
            self._log(f"{said}; {remedy}", Level.ERROR)
        else:
            self._log(f"the root {shown} is another folder now")


def _look(root: str) -> _State:
    """Return the device and inode of the folder, or what is wrong with it."""
    try:
        status = Path(root).stat()
        if os.access(root, os.R_OK):  # which asks about permissions, not about the sandbox
            os.close(os.open(root, os.O_RDONLY | os.O_DIRECTORY))
    except PermissionError:
        return "unreadable"
    except OSError:
        return "gone"
    return status.st_dev, status.st_ino
