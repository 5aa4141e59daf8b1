"""Another root folder for the process: ``serve --chroot`` (chroot(2)).

Inside are the files of a site, which others may write, and nothing there may ever become code: the process is root
until it has bound its ports. So everything that Python and the C library load on demand is loaded before, and
afterwards nothing is imported any more.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import Path

from httpmini.config.identity import look_in_files_only
from httpmini.daemon.late_imports import load_late_imports
from httpmini.daemon.name_services import load_name_services
from httpmini.errors import CannotRun, visible

# Where the C library looks for code, and for what decides who is who.
_TRUSTED = ("/lib", "/lib32", "/lib64", "/usr", "/usr/lib", "/usr/lib64", "/usr/local", "/usr/local/lib", "/etc")
_TRUSTED_FILES = ("/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/ld.so.cache", "/etc/hosts")


def change_root(folder: str) -> None:
    """Make ``folder`` the root of the file system that this process sees. Call it before anything is opened.

    Raises:
        CannotRun: ``folder`` is not a folder, others may write what must be trusted in it, or the process does not run
            as root.
    """
    load_late_imports(tls=True)  # the settings are inside, and nothing can be loaded once they have been read
    load_name_services()
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fchdir(fd)
        finally:
            os.close(fd)
        os.chroot(".")
    except OSError as error:
        who = "; only root can do that" if os.geteuid() != 0 else ""
        raise CannotRun(f"--chroot {visible(folder)}: {error.strerror}{who}") from error
    look_in_files_only()
    sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not PathFinder]
    for path in _writable_by_others():
        inside = "it" if path == "/" else f"{path} in it"
        said = f"{visible(inside)} can be written by others than root, who could put code there"
        raise CannotRun(f"--chroot {visible(folder)}: {said}; make it root's, writable for root only")


def _writable_by_others() -> Iterator[str]:
    """Yield what others than root may write, of the root folder, folders of libraries, and files about users."""
    for path in ("/", *_TRUSTED, *_TRUSTED_FILES):
        if _others_may_write(path):
            yield path
    for top in ("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib"):
        for folder, _, files in os.walk(top):
            yield from filter(_others_may_write, (folder, *(str(Path(folder) / name) for name in files)))


def _others_may_write(path: str) -> bool:
    try:
        status = Path(path).stat()
    except OSError:
        return False
    return status.st_uid != 0 or bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
