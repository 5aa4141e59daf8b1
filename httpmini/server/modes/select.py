"""Select mode: one process, one thread, all clients at once.

The reactor of the textbook: wait for all sockets together, move what can be moved on those that are ready, never wait
for one. A client that reads slowly or sends its request a byte at a time costs the others nothing.

Good at: thousands of clients, most of them idle. Bad at: using a second core.
"""

from __future__ import annotations

import time
from typing import ClassVar

from httpmini.server.core.acceptor import Acceptor
from httpmini.server.core.context import Context
from httpmini.server.core.transfer import Client, drain, retire
from httpmini.server.core.turn import next_turn
from httpmini.server.modes.base import Mode


class Select(Mode):
    """All clients are in the poll set from their accept to their end, even when another mode takes over."""

    name: ClassVar[str] = "select"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._acceptor = Acceptor(context)

    def serve(self) -> None:
        """Accept clients into the poll set, and turn it."""
        while self._context.shutdown.serving:
            self._take(self._acceptor.wait())
        self._take(self._acceptor.last_call())

    def leave(self) -> None:
        """Bring all clients to their end in a worker, which has nothing else to do then.

        When the worker is replaced, those who wait are served, as slots come free, and those who do nothing make room.
        """
        context, shutdown = self._context, self._context.shutdown
        context.reactor.drain(retire if shutdown.replaced else drain)
        while (context.reactor.clients or self._acceptor.has_lobby) and time.monotonic() < shutdown.deadline:
            clients = self._acceptor.wait()
            for client in clients:
                client.connection.retire(time.monotonic())
            self._take(clients)
        self._acceptor.empty_lobby()
        context.reactor.finish(lambda: shutdown.deadline)

    def _take(self, clients: list[Client]) -> None:
        if clients:  # in most turns nobody has come
            now, turn = time.monotonic(), next_turn()
            for client in clients:
                self._context.reactor.add(client, now, turn)
