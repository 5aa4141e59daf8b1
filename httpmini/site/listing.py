"""What is in a folder, as a page or as JSON: names escaped, links that fetch exactly what they name."""

from __future__ import annotations

import os
import stat
import time

import msgspec

from httpmini.site import pages
from httpmini.site.resolve import Directory, File, Resolver
from httpmini.site.target import link_to

_YEAR_10000 = 253_402_300_799  # a time stamp may lie beyond what a calendar can say


PAGE = "text/html; charset=utf-8"
JSON = "application/json"
FORMS = (PAGE, JSON)
"""The forms in which a folder is shown, ours first."""


class Entry(msgspec.Struct, frozen=True):
    """One row of a listing.

    Attributes:
        name: as the disk has it.
        is_directory: whether it is, or leads to, a directory.
        size: in bytes; of no meaning for a directory.
        modified: when it was changed, in seconds since the epoch, within what a calendar can say.
    """

    name: bytes
    is_directory: bool
    size: int
    modified: int

    @property
    def link(self) -> str:
        """A relative reference that fetches exactly this."""
        return link_to(self.name, directory=self.is_directory)


def draw_listing(directory: Directory, names: tuple[bytes, ...], resolver: Resolver, form: str = PAGE) -> bytes:
    """What is in ``directory``, which lies at ``names`` below the root, in one of ``FORMS``.

    Raises:
        OSError: the directory may be gone through but not read.
    """
    entries = _entries(directory, names, resolver)
    if form == JSON:
        return _draw_json(names, entries)
    return pages.draw(
        "listing.html",
        path="/" + "".join(printable(name) + "/" for name in names),
        has_parent=bool(names),
        entries=[_page_row(entry) for entry in entries],
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
    modified = int(min(max(0, status.st_mtime), _YEAR_10000))
    return Entry(name, stat.S_ISDIR(status.st_mode), status.st_size, modified)


def _page_row(entry: Entry) -> dict[str, str]:
    return {
        "name": printable(entry.name) + ("/" if entry.is_directory else ""),
        "link": entry.link,
        "size": "" if entry.is_directory else str(entry.size),
        "modified": time.strftime("%Y-%m-%d %H:%M", time.gmtime(entry.modified)),
    }


def _draw_json(names: tuple[bytes, ...], entries: list[Entry]) -> bytes:
    """UTF-8 (RFC 8259 §8.1); what a terminal might act on is written as ``\\uXXXX``, which reads as the same text."""
    import json  # start-up need not wait for it; the pages bring it along later

    path = "/" + "".join(_text(name) + "/" for name in names)
    listing = {"path": path, "entries": [_json_row(entry) for entry in entries]}
    text = json.dumps(listing, ensure_ascii=False)
    if not text.isprintable():
        text = "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)
    return text.encode("utf-8")


def _json_row(entry: Entry) -> dict[str, str | int]:
    row: dict[str, str | int] = {
        "name": _text(entry.name),
        "href": entry.link,
        "type": "directory" if entry.is_directory else "file",
    }
    if not entry.is_directory:
        row["size"] = entry.size
    row["modified"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(entry.modified))
    return row


def _text(name: bytes) -> str:
    """``name`` as text for programs: exact where it is UTF-8, elsewhere with U+FFFD; the link is exact always."""
    return name.decode("utf-8", "replace")
