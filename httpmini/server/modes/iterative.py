"""Iterative mode: one exchange at a time, served to its end; the others wait.

The first server of the textbook accepts a client, serves it, closes, and accepts the next. Meeting a real browser, it
stops: Chrome opens spare connections that say nothing, and the server would wait for their requests while the page
hangs. So clients wait in a poll set until a whole request is there; only then are they served, and while one is,
nothing else happens.

Good at: being understood. Bad at: everybody else's patience, when one client reads slowly.
"""

from __future__ import annotations

import time
from typing import ClassVar

from httpmini.server.core.acceptor import Acceptor
from httpmini.server.core.connection import Interest
from httpmini.server.core.context import Context
from httpmini.server.core.transfer import Client, advance, pump

_ANSWERING = frozenset({Interest.WRITE, Interest.PAUSE})


class Iterative:
    """Waiting is shared, serving is not."""

    descriptors_per_client: ClassVar[int] = 2  # a socket and a file

    def __init__(self, context: Context) -> None:
        self._shutdown = context.shutdown
        self._waiting_room = context.reactor
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
        """Those who wait are served as whoever turns the poll set serves."""
        for client in self._waiting_room.clients:
            client.step = advance

    @property
    def is_done(self) -> bool:
        """See ``Mode``."""
        return True

    def _take(self, clients: list[Client]) -> None:
        for client in clients:
            client.step = self._serve_to_the_end
            self._waiting_room.add(client, time.monotonic())

    def _serve_to_the_end(self, client: Client, _now: float) -> bool:
        """Take what has come; when that completes a request, answer it, however long that takes."""
        if advance(client, time.monotonic()):  # it is later than when the turn began: others were served to their end
            return True
        room = self._waiting_room
        pump(client, self._shutdown, _ANSWERING, room.look, room.longest_wait_s)
        return False
