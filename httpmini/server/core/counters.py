"""The counts of one process: plain numbers, shared by its threads."""

from __future__ import annotations

import threading

import msgspec


class ProcessRow(msgspec.Struct, frozen=True):
    """What one process has counted; the main process has the counts of all that have ended, too."""

    process: int
    clients: int
    requests: int
    sent_bytes: int
    admitted: int
    outcomes: dict[int, int]
    reloads: int = 0
    failed_reloads: int = 0


class Counters:
    """The counts of one process.

    Attributes:
        admitted: clients that were let in.
        requests: that were answered.
        sent_bytes: to clients that have left.
        reloads: how often other settings were taken; the main process alone does that.
        failed_reloads: how often that was asked for in vain.
        outcomes: answers by a number that says what came of the request; not those that are the rule.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Count from nothing; in a child, where the lock may have been a thread's of the parent."""
        self._lock = threading.Lock()
        self.admitted = self.requests = self.sent_bytes = 0
        self.reloads = self.failed_reloads = 0
        self.outcomes: dict[int, int] = {}

    def count_requests(self, count: int) -> None:
        """So many more were answered."""
        with self._lock:
            self.requests += count

    def count_outcome(self, outcome: int) -> None:
        """One of these came out of the rule."""
        with self._lock:
            self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1

    def add(self, row: ProcessRow) -> None:
        """Take over what a process has counted."""
        with self._lock:
            self.requests += row.requests
            self.sent_bytes += row.sent_bytes
            self.admitted += row.admitted
            for outcome, count in row.outcomes.items():
                self.outcomes[outcome] = self.outcomes.get(outcome, 0) + count
