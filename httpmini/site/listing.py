"""Listings of folders, as a page or as JSON: names are escaped, and links fetch exactly what they name."""

from __future__ import annotations

import os
import re
import stat
import time

import msgspec

from httpmini.site import pages
from httpmini.site.resolve import Directory, File, Resolver
from httpmini.site.target import link_to

# Controls, surrogates, and the embeddings, overrides and isolates of UAX #9, with which "gpj.exe" looks like "exe.jpg".
# All else is shown as it is: blanks of other widths, joiners inside an emoji, letters that Python does not know yet.
_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_END_OF_9999 = 253_402_300_799  # a file may have a time that a calendar cannot represent

PAGE = "text/html; charset=utf-8"
JSON = "application/json"
FORMS = (PAGE, JSON)
"""The media types of a listing, the preferred one first."""


class Entry(msgspec.Struct, frozen=True):
    """One row of a listing.

    Attributes:
        name: as it is on disk.
        is_directory: whether it is a directory, or a symlink to one.
        size: in bytes; meaningless for a directory.
        modified: the time of the last change, in seconds since the epoch, clamped to the years up to 9999.
    """

    name: bytes
    is_directory: bool
    size: int
    modified: int

    @property
    def link(self) -> str:
        """A relative reference that fetches exactly this entry."""
        return link_to(self.name, directory=self.is_directory)


def draw_listing(directory: Directory, names: tuple[bytes, ...], resolver: Resolver, form: str = PAGE) -> bytes:
    """Draw the listing of a directory.

    Args:
        directory: the open directory.
        names: its path below the root.
        resolver: decides which entries are visible, and follows symlinks.
        form: one of ``FORMS``.

    Raises:
        OSError: the directory cannot be read. It may still be possible to open files in it.
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
    """Return ``name`` for display: what is not UTF-8, controls and what turns the order of others becomes U+FFFD."""
    return _UNSHOWN.sub("\ufffd", name.decode("utf-8", "replace"))


def _entries(directory: Directory, names: tuple[bytes, ...], resolver: Resolver) -> list[Entry]:
    """Return the visible entries, directories first, then by name. Entries without a readable status are left out."""
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
    """Return the status of an entry that can be fetched, or None. Only symlinks are resolved from the root."""
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
    modified = int(min(max(0, status.st_mtime), _END_OF_9999))
    return Entry(name, stat.S_ISDIR(status.st_mode), status.st_size, modified)


def _page_row(entry: Entry) -> dict[str, str]:
    return {
        "name": printable(entry.name) + ("/" if entry.is_directory else ""),
        "link": entry.link,
        "size": "" if entry.is_directory else str(entry.size),
        "modified": time.strftime("%Y-%m-%d %H:%M", time.gmtime(entry.modified)),
    }


def _draw_json(names: tuple[bytes, ...], entries: list[Entry]) -> bytes:
    """Return UTF-8 (RFC 8259 §8.1), with what a terminal might interpret escaped: ``\\uXXXX`` is the same text."""
    import json  # start-up need not wait for it; the HTML pages import it later anyway

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
    """Return ``name`` as text for programs: exact if it is UTF-8, otherwise with U+FFFD. The link is always exact."""
    return name.decode("utf-8", "replace")
