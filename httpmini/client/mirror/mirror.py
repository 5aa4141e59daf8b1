"""``httpmini mirror``: a folder on a server, kept as a folder here.

What has changed is asked of the server, file by file, with the entity tag or date of the last run (RFC 9110 §13): one
short exchange over a kept connection for each file. Sizes and times from a listing would cost nothing, but a file that
was rewritten within its second, with as many bytes, would stay old for ever, and most listings have no exact size. What
is known of each file lies in a small file of our own; it counts only while the local file is as we left it.

Nothing is asked for outside the folder where it begins, so redirections are followed here, by hand: the client that is
handed in should not (``Client(follow=False, decode=False)``; files are kept as they come). One that does is held to the
same rule afterwards.
"""

from __future__ import annotations

import os
import stat
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from urllib.parse import quote_from_bytes

import msgspec

from httpmini.client.client import Client
from httpmini.client.mirror.listings import Listing, Names, Place, below, follow, read_json, read_page, unsafe
from httpmini.client.mirror.tree import MAX_DEPTH, RESERVED, InTheWay, Tree, shown
from httpmini.client.response import Response
from httpmini.client.url import Url, join, parse_url
from httpmini.client.versions import is_strong, validators
from httpmini.errors import (
    BadRedirect,
    BadUrl,
    BrokenResponse,
    FetchError,
    NotConnected,
    NotResolved,
    TimedOut,
    TlsFailed,
    visible,
)
from httpmini.protocol.dates import parse_date

MOST_ENTRIES = 100_000
_LISTING_BYTES = 32 * 1024**2
_REFUSAL_BYTES = 64 * 1024  # read to its end, so that the connection can be kept
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 10
_SAVE_S = 10.0  # between two notes of what is there: so much is asked for again after a kill -9
_PLAIN = ("Accept-Encoding", "identity")
_JSON_OR_PAGE = (("Accept", "application/json, text/html;q=0.5"), _PLAIN)
_PAGE = (("Accept", "text/html"), _PLAIN)
_FILE = (("Accept", "*/*"), _PLAIN)
# Errors of the server as a whole; after any other one, the next file may well come.
_GONE = (NotResolved, NotConnected, TlsFailed, TimedOut)


@dataclass(frozen=True, slots=True)
class Mirrored:
    """What a run did; in a dry run, what it would have done.

    Attributes:
        fetched: files that were new or had changed.
        unchanged: files that were here already.
        deleted: files and folders that were taken away.
        skipped: what was left out, or could not be done, each with a sentence; 0: this is all that is there.
        bytes: octets of the files that were fetched; in a dry run, as far as the server says.
    """

    fetched: int
    unchanged: int
    deleted: int
    skipped: int
    bytes: int


@dataclass(frozen=True, slots=True)
class _Known:
    """A file as we left it.

    Attributes:
        tag: ETag, when it tells this version from all others; else empty.
        modified: Last-Modified, on the same condition.
        size: in bytes.
        mtime_ns: nanoseconds since the epoch.
    """

    tag: str
    modified: str
    size: int
    mtime_ns: int

    @property
    def conditions(self) -> tuple[tuple[str, str], ...]:
        """Fields that ask for the file only if it has changed (RFC 9110 §13.1.2, §13.1.3)."""
        fields = (("If-None-Match", self.tag), ("If-Modified-Since", self.modified))
        return tuple(field for field in fields if field[1])


@dataclass(frozen=True, slots=True)
class _Notes:
    """What is kept from one run to the next: where it came from, and each file by its quoted path."""

    url: str
    files: dict[str, _Known]


