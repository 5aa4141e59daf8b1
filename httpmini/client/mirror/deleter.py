"""The deletion of local files and folders that are not on the server."""

from __future__ import annotations

import stat

from httpmini.client.mirror.inventory import Inventory
from httpmini.client.mirror.listings import Names
from httpmini.client.mirror.local_copy import LocalCopy
from httpmini.client.mirror.report import Report
from httpmini.client.mirror.tree import InTheWay


def delete_surplus(copy: LocalCopy, inventory: Inventory, report: Report) -> None:
    """Delete what no listing has named; nothing at all if some listing is missing.

    Raises:
        CannotRun: the disk failed.
    """
    if inventory.unknown:
        report.skipped((), f"nothing is deleted, because {inventory.unknown}")
        return
    for folder in inventory.listed:
        _prune(folder, copy, inventory, report)


def _prune(folder: Names, copy: LocalCopy, inventory: Inventory, report: Report) -> None:
    """Delete the surplus of one folder. What lies in a folder comes before the folder itself."""
    remaining: set[Names] = set()  # folders that keep something
    for names, status in copy.surplus(folder, inventory.names_in(folder)):
        try:
            if names in remaining:
                raise InTheWay("something in it was not deleted")
            if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
                raise InTheWay("not deleted: it is neither a file nor a folder")
            copy.remove(names)
        except InTheWay as error:
            remaining.add(names[:-1])
            report.skipped(names, str(error))
        else:
            report.deleted(names)
