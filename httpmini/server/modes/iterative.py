"""Iterative mode: one exchange at a time, served to its end; the others wait.

The first server of the textbook accepts a client, serves it, closes, and accepts the next. When it meets a real browser
it stops: Chrome opens spare connections that say nothing, and the server would wait for their requests while the page
hangs. So clients wait in a poll set until a whole request is there; only then are they served, and while one is,
nothing else happens: for as long as nobody else wants anything, or for a quarter of a second. A client that needs
longer goes back to the poll set until all others have had their turn. ``limits.slice_s`` = 0 does without that, as the
textbook does.

Good at: being understood. Bad at: everybody else's patience, when one client reads slowly.
"""

from __future__ import annotations

import time
from functools import partial
from math import inf
from typing import ClassVar

from httpmini.server.core.acceptor import Acceptor
from httpmini.server.core.connection import Interest
from httpmini.server.core.context import Context
from httpmini.server.core.transfer import Client, advance, pump
from httpmini.server.core.turn import next_turn
from httpmini.server.modes.base import Mode

LOOK_S = 0.25  # how often to look, while a client is served, whether there is something else to do
_ANSWERING = frozenset({Interest.WRITE, Interest.PAUSE})


class Iterative(Mode):
    """Waiting is shared, serving is not."""

    name: ClassVar[str] = "iterative"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._shutdown = context.main_shutdown
        self._waiting_room = context.reactor
        self._acceptor = Acceptor(context)
        self._slice_s = context.slice_s or inf
        self._slice_ends = 0.0  # 0 until somebody is served in this turn

    def serve(self) -> None:
        """Accept clients into the poll set; serve each to its end as soon as it has sent a request."""
        while self._shutdown.serving:
            self._take(self._acceptor.wait())
            self._slice_ends = 0.0
        self._take(self._acceptor.last_call())

    def retire(self) -> None:
        """Have clients that wait served in the way of the mode that turns the poll set."""
        for client in self._waiting_room.clients:
            client.step = advance

    def _take(self, clients: list[Client]) -> None:
        for client in clients:
            client.step = self._serve_to_the_end
            self._waiting_room.add(client, time.monotonic(), next_turn())

    def _serve_to_the_end(self, client: Client, _now: float, _turn: int) -> bool:
        """Take what has come; if that completes a request, answer it, however long that takes.

        The client's moment and turn are its own: others were served to their end since the reactor's turn began.
        """
        now = time.monotonic()
        if advance(client, now, next_turn()):
            return True
        self._slice_ends = self._slice_ends or now + self._slice_s
        look = partial(self._look, client)
        if client.connection.interest in _ANSWERING and not look():
            pump(client, self._shutdown, _ANSWERING, look, min(self._slice_s, LOOK_S))
            self._shutdown.wake()  # the pump may have taken out what the main loop has to hear
        return False

    def _look(self, client: Client) -> bool:
        """Do what has to be done now and then; return whether it is the turn of others.

        There is one slice in each turn of the reactor, not one for each client: if many have asked for something large,
        one of them is served, and then those that have come meanwhile are heard. A signal does not wait for the end of
        the slice, nor for others.
        """
        self._waiting_room.look()
        if (tell := self._context.board.tell) is not None:
            tell(client)
        if not self._shutdown.serving and not self._shutdown.draining:
            return True
        if time.monotonic() < self._slice_ends:
            return False
        return self._acceptor.has_lobby or self._waiting_room.is_needed_by_others(client)
