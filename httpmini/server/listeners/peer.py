"""Who is at the other end of a connection."""

from __future__ import annotations

from typing import NamedTuple

LOCAL = "unix:"  # stands for the address of a client that has connected by a unix socket


class Peer(NamedTuple):
    """The other end of a connection.

    Attributes:
        host: the address, as accept() gave it; ``LOCAL`` for a unix socket.
        port: the port; 0 for a unix socket.
        number: how many clients this process had accepted when it accepted this one.
    """

    host: str
    port: int
    number: int = 0
