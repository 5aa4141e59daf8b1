"""The entries of a folder: read from the disk, filtered and sorted.

Each step works on pieces of which none keeps other threads from going on for long.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from heapq import merge
from itertools import islice

import msgspec

from httpmini.site.folders import modified_of, open_to_read, pieces
from httpmini.site.listing.view import View
from httpmini.site.resolve import Directory, File, Resolver
from httpmini.site.target import link_to

Names = tuple[bytes, ...]
"""A path below the root, as one name for each component."""

# Controls, surrogates, and the embeddings, overrides and isolates of UAX #9, with which "gpj.exe" looks like "exe.jpg".
# All else is shown as it is: blanks of other widths, joiners inside an emoji, letters that Python does not know yet.
_UNSHOWN = "\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_UNSHOWN_IN_TEXT = re.compile(f"[{_UNSHOWN}]")
_UNSHOWN_IN_NAMES = re.compile(f"[{_UNSHOWN}\t\n]")
_DIGITS = re.compile("([0-9]+)")

MOST_WITH_STATUS = 10_000
"""Of a larger folder only the names are read: a status costs ten times as much as a name."""

READMES = (b"readme.md", b"readme.txt")
"""What is shown below a listing, in lower case; the first one that is there."""

# What a folder may cost that is listed on the spot: one for each entry, more for a symlink, which is walked to.
_SMALL = 64
_SYMLINK_COSTS = 16


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One row of a listing.

    Attributes:
        is_file: whether it is no directory, and no symlink to one.
        name: as it is on disk.
        size: in bytes; meaningless for a directory, and None in a folder of which only the names are read.
        modified: the time of the last change, in seconds since the epoch, clamped to the years up to 9999; or None.
        sha256: of the content in hexadecimal, if it is known and shown; else empty.
    """

    is_file: bool
    name: bytes
    size: int | None
    modified: int | None
    sha256: str = ""

    @property
    def link(self) -> str:
        """A relative reference that fetches exactly this entry."""
        return link_to(self.name, directory=not self.is_file)


def is_readme(name: bytes) -> bool:
    """Whether a file of this name is shown below the listing of its folder."""
    return name.lower() in READMES


def printable(name: bytes) -> str:
    """Return ``name`` for display: what is not UTF-8, controls and what turns the order of others becomes U+FFFD."""
    return _UNSHOWN_IN_NAMES.sub("\ufffd", name.decode("utf-8", "replace"))


def printable_text(text: str) -> str:
    """Return a text for display, as ``printable`` does, but with its lines and tabs."""
    return _UNSHOWN_IN_TEXT.sub("\ufffd", text)


def is_small(directory: Directory) -> bool:
    """Whether listing a directory takes no longer than answering any other request.

    Raises:
        OSError: it cannot be read.
    """
    readable = open_to_read(directory)
    try:
        with os.scandir(readable) as found:
            first = list(islice(found, _SMALL + 1))
            if any(is_readme(os.fsencode(entry.name)) for entry in first):
                return False  # it is drawn, too
            return sum(_SYMLINK_COSTS if entry.is_symlink() else 1 for entry in first) <= _SMALL
    finally:
        os.close(readable)


def no_digest(_status: os.stat_result) -> str:
    """Return no digest: most forms of a listing show none."""
    return ""


DigestOf = Callable[[os.stat_result], str]
"""Returns the digest of a file by its status, in hexadecimal, if it is known; else an empty text."""


def read_entries(
    directory: Directory, names: Names, resolver: Resolver, digest_of: DigestOf = no_digest
) -> list[Entry]:
    """Return the visible entries in no order. Entries without a readable status are left out.

    Raises:
        OSError: the directory cannot be read.
    """
    readable = open_to_read(directory)
    try:
        with os.scandir(readable) as scanned:
            found = [entry for entry in scanned if resolver.shows(os.fsencode(entry.name), at_top=not names)]
        read = partial(_read_status, digest_of) if len(found) <= MOST_WITH_STATUS else _read_kind
        entries = (read(entry, (*names, os.fsencode(entry.name)), resolver) for entry in found)
        return [entry for entry in entries if entry is not None]
    finally:
        os.close(readable)


def _read_status(digest_of: DigestOf, entry: os.DirEntry[str], names: Names, resolver: Resolver) -> Entry | None:
    """Return an entry that can be fetched, or None. Only symlinks are resolved from the root."""
    try:
        status = _link_status(names, resolver) if entry.is_symlink() else entry.stat(follow_symlinks=False)
    except OSError:
        return None
    if status is None or not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        return None
    modified = modified_of(status)
    if stat.S_ISDIR(status.st_mode):
        return Entry(False, names[-1], status.st_size, modified)
    return Entry(True, names[-1], status.st_size, modified, digest_of(status))


def _read_kind(entry: os.DirEntry[str], names: Names, resolver: Resolver) -> Entry | None:
    """Return an entry without a status: the folder itself says what most of its entries are."""
    try:
        if entry.is_symlink():
            status = _link_status(names, resolver)
            return None if status is None else Entry(not stat.S_ISDIR(status.st_mode), names[-1], None, None)
        if entry.is_dir(follow_symlinks=False):
            return Entry(False, names[-1], None, None)
        return Entry(True, names[-1], None, None) if entry.is_file(follow_symlinks=False) else None
    except OSError:
        return None


def _link_status(names: Names, resolver: Resolver) -> os.stat_result | None:
    found = resolver.resolve(names)
    if not isinstance(found, File | Directory):
        return None
    try:
        return os.fstat(found.fd)
    finally:
        os.close(found.fd)


def arrange(entries: Iterable[Entry], view: View) -> list[Entry]:
    """Return the entries that a view shows, in its order: folders first."""
    text = _folded(view.q)
    matching = [entry for entry in entries if text in _folded(entry.name.decode("utf-8", "surrogateescape"))]
    folders = [entry for entry in matching if not entry.is_file]
    files = [entry for entry in matching if entry.is_file]
    sort = view.sort if all(entry.size is not None for entry in matching) else "name"
    is_reverse = view.order == "desc"
    return [
        *_sorted(folders, "name" if sort == "size" else sort, is_reverse and sort != "size"),
        *_sorted(files, sort, is_reverse),
    ]


def _sorted(entries: list[Entry], sort: str, is_reverse: bool) -> Iterator[Entry]:
    """Sort entries piece by piece: to sort all of a large folder would be one call of many milliseconds."""
    keys = {"name": _by_name, "size": _by_size, "date": _by_date}
    key = keys[sort]
    runs = [sorted(((key(entry), entry) for entry in piece), reverse=is_reverse) for piece in pieces(entries)]
    return (entry for _, entry in (runs[0] if len(runs) == 1 else merge(*runs, reverse=is_reverse)))


# Each key ends in the name, which no other entry has: so entries themselves are never compared.
Key = tuple[object, ...]


def _by_name(entry: Entry) -> Key:
    """Return a key for people: without regard to case, and "notes 9" before "notes 10"."""
    parts = _DIGITS.split(_folded(entry.name.decode("utf-8", "surrogateescape")))
    return [int(part) if position % 2 else part for position, part in enumerate(parts)], entry.name


def _by_size(entry: Entry) -> Key:
    return entry.size, *_by_name(entry)


def _by_date(entry: Entry) -> Key:
    return entry.modified, *_by_name(entry)


def _folded(text: str) -> str:
    """Return a form that is equal for names that look the same but for their case."""
    if text.isascii():
        return text.lower()
    from unicodedata import normalize  # most names are ASCII

    return normalize("NFC", text.casefold())
