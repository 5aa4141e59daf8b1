"""Clients that child processes serve, one each: which of them do nothing, and how they are made to leave."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from functools import partial

import msgspec

from httpmini.server.core.connection import CLOSED, Interest
from httpmini.server.core.processes import LEAVE
from httpmini.server.core.scoreboard import Scoreboard, Segment
from httpmini.server.core.shutdown import Follower
from httpmini.server.core.transfer import Client
from httpmini.server.limits.crowd import Occupant

# A signal that arrives right before the child's poll is heard only when another one comes.
REPEAT_S = 0.25


class _Served(msgspec.Struct, eq=False):
    """A client that a child serves.

    Attributes:
        key: for whom it counts.
        segment: where the child says what the client does.
        told: when the child was told to let it leave; 0 if it was not.
    """

    key: int
    segment: Segment
    told: float = 0.0

    def tell(self, pid: int, now: float) -> None:
        """Tell the child. It has not been reaped, so no other process has its number."""
        self.told = now
        os.kill(pid, LEAVE)


class ChildClients:
    """The clients of all children, as the parent knows them."""

    def __init__(self) -> None:
        self._served: dict[int, _Served] = {}  # by the process number of the child

    def add(self, pid: int, key: int, segment: Segment) -> None:
        """Note that a child serves a client.

        Args:
            pid: the child.
            key: for whom the client counts.
            segment: where the child publishes what the client does.
        """
        self._served[pid] = _Served(key, segment)

    def remove(self, pid: int) -> None:
        """Forget the client of a child that has ended."""
        self._served.pop(pid, None)

    def occupants(self, now: float) -> Iterator[Occupant]:
        """Yield the clients that do nothing, by what their children have published."""
        for pid, one in self._served.items():
            quiet = one.segment.read_quiet()
            if quiet is not None and (quiet.quiet_since <= now or one.told):
                is_sent_to, is_leaving = quiet.interest is Interest.WRITE, now < one.told + REPEAT_S
                leave = partial(one.tell, pid, now)
                yield Occupant(one.key, quiet.quiet_since, quiet.deadline, is_sent_to, leave, is_leaving)


def leave_when_told(client: Client, follower: Follower) -> None:
    """End the connection when the parent says so; in the child.

    Nothing else than the end of the client's stream would wake us: a poll outlives a signal.
    """

    def leave(_number: int, _frame: object) -> None:
        follower.give_up()
        client.hang_up(socket.SHUT_RD)

    signal.signal(LEAVE, leave)


def publish_if_open(board: Scoreboard, client: Client) -> None:
    """Say what the client does now, in the child; when it has left, that is said once, at the end."""
    if client.connection.interest is not CLOSED:
        board.publish()
