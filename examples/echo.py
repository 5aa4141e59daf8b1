"""An echo server (RFC 862): it sends back what it receives, byte for byte, until the client closes.

    $ python examples/echo.py --mode forking &
    $ printf 'hello\\n' | nc -N 127.0.0.1 7007
    hello

It has listeners, admission and all modes, without a line of code about any of them. If a client sends without reading,
the server stops reading from it: a Connection wants to READ only while it has no output, so it never holds more than
the bytes of one read.
"""

from __future__ import annotations

from run import TIMEOUTS, main

from httpmini.server.core.connection import Connection
from httpmini.server.limits.admission import Refusal
from httpmini.server.listeners.peer import Peer

PORT = 7007  # the RFC's port, 7, needs root
BUSY = b"echo: busy, try again later\n"


class EchoConnection(Connection):
    """A connection that echoes. It closes after the client has closed, once everything has been sent."""

    def on_data(self, data: bytes, now: float) -> None:
        """Send the data back."""
        self.send(data, now=now)


class EchoService:
    """A service that echoes to accepted clients, and tells the others that it is busy."""

    def connect(self, peer: Peer, now: float) -> Connection:  # noqa: ARG002  (all clients are equal)
        """Return a connection for an accepted client."""
        return EchoConnection(TIMEOUTS, now)

    def refuse(self, peer: Peer, refusal: Refusal, now: float, retry_s: float) -> Connection:  # noqa: ARG002  (so are all refusals)
        """Return a connection that tells the client that the server is busy, and closes."""
        connection = EchoConnection(TIMEOUTS, now)
        connection.send(BUSY, now=now)
        connection.end(now, expects_more=True)
        return connection

    def tick(self) -> None:
        """Do nothing: no work was deferred."""


if __name__ == "__main__":
    main("echo", EchoService(), PORT)
