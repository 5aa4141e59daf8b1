"""Makes the listings of a site, as pages, JSON or text: names are escaped, and links fetch exactly what they name.

A small folder is listed on the spot. A large one is ``Work``, cut into pieces of which none keeps other threads from
going on for long; clients that ask for the same listing while it waits for its turn share it. Those that come while it
is being made get the next one: a listing is never older than its request.

The entity tag is made of what is shown. So a listing whose tag is that of the one before need not be drawn again, and
many clients that read slowly hold one copy of it.
"""

from __future__ import annotations

import os
import zlib
from _thread import allocate_lock
from collections import OrderedDict
from errno import EACCES, EIO, EMFILE, ENOENT, ENOTDIR
from functools import cache, partial

import msgspec
from msgspec.structs import replace

from httpmini.site import pages
from httpmini.site.digests import Digests
from httpmini.site.folders import pieces
from httpmini.site.listing import readme
from httpmini.site.listing.data import draw_json, draw_text
from httpmini.site.listing.entries import Entry, Names, arrange, is_small, no_digest, read_entries
from httpmini.site.listing.kinds import Kinds
from httpmini.site.listing.page import Contents, draw_page
from httpmini.site.listing.view import PLAIN, View
from httpmini.site.pages import NOSNIFF
from httpmini.site.resolve import Directory, Fact, File, Resolver
from httpmini.version import __version__
from httpmini.work import LISTINGS, Steps, Work

PAGE = "text/html; charset=utf-8"
JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
FORMS = (PAGE, JSON, TEXT)
"""The media types of a listing, the preferred one first."""

GZIP = "gzip"
CODINGS = (GZIP,)
"""The content codings of a listing."""

ROWS = 1000
"""Entries on a page."""

_LEVEL = 9  # for a page; what may be long is compressed faster
_FAST = 5
_LONG = 64 * 1024

# Listings that are kept to be compared with the next ones.
_MAX_KEPT_BYTES = 16 * 1024 * 1024
_KEPT_COSTS = 1024  # beside its text
_WORTH_KEEPING = 64  # entries; a folder with fewer is drawn at once

# What the system said, or might have said, when a folder is not there any more.
_ERRORS = {Fact.FORBIDDEN: EACCES, Fact.RESOURCES: EMFILE, Fact.DISK_ERROR: EIO}

# Held to exchange what is kept, never while something is read or drawn. One for all, so that a child process can be
# forked while threads run.
_lock = allocate_lock()
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


class Wanted(msgspec.Struct, frozen=True):
    """A listing that was asked for.

    Attributes:
        names: the path of the folder below the root.
        form: one of ``FORMS``.
        coding: one of ``CODINGS``, or empty.
        view: what is shown, and how.
    """

    names: Names
    form: str = PAGE
    coding: str = ""
    view: View = PLAIN


class Listing(msgspec.Struct, frozen=True):
    """The listing of a folder at one moment.

    Attributes:
        entity_tag: with its quotes; another one for everything that is shown.
        text: the page, JSON or lines, in the coding.
        fields: what the response says about it, beside its tag.
    """

    entity_tag: str
    text: bytes
    fields: tuple[tuple[str, str], ...]


