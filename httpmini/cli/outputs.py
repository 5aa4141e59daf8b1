"""Files that commands write for their user: whether they can be written is known before the work, not after it."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from httpmini.errors import CannotRun, visible


def problem_with(path: Path) -> str:
    """Return why a file could not be written, in the words of the system; empty if it probably can. Creates nothing."""
    try:
        if path.is_dir():
            return os.strerror(errno.EISDIR)
        there = path.exists()
        place = path if there else path.parent
        if not there and not stat.S_ISDIR(place.stat().st_mode):
            return os.strerror(errno.ENOTDIR)
    except OSError as error:
        return error.strerror or str(error)
    return "" if os.access(place, os.W_OK) else os.strerror(errno.EACCES)


def check_output(path: Path) -> None:
    """Look whether a file can be written, for a command that takes its time.

    Raises:
        CannotRun: it cannot.
    """
    problem = problem_with(path)
    if problem:
        raise CannotRun(f"cannot write {visible(str(path))}: {problem}")


def write_output(path: Path, octets: bytes) -> None:
    """Write a file for the user.

    Raises:
        CannotRun: it cannot be written.
    """
    try:
        path.write_bytes(octets)
    except OSError as error:
        raise CannotRun(f"cannot write {visible(str(path))}: {error.strerror}") from error
