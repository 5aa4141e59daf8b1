"""What is measured once and judged by several checks: the server before and after two hundred clients."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from httpmini.lint.check import fail
from httpmini.lint.lab import Session

if TYPE_CHECKING:
    from httpmini.lint.lab import Lab

CLIENTS = 200
_SETTLE_S = 3.0  # servers that collect their children now and then get this long


@dataclass(frozen=True)
class Crowd:
    """The process table of the server before and after ``CLIENTS`` clients."""

    processes_before: int
    processes: int
    zombies: int
    descriptors_before: int
    descriptors: int


class Facts:
    """Measurements of one lab, each made when it is first asked for."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def add_listed_file(self, name: str) -> None:
        """Make sure that a folder of the site has a file of this name."""
        path = Session(self._lab).needs_site() / name
        path.parent.mkdir(exist_ok=True)
        path.touch()

    @cached_property
    def crowd(self) -> Crowd:
        """Serve ``CLIENTS`` clients one after another, and look at the process table.

        Raises:
            Failed: one of them was not served.
        """
        spawned = Session(self._lab).process
        Session(self._lab).get()  # what a server opens for its first client stays open
        processes_before, descriptors_before = len(spawned.processes()), spawned.descriptors()
        for number in range(CLIENTS):
            if Session(self._lab).get().status != 200:
                fail(f"client {number + 1} of {CLIENTS} was not served")
        until = time.monotonic() + _SETTLE_S
        while True:
            table = spawned.processes()
            zombies = sum(process.is_zombie for process in table)
            settled = not zombies and len(table) <= processes_before and spawned.descriptors() <= descriptors_before
            if settled or time.monotonic() > until:
                return Crowd(processes_before, len(table) - zombies, zombies, descriptors_before, spawned.descriptors())
            time.sleep(0.05)
