"""The counts of one process: plain numbers, shared by its threads."""

from __future__ import annotations

import threading

import msgspec


class ProcessRow(msgspec.Struct, frozen=True):
    """The counts of one process at one moment. The main process includes those of the processes that have ended.

    Attributes:
        process: the process number.
        clients: how many it is serving.
        requests: how many it has answered.
        sent_bytes: how many bytes it has sent, heads included.
        admitted: how many clients it has admitted.
        outcomes: how often each exceptional outcome occurred, by status.
        reloads: how many reloads have succeeded; only the main process reloads.
        failed_reloads: how many reloads have failed.
    """

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
        admitted: how many clients were admitted.
        requests: how many requests were answered.
        sent_bytes: how many bytes were sent to clients that have left.
        reloads: how many reloads have succeeded; only the main process reloads.
        failed_reloads: how many reloads have failed.
        outcomes: how often each exceptional outcome occurred, by a number that the service chooses (HTTP: the status).
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Reset every count. In a new child also replace the lock, which a thread of the parent may have held."""
        self._lock = threading.Lock()
        self.admitted = self.requests = self.sent_bytes = 0
        self.reloads = self.failed_reloads = 0
        self.outcomes: dict[int, int] = {}

    def count_requests(self, count: int) -> None:
        """Count ``count`` answered requests."""
        with self._lock:
            self.requests += count

    def count_sent(self, count: int) -> None:
        """Count bytes that were sent to a client that has left."""
        with self._lock:
            self.sent_bytes += count

    def count_outcome(self, outcome: int) -> None:
        """Count one exceptional outcome."""
        with self._lock:
            self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1

    def add(self, row: ProcessRow) -> None:
        """Add the counts of a process that has ended."""
        with self._lock:
            self.requests += row.requests
            self.sent_bytes += row.sent_bytes
            self.admitted += row.admitted
            for outcome, count in row.outcomes.items():
                self.outcomes[outcome] = self.outcomes.get(outcome, 0) + count
