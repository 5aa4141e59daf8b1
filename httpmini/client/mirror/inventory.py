"""Every file and folder that the listings of a run have named."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator

from httpmini.client.mirror.listings import Entry, Listing, Names, follow, is_hidden, unsafe
from httpmini.client.mirror.report import Report
from httpmini.client.mirror.tree import MAX_DEPTH, RESERVED, shown


class Inventory:
    """What is on the server, as far as the listings tell.

    Args:
        report: is told of entries that are left out.
        max_entries: stop after this many files and folders; a folder that contains itself has no end.
        hidden: include names that begin with a dot.

    Attributes:
        listed: folders whose listing is complete, each before those in it.
        unknown: why the listings do not tell everything; empty while they do.
        is_full: whether ``max_entries`` was reached.
    """

    def __init__(self, report: Report, max_entries: int, *, hidden: bool = False) -> None:
        self.listed: list[Names] = []
        self.unknown = ""
        self.is_full = False
        self._report = report
        self._max_entries = max_entries
        self._hidden = hidden
        self._targets: dict[Names, str] = {}  # of every file and folder, without a slash at its end
        self._children: defaultdict[Names, set[bytes]] = defaultdict(set)  # the names in each folder

    @property
    def names(self) -> Collection[Names]:
        """Every file and folder."""
        return self._targets.keys()

    def names_in(self, folder: Names) -> Collection[bytes]:
        """Return the names of everything in a folder, including what is left out."""
        return self._children[folder]

    def add_listing(self, folder: Names, listing: Listing) -> None:
        """Note whether the listing of ``folder`` tells everything that is in it."""
        if listing.is_whole:
            self.listed.append(folder)
        elif listing.is_cut_off:
            self._report.skipped(folder, "its listing was cut off, and what else is in it is unknown")
            self._miss(f"the listing of {shown(folder)} was cut off")
        else:
            self._miss(f"the page at {shown(folder)} is not a listing")

    def skip_folder(self, names: Names, reason: str) -> None:
        """Report a folder that is left out; what is in it stays unknown."""
        self._report.skipped(names, reason)
        self._miss(f"the contents of {shown(names)} are unknown")

    def new_entries(self, folder: Entry, listing: Listing) -> Iterator[Entry]:
        """Yield the entries of a listing that are safe to visit and were not met before."""
        for entry in _entries(folder, listing):
            for depth in range(len(folder.names), len(entry.names)):
                self._children[entry.names[:depth]].add(entry.names[depth])
            if not self._is_new(entry):
                continue
            if len(self._targets) >= self._max_entries:
                self.is_full = True
                self.skip_folder(folder.names, f"more than {self._max_entries} files and folders; the rest is skipped")
                return
            self._targets[entry.names] = entry.url.target.removesuffix("/")
            if len(entry.names) <= MAX_DEPTH:
                yield entry
            else:
                self.skip_folder(entry.names, f"nested more than {MAX_DEPTH - 1} folders deep, perhaps in a loop")

    def _is_new(self, entry: Entry) -> bool:
        """Whether to visit an entry. The reason against it is reported, except for one that is listed twice."""
        for name in entry.names:
            if reason := self._reason_against(name):
                self._report.skipped(entry.names, reason)
                return False
        before = self._targets.get(entry.names)
        if before is not None and before != entry.url.target.removesuffix("/"):
            self._report.skipped(entry.names, f"{before} has the same local name")
        return before is None

    def _reason_against(self, name: bytes) -> str:
        """Return why a name is left out; empty if it is not."""
        if name in RESERVED:
            return "the name is reserved for httpmini's own files"
        hidden = "" if self._hidden or not is_hidden(name) else "the name is hidden; --hidden includes such files"
        return unsafe(name) or hidden

    def _miss(self, reason: str) -> None:
        self.unknown = self.unknown or reason


def _entries(folder: Entry, listing: Listing) -> list[Entry]:
    """Return what the links lead to below ``folder``. A name linked with and without a slash is a folder."""
    found = [entry for link in listing.links if (entry := follow(link, listing.base, folder)) is not None]
    folders = {entry.names for entry in found if entry.is_folder}
    entries = [entry for entry in found if entry.is_folder or entry.names not in folders]
    if listing.is_page:
        names = (*folder.names, b"index.html")
        if not any(entry.names == names for entry in entries):
            entries.append(Entry(names, folder.url, is_folder=False))
    return entries
