"""Shutdown: responses in progress are finished, no new ones begin, and no process is left."""

from __future__ import annotations

import signal
import socket
import threading
from pathlib import Path

import pytest

from tests.conftest import StartServer
from tests.support.processes import eventually, processes_of_session
from tests.support.wire import WAIT_S, connect, get, read_all, read_answer, read_head

KEEP = b"GET /small.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
LARGE = 64 * 1024 * 1024


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "small.txt").write_bytes(b"small")
    with open(folder / "large.bin", "wb") as file:
        file.write(b"begin")
        file.truncate(LARGE - 3)
        file.seek(LARGE - 3)
        file.write(b"end")
    return folder


def _begin_large(port: int) -> tuple[socket.socket, int]:
    """Return a client in the middle of a transfer, and the number of bytes that it has received."""
    sock = connect(port)
    sock.sendall(b"GET /large.bin HTTP/1.0\r\n\r\n")
    _, body = read_head(sock)
    return sock, len(body)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_transfer_is_finished(start: StartServer, root: Path, mode: str, number: signal.Signals) -> None:
    server = start(root, "--mode", mode)
    sock, received = _begin_large(server.port)
    with sock:
        server.process.send_signal(number)
        rest = read_all(sock)
    assert received + len(rest) == LARGE
    assert rest.endswith(b"end")
    assert server.wait() == 0


def test_idle_connections_are_closed_at_once(start: StartServer, root: Path, mode: str) -> None:
    server = start(root, "--mode", mode, config="[limits]\nidle_s = 600.0\ndrain_s = 600.0\n")
    with connect(server.port) as silent, connect(server.port) as kept:
        silent.sendall(b"\r\n")  # begins no request, but makes the server accept
        kept.sendall(KEEP)
        assert read_answer(kept)[2] == b"small"
        server.process.send_signal(signal.SIGTERM)
        assert (kept.recv(1), silent.recv(1)) == (b"", b"")
        assert server.wait() == 0


def test_new_connections_are_refused(start: StartServer, root: Path, mode: str) -> None:
    server = start(root, "--mode", mode)
    with connect(server.port) as idle:
        idle.sendall(KEEP)
        read_answer(idle)
        sock, received = _begin_large(server.port)
        with sock:
            server.process.send_signal(signal.SIGTERM)
            rest = read_all(sock)
        assert received + len(rest) == LARGE
        assert idle.recv(1) == b""
    server.wait()
    with pytest.raises(ConnectionRefusedError):
        connect(server.port)


def test_draining_is_bounded(start: StartServer, root: Path, mode: str) -> None:
    server = start(root, "--mode", mode, config="[limits]\ndrain_s = 0.3\nsend_stall_s = 600.0\n")
    sock, _ = _begin_large(server.port)
    with sock:
        assert server.stop() == 0
        with pytest.raises(ConnectionResetError):  # cut off, and visibly so
            read_all(sock)
    server.wait_for_line(r'"GET /large.bin HTTP/1.0" 200 \d+ ')


def test_second_signal_ends_at_once(start: StartServer, root: Path, mode: str) -> None:
    server = start(root, "--mode", mode, config="[limits]\ndrain_s = 600.0\nsend_stall_s = 600.0\n")
    sock, _ = _begin_large(server.port)
    with sock:
        server.process.send_signal(signal.SIGINT)
        while server.process.poll() is None:  # the first may still be pending: signals of one kind do not queue
            server.process.send_signal(signal.SIGINT)
            threading.Event().wait(0.05)
    assert server.wait() == 0
    server.wait_for_line(r'"GET /large.bin HTTP/1.0" 200 \d+ ')


def test_a_long_drain_is_explained(start: StartServer, root: Path, mode: str) -> None:
    server = start(root, "--mode", mode)
    sock, received = _begin_large(server.port)
    with sock:
        server.process.send_signal(signal.SIGINT)
        server.wait_for_line("notice: stopping: 1 still being served, for 10 s at most; a second signal ends it now")
        received += len(read_all(sock))
    assert (server.wait(), received) == (0, LARGE)


def test_clients_in_the_backlog_are_still_served(start: StartServer, root: Path, mode: str) -> None:
    """Requests that are complete in the backlog when the signal comes get their responses."""
    server = start(root, "--mode", mode)
    server.process.send_signal(signal.SIGSTOP)
    socks = [connect(server.port) for _ in range(5)]
    for sock in socks:
        sock.sendall(b"GET /small.txt HTTP/1.0\r\n\r\n")
    server.process.send_signal(signal.SIGTERM)
    server.process.send_signal(signal.SIGCONT)
    for sock in socks:
        assert read_all(sock).endswith(b"\r\n\r\nsmall")
        sock.close()
    assert server.wait() == 0


def test_the_port_is_free_again_at_once(start: StartServer, root: Path, mode: str) -> None:
    """Connections of the first run that the server closed are in TIME_WAIT, and do not matter."""
    first = start(root, "--mode", mode)
    for _ in range(5):
        assert get(first.port, "/small.txt")[2] == b"small"
    port = first.port
    assert first.stop() == 0
    second = start(root, "--mode", mode, "--port", str(port))
    assert second.port == port
    assert get(port, "/small.txt")[2] == b"small"


def test_requests_during_shutdown_are_whole_or_refused(start: StartServer, root: Path, mode: str) -> None:
    server = start(root, "--mode", mode)
    wrong: list[bytes] = []
    answered = threading.Event()

    def ask() -> None:
        while True:
            try:
                with connect(server.port) as sock:
                    sock.sendall(b"GET /small.txt HTTP/1.0\r\n\r\n")
                    answer = read_all(sock)
            except ConnectionError:
                return  # refused, or left in the backlog
            if not answer.endswith(b"\r\n\r\nsmall"):
                wrong.append(answer)
                return
            answered.set()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert answered.wait(WAIT_S)
    status = server.stop()
    for thread in threads:
        thread.join()
    assert (status, [answer for answer in wrong if answer]) == (0, [])


def test_processes_end_with_their_killed_parent(root: Path, start: StartServer) -> None:
    """In forking mode, children notice that their parent is gone."""
    server = start(root, "--mode", "forking", config="[limits]\nidle_s = 600.0\n")
    with connect(server.port) as kept:
        kept.sendall(KEEP)
        read_answer(kept)
        assert len(server.children()) == 1
        server.process.kill()
        assert kept.recv(1) == b""
        server.wait()
    server.expected_status = -signal.SIGKILL
    eventually(lambda: processes_of_session(server.pid) == [], "no process is left")
