"""Another root folder for the process: ``serve --chroot`` (chroot(2))."""

from __future__ import annotations

import os

from httpmini.daemon.late_imports import load_late_imports
from httpmini.errors import CannotRun, visible


def change_root(folder: str) -> None:
    """Make ``folder`` the root of the file system that this process sees. Call it before anything is opened.

    Raises:
        CannotRun: ``folder`` is not a folder, or the process does not run as root.
    """
    load_late_imports()
    try:
        os.chroot(folder)
    except OSError as error:
        who = "; only root can do that" if os.geteuid() != 0 else ""
        raise CannotRun(f"--chroot {visible(folder)}: {error.strerror}{who}") from error
    os.chdir("/")
