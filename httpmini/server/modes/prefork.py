"""Prefork mode: a master that never touches a client, and worker processes that each serve as select mode does.

The pattern of the servers that people run: as many reactors as there are cores, all waiting at the same listeners. The
kernel wakes one of them for each client (EPOLLEXCLUSIVE). The master watches its workers and replaces one that has
died; no connection in the backlog is lost, because the listeners belong to all of them.

Good at: using every core, and surviving a crash. Bad at: nothing in particular, but it is the most to understand.
"""

from __future__ import annotations

import os
import select
import signal
import time
from functools import partial
from typing import ClassVar

import msgspec
from msgspec.structs import replace

from httpmini.errors import CannotRun
from httpmini.server.core.acceptor import Acceptor
from httpmini.server.core.context import Context
from httpmini.server.core.processes import REOPEN, REPORT, Orders
from httpmini.server.core.reactor import Reactor
from httpmini.server.core.scoreboard import CROWD, Segment
from httpmini.server.core.shutdown import Follower
from httpmini.server.logs.error import Level, Log, describe
from httpmini.server.modes.base import Mode
from httpmini.server.modes.select import Select

# A worker that fails is replaced after a longer pause each time: failing at full speed would take a whole core.
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
HEALTHY_S = 1.0  # a worker that has lived for this long, or has served a client, is able to
START_S = 60.0  # how long a worker may take until it is ready
LOOK_S = 0.1  # how often to look, meanwhile, whether the server is to stop
_READY = b"ready\n"
LEAVING_S = 5.0  # how long to wait for a retiring worker to stop accepting


class _Worker(msgspec.Struct, eq=False):
    """A worker that lives.

    Attributes:
        pid: its process number.
        process: its number in the tables of slots.
        segment: where it publishes its counters.
        started: when it was forked.
        accepting: a pipe that ends when the worker has stopped accepting.
    """

    pid: int
    process: int
    segment: Segment | None
    started: float
    accepting: int

    def is_healthy(self, now: float) -> bool:
        """Whether it was able to serve; asked when it has ended."""
        row = self.segment and self.segment.read()
        return now - self.started >= HEALTHY_S or bool(row and row.admitted)


