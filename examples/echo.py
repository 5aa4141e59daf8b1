"""An echo server (RFC 862): what it receives it sends back, byte for byte, until the client ends.

    $ python examples/echo.py --mode forking &
    $ printf 'hello\\n' | nc -N 127.0.0.1 7007
    hello

It has a listener, admission and four modes, and not a line about any of them. A client that sends without reading is
not read from either: a Connection wants to READ only while it has no output, so the most that it ever holds is what
one read brought.
"""

from __future__ import annotations

from run import TIMEOUTS, main

from httpmini.server.core.connection import Connection
from httpmini.server.limits.admission import Refusal
from httpmini.server.listeners.peer import Peer

PORT = 7007  # the RFC's own, 7, is for root
BUSY = b"echo: busy, come again later\n"


class EchoConnection(Connection):
    """Says what it hears. The client's end of sending ends the conversation, once everything is out."""

    def on_data(self, data: bytes, now: float) -> None:
        """Send it back."""
        self.send(data, now=now)


class EchoService:
    """Every client gets an echo; one too many gets a word."""

    def connect(self, peer: Peer, now: float) -> Connection:  # noqa: ARG002  (who it is does not matter)
        """A conversation with a client that was let in."""
        return EchoConnection(TIMEOUTS, now)

    def refuse(self, peer: Peer, refusal: Refusal, now: float, retry_s: float) -> Connection:  # noqa: ARG002  (nor why)
        """Say that we are busy, and goodbye."""
        connection = EchoConnection(TIMEOUTS, now)
        connection.send(BUSY, now=now)
        connection.end(now, expects_more=True)
        return connection

    def tick(self) -> None:
        """Nothing was put off."""


if __name__ == "__main__":
    main("echo", EchoService(), PORT)
