"""A worker process: what becomes of the copy that ``workers.py`` forks."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

import msgspec
from msgspec.structs import replace

from httpmini.server.core.context import Context
from httpmini.server.core.processes import REOPEN, REPORT, Orders
from httpmini.server.core.reactor import Reactor
from httpmini.server.core.scoreboard import Segment
from httpmini.server.core.shutdown import Follower
from httpmini.server.logs.error import Level, Log, describe

READY = b"ready\n"
HEALTHY_S = 1.0  # a worker that has lived for this long, or has served a client, is able to


class Server(Protocol):
    """What serves in a worker."""

    def serve(self) -> None:
        """Accept and serve until draining begins."""

    def leave(self) -> None:
        """Bring all clients to their end."""


class Worker(msgspec.Struct, eq=False):
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


def work(
    context: Context,
    worker: Worker,
    serve_with: Callable[[Context], Server],
    follower: Follower,
    say: int,
    has_lobby: bool,
) -> None:
    """Serve, in a new worker, until it is told to end.

    Args:
        context: the master's.
        worker: this worker.
        serve_with: makes what serves.
        follower: says when to end.
        say: this worker's end of the pipe to the master.
        has_lobby: whether it takes those who wait already.
    """
    try:
        os.close(worker.accepting)  # the master's end
        reactor = become_worker(context, worker, follower)
        server = serve_with(replace(context, shutdown=follower, reactor=reactor, occupants=lambda _now: ()))
        if not has_lobby:
            close_lobby(context)
    except Exception as fault:
        os.write(say, describe(fault).encode()[:4096])
        return
    os.write(say, READY)
    server.serve()
    for listener in context.listeners:  # if the master has died, nobody else will free the port
        listener.close()
    os.close(say)
    server.leave()


def become_worker(context: Context, worker: Worker, follower: Follower) -> Reactor:
    """Give up what is the master's, and return a poll set of our own."""
    board, admission = context.board, context.admission
    for client in context.reactor.clients:  # of a mode that ran before this one
        client.close_descriptor()
    context.reactor.close()
    admission.slots.belong_to(worker.process)
    if admission.addresses:
        admission.addresses.belong_to(worker.process)

    def tick() -> bool | None:
        more = context.service.tick()
        board.publish()
        return more

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


def close_lobby(context: Context) -> None:
    """Close this process's copies of those who wait: another process serves them."""
    for one in context.lobby:
        os.close(one.fd)
    context.lobby.clear()
