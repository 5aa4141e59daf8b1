"""The other end of an accepted connection."""

from __future__ import annotations

from typing import NamedTuple

LOCAL = "unix:"  # the host of a client that connected through a Unix socket, and the prefix of such an endpoint


class Peer(NamedTuple):
    """The client at the other end of a connection.

    Attributes:
        host: the client's address as accept() returned it; ``LOCAL`` for a Unix socket.
        port: the client's port; 0 for a Unix socket.
        number: the serial number of the connection within the process that accepted it, from 1.
    """

    host: str
    port: int
    number: int = 0
