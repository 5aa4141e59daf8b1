"""Listings of folders, as a page or as JSON: names are escaped, and links fetch exactly what they name.

A small folder is listed on the spot. A large one is ``Work``, cut into pieces of which none keeps other threads from
going on for long; clients that ask for the same listing while it waits for its turn share it. Those that come while it
is being made get the next one: a listing is never older than its request.

The entity tag is made of what is shown. So a listing whose tag is that of the one before need not be drawn again, and
many clients that read slowly hold one copy of it.
"""

from __future__ import annotations

import os
import re
import stat
import time
from _thread import allocate_lock
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from errno import EACCES, EIO, EMFILE, ENOENT, ENOTDIR
from functools import cache, partial
from heapq import merge
from itertools import islice

import msgspec

from httpmini.site import pages
from httpmini.site.digests import Digests
from httpmini.site.resolve import Directory, Fact, File, Resolver
from httpmini.site.target import link_to
from httpmini.version import __version__
from httpmini.work import LISTINGS, Steps, Work

# Controls, surrogates, and the embeddings, overrides and isolates of UAX #9, with which "gpj.exe" looks like "exe.jpg".
# All else is shown as it is: blanks of other widths, joiners inside an emoji, letters that Python does not know yet.
_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_END_OF_9999 = 253_402_300_799  # a file may have a time that a calendar cannot represent

PAGE = "text/html; charset=utf-8"
JSON = "application/json"
FORMS = (PAGE, JSON)
"""The media types of a listing, the preferred one first."""

# What a folder may cost that is listed on the spot: one for each entry, more for a symlink, which is walked to.
_SMALL = 64
_SYMLINK_COSTS = 16
# Entries that are sorted or hashed in one call.
_PIECE = 1024
# Listings that are kept to be compared with the next ones.
_MAX_KEPT_BYTES = 16 * 1024 * 1024
_KEPT_COSTS = 1024  # beside its text

# What the system said, or might have said, when a folder is not there any more.
_ERRORS = {Fact.FORBIDDEN: EACCES, Fact.RESOURCES: EMFILE, Fact.DISK_ERROR: EIO}

# Held to exchange what is kept, never while something is read or drawn. One for all, so that a child process can be
# forked while threads run.
_lock = allocate_lock()
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)

Names = tuple[bytes, ...]


class Entry(msgspec.Struct, frozen=True, order=True, gc=False):
    """One row of a listing. Rows are in the order of their attributes: directories first, then by name.

    Attributes:
        is_file: whether it is no directory, and no symlink to one.
        name: as it is on disk.
        size: in bytes; meaningless for a directory.
        modified: the time of the last change, in seconds since the epoch, clamped to the years up to 9999.
        sha256: of the content in hexadecimal, if it is known and shown; else empty.
    """

    is_file: bool
    name: bytes
    size: int
    modified: int
    sha256: str = ""

    @property
    def link(self) -> str:
        """A relative reference that fetches exactly this entry."""
        return link_to(self.name, directory=not self.is_file)


class Listing(msgspec.Struct, frozen=True):
    """The listing of a folder at one moment.

    Attributes:
        entity_tag: with its quotes; another one for everything that is shown.
        text: the page, or the JSON.
    """

    entity_tag: str
    text: bytes


class Listings:
    """Makes the listings of one site. Threads may share it.

    Args:
        resolver: decides which entries are visible, and follows symlinks.
        max_bytes: how much memory kept listings may take; at most a constant of this module.
        digests: knows the digests of some files.
    """

    def __init__(self, resolver: Resolver, max_bytes: int, digests: Digests) -> None:
        self._resolver = resolver
        self._digests = digests
        self._max_bytes = min(max_bytes, _MAX_KEPT_BYTES)
        self._kept: OrderedDict[tuple[Names, str], Listing] = OrderedDict()
        self._kept_bytes = 0
        self._works: dict[tuple[int, Names, str], Work[Listing]] = {}  # by process: a child has not the threads at work

    def find(self, directory: Directory, names: Names, form: str) -> Steps[Listing]:
        """Return the listing of a directory.

        Args:
            directory: the open directory.
            names: its path below the root.
            form: one of ``FORMS``.

        Raises:
            OSError: the directory cannot be read. It may still be possible to open files in it.
        """
        if _is_small(directory):
            return self._make(directory, names, form)
        prepare()
        work = self._work(names, form)
        yield work
        return work.result()

    def _work(self, names: Names, form: str) -> Work[Listing]:
        """Return the work that makes a listing: one that others wait for, if it has not begun."""
        key = (os.getpid(), names, form)
        with _lock:
            work = self._works.get(key)
            if work is None:
                work = self._works[key] = Work(LISTINGS, partial(self._make_later, names, form))
            return work

    def _make_later(self, names: Names, form: str) -> Listing:
        """Walk to a directory again, and make its listing. Whoever asks from now on gets another one."""
        with _lock:
            self._works.pop((os.getpid(), names, form), None)
        found = self._resolver.resolve(names)
        if isinstance(found, Fact):
            raise OSError(_ERRORS.get(found, ENOENT), found.value)
        try:
            if isinstance(found, File):
                raise OSError(ENOTDIR, "a file")
            return self._make(found, names, form)
        finally:
            os.close(found.fd)

    def _make(self, directory: Directory, names: Names, form: str) -> Listing:
        entries = _read_entries(directory, names, self._resolver, self._digest_of if form == JSON else _no_digest)
        tag = _tag(names, form, entries)
        kept = self._kept.get((names, form))
        if kept is not None and kept.entity_tag == tag:
            return kept
        draw = _draw_json if form == JSON else _draw_page
        listing = Listing(tag, draw(names, entries))
        if len(entries) > _SMALL:
            self._keep((names, form), listing)
        return listing

    def _digest_of(self, status: os.stat_result) -> str:
        """Return the digest of an entry if it is known already; none is made for a listing."""
        return (self._digests.known(status) or b"").hex()

    def _keep(self, key: tuple[Names, str], listing: Listing) -> None:
        """Keep a listing, within bounds; the oldest ones make room."""
        with _lock:
            before = self._kept.pop(key, None)
            if before is not None:
                self._kept_bytes -= _cost(key, before)
            self._kept[key] = listing
            self._kept_bytes += _cost(key, listing)
            while self._kept_bytes > self._max_bytes:
                self._kept_bytes -= _cost(*self._kept.popitem(last=False))


