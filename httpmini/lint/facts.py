"""What is measured once and judged by several checks: the server before and after two hundred clients."""

from __future__ import annotations

import time
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from httpmini.lint.check import fail
from httpmini.lint.lab import Lab, Session

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


_MEASURED: WeakKeyDictionary[Lab, Crowd] = WeakKeyDictionary()


def crowd_of(session: Session) -> Crowd:
    """Serve ``CLIENTS`` clients one after another, unless that has been done, and look at the process table.

    Raises:
        Failed: one of them was not served.
        NotApplicable: lint has not started the server.
    """
    session.process  # noqa: B018  (raises if there is none)
    if session.lab not in _MEASURED:
        _MEASURED[session.lab] = _measure(session)
    return _MEASURED[session.lab]


def _measure(session: Session) -> Crowd:
    server = session.process
    session.get()  # what a server opens for its first client stays open
    processes_before, descriptors_before = len(server.processes()), server.descriptors()
    for number in range(CLIENTS):
        if Session(session.lab).get().status != 200:
            fail(f"client {number + 1} of {CLIENTS} was not served")
    until = time.monotonic() + _SETTLE_S
    while True:
        table = server.processes()
        zombies = sum(process.is_zombie for process in table)
        settled = not zombies and len(table) <= processes_before and server.descriptors() <= descriptors_before
        if settled or time.monotonic() > until:
            return Crowd(processes_before, len(table) - zombies, zombies, descriptors_before, server.descriptors())
        time.sleep(0.05)
