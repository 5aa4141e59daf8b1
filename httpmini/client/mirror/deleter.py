"""The deletion of local files and folders that are not on the server."""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import dataclass

from httpmini.client.mirror.inventory import Inventory
from httpmini.client.mirror.listings import Names
from httpmini.client.mirror.local_copy import LocalCopy
from httpmini.client.mirror.report import Report
from httpmini.client.mirror.tree import InTheWay, Surplus


@dataclass(frozen=True)
class Bound:
    """How much is deleted without a question: a listing that is suddenly empty, or only a first page, looks complete.

    Attributes:
        files: how many files the local folder had before the run.
        percent: the share of them that may be deleted.
        confirm: asks whether to delete more than that; None to refuse.
    """

    files: int
    percent: float
    confirm: Callable[[str], bool] | None = None

    def exceeded_by(self, count: int) -> str:
        """Say how deleting ``count`` files would exceed the bound; empty if it would not."""
        files = max(self.files, count)
        if count * 100 <= self.percent * files:
            return ""
        return f"{count} of {files} files are not on the server, more than the {self.percent:g} % of --max-delete"


def delete_surplus(copy: LocalCopy, inventory: Inventory, report: Report, bound: Bound) -> None:
    """Delete what no listing has named; nothing at all if some listing is missing, or the bound is exceeded.

    Raises:
        CannotRun: the disk failed.
    """
    if inventory.unknown:
        report.skipped((), f"nothing is deleted, because {inventory.unknown}")
        return
    surplus = [found for folder in inventory.listed for found in copy.surplus(folder, inventory.names_in(folder))]
    too_much = bound.exceeded_by(sum(map(copy.counts, surplus)))
    if too_much and not copy.dry_run and not (bound.confirm and bound.confirm(too_much)):
        report.skipped((), f"nothing is deleted, because {too_much}")
        return
    _delete(surplus, copy, report)
    if too_much and copy.dry_run:
        report.skipped((), f"not deleted without a question: {too_much}")


def _delete(surplus: list[Surplus], copy: LocalCopy, report: Report) -> None:
    """Delete files and folders. What lies in a folder comes before the folder itself."""
    remaining: set[Names] = set()  # folders that keep something
    for names, status in surplus:
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
