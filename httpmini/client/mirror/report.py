"""What a mirror run did: counted for the caller, and told line by line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from httpmini.client.mirror.listings import Names
from httpmini.client.mirror.tree import shown
from httpmini.errors import visible


@dataclass(frozen=True, slots=True)
class Mirrored:
    """What a run did; in a dry run, what it would have done.

    Attributes:
        fetched: files that were new or had changed.
        unchanged: files that were up to date.
        deleted: files and folders that were deleted.
        skipped: entries that were left out or failed, each reported in a sentence; with 0 the copy is complete.
        bytes: size of the fetched files; in a dry run, as far as the server announces it.
    """

    fetched: int = 0
    unchanged: int = 0
    deleted: int = 0
    skipped: int = 0
    bytes: int = 0


class Report:
    """Counts what is done and passes a sentence about it to ``say``.

    Args:
        say: receives each sentence, free of control characters.
        dry_run: whether the sentences are about what would be done.

    Attributes:
        counts: the totals so far.
    """

    def __init__(self, say: Callable[[str], None], *, dry_run: bool) -> None:
        self.counts = Mirrored()
        self._say = say
        self._dry_run = dry_run

    def fetched(self, names: Names, size: int | None) -> None:
        """Report a file that was fetched; ``size`` is in bytes, None when a dry run cannot know it."""
        self.counts = replace(self.counts, fetched=self.counts.fetched + 1, bytes=self.counts.bytes + (size or 0))
        self._tell("fetch", "fetched", names, "" if size is None else f" ({size} bytes)")

    def unchanged(self) -> None:
        """Count a file that was up to date; it is not worth a sentence."""
        self.counts = replace(self.counts, unchanged=self.counts.unchanged + 1)

    def deleted(self, names: Names) -> None:
        """Report a file or folder that was deleted."""
        self.counts = replace(self.counts, deleted=self.counts.deleted + 1)
        self._tell("delete", "deleted", names)

    def skipped(self, names: Names, reason: str) -> None:
        """Report what was left out or failed, and why."""
        self.counts = replace(self.counts, skipped=self.counts.skipped + 1)
        self._say(visible(f"skipped {shown(names)}: {reason}"))

    def _tell(self, verb: str, done: str, names: Names, more: str = "") -> None:
        self._say(visible(f"would {verb} {shown(names)}{more}" if self._dry_run else f"{done} {shown(names)}{more}"))
