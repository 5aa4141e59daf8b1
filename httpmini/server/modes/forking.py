"""Forking mode: accept, then a child process for each client.

The concurrent server of the textbook. The parent accepts and counts; a child serves its client, with the whole
machine's help in switching between them, and ends.

Good at: isolation; a crash costs one client. Bad at: thousands of clients, and short requests (a fork costs more than
they do).
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterable
from functools import partial
from typing import ClassVar

from httpmini.server.core.acceptor import Acceptor
from httpmini.server.core.child_clients import ChildClients, leave_when_told, publish_if_open
from httpmini.server.core.context import Context
from httpmini.server.core.processes import REPORT
from httpmini.server.core.scoreboard import SOLO, Segment
from httpmini.server.core.shutdown import Follower
from httpmini.server.core.transfer import Client, contained, pump
from httpmini.server.limits.admission import Refusal
from httpmini.server.limits.crowd import Occupant
from httpmini.server.logs.error import Level
from httpmini.server.modes.base import Mode

FORKS_PER_TURN = 4  # some milliseconds each


class Forking(Mode):
    """The parent keeps the listeners and the slots, a child its client. Runs in the main thread only (signals)."""

    name: ClassVar[str] = "forking"
    starts_processes: ClassVar[bool] = True
    batches_logs: ClassVar[bool] = False

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._shutdown = context.main_shutdown
        self._children = context.children
        self._acceptor = Acceptor(context, FORKS_PER_TURN)
        self._clients_of_children = ChildClients()

    def start(self) -> None:
        """Reserve what the children write in."""
        self._context.board.reserve(self._context.admission.slots.limit, SOLO)
        if threading.active_count() > 1:  # those of an earlier mode: a child would wait for ever for what one imports
            self._context.service.tick()

    def serve(self) -> None:
        """Accept, and fork a child for each client."""
        self._children.prepare()
        while self._shutdown.serving:
            self._take(self._acceptor.wait())
        self._take(self._acceptor.last_call())

    def finish(self) -> None:
        """Wait for the children, which have seen that draining began; end those that are not done in time."""
        self._children.finish(self._shutdown, self._context.reactor.turn)

    def retire(self) -> None:
        """Have the children finish what they are sending; they know the old settings only."""
        self._shutdown.retire()

    @property
    def is_done(self) -> bool:
        """Whether all children have ended."""
        return not self._children.of(self._shutdown)

    def occupants(self, now: float) -> Iterable[Occupant]:
        """Return the clients that do nothing, by what their children have published."""
        return self._clients_of_children.occupants(now)

    def _take(self, clients: list[Client]) -> None:
        while clients:
            self._fork(clients.pop(0))

    def _fork(self, client: Client) -> None:
        board, log = self._context.board, self._context.log
        segment = board.take(SOLO)

        def ended(how: str) -> None:
            self._clients_of_children.remove(pid)
            board.give_back(segment)
            client.release()
            if how != "has ended":
                log(f"the process of client {client.peer.host}:{client.peer.port} {how}", Level.WARNING)

        try:
            pid = self._children.start(self._shutdown, partial(self._serve_in_child, client, segment), ended)
        except OSError as error:
            board.give_back(segment)
            log(f"cannot fork: {error.strerror}; a client was refused", Level.ERROR)
            self._acceptor.refuse(client, Refusal.RESOURCES)
            return
        client.close_descriptor()  # the child's copy is the connection now
        if segment is not None and client.slot is not None:
            self._clients_of_children.add(pid, client.slot.key, segment)

    def _serve_in_child(self, client: Client, segment: Segment | None, follower: Follower) -> None:
        client.slot = None  # counted by the parent
        context, board, log = self._context, self._context.board, self._context.log
        for fd in self._acceptor.descriptors:
            os.close(fd)  # a copy left open would hold back that client's end
        context.reactor.close()
        signal.signal(REPORT, lambda _number, _frame: log(client.describe(time.monotonic())))
        leave_when_told(client, follower)
        board.move_to(segment, lambda: [client])
        client.connection.on_taken()
        contained(client, log, lambda client: pump(client, follower, look=partial(publish_if_open, board, client)))
        board.publish()
        client.close()