def mirror(
    client: Client,
    url: str | Url,
    folder: str,
    *,
    delete: bool = False,
    dry_run: bool = False,
    say: Callable[[str], None] = lambda _: None,
    entries: int = MOST_ENTRIES,
) -> Mirrored:
    """Make the local ``folder`` what the folder at ``url`` is.

    Args:
        client: best one that neither follows nor decodes, see above.
        url: of a folder that is listed: by httpmini, or as a page with links. A page that is no listing is kept as
            ``index.html``, with what it links to below itself.
        folder: a path; made when it is not there. It is never left, and no symlink in it is followed.
        delete: take away regular files and empty folders that are not there, if all listings could be read.
        dry_run: do nothing, and say what would be done.
        say: takes a sentence for everything that is done or left out, without control characters.
        entries: the most files and folders that are looked at; a folder that lies in itself has no end.

    Raises:
        BadUrl: it is no folder that can be listed.
        FetchError: the first listing did not come; or, later, the server could not be reached any more. What came is
            kept. Anything that is wrong with one file or folder is said and counted.
        CannotRun: the disk.
    """
    start = _start(url)
    tree = Tree(folder)
    try:
        run = _Run(client, start, tree, say, dry_run=dry_run, entries=entries)
        try:
            run.walk()
            if delete:
                run.delete()
        finally:
            run.save()
    finally:
        tree.close()
    return Mirrored(run.fetched, run.unchanged, run.deleted, run.skipped, run.bytes)


def _start(url: str | Url) -> Place:
    """The folder where it begins: the URL with a slash at its end."""
    given = url if isinstance(url, Url) else parse_url(url)
    if "?" in given.target:
        raise BadUrl(f"{given.text}: a folder has no query; write a URL that ends in a slash")
    there = replace(given, target=given.target.removesuffix("/") + "/")
    there = replace(there, target=join(there, "./").target)  # RFC 3986 §5.2.4: without . and ..
    root = replace(there, target="/")
    inside = below(there, Place((), root, is_folder=True))
    if inside is not None and any(map(unsafe, inside.names)):
        raise BadUrl(f"{given.text}: a folder on the way has a name that is none")
    return Place((), there, is_folder=True)


