"""The server as a process: what it leaves behind, and how it ends."""

from __future__ import annotations

import signal
import socket

from httpmini.errors import CannotRun
from httpmini.lint.check import MUST, SHOULD, Group, fail
from httpmini.lint.facts import CLIENTS, crowd_of
from httpmini.lint.lab import Session

_group = Group("processes", ("course",), alone=True)
_END_S = 5.0
_MORE_DESCRIPTORS = 10  # a few may be opened on the way: logs, pipes, caches


def _zombies(session: Session) -> None:
    zombies = crowd_of(session).zombies
    if zombies:
        fail(f"{zombies} zombies")


def _left_processes(session: Session) -> None:
    crowd = crowd_of(session)
    if crowd.processes > crowd.processes_before:
        fail(f"{crowd.processes} processes after {CLIENTS} clients, {crowd.processes_before} before")


def _descriptors(session: Session) -> None:
    crowd = crowd_of(session)
    if crowd.descriptors > crowd.descriptors_before + _MORE_DESCRIPTORS:
        fail(f"{crowd.descriptors} open descriptors after {CLIENTS} clients, {crowd.descriptors_before} before")


def _restart(session: Session) -> None:
    """End it while it has served clients, and start it on the same port at once."""
    session.expect_file(session.get())
    try:
        session.process.restart(_END_S)
    except CannotRun as error:
        _start_again(session)
        fail(f"it did not start again: {error}")
    session.expect_file(session.get(), "after a restart")


def _stops(session: Session) -> None:
    server = session.process
    server.signal(signal.SIGTERM)
    if not server.wait(_END_S):
        _start_again(session)
        fail(f"it was still there {_END_S:g} s after SIGTERM")
    left = [process for process in server.processes() if not process.is_zombie]
    _start_again(session)
    if left:
        fail(f"{len(left)} of its processes were left after SIGTERM")


def _stops_in_mid_transfer(session: Session) -> None:
    """SIGTERM while a client takes a large file; it may finish the response or cut it."""
    session.needs_site()
    server = session.process
    with session.connection(receive_bytes=65536) as sock:
        session.send(sock, session.request("/big.bin"))
        sock.recv(1000, socket.MSG_PEEK)
        server.signal(signal.SIGTERM)
        said = session.read(sock, to_end=True)
    ended = server.wait(_END_S)
    _start_again(session)
    if not ended:
        fail(f"it was still there {_END_S:g} s after SIGTERM, with a client that reads")
    answer = said.answers[0]
    if answer.is_complete and answer.get("content-length") is None and len(answer.body) < 3 << 20:
        fail("the file was cut off, and without Content-Length the client cannot know it")


def _interrupt(session: Session) -> None:
    server = session.process
    server.signal(signal.SIGINT)
    ended = server.wait(_END_S)
    _start_again(session)
    if not ended:
        fail(f"it was still there {_END_S:g} s after Ctrl-C (SIGINT)")


def _start_again(session: Session) -> None:
    session.lab.port = session.process.start_elsewhere()


PROCESSES = (
    _group.check(
        MUST,
        "zombies",
        f"leaves no zombies after {CLIENTS} clients",
        "wait, SIGCHLD",
        "A child that has ended stays in the process table until its parent calls waitpid().",
        _zombies,
    ),
    _group.check(
        MUST,
        "left-processes",
        f"leaves no processes after {CLIENTS} clients",
        "exit",
        "A child has to end when its client is served, and must not go on to accept.",
        _left_processes,
    ),
    _group.check(
        MUST,
        "descriptors",
        f"closes sockets and files: as many are open after {CLIENTS} clients as before",
        "close",
        "Close the connection and the file in every case, in the parent as well after fork().",
        _descriptors,
    ),
    _group.check(
        MUST,
        "restart",
        "starts again at once on the same port",
        "SO_REUSEADDR",
        "Without SO_REUSEADDR bind() fails for a minute after the end: connections are in TIME_WAIT.",
        _restart,
    ),
    _group.check(
        MUST,
        "stop",
        "ends at SIGTERM, with all of its processes",
        "signals",
        "Set a flag in the handler, leave the loop, and end your children.",
        _stops,
    ),
    _group.check(
        SHOULD,
        "stop-in-transfer",
        "ends at SIGTERM while a client takes a file",
        "signals",
        "Finish the response or cut it; do not wait for ever, and do not lose the signal in a blocking call.",
        _stops_in_mid_transfer,
    ),
    _group.check(
        SHOULD,
        "interrupt",
        "ends at Ctrl-C",
        "signals",
        "accept() is interrupted by SIGINT: leave the loop.",
        _interrupt,
    ),
)
