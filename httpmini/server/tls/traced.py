"""Encrypted connections whose events are noted: a server without a trace has none of these.

The connection inside notes what is asked and answered. This one notes what the socket does, and the time before there
is a connection inside. Both write into the same row.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from httpmini.server.core.connection import WRITE, Connection
from httpmini.server.core.events import End, Kind
from httpmini.server.core.trace import Trace
from httpmini.server.listeners.peer import Peer
from httpmini.server.tls.connection import TlsConnection
from httpmini.server.tls.security import Security

Connect = Callable[[Peer, float], Connection]


class TracedTlsConnection(TlsConnection):
    """One client's conversation, encrypted, whose events are noted.

    Args:
        trace: where.
        kind: whether the client was admitted or refused.
        security: as for ``TlsConnection``, like all that follow.
    """

    __slots__ = ("_ended_by", "_row")

    def __init__(
        self,
        trace: Trace,
        kind: Kind,
        security: Security,
        peer: Peer,
        connect: Connect,
        refuse_plain: Connect | None,
        now: float,
    ) -> None:
        row = trace.row_of(peer)

        def in_the_same_row(connect: Connect) -> Connect:
            def connect_inside(peer: Peer, now: float) -> Connection:
                trace.hand_on(peer, row)
                return connect(peer, now)

            return connect_inside

        super().__init__(
            security, peer, in_the_same_row(connect), in_the_same_row(refuse_plain) if refuse_plain else None, now
        )
        self._ended_by: End | None = None  # while there is no connection inside
        self._row = row
        row.note(kind)

    def on_end(self, now: float) -> None:
        """Note who ends the connection."""
        self._ended_by = End.CLIENT
        super().on_end(now)

    def on_timeout(self, now: float) -> None:
        """Note who ends the connection of a client that sends nothing."""
        self._ended_by = End.TIMEOUT
        super().on_timeout(now)

    def expire(self, now: float) -> None:
        """Have the connection inside note that its client takes nothing."""
        if self.interest is WRITE:
            self._ended_by = End.TIMEOUT
            if self._inner is not None and self._inner.interest is WRITE:
                self._inner.expire(now)
        super().expire(now)

    def lose(self, now: float) -> None:
        """Note that the connection has broken, unless somebody has ended it before."""
        self._ended_by = self._ended_by or End.BROKEN
        super().lose(now)

    def on_taken(self) -> None:
        """Note which thread serves it."""
        self._row.note(Kind.TAKEN, threading.get_native_id())

    def on_blocked(self) -> None:
        """Note that the kernel takes no more."""
        if self.interest is WRITE:
            self._row.note_blocked()

    def on_shut_down(self) -> None:
        """Note that it lingers."""
        self._row.note(Kind.LINGERING)

    def on_closed(self) -> None:
        """Note who ended it."""
        if self._inner is not None:
            self._inner.on_closed()
        else:
            self._row.note(Kind.CLOSED, self._ended_by or End.SERVER)
