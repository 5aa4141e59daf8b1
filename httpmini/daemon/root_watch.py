"""A root that vanishes, or is another folder than it was, is worth a line in the log: requests only say 404 or 403."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from httpmini.errors import visible
from httpmini.server.logs.error import Level, Log

_State = tuple[int, int] | Literal["gone", "unreadable"]


class RootWatch:
    """Looks at a root now and then.

    Args:
        root: its path.
        log: takes a line for each change.
    """

    def __init__(self, root: str, log: Log) -> None:
        self._root = root
        self._log = log
        self._state = _look(root)

    def look(self) -> None:
        """Say what has changed since the last time."""
        state = _look(self._root)
        if state == self._state:
            return
        self._state = state
        shown = visible(self._root)
        if state == "gone":
            self._log(f"the root {shown} is gone; requests get a 404 until there is one again", Level.ERROR)
        elif state == "unreadable":
            remedy = "start it anew, or next time name the folder above in daemon.readable"
            said = f"the root {shown} is another folder now, which the sandbox does not let this server read"
            self._log(f"{said}; {remedy}", Level.ERROR)
        else:
            self._log(f"the root {shown} is another folder now")


def _look(root: str) -> _State:
    """Which folder it is, or what is wrong with it."""
    try:
        status = Path(root).stat()
        if os.access(root, os.R_OK):  # which asks for permissions only, not for the sandbox
            os.close(os.open(root, os.O_RDONLY | os.O_DIRECTORY))
    except PermissionError:
        return "unreadable"
    except OSError:
        return "gone"
    return status.st_dev, status.st_ino