class _Run:
    """One run: what was seen, and what came of it."""

    def __init__(
        self, client: Client, start: Place, tree: Tree, say: Callable[[str], None], *, dry_run: bool, entries: int
    ) -> None:
        self.client = client
        self.start = start
        self.tree = tree
        self.dry_run = dry_run
        self.entries = entries
        self.fetched = self.unchanged = self.deleted = self.skipped = self.bytes = 0
        self._say = say
        self._known = _read_notes(tree, start.url.text)
        self._urls: dict[Names, str] = {}  # every file and folder that was met
        self._remote: defaultdict[Names, set[bytes]] = defaultdict(set)  # for each folder, the names in it
        self._listed: list[Names] = []
        self._owners: dict[tuple[int, int], Names] = {}  # by device and inode
        self._unread = ""  # why not all of the listings are known
        self._is_full = self._is_done = False
        self._next_save = time.monotonic() + _SAVE_S

    def walk(self) -> None:
        """Go through all folders, each before those in it."""
        to_do = [self.start]
        while to_do and not self._is_full:
            to_do += reversed(self._visit(to_do.pop()))
        self._is_done = True

    def delete(self) -> None:
        """Take away what is not on the server."""
        if self._unread:
            self._skip(self.start.names, f"nothing is deleted, because {self._unread}")
            return
        for folder in self._listed:
            self._prune(folder)

    def save(self) -> None:
        """Keep what is known for the next run."""
        if self.dry_run or not self._owners:  # nothing was entered
            return
        files = self._known
        if self._is_done and not self._unread:
            met = {_key(names) for names in self._urls}
            files = {key: known for key, known in files.items() if key in met}
        self.tree.write_state(msgspec.json.encode(_Notes(self.start.url.text, files)))
        self._next_save = time.monotonic() + _SAVE_S

    def _tell(self, what: str, done: str, names: Names, more: str = "") -> None:
        self._say(visible(f"would {what} {shown(names)}{more}" if self.dry_run else f"{done} {shown(names)}{more}"))

    def _skip(self, names: Names, why: str) -> None:
        self.skipped += 1
        self._say(visible(f"skipped {shown(names)}: {why}"))

    def _skip_folder(self, names: Names, why: str) -> None:
        self._skip(names, why)
        self._unread = self._unread or f"what is in {shown(names)} is not known"

    def _visit(self, folder: Place) -> list[Place]:
        """Fetch the files of a folder; the folders in it."""
        try:
            listing = self._list(folder)
            self._enter(folder.names)
        except _GONE:
            raise
        except (FetchError, InTheWay) as error:
            if not folder.names:
                raise
            self._skip_folder(folder.names, str(error))
            return []
        if listing.is_whole:
            self._listed.append(folder.names)
        else:
            what = "is a page of its own" if listing.is_page else "was cut off"
            self._unread = self._unread or f"the listing of {shown(folder.names)} {what}"
        folders = []
        for place in self._places(folder, listing):
            inner = place if place.is_folder else self._take(place)
            if inner is not None:
                folders.append(inner)
        return folders

    def _enter(self, names: Names) -> None:
        if self.dry_run:
            status = self.tree.look(names)
            if status is not None and not stat.S_ISDIR(status.st_mode):
                raise InTheWay("a file or a symlink is in its way")
        else:
            status = self.tree.make_folder(names)
        self._check_owner(names, status)
        self._own(names, status)

    def _list(self, folder: Place) -> Listing:
        """What is in a folder; as a page when its JSON is not ours.

        Raises:
            BadUrl: neither.
            FetchError: it did not come.
        """
        for headers in (_JSON_OR_PAGE, _PAGE):
            with self.client.fetch(folder.url, headers=headers) as response:
                there = _led_to(folder.url, response)
                if there is not None:
                    raise BadRedirect(f"{folder.url.text} redirects to {there.text}; it may be mirrored by that name")
                _expect_whole(response)
                kind = (response.headers.get("Content-Type") or "no type").partition(";")[0].strip(" \t").lower()
                if kind not in ("application/json", "text/html", "application/xhtml+xml"):
                    break
                body = response.read(_LISTING_BYTES)
            listing = read_json(body, folder.url) if kind == "application/json" else read_page(body, folder.url)
            if listing is not None:
                return listing
        raise BadUrl(f"{folder.url.text}: is not listed; what is there is {kind}")

    def _places(self, folder: Place, listing: Listing) -> Iterator[Place]:
        """What a listing leads to, if it may be looked at and was not before."""
        found = (follow(link, listing.base, folder) for link in listing.links)
        places = [place for place in found if place is not None]
        folders = {place.names for place in places if place.is_folder}
        places = [place for place in places if place.is_folder or place.names not in folders]
        if listing.is_page:
            names = (*folder.names, b"index.html")
            if not any(place.names == names for place in places):
                places.append(Place(names, folder.url, is_folder=False))
        for place in places:
            for length in range(len(folder.names), len(place.names)):
                self._remote[place.names[:length]].add(place.names[length])
            if not self._is_new(place):
                continue
            if len(self._urls) >= self.entries:
                self._is_full = True
                self._skip_folder(folder.names, f"more than {self.entries} files and folders; the rest is left out")
                return
            self._urls[place.names] = place.url.target.removesuffix("/")
            if len(place.names) <= MAX_DEPTH:
                yield place
            else:
                self._skip_folder(place.names, f"it lies in more than {MAX_DEPTH - 1} folders, perhaps in itself")

    def _is_new(self, place: Place) -> bool:
        """Whether to look at a place; it is said why not, but for one that is listed twice."""
        for name in place.names:
            if why := "the name is one of our own" if name in RESERVED else unsafe(name):
                self._skip(place.names, why)
                return False
        before = self._urls.get(place.names)
        if before is not None and before != place.url.target.removesuffix("/"):
            self._skip(place.names, f"{before} has the same name here")
        return before is None

    def _take(self, file: Place) -> Place | None:
        """Fetch a file, if it has changed; the folder that it turns out to be."""
        try:
            return self._fetch(file)
        except _GONE:
            raise
        except (FetchError, InTheWay) as error:
            self._skip(file.names, str(error))
            return None
        finally:
            if time.monotonic() > self._next_save:
                self.save()

    def _fetch(self, file: Place) -> Place | None:
        status = self.tree.look(file.names)
        self._check_owner(file.names, status)
        known = self._known.get(_key(file.names))
        if known is None or status is None or (known.size, known.mtime_ns) != (status.st_size, status.st_mtime_ns):
            known = None
        answer = self._ask(file, (*_FILE, *(known.conditions if known else ())))
        if isinstance(answer, Place):
            return answer
        with answer as response:
            if known and known.conditions and response.status == 304:
                self.unchanged += 1
                self._own(file.names, status)
                return None
            _expect_whole(response)
            if status is not None and not stat.S_ISREG(status.st_mode):
                raise InTheWay("something that is no file is in its way")
            if self.dry_run:
                self._count(file.names, response.content_length)
                self._own(file.names, status)
            else:
                self._write(file, response)
        return None

    def _write(self, file: Place, response: Response) -> None:
        modified = parse_date(response.headers.get("Last-Modified") or "", time.time())
        after = self.tree.write(file.names, response.views(), modified)
        self._own(file.names, after)
        tag, date = validators(response.headers)
        if not date and not is_strong(tag):  # a weak one may be made of nothing but the date
            tag = ""
        self._known[_key(file.names)] = _Known(tag, date, after.st_size, after.st_mtime_ns)
        self._count(file.names, after.st_size)

    def _count(self, names: Names, size: int | None) -> None:
        self.fetched += 1
        self.bytes += size or 0
        self._tell("fetch", "fetched", names, "" if size is None else f" ({size} bytes)")

    def _ask(self, file: Place, headers: tuple[tuple[str, str], ...]) -> Response | Place:
        """The answer for a file; or the folder that it is, when it is redirected to the same name with a slash.

        Raises:
            BadRedirect: to anything outside the folder where it all begins, to another folder, or too often.
        """
        url = file.url
        for _ in range(_MOST_REDIRECTS + 1):
            response = self.client.fetch(url, method="HEAD" if self.dry_run else "GET", headers=headers)
            there = _led_to(url, response)
            if there is None:
                return response
            place = below(there, self.start)
            if place is not None and not any(map(unsafe, place.names)) and not place.is_folder:
                if there.text == response.url:  # a client that follows by itself
                    return response
                response.drain()
                url = place.url
                continue
            response.drain()
            if place is not None and place.names == file.names:
                return place
            raise BadRedirect(f"it is redirected to {there.text}, which is not a file below {self.start.url.text}")
        raise BadRedirect(f"it is redirected more than {_MOST_REDIRECTS} times")

    def _check_owner(self, names: Names, status: os.stat_result | None) -> None:
        """On a disk without regard to case, ``A`` and ``a`` are one file, which must not be both.

        Raises:
            InTheWay: what is there is another file or folder of this run.
        """
        owner = self._owner(status)
        if owner is not None and owner != names:
            raise InTheWay(f"on this disk it is the same as {shown(owner)}")

    def _owner(self, status: os.stat_result | None) -> Names | None:
        """Which file or folder of this run is at ``status``. Hard links are files of their own: writing parts them."""
        if status is None or (status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode)):
            return None
        return self._owners.get((status.st_dev, status.st_ino))

    def _own(self, names: Names, status: os.stat_result | None) -> None:
        if status is not None:
            self._owners[(status.st_dev, status.st_ino)] = names

    def _prune(self, folder: Names) -> None:
        stays: set[Names] = set()
        for names, status in self.tree.others(folder, self._remote[folder], lambda it: self._owner(it) is not None):
            try:
                if names in stays:
                    raise InTheWay("something in it is not deleted")
                if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
                    raise InTheWay("not deleted: it is neither a file nor a folder")
                if not self.dry_run:
                    self.tree.remove(names)
            except InTheWay as error:
                stays.add(names[:-1])
                self._skip(names, str(error))
            else:
                self.deleted += 1
                self._tell("delete", "deleted", names)


def _read_notes(tree: Tree, url: str) -> dict[str, _Known]:
    """What is known of the files here, if they came from ``url``."""
    try:
        notes = msgspec.json.decode(tree.read_state(), type=_Notes)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return {}
    return notes.files if notes.url == url else {}


def _key(names: Names) -> str:
    return "/".join(quote_from_bytes(name, safe="") for name in names)


def _led_to(asked: Url, response: Response) -> Url | None:
    """Where an answer came from, or sends us, if not from where it was asked for.

    Raises:
        BadRedirect: to what is no http URL.
    """
    try:
        if response.url != asked.text:
            return parse_url(response.url)
        location = response.location if response.status in _REDIRECTS else None
        return None if location is None else join(asked, location)
    except BadRedirect:
        response.close()
        raise
    except BadUrl as error:
        response.close()
        raise BadRedirect(f"it is redirected to where this client does not go: {error}") from error


def _expect_whole(response: Response) -> None:
    """Raise what is wrong with an answer that is not a whole file or page."""
    if response.status != 200:
        with suppress(FetchError):
            response.read(_REFUSAL_BYTES)
        response.raise_for_status()
        raise BrokenResponse(f"{response.url}: {response.status}, which is not all of it")
