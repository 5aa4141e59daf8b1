"""Several clients at once, and clients that are slow, silent or gone: who waits for whom."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from httpmini.lint.cases.site_tree import BIG
from httpmini.lint.check import MUST, SHOULD, Group, NotApplicable, fail
from httpmini.lint.lab import NoAnswer, Session

_group = Group("behaviour", ("course",), alone=True)
_AT_ONCE = 8
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close() sends a reset


def _another_is_served(session: Session, whom: str) -> None:
    """Require an answer for another client, while ``whom`` is connected."""
    begin = time.monotonic()
    try:
        answer = session.get()
    except NoAnswer:
        fail(f"{whom} holds up others: the second waited {time.monotonic() - begin:.1f} s")
    session.expect_file(answer, f"beside {whom}")


def _at_once(session: Session) -> None:
    """Eight connections are open before the first of them speaks."""
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(session.connection()) for _ in range(_AT_ONCE)]
        for sock in socks:
            session.send(sock, session.request())
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            said = list(pool.map(lambda sock: session.read(sock, to_end=True), socks))
    for number, conversation in enumerate(said, 1):
        session.expect_file(conversation.answers[0], f"client {number} of {_AT_ONCE}")


def _silent(session: Session) -> None:
    with session.connection():
        _another_is_served(session, "a silent client")


def _half_a_request(session: Session) -> None:
    with session.connection() as sock:
        session.send(sock, session.request()[:20])
        _another_is_served(session, "a client that has sent half a request")


def _trickling(session: Session) -> None:
    """One types its request; others are served, and then it is."""
    data = session.request()
    with session.connection() as sock:
        for at in range(0, len(data) - 1, 8):
            session.send(sock, data[at : min(at + 8, len(data) - 1)])
            time.sleep(0.02)
        _another_is_served(session, "a client that types")
        session.send(sock, data[-1:])
        session.expect_file(session.read(sock).answers[0], "the client that types")


def _split_request(session: Session) -> None:
    """The head in two pieces, cut at several places."""
    data = session.request()
    for at in (1, 3, 4, len(data) // 2, len(data) - 3, len(data) - 2, len(data) - 1):
        with session.connection() as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            session.send(sock, data[:at])
            time.sleep(0.03)
            session.send(sock, data[at:])
            session.expect_file(session.read(sock).answers[0], f"cut after {at} bytes")


def _slow_reader(session: Session) -> None:
    session.needs_site()
    with session.connection(receive_bytes=4096) as sock:
        session.send(sock, session.request("/big.bin"))
        sock.recv(100)
        _another_is_served(session, "a client that reads slowly")


def _slow_reader_gets_all(session: Session) -> None:
    session.needs_site()
    with session.connection(receive_bytes=16384) as sock:
        session.send(sock, session.request("/big.bin"))
        time.sleep(0.3)  # until the buffers between both are full
        session.expect_body(session.read(sock).answers[0], BIG)


def _half_close(session: Session) -> None:
    session.needs_site()
    with session.connection() as sock:
        session.send(sock, session.request("/big.bin"))
        sock.shutdown(socket.SHUT_WR)
        session.expect_body(session.read(sock, to_end=True).answers[0], BIG)


def _after(session: Session, times: int, act: Callable[[socket.socket], None], whom: str) -> None:
    for _ in range(times):
        with session.connection() as sock:
            act(sock)
    if session.lab.spawned is not None and session.lab.spawned.wait(0.2):
        fail(f"the server has ended after {whom}")
    _another_is_served(session, whom)


def _reset(session: Session) -> None:
    session.needs_site()

    def act(sock: socket.socket) -> None:
        session.send(sock, session.request("/big.bin"))
        sock.recv(1000)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    _after(session, 10, act, "clients that reset the connection")


def _vanishing(session: Session) -> None:
    _after(session, 10, lambda sock: session.send(sock, session.request()[:30]), "clients that left in mid request")


def _connecting(session: Session) -> None:
    _after(session, 20, lambda _: None, "clients that connect and leave")


def _max_clients(session: Session) -> None:
    """As many idle clients as are served at the same time, and one more."""
    most = session.lab.max_clients
    if not most:
        raise NotApplicable("needs --max-clients N")
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(session.connection()) for _ in range(most)]
        for sock in held:
            session.send(sock, session.request()[:20])
        time.sleep(0.2)
        extra = stack.enter_context(session.connection())
        session.send(extra, session.request())
        extra.settimeout(1.0)
        said = session.read(extra)
        if said.answers[0].status == 200:
            fail(f"client {most + 1} was served while {most} were connected")
        if said.raw or said.ended:  # refused: 503, or the connection was closed
            if said.answers[0].status not in (503, 429, 0):
                fail(f"client {most + 1} got {said.answers[0]}, not 503")
            held.pop().close()
            time.sleep(0.2)
            session.expect_file(session.get(), "after one had left")
            return
        held.pop().close()
        extra.settimeout(session.lab.wait_s)
        session.expect_file(session.read(extra).answers[0], "after one had left, the one that waited")


BEHAVIOUR = (
    _group.check(
        MUST,
        "split-request",
        "waits for the whole request, however it arrives",
        "readn",
        "TCP is a pipe of bytes: one send() is not one recv(). Read until the empty line.",
        _split_request,
    ),
    _group.check(
        MUST,
        "clients-at-once",
        "serves eight clients that connect at the same time",
        "listen",
        "Clients wait in the backlog of listen() until you accept them; none may be lost.",
        _at_once,
    ),
    _group.check(
        MUST,
        "silent-client",
        "is not held up by a client that says nothing",
        "concurrency",
        "Browsers open spare connections that never speak. Wait for all sockets at once, or use a process or thread.",
        _silent,
    ),
    _group.check(
        MUST,
        "half-request",
        "is not held up by half a request",
        "concurrency",
        "A client may stop in the middle of its head: others must not wait for it.",
        _half_a_request,
    ),
    _group.check(
        MUST,
        "trickling-client",
        "serves a client that types its request, and others meanwhile",
        "concurrency, readn",
        "Keep what has arrived for each client, and go on when more comes.",
        _trickling,
    ),
    _group.check(
        MUST,
        "slow-reader",
        "is not held up by a client that reads slowly",
        "concurrency, writen",
        "send() waits when the client does not read: use non-blocking sockets, or a process or thread for each.",
        _slow_reader,
    ),
    _group.check(
        MUST,
        "slow-reader-whole",
        "sends all to a client that reads slowly",
        "writen",
        "send() says how many bytes it took; the rest is still yours to send.",
        _slow_reader_gets_all,
    ),
    _group.check(
        SHOULD,
        "half-close",
        "sends the whole file to a client that has closed its own direction",
        "shutdown",
        "recv() returns nothing when the client has finished sending; it may still be reading.",
        _half_close,
    ),
    _group.check(
        MUST,
        "reset",
        "goes on after clients that reset the connection",
        "EPIPE, ECONNRESET",
        "send() fails with EPIPE or ECONNRESET, and SIGPIPE kills a C program: both concern one client alone.",
        _reset,
    ),
    _group.check(
        MUST,
        "vanishing-client",
        "goes on after clients that leave in mid request",
        "EOF",
        "recv() returns 0 bytes at the end of the connection: close it and go on.",
        _vanishing,
    ),
    _group.check(
        MUST,
        "no-request",
        "goes on after clients that connect and leave",
        "EOF",
        "Port scanners and health checks connect and say nothing.",
        _connecting,
    ),
    _group.check(
        SHOULD,
        "max-clients",
        "keeps to the number of clients that it is said to serve",
        "threshold",
        "Above the threshold do not accept, or accept, say 503 and close; below it go on.",
        _max_clients,
    ),
)
