"""Many clients, in sequence and at once: nothing grows, and nothing is limited to 1024 descriptors."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import StartServer
from tests.support.processes import eventually
from tests.support.tools import tool
from tests.support.wire import connect, get, occupied_slot, read_all, read_answer

KEEP = b"GET /ten.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Raise this process's descriptor limit for the test."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _ask(port: int, count: int, per_connection: int) -> None:
    for _ in range(count // per_connection):
        with connect(port) as sock:
            for _ in range(per_connection - 1):
                sock.sendall(b"GET /ten.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                assert read_answer(sock)[2] == b"0123456789"
            sock.sendall(b"GET /ten.txt HTTP/1.0\r\n\r\n")
            assert read_all(sock).endswith(b"0123456789")


def test_flat_after_10_000_requests(start: StartServer, site: Path, mode: str) -> None:
    server = start(site, "--mode", mode, config='[log]\naccess = "off"\n')
    assert get(server.port, "/missing")[0] == 404  # loads jinja2
    per_connection = 10 if mode == "forking" else 1  # a fork costs as much as twenty requests
    _ask(server.port, 1_000, per_connection)
    threads, memory, descriptors = server.threads(), server.memory_kib(), server.descriptors()
    _ask(server.port, 9_000, per_connection)
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


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("EMFILE", "Too many open files"),
        ("ENOBUFS", "No buffer space available"),
        ("EPERM", "Operation not permitted"),  # a firewall
        ("ENETDOWN", "Network is down"),  # accept(2) passes on errors of the connection
        ("EPROTO", "Protocol error"),
    ],
)
def test_accept_that_fails_costs_one_line_and_no_shutdown(
    start: StartServer, site: Path, tmp_path: Path, error: str, said: str
) -> None:
    inject = ("-e", "trace=accept4", "-e", f"inject=accept4:error={error}:when=1..3")
    server = start(site, wrapper=(tool("strace", "strace"), "-o", str(tmp_path / "trace"), *inject))
    assert get(server.port, "/ten.txt")[0] == 200
    server.wait_for_line(f"error: cannot accept: {said}; clients wait in the backlog until it is possible again")
    assert sum("cannot accept" in line for line in server.lines) == 1
    os.kill(server.children()[0], signal.SIGTERM)  # strace does not pass signals on
    assert server.wait() == 0


def test_many_refused_do_not_take_the_descriptors_of_the_admitted(start: StartServer, site: Path, mode: str) -> None:
    config = f'[server]\nmode = "{mode}"\nmax_clients = 2\noverflow = "refuse"\n[limits]\nlinger_s = 5.0\n'
    server = start(site, config=config, wrapper=("prlimit", "--nofile=80:80"))
    with ExitStack() as crowd, occupied_slot(server.port), occupied_slot(server.port):
        for _ in range(150):
            crowd.enter_context(connect(server.port))
        server.wait_for_line(r'"-" 503 ', count=100)


def test_deep_folders_and_many_threads(start: StartServer, tmp_path: Path) -> None:
    """Threads resolve paths at the same time; that must not take a descriptor for each level."""
    folder = tmp_path / "root" / "/".join("d" * 30)
    folder.mkdir(parents=True)
    (folder / "file.txt").write_text("deep")
    clients = 64
    limit = str(clients * 4 + 64)
    options = ("--mode", "threading", "--max-clients", str(clients))
    server = start(tmp_path / "root", *options, wrapper=("prlimit", f"--nofile={limit}:{limit}"))
    target = "/" + "/".join("d" * 30) + "/file.txt"
    for _ in range(5):
        socks = [connect(server.port) for _ in range(clients)]
        for sock in socks:
            sock.sendall(f"GET {target} HTTP/1.0\r\n\r\n".encode())
        for sock in socks:
            assert read_all(sock).endswith(b"\r\n\r\ndeep")
            sock.close()
