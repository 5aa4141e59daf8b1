"""What reading a folder takes, for listings and for archives."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

from httpmini.site.resolve import Directory

T = TypeVar("T")

_END_OF_9999 = 253_402_300_799  # a file may have a time that a calendar cannot represent
_PIECE = 1024  # entries that are sorted or hashed in one call: others want to go on meanwhile


def open_to_read(directory: Directory) -> int:
    """Return a descriptor with which the names in an open directory can be read; the caller closes it.

    Raises:
        OSError: they cannot be read, though files in it may still be opened.
    """
    return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory.fd)


def modified_of(status: os.stat_result) -> int:
    """Return the time of the last change, in seconds since the epoch, clamped to the years up to 9999."""
    return int(min(max(0, status.st_mtime), _END_OF_9999))


def pieces(entries: Iterable[T]) -> Iterator[list[T]]:
    """Yield entries in lists that are handled in one call."""
    rest = iter(entries)
    while piece := list(islice(rest, _PIECE)):
        yield piece
