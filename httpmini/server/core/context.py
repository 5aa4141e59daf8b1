"""What a mode works with, and nothing of the protocol that is spoken."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Sequence

import msgspec

from httpmini.server.core.connection import Service
from httpmini.server.core.processes import ChildProcesses
from httpmini.server.core.reactor import Reactor
from httpmini.server.core.scoreboard import Scoreboard
from httpmini.server.core.shutdown import Follower, Shutdown
from httpmini.server.limits.admission import Admission
from httpmini.server.limits.crowd import Occupant
from httpmini.server.listeners.peer import Peer
from httpmini.server.listeners.tcp import accept
from httpmini.server.logs.error import Log


class Waiting(msgspec.Struct, frozen=True, eq=False):
    """A client that was accepted when no slot was free.

    Attributes:
        fd: its descriptor.
        peer: the client.
        since: when it was accepted.
    """

    fd: int
    peer: Peer
    since: float


class Context(msgspec.Struct, frozen=True):
    """The parts of the server that one mode uses.

    Attributes:
        listeners: listening sockets that do not block; a mode never closes them.
        service: makes the conversations.
        admission: gives the slots.
        shutdown: says when to finish; in the main process a Shutdown, in a worker the Follower of one.
        reactor: the poll set of this process; clients of an earlier mode may be in it, and stay.
        children: the child processes of this process, of whichever mode.
        log: takes lines about the server itself.
        board: shows all processes to each other.
        workers: how many processes serve, in modes that have workers.
        reopen_logs: reopens the logs of this process.
        lobby: clients that wait for a slot; those of an earlier mode may be in it.
        occupants: returns the clients of this process that are not in the poll set and do nothing, of all modes.
        accept: accepts the next client of a listener.
        slice_s: how long a mode that serves one client at a time serves it while others wait; 0 for to its end.
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
    reopen_logs: Callable[[], None] = lambda: None
    lobby: list[Waiting] = msgspec.field(default_factory=list)
    occupants: Callable[[float], Iterable[Occupant]] = lambda _now: ()
    accept: Callable[[socket.socket], tuple[int, Peer]] = accept
    slice_s: float = 0.25

    @property
    def main_shutdown(self) -> Shutdown:
        """The shutdown, for a mode that has threads or processes of its own."""
        if not isinstance(self.shutdown, Shutdown):
            raise TypeError("this mode does not run in a worker")
        return self.shutdown