class Listings:
    """Makes the listings of one site. Threads may share it.

    Args:
        resolver: decides which entries are visible, and follows symlinks.
        max_bytes: how much memory kept listings may take; at most a constant of this module.
        kinds: what files are.
        title: the name of the root folder, for display.
        digests: knows the digests of some files.
        archives: whether pages have links to whole folders as one file.
    """

    def __init__(
        self,
        resolver: Resolver,
        max_bytes: int,
        kinds: Kinds,
        title: str,
        digests: Digests,
        *,
        archives: bool = False,
    ) -> None:
        self._resolver = resolver
        self._max_bytes = min(max_bytes, _MAX_KEPT_BYTES)
        self._kinds = kinds
        self._title = title
        self._digests = digests
        self._archives = archives
        self._kept: OrderedDict[Wanted, Listing] = OrderedDict()
        self._kept_bytes = 0
        self._works: dict[tuple[int, Wanted], Work[Listing]] = {}  # by process: a child has not the threads at work

    def find(self, directory: Directory, wanted: Wanted) -> Steps[Listing]:
        """Return the listing of a directory.

        Args:
            directory: the open directory.
            wanted: which listing of it.

        Raises:
            OSError: the directory cannot be read. It may still be possible to open files in it.
        """
        if is_small(directory):
            return self._make(directory, wanted)
        prepare()
        work = self._work(wanted)
        yield work
        return work.result()

    def _work(self, wanted: Wanted) -> Work[Listing]:
        """Return the work that makes a listing: one that others wait for, if it has not begun."""
        key = (os.getpid(), wanted)
        with _lock:
            work = self._works.get(key)
            if work is None:
                work = self._works[key] = Work(LISTINGS, partial(self._make_later, wanted))
            return work

    def _make_later(self, wanted: Wanted) -> Listing:
        """Walk to a directory again, and make its listing. Whoever asks from now on gets another one."""
        with _lock:
            self._works.pop((os.getpid(), wanted), None)
        found = self._resolver.resolve(wanted.names)
        if isinstance(found, Fact):
            raise OSError(_ERRORS.get(found, ENOENT), found.value)
        try:
            if isinstance(found, File):
                raise OSError(ENOTDIR, "a file")
            return self._make(found, wanted)
        finally:
            os.close(found.fd)

    def _make(self, directory: Directory, wanted: Wanted) -> Listing:
        contents = self._contents(directory, wanted)
        tag = _tag(wanted, contents)
        kept = self._kept.get(wanted)
        if kept is not None and kept.entity_tag == tag:
            return kept
        listing = _draw(wanted, contents, tag, self._kinds)
        if len(contents.shown) > _WORTH_KEEPING or contents.readme[1]:
            self._keep(wanted, listing)
        return listing

    def _contents(self, directory: Directory, wanted: Wanted) -> Contents:
        """Read a folder, and return what is shown of it."""
        digest_of = self._digest_of if wanted.form == JSON else no_digest
        entries = read_entries(directory, wanted.names, self._resolver, digest_of)
        matching = arrange(entries, wanted.view)
        is_page = wanted.form == PAGE
        shown, page, count = _page_of(matching, wanted.view.page, is_page=is_page)
        has_readme = is_page and page == 1 and not wanted.view.q
        files = [entry.size for entry in entries if entry.is_file]
        return Contents(
            names=wanted.names,
            title=self._title,
            view=replace(wanted.view, page=page),
            shown=shown,
            found=len(matching),
            pages=count,
            folders=len(entries) - len(files),
            files=len(files),
            total=None if any(size is None for size in files) else sum(size or 0 for size in files),
            readme=readme.find_readme(entries, wanted.names, self._resolver) if has_readme else ("", b""),
            archives=self._archives,
        )

    def _digest_of(self, status: os.stat_result) -> str:
        """Return the digest of an entry if it is known already; none is made for a listing."""
        return (self._digests.known(status) or b"").hex()

    def _keep(self, key: Wanted, listing: Listing) -> None:
        """Keep a listing, within bounds; the oldest ones make room."""
        with _lock:
            before = self._kept.pop(key, None)
            if before is not None:
                self._kept_bytes -= _cost(key, before)
            self._kept[key] = listing
            self._kept_bytes += _cost(key, listing)
            while self._kept_bytes > self._max_bytes:
                self._kept_bytes -= _cost(*self._kept.popitem(last=False))


def _cost(key: Wanted, listing: Listing) -> int:
    return len(listing.text) + sum(map(len, key.names)) + len(key.view.q) + _KEPT_COSTS


def _page_of(entries: list[Entry], page: int, *, is_page: bool) -> tuple[list[Entry], int, int]:
    """Return the entries of a page, its number, and how many pages there are.

    A program that names no page gets all entries.
    """
    count = max(1, -(-len(entries) // ROWS))
    if not page and not is_page:
        return entries, 0, 1
    page = page if 1 <= page <= count else 1
    return entries[(page - 1) * ROWS : page * ROWS], page, count


def _tag(wanted: Wanted, contents: Contents) -> str:
    """Return an entity tag of everything that is shown, and of what shows it."""
    from hashlib import blake2b  # only listings need it

    digest = blake2b(repr((__version__, wanted, replace(contents, shown=[]))).encode(), digest_size=12)
    for piece in pieces(contents.shown):
        digest.update("".join(map(repr, piece)).encode())
    return f'"{digest.hexdigest()}"'


def _draw(wanted: Wanted, contents: Contents, tag: str, kinds: Kinds) -> Listing:
    fields: tuple[tuple[str, str], ...] = (NOSNIFF,)
    if wanted.form == PAGE:
        text, fields = draw_page(contents, kinds)
    elif wanted.form == JSON:
        text = draw_json(contents.names, contents.shown)
    else:
        text = draw_text(contents.shown)
    fields = (*fields, ("Content-Type", wanted.form))
    if wanted.coding == GZIP:
        return Listing(tag, _compress(text), (*fields, ("Content-Encoding", GZIP)))
    return Listing(tag, text, fields)


def _compress(text: bytes) -> bytes:
    """Return text in gzip without a time (RFC 1952 §2.3.1, MTIME): the same text is always the same octets."""
    packer = zlib.compressobj(_LEVEL if len(text) < _LONG else _FAST, wbits=31)
    return packer.compress(text) + packer.flush()


@cache
def prepare() -> None:
    """Import what listings need: not in a helper thread, whose locks of imports a forked child would wait for."""
    import hashlib  # start-up need not wait for these
    import json  # noqa: F401

    hashlib.blake2b()
    pages.prepare()
    readme.prepare()
