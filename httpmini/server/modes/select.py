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
from httpmini.server.core.transfer import Client


class Select:
    """All clients are in the poll set from their accept to their end."""

    descriptors_per_client: ClassVar[int] = 2  # a socket and a file

    def __init__(self, context: Context) -> None:
        self._shutdown = context.shutdown
        self._reactor = context.reactor
        self._acceptor = Acceptor(context)

    @property
    def clients(self) -> list[Client]:
        """See ``Mode``."""
        return []

    def serve(self) -> None:
        """See ``Mode``."""
        while self._shutdown.serving:
            self._take(self._acceptor.wait())
        self._take(self._acceptor.last_call())

    def finish(self) -> None:
        """All its clients are in the poll set."""

    def retire(self) -> None:
        """The clients stay in the poll set, whoever turns it."""

    @property
    def is_done(self) -> bool:
        """See ``Mode``."""
        return True

    def _take(self, clients: list[Client]) -> None:
        now = time.monotonic()
        for client in clients:
            self._reactor.add(client, now)
