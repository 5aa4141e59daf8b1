"""Forking mode: accept, then a child process for each client.

The concurrent server of the textbook. The parent accepts and counts; a child serves its client, with the whole
machine's help in switching between them, and ends. A child that has ended is a zombie until its parent asks for its
status; the parent learns of it by SIGCHLD, which wakes it also when nobody connects any more.

Good at: isolation; a crash costs one client. Bad at: thousands of clients, and short requests (a fork costs more than
they do).
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import time
from collections.abc import Callable
from typing import ClassVar

from httpmini.server.acceptor import Acceptor
from httpmini.server.admission import Slot
from httpmini.server.assignment import Assignment
from httpmini.server.connection import Refusal
from httpmini.server.control import Follower
from httpmini.server.reactor import Reactor
from httpmini.server.transfer import Client, contained, pump

# The children know the deadline too: for this long after it they may cut their clients off by themselves, and log that.
GRACE_S = 0.5


class Forking:
    """The parent keeps the listeners and the slots, a child its client. Runs in the main thread only (signals)."""

    descriptors_per_client: ClassVar[int] = 2  # while it is being accepted or refused

    def __init__(self, assignment: Assignment) -> None:
        self._listeners = assignment.listeners
        self._control = assignment.control
        self._log = assignment.log
        self._children: dict[int, Slot | None] = {}
        self._reactor = Reactor(assignment.log, tick=assignment.service.tick)
        self._acceptor = Acceptor(assignment, self._reactor)

    def serve(self) -> None:
        """Accept and fork until draining begins."""
        # The handler need not do anything: that there is one makes the signal write into the wake-up pipe.
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        gc.freeze()  # the collector would write into every page it looks at, and so copy it into each child
        while not self._control.draining:
            self._take(self._acceptor.wait())
            self._reap()
        self._take(self._acceptor.last_call())

    def finish(self) -> None:
        """Wait for the children; they have seen that draining began. End those that are not done in time."""
        self._reactor.finish(lambda: self._control.deadline)
        self._wait_for_children(until=lambda: self._control.deadline)
        self._signal_children(signal.SIGUSR1)
        end = time.monotonic() + GRACE_S
        self._wait_for_children(until=lambda: end)
        self._signal_children(signal.SIGKILL)
        for pid in self._children:
            os.waitpid(pid, 0)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._reactor.close()

    def _take(self, clients: list[Client]) -> None:
        while clients:
            self._fork(clients.pop(0))

    def _fork(self, client: Client) -> None:
        try:
            pid = os.fork()
        except OSError as error:
            self._log(f"cannot fork: {error.strerror}; a client was refused")
            self._acceptor.refuse(client, Refusal.RESOURCES)
            return
        if pid == 0:
            self._be_the_child(client)
        self._children[pid] = client.slot
        client.close_descriptor()  # the child's copy is the connection now

    def _be_the_child(self, client: Client) -> None:
        """Serve one client, then end the process; never returns into the parent's code."""
        try:
            client.slot = None  # counted by the parent
            contained(client, self._log, self._serve_in_child)
            client.close()
        finally:
            os._exit(0)

    def _serve_in_child(self, client: Client) -> None:
        follower = self._control.follow_in_child()
        self._set_signals(follower)
        for fd in (*(listener.fileno() for listener in self._listeners), *self._acceptor.at_the_door):
            os.close(fd)  # a copy left open would hold back that client's end, or the port
        self._reactor.close()
        pump(client, follower)

    def _set_signals(self, follower: Follower) -> None:
        """In the child: Ctrl-C and systemd signal all processes, but it is the parent who tells us what to do."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGUSR1, lambda _number, _frame: follower.give_up())

    def _signal_children(self, number: signal.Signals) -> None:
        for pid in self._children:  # none of them has been waited for, so the number is still theirs
            os.kill(pid, number)

    def _wait_for_children(self, until: Callable[[], float]) -> None:
        self._reap()  # their signals may have come while something else was waited for
        while self._children and time.monotonic() < until():
            self._reactor.turn(max(0.0, until() - time.monotonic()))
            self._reap()

    def _reap(self) -> None:
        """Ask for the status of every child that has ended, and give back its slot."""
        with contextlib.suppress(ChildProcessError):  # there are none at all
            while (pid := os.waitpid(-1, os.WNOHANG)[0]) != 0:
                slot = self._children.pop(pid, None)
                if slot is not None:
                    slot.release()
