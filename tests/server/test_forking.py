"""Failures that only forking mode has: zombies, a failed fork, a dead child, descriptors inherited by children."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.conftest import StartServer
from tests.support.processes import eventually, open_files
from tests.support.tools import tool
from tests.support.wire import connect, get, read_all, read_answer

KEEP = b"GET /ten.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"


def test_no_zombies_even_without_new_connections(start: StartServer, site: Path) -> None:
    server = start(site, "--mode", "forking")
    for _ in range(30):
        assert get(server.port, "/ten.txt")[0] == 200
    eventually(lambda: server.states_of_children() == [], "all children are gone")


def test_a_child_for_each_client(start: StartServer, site: Path) -> None:
    server = start(site, "--mode", "forking")
    socks = [connect(server.port) for _ in range(3)]
    for sock in socks:
        sock.sendall(KEEP)
        assert read_answer(sock)[0] == 200
    assert len(server.children()) == 3
    for sock in socks:
        sock.close()


def test_a_failed_fork_costs_that_client_a_503(start: StartServer, site: Path, tmp_path: Path) -> None:
    strace = tool("strace", "strace")
    inject = "inject=clone,clone3,fork,vfork:error=EAGAIN:when=1"
    trace = ("-e", "trace=clone,clone3,fork,vfork", "-e", inject)
    server = start(site, "--mode", "forking", wrapper=(strace, "-o", str(tmp_path / "trace"), *trace))
    status, fields, body = get(server.port, "/ten.txt")
    assert (status, fields["retry-after"]) == (503, "1")
    assert b"out-of-resources" in body
    server.wait_for_line(r"error: cannot fork: Resource temporarily unavailable; a client was refused")
    assert get(server.port, "/ten.txt")[0] == 200
    os.kill(server.children()[0], signal.SIGTERM)  # strace itself does not pass signals on
    assert server.wait() == 0


def test_a_killed_child_costs_its_client_only(start: StartServer, site: Path) -> None:
    server = start(site, "--mode", "forking", "--max-clients", "1")
    with connect(server.port) as sock:
        sock.sendall(KEEP)
        assert read_answer(sock)[0] == 200
        os.kill(server.children()[0], signal.SIGKILL)
        assert read_all(sock) == b""
        client = "{}:{}".format(*sock.getsockname())
    assert get(server.port, "/ten.txt")[0] == 200
    server.wait_for_line(f"warning: the process of client {client} was killed by SIGKILL")


def test_children_hold_only_their_own_descriptors(start: StartServer, site: Path) -> None:
    """A copy of another client's socket would delay its end of file; one of a listener would hold the port."""
    server = start(site, "--mode", "forking")
    server.process.send_signal(signal.SIGSTOP)
    socks = [connect(server.port) for _ in range(8)]
    for sock in socks:
        sock.sendall(KEEP)
    server.process.send_signal(signal.SIGCONT)  # all eight are accepted in one turn
    for sock in socks:
        assert read_answer(sock)[0] == 200
    for child in server.children():
        links = open_files(child)
        assert sum(link.startswith("socket:") for link in links) == 1, links
        assert not any("eventpoll" in link for link in links), links
    for sock in socks:
        sock.close()


def test_descriptors_of_the_parent_do_not_grow(start: StartServer, site: Path) -> None:
    server = start(site, "--mode", "forking")
    get(server.port, "/ten.txt")
    before = server.descriptors()
    for _ in range(50):
        get(server.port, "/ten.txt")
    eventually(lambda: server.descriptors() == before, "as many descriptors as before")
