"""Forking mode: accept, then a child process for each client.

The concurrent server of the textbook. The parent accepts and counts; a child serves its client, with the whole
machine's help in switching between them, and ends.

Good at: isolation; a crash costs one client. Bad at: thousands of clients, and short requests (a fork costs more than
they do).
"""

from __future__ import annotations

import os
from typing import ClassVar

from httpmini.server.core.acceptor import Acceptor
from httpmini.server.core.connection import Refusal
from httpmini.server.core.context import Context
from httpmini.server.core.processes import report_when_asked
from httpmini.server.core.scoreboard import SOLO, Segment
from httpmini.server.core.shutdown import Follower
from httpmini.server.core.transfer import Client, contained, pump
from httpmini.server.logs.error import Level


class Forking:
    """The parent keeps the listeners and the slots, a child its client. Runs in the main thread only (signals)."""

    descriptors_per_client: ClassVar[int] = 2  # while it is being accepted or refused

    def __init__(self, context: Context) -> None:
        self._listeners = context.listeners
        self._shutdown = context.main_shutdown
        self._log = context.log
        self._children = context.children
        self._reactor = context.reactor
        self._acceptor = Acceptor(context)
        self._board = context.board
        self._board.reserve(context.admission.max_clients, SOLO)

    @property
    def clients(self) -> list[Client]:
        """See ``Mode``."""
        return []

    def serve(self) -> None:
        """See ``Mode``."""
        self._children.prepare()
        while self._shutdown.serving:
            self._take(self._acceptor.wait())
        self._take(self._acceptor.last_call())

    def finish(self) -> None:
        """Wait for the children; they have seen that draining began. End those that are not done in time."""
        self._children.finish(self._shutdown, self._reactor.turn)

    def retire(self) -> None:
        """The children finish what they are sending; they know the old settings only."""
        self._shutdown.retire()

    @property
    def is_done(self) -> bool:
        """See ``Mode``."""
        return not self._children.of(self._shutdown)

    def _take(self, clients: list[Client]) -> None:
        while clients:
            self._fork(clients.pop(0))

    def _fork(self, client: Client) -> None:
        segment = self._board.take(SOLO)

        def ended() -> None:
            self._board.give_back(segment)
            client.release()

        try:
            self._children.start(
                self._shutdown, lambda follower: self._serve_in_child(client, segment, follower), ended
            )
        except OSError as error:
            self._board.give_back(segment)
            self._log(f"cannot fork: {error.strerror}; a client was refused", Level.ERROR)
            self._acceptor.refuse(client, Refusal.RESOURCES)
            return
        client.close_descriptor()  # the child's copy is the connection now

    def _serve_in_child(self, client: Client, segment: Segment | None, follower: Follower) -> None:
        client.slot = None  # counted by the parent
        for fd in (*(listener.fileno() for listener in self._listeners), *self._acceptor.at_the_door):
            os.close(fd)  # a copy left open would hold back that client's end, or the port
        self._reactor.close()
        report_when_asked(lambda: [client], self._log)
        board = self._board
        board.move_to(segment, lambda: [client])
        contained(client, self._log, lambda client: pump(client, follower, look=board.publish))
        board.publish()
        client.close()
