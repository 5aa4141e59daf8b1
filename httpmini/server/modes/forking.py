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
import traceback

from httpmini.server.acceptor import Acceptor
from httpmini.server.admission import Slot
from httpmini.server.assignment import Assignment
from httpmini.server.connection import Refusal
from httpmini.server.reactor import Reactor
from httpmini.server.transfer import Client, pump

# The children know the deadline too: for this long after it they may cut their clients off by themselves, and log that.
GRACE_S = 0.5


class Forking:
    """The parent keeps the listeners and the slots, a child its client. Runs in the main thread only (signals)."""

    def __init__(self, assignment: Assignment) -> None:
        self._listeners = assignment.listeners
        self._service = assignment.service
        self._control = assignment.control
        self._log = assignment.log
        self._children: dict[int, Slot | None] = {}
        self._arrivals: list[Client] = []
        self._reactor = Reactor()
        self._acceptor = Acceptor(assignment, self._reactor)

    def serve(self) -> None:
        """Accept and fork until draining begins."""
        # The handler need not do anything: that there is one makes the signal write into the wake-up pipe.
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        self._service.prepare()
        gc.freeze()  # the collector would write into every page it looks at, and so copy it into each child
        while not self._control.draining:
            self._arrivals = self._acceptor.wait()
            while self._arrivals:
                self._fork(self._arrivals.pop(0))
            self._reap()
        self._acceptor.release()

    def finish(self) -> None:
        """Wait for the children; they have seen that draining began. Kill those that are not done in time."""
        self._reactor.finish(lambda: self._control.deadline)
        self._reap()  # their signals may have come while the refused were seen out
        while self._children and time.monotonic() < self._control.deadline + GRACE_S:
            self._reactor.turn(max(0.0, self._control.deadline + GRACE_S - time.monotonic()))
            self._reap()
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
        self._reap(block=True)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._reactor.close()

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
        client.sock.close()  # the child's copy is the connection now

    def _be_the_child(self, client: Client) -> None:
        """Serve one client, then end the process; never returns into the parent's code."""
        status = 1
        try:
            for number in (signal.SIGINT, signal.SIGTERM):  # Ctrl-C goes to all of a terminal's processes;
                signal.signal(number, signal.SIG_IGN)  # the parent tells us to drain
            signal.set_wakeup_fd(-1)
            for listener in self._listeners:
                listener.close()
            self._reactor.close()
            for other in (*self._arrivals, *self._reactor.clients):
                other.sock.close()  # a copy left open would hold back that client's end
            client.slot = None  # counted by the parent
            try:
                pump(client, self._control.follow_in_child())
            finally:
                client.close()
            status = 0
        except Exception:  # a fault of ours: say where, in one line, and let the parent go on
            where = traceback.format_exc(limit=-1).strip().replace("\n", " | ")
            self._log(f"a child failed: {where}")
        finally:
            os._exit(status)

    def _reap(self, *, block: bool = False) -> None:
        """Ask for the status of every child that has ended, and give back its slot."""
        for pid in list(self._children):
            with contextlib.suppress(ChildProcessError):
                if os.waitpid(pid, 0 if block else os.WNOHANG)[0] == 0:
                    continue
            slot = self._children.pop(pid)
            if slot is not None:
                slot.release()
