"""One client's bug, deadline or large file does not affect the others."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from httpmini.protocol.body import FileSlice
from httpmini.server.core.connection import Connection, Interest, Timeouts
from httpmini.server.core.reactor import SWEEP_S, Reactor
from httpmini.server.core.transfer import Client, advance, expire
from httpmini.server.core.turn import next_turn
from httpmini.server.limits.admission import Admission, Slot
from httpmini.server.limits.slots import Slots
from httpmini.server.listeners.peer import Peer
from tests.support.logs import log_into
from tests.support.wire import WAIT_S

TIMEOUTS = Timeouts(idle_s=60.0, send_stall_s=60.0, linger_s=1.0, linger_bytes=1000)


class _Faulty(Connection):
    def on_data(self, data: bytes, now: float) -> None:
        raise RuntimeError("a mistake")


class _Echo(Connection):
    def on_data(self, data: bytes, now: float) -> None:
        self.send(data, now=now)


def test_a_bug_ends_one_client() -> None:
    log: list[str] = []
    reactor = Reactor(log_into(log))
    theirs = []
    for make in (_Faulty, _Echo):
        ours, peer = socket.socketpair()
        ours.setblocking(False)
        peer.settimeout(WAIT_S)
        theirs.append(peer)
        reactor.add(Client(ours.detach(), Peer("", 0), make(TIMEOUTS, 0.0), None), 0.0, next_turn())
    for peer in theirs:
        peer.sendall(b"hello")
    reactor.turn()
    assert theirs[0].recv(10) == b""
    assert theirs[1].recv(10) == b"hello"
    assert len(log) == 1
    assert log[0].startswith("fault while serving a client: RuntimeError: a mistake (")
    assert len(reactor.clients) == 1
    for client in reactor.clients:
        client.close()
    for peer in theirs:
        peer.close()
    reactor.close()


def test_a_handler_that_fails_rests_until_the_next_sweep() -> None:
    """It would be called again at once, and for ever, because what it did not do is still to be done."""
    log: list[str] = []
    calls: list[bool] = []
    reactor = Reactor(log_into(log))
    ours, peer = socket.socketpair()

    def fail() -> None:
        calls.append(True)
        raise OSError("no descriptors")

    reactor.watch(ours, fail)
    peer.sendall(b"x")
    began = time.monotonic()
    while len(calls) < 3:
        reactor.turn(SWEEP_S)
    assert time.monotonic() - began >= SWEEP_S
    assert [line.partition(" (")[0] for line in log] == ["fault while handling an event: OSError: no descriptors"]
    reactor.unwatch(ours)
    reactor.watch(ours, lambda: calls.append(bool(ours.recv(1))))  # as if it had never failed
    while len(calls) < 4:
        reactor.turn(SWEEP_S)
    for one in (ours, peer):
        one.close()
    reactor.close()


def test_a_tick_that_fails_is_said_once_and_called_again() -> None:
    log: list[str] = []
    ticks: list[bool] = []

    def tick() -> None:
        ticks.append(True)
        raise RuntimeError("a mistake")

    reactor = Reactor(log_into(log), tick)
    ours, peer = socket.socketpair()
    reactor.watch(ours, lambda: None)
    peer.sendall(b"x")  # something to do, so that ticks are due
    while len(ticks) < 3:
        reactor.turn(SWEEP_S)
    assert [line.partition(" (")[0] for line in log] == ["fault in a tick: RuntimeError: a mistake"]
    for one in (ours, peer):
        one.close()
    reactor.close()


class _BrokenSlot(Slot):
    def __init__(self) -> None:
        super().__init__(Admission(Slots(1, log_into([]))), "127.0.0.1")

    def release(self) -> None:
        raise RuntimeError("a mistake")


def test_a_fault_while_a_client_is_closed_costs_the_others_nothing() -> None:
    log: list[str] = []
    reactor = Reactor(log_into(log))
    theirs = []
    for slot in (_BrokenSlot(), None):
        ours, peer = socket.socketpair()
        ours.setblocking(False)
        peer.settimeout(WAIT_S)
        theirs.append(peer)
        reactor.add(Client(ours.detach(), Peer("", 0), _Echo(TIMEOUTS, 0.0), slot), 0.0, next_turn())
    theirs[0].close()
    theirs[1].sendall(b"hello")
    reactor.turn()
    assert theirs[1].recv(10) == b"hello"
    assert len(reactor.clients) == 1
    assert log != []
    theirs[1].close()
    reactor.finish(lambda: 0.0)
    assert len(reactor.clients) == 0
    reactor.close()


@pytest.mark.parametrize("arrived", [b"in time", b""])
def test_a_client_that_sent_in_time_is_not_given_up(arrived: bytes) -> None:
    """A new process, or a busy machine, may look at a client for the first time when its deadline has passed."""
    ours, peer = socket.socketpair()
    ours.setblocking(False)
    client = Client(ours.detach(), Peer("", 0), _Echo(TIMEOUTS, 0.0), None)
    peer.sendall(arrived)
    expire(client, 100.0, next_turn())
    assert (client.connection.interest is Interest.CLOSED) == (not arrived)
    client.close()
    peer.settimeout(WAIT_S)
    assert peer.recv(10) == arrived
    peer.close()


@pytest.mark.skipif(not hasattr(socket, "TCP_CORK"), reason="only Linux holds segments back on request")
def test_segments_are_held_back_until_a_file_is_out(tmp_path: Path) -> None:
    """Otherwise the end of a file on a persistent connection would come a fifth of a second late."""
    (tmp_path / "file").write_bytes(b"x" * 2**24)  # more than the buffers take
    with socket.create_server(("127.0.0.1", 0)) as listener, (tmp_path / "file").open("rb") as file:
        peer = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
        ours.setblocking(False)
        client = Client(ours.detach(), Peer("", 0), _Echo(TIMEOUTS, 0.0), None)
        client.connection.send(b"head", FileSlice(file.fileno(), 0, 2**24), now=0.0)
        advance(client, 0.0, next_turn())
        assert client.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CORK) == 1
        received = 0
        while received < 4 + 2**24:
            advance(client, 0.0, next_turn())
            received += len(peer.recv(2**20))
        assert not client.connection.output
        assert client.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CORK) == 0
        client.close()
        peer.close()
