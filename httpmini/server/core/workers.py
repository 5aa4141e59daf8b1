"""The worker processes of a master: started, waited for, and replaced when they die.

Each worker has a *place*, from 0. A worker that has died is followed by another one in its place: at once if it was
able to serve, else after a pause that grows.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable

from httpmini.errors import CannotRun
from httpmini.server.core.context import Context
from httpmini.server.core.scoreboard import CROWD
from httpmini.server.core.worker import READY, Server, Worker, close_lobby, work
from httpmini.server.logs.error import Level

# A worker that cannot live is replaced later each time: dying as fast as it can, it would take a whole core.
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
START_S = 60.0  # how long a worker may take until it is ready
LOOK_S = 0.1  # how often to look, meanwhile, whether the server is to stop
LEAVING_S = 5.0  # how long to wait for a retiring worker to stop accepting


class Workers:
    """The workers of one mode. For the main thread only (signals).

    Args:
        context: the master's.
        serve_with: makes, in a worker, what serves there.
    """

    def __init__(self, context: Context, serve_with: Callable[[Context], Server]) -> None:
        self._context = context
        self._serve_with = serve_with
        self._shutdown = context.main_shutdown
        self._slots = context.admission.slots
        self._addresses = context.admission.addresses
        self._children = context.children
        self._board = context.board
        self._workers: dict[int, Worker] = {}  # by their place
        self._pauses: dict[int, float] = {}  # how long the worker in that place was waited with
        self._due: dict[int, float] = {}  # when to start those that have died

    def start(self) -> None:
        """Fork all of them.

        Raises:
            CannotRun: one of them cannot start, and why; those before it have been started.
        """
        self._slots.share()
        self._board.reserve(self._context.workers, CROWD)
        self._context.service.tick()  # loads what each worker would load for itself
        self._children.prepare()
        for place in range(self._context.workers):
            self._start_worker(place)
        close_lobby(self._context)  # the last worker has taken it: from here on nothing can fail

    @property
    def next_start(self) -> float | None:
        """When the next one is to be started; None if all live."""
        return min(self._due.values(), default=None)

    def restart_due(self) -> None:
        """Start those whose pause is over."""
        now = time.monotonic()
        for place in [place for place, moment in self._due.items() if moment <= now]:
            self._restart_worker(place)

    def finish(self) -> None:
        """Wait for those that are draining; end those that are not done in time."""
        self._children.finish(self._shutdown, self._context.reactor.turn)
        for place in list(self._workers):  # those that had to be killed
            self._forget(place)

    def wait_until_nobody_accepts(self) -> None:
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
        worker = self._workers[place] = Worker(0, process, segment, time.monotonic(), hear)
        self._context.service.tick()  # what waits is written by the master, not by each of its copies
        try:
            worker.pid = self._children.start(
                self._shutdown,
                lambda follower: work(
                    self._context, worker, self._serve_with, follower, say, len(self._workers) == self._context.workers
                ),
                lambda how: self._replace(place, how),
                self._context.listeners,
            )
        except OSError as error:
            os.close(say)
            self._forget(place)
            raise CannotRun(f"cannot begin a worker: {error.strerror}") from error
        os.close(say)
        self._wait_until_ready(place, worker)

    def _wait_until_ready(self, place: int, worker: Worker) -> None:
        """Wait until a worker says that it is ready; but not if the server is to stop.

        Raises:
            CannotRun: it cannot start, and why.
        """
        poll = select.poll()
        poll.register(worker.accepting, select.POLLIN)
        said = b""
        while said != READY:
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

    def _forget(self, place: int) -> Worker:
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
