"""What a mode is handed: everything it works with, and nothing of what is spoken."""

from __future__ import annotations

import socket
from collections.abc import Sequence

import msgspec

from httpmini.server.core.connection import Service
from httpmini.server.core.processes import ChildProcesses
from httpmini.server.core.reactor import Reactor
from httpmini.server.core.scoreboard import Scoreboard
from httpmini.server.core.shutdown import Follower, Shutdown
from httpmini.server.limits.admission import Admission
from httpmini.server.logs.error import Log


class Context(msgspec.Struct, frozen=True):
    """The work of one mode.

    Attributes:
        listeners: listening sockets that do not block; lent, not given: a mode never closes them.
        service: makes the conversations.
        admission: gives the slots.
        control: says when to finish; the mode of a process has a Control, that of a worker follows one.
        reactor: the poll set of this process; whoever ran before may have left clients in it, who stay.
        children: those of this process, of whichever mode.
        log: takes one line about the server itself.
        board: what all processes can see of each other.
        workers: how many processes serve, in prefork mode.
    """

    listeners: Sequence[socket.socket]
    service: Service
    admission: Admission
    shutdown: Shutdown | Follower
    reactor: Reactor
    children: ChildProcesses
    log: Log
    board: Scoreboard
    workers: int = 1

    @property
    def main_shutdown(self) -> Shutdown:
        """The control, for a mode that has threads or processes of its own."""
        if not isinstance(self.shutdown, Shutdown):
            raise TypeError("this mode does not run in a worker")
        return self.shutdown