class Prefork(Mode):
    """The master. Runs in the main thread only (signals)."""

    name: ClassVar[str] = "prefork"
    uses_workers: ClassVar[bool] = True
    starts_processes: ClassVar[bool] = True

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._shutdown = context.main_shutdown
        self._slots = context.admission.slots
        self._addresses = context.admission.addresses
        self._children = context.children
        self._board = context.board
        self._acceptor = Acceptor(
            replace(context, listeners=())
        )  # accepts nobody, but clients of earlier modes may leave
        self._workers: dict[int, _Worker] = {}  # by their place, from 0
        self._pauses: dict[int, float] = {}  # the pause before the worker in that place was replaced
        self._due: dict[int, float] = {}  # when to start those that have died

    def start(self) -> None:
        """Fork the workers.

        Raises:
            CannotRun: one of them cannot start, and why; then none is left.
        """
        self._slots.share()
        self._board.reserve(self._context.workers, CROWD)
        self._context.service.tick()  # loads what each worker would load for itself
        self._children.prepare()
        try:
            for place in range(self._context.workers):
                self._start_worker(place)
            _close_lobby(self._context)  # the last worker has taken it: from here on nothing can fail
        except BaseException:
            self._shutdown.drain(time.monotonic())
            self.finish()
            raise

    def serve(self) -> None:
        """Watch the workers, which accept and serve; replace those that die."""
        while self._shutdown.serving:
            moment = min(self._due.values(), default=None)
            self._acceptor.wait(moment)
            for place in [place for place, moment in self._due.items() if moment <= time.monotonic()]:
                self._restart_worker(place)
        if self._shutdown.draining:
            self._wait_until_nobody_accepts()

    def finish(self) -> None:
        """Wait for the workers, which have seen that draining began; end those that are not done in time."""
        self._children.finish(self._shutdown, self._context.reactor.turn)
        for place in list(self._workers):  # those that had to be killed
            self._forget(place)

    def retire(self) -> None:
        """Have the workers finish what they are sending; they know the old settings only."""
        self._shutdown.retire()
        self._wait_until_nobody_accepts()

    @property
    def is_done(self) -> bool:
        """Whether all workers have ended."""
        return not self._children.of(self._shutdown)

    def _wait_until_nobody_accepts(self) -> None:
        """Wait for the workers, which are draining, to give up the listeners."""
        for worker in self._workers.values():
            poll = select.poll()
            poll.register(worker.accepting, select.POLLIN)
            poll.poll(LEAVING_S * 1000)

    def _start_worker(self, place: int) -> None:
        """Fork a worker, and wait until it says that it is ready.

        Raises:
            CannotRun: it cannot start, and why.
        """
        process = self._slots.new_process()
        try:
            hear, say = os.pipe()
        except OSError as error:
            self._slots.give_back(process)
            raise CannotRun(f"cannot begin a worker: {error.strerror}") from error
        segment = self._board.take(CROWD)
        worker = self._workers[place] = _Worker(0, process, segment, time.monotonic(), hear)
        self._context.service.tick()  # what waits is written by the master, not by each of its copies
        try:
            worker.pid = self._children.start(
                self._shutdown,
                lambda follower: self._work(worker, follower, say),
                lambda how: self._replace(place, how),
                self._context.listeners,
            )
        except OSError as error:
            os.close(say)
            self._forget(place)
            raise CannotRun(f"cannot begin a worker: {error.strerror}") from error
        os.close(say)
        self._wait_until_ready(place, worker)

    def _wait_until_ready(self, place: int, worker: _Worker) -> None:
        """Wait until a worker says that it is ready; but not if the server is to stop.

        Raises:
            CannotRun: it cannot start, and why.
        """
        poll = select.poll()
        poll.register(worker.accepting, select.POLLIN)
        said = b""
        while said != _READY:
            if self._shutdown.draining:
                raise CannotRun(f"the server was stopped while worker {place} began")
            if time.monotonic() - worker.started > START_S:
                os.kill(worker.pid, signal.SIGKILL)
                raise CannotRun(f"worker {place} cannot begin: it was not ready within {START_S:g} s")
            if poll.poll(LOOK_S * 1000):
                piece = os.read(worker.accepting, 4096)
                if not piece:  # it has closed its end, or has died
                    reason = said.decode(errors="replace") or "it ended without a word"
                    raise CannotRun(f"worker {place} cannot begin: {reason}")
                said += piece
            self._context.reactor.look()

    def _restart_worker(self, place: int) -> None:
        del self._due[place]
        try:
            self._start_worker(place)
        except CannotRun as error:
            if self._shutdown.draining:
                return
            self._context.log(f"{error}; trying again later", Level.ERROR)
            if place not in self._workers:  # else its end is still to come
                self._schedule(place, self._next_pause(place))

    def _forget(self, place: int) -> _Worker:
        """Take back what a worker held that has ended, or was never there."""
        worker = self._workers.pop(place)
        self._slots.give_back(worker.process)
        if self._addresses:
            self._addresses.give_back(worker.process)
        self._board.give_back(worker.segment)
        os.close(worker.accepting)
        return worker

    def _replace(self, place: int, how: str) -> None:
        """React to the end of a worker: schedule another one, unless the server is draining."""
        healthy = self._workers[place].is_healthy(time.monotonic())
        worker = self._forget(place)
        if self._shutdown.draining:
            return
        if healthy:
            self._pauses.pop(place, None)
        pause = 0.0 if healthy else self._next_pause(place)
        when = f"in {pause:g} s" if pause else "at once"
        self._context.log(f"worker {place} (process {worker.pid}) {how}; another one begins {when}", Level.WARNING)
        self._schedule(place, pause)

    def _next_pause(self, place: int) -> float:
        """Return how long to wait with the worker in that place: longer each time, but not when nobody serves."""
        pause = min(max(FIRST_PAUSE_S, 2 * self._pauses.get(place, 0.0)), LONGEST_PAUSE_S)
        self._pauses[place] = pause
        return pause if self._workers else FIRST_PAUSE_S

    def _schedule(self, place: int, pause: float) -> None:
        self._due[place] = time.monotonic() + pause

    def _work(self, worker: _Worker, follower: Follower, say: int) -> None:
        """Serve as select mode does, in a worker; ``say`` is its end of the pipe to the master."""
        try:
            os.close(worker.accepting)  # the master's end
            reactor = self._become_worker(worker, follower)
            server = Select(replace(self._context, shutdown=follower, reactor=reactor, occupants=lambda _now: ()))
            if len(self._workers) < self._context.workers:  # the last one takes those who wait already
                _close_lobby(self._context)
        except Exception as fault:
            os.write(say, describe(fault).encode()[:4096])
            return
        os.write(say, _READY)
        server.serve()
        for listener in self._context.listeners:  # if the master has died, nobody else will free the port
            listener.close()
        os.close(say)
        server.leave()

    def _become_worker(self, worker: _Worker, follower: Follower) -> Reactor:
        """Give up what is the master's, and return a poll set of our own."""
        context, board = self._context, self._board
        for client in context.reactor.clients:  # of a mode that ran before this one
            client.close_descriptor()
        context.reactor.close()
        self._slots.belong_to(worker.process)
        if self._addresses:
            self._addresses.belong_to(worker.process)

        def tick() -> None:
            context.service.tick()
            board.publish()

        reactor = Reactor(context.log, tick, board.counters)
        board.move_to(worker.segment, lambda: reactor.clients)
        reactor.watch(follower, partial(_hear, follower, reactor, context.log))

        def report() -> None:
            for client in reactor.clients:
                context.log(client.describe(time.monotonic()))

        orders = Orders({REPORT: report, REOPEN: context.reopen_logs})
        reactor.watch(orders, orders.carry_out)
        return reactor


def _hear(follower: Follower, reactor: Reactor, log: Log) -> None:
    """Note that draining has begun, and then that there is a hurry."""
    reactor.unwatch(follower)
    follower.clear(time.monotonic())
    if follower.may_have_news:
        reactor.watch(follower, partial(_hear, follower, reactor, log))
    if follower.is_orphan:
        log(f"the main process has died; process {os.getpid()} finishes what it has begun", Level.ERROR)


def _close_lobby(context: Context) -> None:
    """Close this process's copies of those who wait: another process serves them."""
    for one in context.lobby:
        os.close(one.fd)
    context.lobby.clear()
