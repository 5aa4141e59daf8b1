"""Prefork mode: a master that never touches a client, and worker processes that each serve as select mode does.

The pattern of the servers that people run: as many reactors as there are cores, all waiting at the same listeners. The
kernel wakes one of them for each client (EPOLLEXCLUSIVE). The master watches its workers, and begins another one when
one has died; connections in the backlog are lost to nobody, because the listeners are everybody's.

Good at: using every core, and surviving a crash. Bad at: nothing in particular, but it is the most to understand.
"""

from __future__ import annotations

import os
import select
import time
from functools import partial
from typing import ClassVar

from msgspec.structs import replace

from httpmini.errors import CannotRun
from httpmini.server.core.context import Context
from httpmini.server.core.processes import report_when_asked
from httpmini.server.core.reactor import Reactor
from httpmini.server.core.scoreboard import CROWD, Segment
from httpmini.server.core.shutdown import Follower
from httpmini.server.core.transfer import Client
from httpmini.server.limits.slots import SharedSlots
from httpmini.server.logs.error import Level, describe
from httpmini.server.modes.select import Select

# A worker that dies again soon is begun again later each time: dying as fast as it can, it would take a whole core.
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
_READY = b"ready\n"
LEAVING_S = 5.0  # how long a worker that retires is waited for to leave the door


class Prefork:
    """The master. Its workers are begun at once. Runs in the main thread only (signals).

    Raises:
        CannotRun: a worker cannot be begun, and why.
    """

    descriptors_per_client: ClassVar[int] = 2  # one worker may have all of them

    def __init__(self, context: Context) -> None:
        slots = context.admission.slots
        if not isinstance(slots, SharedSlots):
            raise TypeError("workers need slots that are counted over all of them")
        self._slots = slots
        self._addresses = context.admission.addresses
        self._context = context
        self._shutdown = context.main_shutdown
        self._log = context.log
        self._children = context.children
        self._begun: dict[int, float] = {}  # when each worker was begun, by its number
        self._pauses: dict[int, float] = {}  # how long it was paused before it was begun
        self._doors: dict[int, int] = {}  # pipes that end when a worker has stopped accepting
        self._due: dict[int, float] = {}  # when to begin those that have died
        self._reactor = context.reactor
        self._board = context.board
        self._segments: dict[int, Segment | None] = {}  # by the number of the worker that writes it
        self._board.reserve(context.workers, CROWD)
        context.service.tick()  # what the workers would load each for itself
        self._children.prepare()
        try:
            for number in range(context.workers):
                self._begin(number)
        except CannotRun:
            self._shutdown.drain(time.monotonic())
            self.finish()
            raise

    @property
    def clients(self) -> list[Client]:
        """See ``Mode``."""
        return []

    def serve(self) -> None:
        """See ``Mode``: the workers accept and serve, and are watched."""
        while self._shutdown.serving:
            moment = min(self._due.values(), default=None)
            self._reactor.turn(None if moment is None else max(0.0, moment - time.monotonic()))
            for number in [number for number, moment in self._due.items() if moment <= time.monotonic()]:
                self._begin_again(number)
        if self._shutdown.draining:
            self._wait_at_the_doors()

    def finish(self) -> None:
        """Wait for the workers; they have seen that draining began."""
        self._children.finish(self._shutdown, self._reactor.turn)
        self._slots.close()
        for hear in self._doors.values():
            os.close(hear)
        self._doors.clear()

    def retire(self) -> None:
        """The workers finish what they are sending; they know the old settings only."""
        self._shutdown.retire()
        self._wait_at_the_doors()

    @property
    def is_done(self) -> bool:
        """See ``Mode``."""
        return not self._children.of(self._shutdown)

    def _wait_at_the_doors(self) -> None:
        """Until the workers, which are draining, have stopped accepting: then the listeners are free."""
        for hear in self._doors.values():
            door = select.poll()
            door.register(hear, select.POLLIN)
            door.poll(LEAVING_S * 1000)

    def _begin(self, number: int) -> None:
        """Begin a worker, and wait until it says that it is ready.

        Raises:
            CannotRun: it does not.
        """
        hear, say = os.pipe()
        segment = self._segments[number] = self._board.take(CROWD)
        try:
            self._children.start(
                self._shutdown,
                lambda follower: self._work(number, segment, follower, hear, say),
                lambda: self._bury(number),
            )
        except OSError as error:
            os.close(say)
            os.close(hear)
            self._board.give_back(self._segments.pop(number))
            raise CannotRun(f"cannot begin a worker: {error.strerror}") from error
        self._begun[number] = time.monotonic()
        os.close(say)
        said = b""
        while said != _READY and (piece := os.read(hear, 4096)):  # until it has closed its end, or has died
            said += piece
        self._doors[number] = hear
        if said != _READY:
            reason = said.decode(errors="replace") or "it ended without a word"
            raise CannotRun(f"worker {number} cannot begin: {reason}")

    def _begin_again(self, number: int) -> None:
        del self._due[number]
        try:
            self._begin(number)
        except CannotRun as error:
            self._log(f"{error}; trying again later", Level.ERROR)
            if number not in self._due and number not in self._begun:
                self._pause(number, LONGEST_PAUSE_S)

    def _bury(self, number: int) -> None:
        """A worker has ended. Others take over what it held; soon there is another one."""
        self._slots.give_back(number)
        if self._addresses:
            self._addresses.give_back(number)
        self._board.give_back(self._segments.pop(number))
        os.close(self._doors.pop(number))
        if self._shutdown.draining:
            return
        lived = time.monotonic() - self._begun.pop(number)
        before = self._pauses.get(number, 0.0)
        pause = 0.0 if lived > LONGEST_PAUSE_S else min(max(FIRST_PAUSE_S, 2 * before), LONGEST_PAUSE_S)
        self._log(f"worker {number} has ended; another one begins in {pause:g} s", Level.WARNING)
        self._pause(number, pause)

    def _pause(self, number: int, pause: float) -> None:
        self._pauses[number] = pause
        self._due[number] = time.monotonic() + pause

    def _tick(self) -> None:
        self._context.service.tick()
        self._board.publish()

    def _work(self, number: int, segment: Segment | None, follower: Follower, hear: int, say: int) -> None:
        """What a worker does with its life; ``hear`` is the master's end of the pipe."""
        try:
            os.close(hear)
            for client in self._reactor.clients:  # of a mode that ran before this one
                client.close_descriptor()
            self._reactor.close()
            self._slots.belong_to(number)
            if self._addresses:
                self._addresses.belong_to(number)
            reactor = Reactor(self._log, self._tick, self._board.counters)
            self._board.move_to(segment, lambda: reactor.clients)
            reactor.watch(follower, partial(_hear, follower, reactor))
            report_when_asked(lambda: reactor.clients, self._log)
            server = Select(replace(self._context, shutdown=follower, reactor=reactor))
        except Exception as fault:
            os.write(say, describe(fault).encode()[:4096])
            return
        os.write(say, _READY)
        server.serve()
        os.close(say)
        reactor.finish(lambda: follower.deadline)


def _hear(follower: Follower, reactor: Reactor) -> None:
    follower.clear(time.monotonic())
    reactor.unwatch(follower)
