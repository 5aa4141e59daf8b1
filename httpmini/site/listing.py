"""What is in a folder, as a page: names escaped, links that fetch exactly what they name."""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass

from httpmini.site import pages
from httpmini.site.resolve import Directory, File, Resolver
from httpmini.site.target import link_to

_YEAR_10000 = 253_402_300_799  # a time stamp may lie beyond what a calendar can say


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a listing."""

    name: str
    link: str
    size: str
    modified: str


def draw_listing(directory: Directory, names: tuple[bytes, ...], resolver: Resolver) -> bytes:
    """The page for ``directory``, which lies at ``names`` below the root.

    Raises:
        OSError: the directory may be gone through but not read.
    """
    return pages.draw(
        "listing.html",
        path="/" + "".join(printable(name) + "/" for name in names),
        has_parent=bool(names),
        entries=_entries(directory, names, resolver),
    )


def printable(name: bytes) -> str:
    """``name`` for a reader: octets that are not UTF-8 and control characters become U+FFFD."""
    text = name.decode("utf-8", "replace")
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def _entries(directory: Directory, names: tuple[bytes, ...], resolver: Resolver) -> list[Entry]:
    """Directories first, each group by name. An entry that cannot be looked at is left out, not the whole page."""
    readable = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory.fd)
    try:
        found = [(os.fsencode(name), readable) for name in os.listdir(readable)]
        shown = [(name, fd) for name, fd in found if resolver.shows(name, at_top=not names)]
        rows = [(name, _status((*names, name), fd, resolver)) for name, fd in shown]
    finally:
        os.close(readable)
    seen = [(name, status) for name, status in rows if status is not None]
    seen.sort(key=lambda row: (not stat.S_ISDIR(row[1].st_mode), row[0]))
    return [_entry(name, status) for name, status in seen]


def _status(names: tuple[bytes, ...], fd: int, resolver: Resolver) -> os.stat_result | None:
    """The status of an entry that could be fetched, else None. Only a symlink needs the whole way to be walked."""
    try:
        status = os.stat(names[-1], dir_fd=fd, follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            return _link_status(names, resolver)
    except OSError:
        return None
    return status if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode) else None


def _link_status(names: tuple[bytes, ...], resolver: Resolver) -> os.stat_result | None:
    found = resolver.resolve(names)
    if not isinstance(found, File | Directory):
        return None
    try:
        return os.fstat(found.fd)
    finally:
        os.close(found.fd)


def _entry(name: bytes, status: os.stat_result) -> Entry:
    directory = stat.S_ISDIR(status.st_mode)
    return Entry(
        name=printable(name) + ("/" if directory else ""),
        link=link_to(name, directory=directory),
        size="" if directory else str(status.st_size),
        modified=time.strftime("%Y-%m-%d %H:%M", time.gmtime(min(max(0, status.st_mtime), _YEAR_10000))),
    )
