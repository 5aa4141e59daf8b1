"""The walk through the remote folders, each before those in it."""

from __future__ import annotations

from httpmini.client.mirror.fetcher import NO_RESPONSE, Fetcher
from httpmini.client.mirror.inventory import Inventory
from httpmini.client.mirror.listings import Entry
from httpmini.client.mirror.local_copy import LocalCopy
from httpmini.client.mirror.remote import Remote
from httpmini.client.mirror.tree import InTheWay
from httpmini.errors import FetchError


class Crawler:
    """Visits every folder once and passes its files to the fetcher.

    Args:
        remote: the folders.
        copy: where they are made.
        inventory: what was met so far.
        fetcher: takes each file.
    """

    def __init__(self, remote: Remote, copy: LocalCopy, inventory: Inventory, fetcher: Fetcher) -> None:
        self._remote = remote
        self._copy = copy
        self._inventory = inventory
        self._fetcher = fetcher

    def run(self, start: Entry) -> None:
        """Visit ``start`` and all folders below it.

        Raises:
            FetchError: the listing of ``start`` cannot be fetched, or the server is gone.
            CannotRun: the disk failed.
        """
        to_do = [start]
        while to_do and not self._inventory.is_full:
            to_do += reversed(self._visit(to_do.pop()))

    def _visit(self, folder: Entry) -> list[Entry]:
        """Fetch the files of a folder; return the folders in it."""
        try:
            listing = self._remote.list_folder(folder)
            self._copy.enter_folder(folder.names)
        except (FetchError, InTheWay) as error:
            if not folder.names:  # without the first listing there is nothing to do
                raise
            self._inventory.skip_folder(folder.names, str(error))
            if isinstance(error, NO_RESPONSE):
                self._remote.expect_reply()
            return []
        self._inventory.add_listing(folder.names, listing)
        found = self._inventory.new_entries(folder, listing)
        inner = (entry if entry.is_folder else self._fetcher.fetch(entry) for entry in found)
        return [entry for entry in inner if entry is not None]