def _cost(key: tuple[Names, str], listing: Listing) -> int:
    return len(listing.text) + sum(map(len, key[0])) + _KEPT_COSTS


@cache
def prepare() -> None:
    """Import what listings need: not in a helper thread, whose locks of imports a forked child would wait for."""
    import hashlib  # start-up need not wait for these
    import json  # noqa: F401

    hashlib.blake2b()
    pages.prepare()


def printable(name: bytes) -> str:
    """Return ``name`` for display: what is not UTF-8, controls and what turns the order of others becomes U+FFFD."""
    return _UNSHOWN.sub("\ufffd", name.decode("utf-8", "replace"))


def _is_small(directory: Directory) -> bool:
    """Whether listing a directory takes no longer than answering any other request."""
    readable = _open_to_read(directory)
    try:
        with os.scandir(readable) as found:
            first = list(islice(found, _SMALL + 1))
            return sum(_SYMLINK_COSTS if entry.is_symlink() else 1 for entry in first) <= _SMALL
    finally:
        os.close(readable)


def _open_to_read(directory: Directory) -> int:
    return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory.fd)


def _no_digest(_status: os.stat_result) -> str:
    return ""


def _read_entries(
    directory: Directory, names: Names, resolver: Resolver, digest_of: Callable[[os.stat_result], str]
) -> list[Entry]:
    """Return the visible entries in their order. Entries without a readable status are left out."""
    readable = _open_to_read(directory)
    try:
        with os.scandir(readable) as found:
            every = (os.fsencode(entry.name) for entry in found)
            shown = (name for name in every if resolver.shows(name, at_top=not names))
            rows = ((name, _status((*names, name), readable, resolver)) for name in shown)
            entries = (_entry(name, status, digest_of) for name, status in rows if status is not None)
            return _sorted(entries)
    finally:
        os.close(readable)


def _sorted(entries: Iterable[Entry]) -> list[Entry]:
    """Sort entries piece by piece: to sort all of a large folder would be one call of many milliseconds."""
    runs = [sorted(piece) for piece in _pieces(entries)]
    return runs[0] if len(runs) == 1 else list(merge(*runs))


def _pieces(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    rest = iter(entries)
    while piece := list(islice(rest, _PIECE)):
        yield piece


def _tag(names: Names, form: str, entries: list[Entry]) -> str:
    """Return an entity tag of everything that is shown, and of what shows it."""
    from hashlib import blake2b  # only listings need it

    digest = blake2b(repr((__version__, form, names)).encode(), digest_size=12)
    for piece in _pieces(entries):
        digest.update("".join(map(repr, piece)).encode())
    return f'"{digest.hexdigest()}"'


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


def _entry(name: bytes, status: os.stat_result, digest_of: Callable[[os.stat_result], str]) -> Entry:
    modified = int(min(max(0, status.st_mtime), _END_OF_9999))
    if stat.S_ISDIR(status.st_mode):
        return Entry(False, name, status.st_size, modified)
    return Entry(True, name, status.st_size, modified, digest_of(status))


def _draw_page(names: Names, entries: list[Entry]) -> bytes:
    return pages.draw_long(
        "listing.html",
        path="/" + "".join(printable(name) + "/" for name in names),
        has_parent=bool(names),
        entries=map(_page_row, entries),
        is_empty=not entries,
    )


def _page_row(entry: Entry) -> tuple[str, str, str, str]:
    """Return name, link, size and time as they are shown."""
    modified = time.strftime("%Y-%m-%d %H:%M", time.gmtime(entry.modified))
    if entry.is_file:
        return printable(entry.name), entry.link, str(entry.size), modified
    return printable(entry.name) + "/", entry.link, "", modified


def _draw_json(names: Names, entries: list[Entry]) -> bytes:
    """Return UTF-8 (RFC 8259 §8.1), row by row: to encode all of a large folder would be one long call."""
    path = _encode("/" + "".join(_text(name) + "/" for name in names))
    rows = b", ".join([_encode(_json_row(entry)) for entry in entries])
    return b"".join((b'{"path": ', path, b', "entries": [', rows, b"]}"))


def _encode(value: object) -> bytes:
    """Return JSON with what a terminal might interpret escaped: ``\\uXXXX`` is the same text."""
    import json  # start-up need not wait for it; the HTML pages import it later anyway

    text = json.dumps(value, ensure_ascii=False)
    if not text.isprintable():
        text = "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)
    return text.encode("utf-8")


def _json_row(entry: Entry) -> dict[str, str | int]:
    row: dict[str, str | int] = {
        "name": _text(entry.name),
        "href": entry.link,
        "type": "file" if entry.is_file else "directory",
    }
    if entry.is_file:
        row["size"] = entry.size
        if entry.sha256:
            row["sha256"] = entry.sha256
    row["modified"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(entry.modified))
    return row


def _text(name: bytes) -> str:
    """Return ``name`` as text for programs: exact if it is UTF-8, otherwise with U+FFFD. The link is always exact."""
    return name.decode("utf-8", "replace")
