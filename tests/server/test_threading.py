"""Threading mode: threads that serve one client after the other, and end when there is none."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.conftest import StartServer
from tests.support.processes import eventually
from tests.support.tools import tool
from tests.support.wire import connect, get, read_all

REQUEST = b"GET /a.txt HTTP/1.0\r\n\r\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "a.txt").write_text("a")
    return tmp_path


def test_a_thread_serves_the_next_client_too(start: StartServer, root: Path) -> None:
    server = start(root, "--mode", "threading")
    before = server.threads()
    for _ in range(20):
        with connect(server.port) as held, connect(server.port) as other:
            for sock in (held, other):
                sock.sendall(REQUEST)
            for sock in (held, other):
                assert read_all(sock).endswith(b"\r\n\r\na")
    assert server.threads() < before + 20, "40 clients, of whom two were there at once"
    eventually(lambda: server.threads() == before, "threads without a client have ended")


def test_threads_that_wait_do_not_hold_up_a_stop(start: StartServer, root: Path) -> None:
    server = start(root, "--mode", "threading")
    with connect(server.port) as sock:
        sock.sendall(REQUEST)
        assert read_all(sock).endswith(b"\r\n\r\na")
    server.process.send_signal(signal.SIGTERM)
    assert server.wait() == 0


def test_a_thread_that_cannot_be_started_costs_that_client_a_503(
    start: StartServer, root: Path, tmp_path: Path
) -> None:
    strace = tool("strace", "strace")
    inject = ("-e", "inject=clone3:error=ENOSYS", "-e", "inject=clone:error=EAGAIN:when=1")  # the second is tried then
    wrapper = (strace, "-o", str(tmp_path / "trace"), "-e", "trace=clone,clone3", *inject)
    server = start(root, "--mode", "threading", wrapper=wrapper)
    status, fields, body = get(server.port, "/a.txt")
    assert (status, fields["retry-after"]) == (503, "1")
    assert b"out-of-resources" in body
    server.wait_for_line("error: cannot start a thread: can't start new thread; a client was refused")
    assert get(server.port, "/a.txt")[2] == b"a"
    os.kill(server.children()[0], signal.SIGTERM)  # strace itself does not pass signals on
    assert server.wait() == 0
