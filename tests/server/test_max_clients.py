"""max_clients is exact in every mode, at N and at N+1; address rules are checked first."""

from __future__ import annotations

import select
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import StartServer
from tests.support.processes import ServerProcess, eventually
from tests.support.wire import WAIT_S, connect, get, occupied_slot, read_all, read_answer

KEEP = b"GET /ten.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
N = 3


def _connect_and_stay(server: ServerProcess) -> socket.socket:
    """Return a connection that has had a response and stays open."""
    sock = connect(server.port)
    sock.sendall(KEEP)
    assert read_answer(sock)[0] == 200
    return sock


def _sends_something(sock: socket.socket, within_s: float) -> bool:
    return bool(select.select([sock], [], [], within_s)[0])


def test_queue_lets_client_n_plus_1_wait(start: StartServer, site: Path, mode: str) -> None:
    server = start(site, "--mode", mode, "--max-clients", str(N), "--overflow", "queue")
    inside = [_connect_and_stay(server) for _ in range(N)]
    with connect(server.port) as waiting:
        waiting.sendall(KEEP)
        assert not _sends_something(waiting, 0.3), f"client {N + 1} was served"
        for sock in inside:  # connected clients are not disturbed
            sock.sendall(KEEP)
            assert read_answer(sock)[0] == 200
        inside.pop().close()
        assert read_answer(waiting)[0] == 200
    for sock in inside:
        sock.close()
    server.wait_for_line(r"warning: max_clients reached: 3 clients; further ones wait in the backlog")
    server.wait_for_line(r"notice: max_clients left: \d of 3 clients")


def test_refuse_turns_client_n_plus_1_away(start: StartServer, site: Path, mode: str) -> None:
    server = start(site, "--mode", mode, "--max-clients", str(N), "--overflow", "refuse")
    begun = time.monotonic()
    with ExitStack() as stack:
        for _ in range(N):
            stack.enter_context(occupied_slot(server.port))  # also checks that connected clients are not disturbed
        for _ in range(3):
            status, fields, body = get(server.port, "/ten.txt")
            assert (status, fields["connection"]) == (503, "close")
            assert 1 <= int(fields["retry-after"]) <= 1 + time.monotonic() - begun
            assert b"too-many-clients" in body
        server.wait_for_line(r'"-" 503 ', count=3)
        reached = [line for line in server.lines if "max_clients reached" in line]
        assert len(reached) == 1, "one line when the threshold is reached, however many are turned away"
    eventually(lambda: get(server.port, "/ten.txt")[0] == 200, "a slot is free again")


def test_refused_client_may_still_be_sending(start: StartServer, site: Path, mode: str) -> None:
    """The 503 must not be lost in a reset while the client sends (RFC 9112 §9.6)."""
    server = start(site, "--mode", mode, "--max-clients", "1", "--overflow", "refuse")
    with occupied_slot(server.port), connect(server.port) as sock:
        sock.sendall(b"PUT /x HTTP/1.0\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1_000_000)
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock).startswith(b"HTTP/1.0 503 ")


@pytest.mark.parametrize("overflow", ["queue", "refuse"])
@pytest.mark.parametrize("version", ["1.0\r\n", "1.1\r\nHost: x\r\n", "1.1\r\nHost: x\r\nConnection: close\r\n"])
def test_one_slot_is_enough_for_successive_clients(
    start: StartServer, site: Path, mode: str, overflow: str, version: str
) -> None:
    """A client that has read its whole response may connect again, although a thread or a child still has its slot.

    Within one process nobody is refused for a slot that was given back. In the other modes another process or thread
    has to run within SECOND_LOOK_S; on a busy machine a few of the clients may wait in vain.
    """
    server = start(site, "--mode", mode, "--max-clients", "1", "--overflow", overflow)
    refused = 0
    for _ in range(50):
        with connect(server.port) as sock:
            sock.sendall(f"GET /ten.txt HTTP/{version}\r\n".encode())
            answer = read_all(sock)
        if answer.startswith(b"HTTP/1.0 503 "):
            refused += 1
        else:
            assert answer.endswith(b"0123456789")
    one_process = mode in ("iterative", "select")
    assert refused <= (0 if one_process or overflow == "queue" else 5)


def test_all_queued_clients_are_served(start: StartServer, site: Path, mode: str) -> None:
    server = start(site, "--mode", mode, "--max-clients", "2", "--overflow", "queue")
    waiting = [connect(server.port) for _ in range(20)]
    for sock in waiting:
        sock.sendall(b"GET /ten.txt HTTP/1.0\r\n\r\n")
    for sock in waiting:
        assert read_all(sock).endswith(b"0123456789")
        sock.close()


@pytest.mark.parametrize(
    ("listen", "rules", "source", "status"),
    [
        ("127.0.0.1:0", 'deny = ["127.0.0.1"]', "127.0.0.1", 403),
        ("127.0.0.1:0", 'deny = ["127.0.0.0/30"]', "127.0.0.3", 403),
        ("127.0.0.1:0", 'deny = ["127.0.0.0/30"]', "127.0.0.4", 200),
        ("127.0.0.1:0", 'allow = ["127.0.0.2"]', "127.0.0.1", 403),
        ("127.0.0.1:0", 'allow = ["127.0.0.2"]', "127.0.0.2", 200),
        ("127.0.0.1:0", 'allow = ["127.0.0.0/8"]\ndeny = ["127.0.0.2"]', "127.0.0.2", 403),
        ("127.0.0.1:0", 'allow = ["::1"]', "127.0.0.1", 403),
        ("[::1]:0", 'deny = ["::1"]', "::1", 403),
        ("[::1]:0", 'allow = ["::/64"]', "::1", 200),
    ],
)
def test_addresses(
    start: StartServer, site: Path, mode: str, listen: str, rules: str, source: str, status: int
) -> None:
    server = start(site, config=f'[server]\nmode = "{mode}"\nlisten = ["{listen}"]\n{rules}\n')
    host = "::1" if ":" in source else "127.0.0.1"
    with socket.create_connection((host, server.port), WAIT_S, source_address=(source, 0)) as sock:
        sock.sendall(b"GET /ten.txt HTTP/1.0\r\n\r\n")
        answer = read_all(sock)
    assert answer.startswith(f"HTTP/1.0 {status} ".encode())
    assert (b"address-denied" in answer) == (status == 403)
    server.wait_for_line(rf'^{source} - - \[.*" {status} ')
