"""Many clients, one after the other and at once: nothing grows, nothing is limited to 1024 descriptors."""

from __future__ import annotations

import resource
import select
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import StartServer
from tests.support.processes import eventually
from tests.support.wire import connect, get, read_all


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Let this process have as many as the test needs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _ask(port: int, count: int) -> None:
    for _ in range(count):
        with connect(port) as sock:
            sock.sendall(b"GET /ten.txt HTTP/1.0\r\n\r\n")
            assert read_all(sock).endswith(b"0123456789")


def test_flat_after_10_000_requests(start: StartServer, site: Path, mode: str) -> None:
    server = start(site, "--mode", mode, config='[log]\naccess = "off"\n')
    _ask(server.port, 1_000)
    threads, memory, descriptors = server.threads(), server.memory_kib(), server.descriptors()
    _ask(server.port, 9_000)
    eventually(lambda: server.threads() <= threads, "as many threads as before")
    eventually(lambda: server.descriptors() <= descriptors, "as many descriptors as before")
    assert server.memory_kib() - memory < 1_500, "memory grows with the number of requests"


def test_descriptors_beyond_1023(start: StartServer, site: Path, many_descriptors: None) -> None:
    server = start(site, "--mode", "select", "--max-clients", "1500", config='[log]\naccess = "off"\n')
    silent = [connect(server.port) for _ in range(1_100)]
    eventually(lambda: server.descriptors() > 1_100, "all are accepted")
    assert get(server.port, "/ten.txt")[0] == 200
    silent[-1].sendall(b"GET /ten.txt HTTP/1.0\r\n\r\n")
    assert read_all(silent[-1]).endswith(b"0123456789")
    for sock in silent:
        sock.close()


def test_no_descriptors_left_is_one_line_and_no_end(start: StartServer, site: Path, mode: str) -> None:
    """Clients that are being refused need descriptors too; without one, the others wait in the backlog."""
    config = f'[server]\nmode = "{mode}"\nmax_clients = 1\noverflow = "refuse"\n[limits]\nlinger_s = 1.0\n'
    server = start(site, config=config, wrapper=("prlimit", "--nofile=66:66"))
    with connect(server.port) as first:
        first.sendall(b"GET /ten.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        select.select([first], [], [], 20)
        crowd: list[socket.socket] = [connect(server.port) for _ in range(90)]
        server.wait_for_line(r"notice: cannot accept: Too many open files; clients wait in the backlog")
        for sock in crowd:
            assert read_all(sock).startswith(b"HTTP/1.0 503 ")
            sock.close()
    eventually(lambda: get(server.port, "/ten.txt")[0] == 200, "it serves again")
