"""Silent, slow or stalled clients: waits for them are bounded, and other clients are not affected."""

from __future__ import annotations

import select
import socket
from pathlib import Path

import pytest

from httpmini.lint.cases.site_tree import BIG
from httpmini.server.modes import MODES
from tests.conftest import StartServer
from tests.support.wire import WAIT_S, connect, get, read_all, read_answer, read_head

KEEP = b"GET /ten.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"


def _limits(mode: str, **limits: float) -> str:
    lines = "\n".join(f"{name} = {value}" for name, value in limits.items())
    return f'[server]\nmode = "{mode}"\n[limits]\n{lines}\n'


def _stalled_reader(port: int) -> socket.socket:
    """Return a client that requests 3 MiB and reads nothing."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(WAIT_S)
    sock.connect(("127.0.0.1", port))
    sock.sendall(b"GET /big.bin HTTP/1.0\r\n\r\n")
    select.select([sock], [], [], WAIT_S)  # the response has begun
    return sock


def test_silent_connections_block_no_client(start: StartServer, site: Path, mode: str) -> None:
    server = start(site, "--mode", mode)
    silent = [connect(server.port) for _ in range(20)]
    for sock in silent[10:]:
        sock.sendall(b"GET /ten.txt HT")
    for _ in range(3):
        assert get(server.port, "/ten.txt")[0] == 200
    for sock in silent[10:]:
        sock.sendall(b"TP/1.0\r\n\r\n")
        assert read_all(sock).endswith(b"0123456789")
    for sock in silent:
        sock.close()


def test_a_slow_head_gets_408(start: StartServer, site: Path, mode: str) -> None:
    server = start(site, config=_limits(mode, head_s=0.4))
    with connect(server.port) as sock:
        sock.sendall(b"GET /ten.txt HTTP/1.0\r\nX: ")
        answer = read_all(sock)
    assert answer.startswith(b"HTTP/1.0 408 ")
    assert b"head-slow" in answer
    server.wait_for_line(r'"GET /ten.txt HTTP/1.0" 408 ')


def test_trickling_does_not_extend_the_time_for_a_head(start: StartServer, site: Path, mode: str) -> None:
    server = start(site, config=_limits(mode, head_s=0.4))
    with connect(server.port) as sock:
        sock.sendall(b"GET / HTTP/1.0\r\n")
        while not select.select([sock], [], [], 0.02)[0]:
            sock.sendall(b"X: y\r\n")
        assert read_all(sock).startswith((b"HTTP/1.0 408 ", b"HTTP/1.0 431 "))
    server.wait_for_line(r'" 408 ')


@pytest.mark.parametrize("first", [b"", KEEP])
def test_an_idle_connection_is_closed_without_a_response(
    start: StartServer, site: Path, mode: str, first: bytes
) -> None:
    server = start(site, config=_limits(mode, idle_s=1.0))
    with connect(server.port) as sock:
        if first:
            sock.sendall(first)
            assert read_answer(sock)[0] == 200
        assert sock.recv(100) == b""
    server.stop()  # then all of its lines have come
    assert len(server.access_lines()) == bool(first)


# In iterative mode it does, by design; the next test shows how that ends.
@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "iterative"])
def test_a_slow_reader_delays_no_client(start: StartServer, site: Path, mode: str) -> None:
    server = start(site, "--mode", mode)
    with _stalled_reader(server.port) as slow:
        for _ in range(3):
            assert get(server.port, "/ten.txt")[0] == 200
        assert read_all(slow).endswith(BIG[-1000:])


def test_a_stalled_reader_is_cut_off(start: StartServer, site: Path, mode: str) -> None:
    server = start(site, config=_limits(mode, send_stall_s=0.4))
    with _stalled_reader(server.port) as slow:
        assert get(server.port, "/ten.txt")[0] == 200  # at once; in iterative mode, after the stalled one is cut off
        server.wait_for_line(r'"GET /big.bin HTTP/1.0" 200 ')
        with pytest.raises(ConnectionResetError):  # not an end that could pass for a complete response
            read_all(slow)
    line = next(line for line in server.access_lines() if "/big.bin" in line)
    assert int(line.split('" 200 ')[1].split()[0]) < len(BIG)


def test_a_slow_reader_is_not_cut_off(start: StartServer, site: Path, mode: str) -> None:
    """This reader is too slow to make room in the kernel's buffer within the limit."""
    server = start(site, config=_limits(mode, send_stall_s=1.0, linger_s=1.0))
    with _stalled_reader(server.port) as slow:
        _, body = read_head(slow)
        received = len(body)
        for _ in range(60):
            received += len(slow.recv(2_000))
            select.select([], [], [], 0.04)
        received += len(read_all(slow))
    assert received == len(BIG)


def test_waiting_for_a_slow_client_costs_no_timeout(start: StartServer, site: Path) -> None:
    """In iterative mode, timeouts of waiting clients must not expire while another client is served."""
    server = start(site, config=_limits("iterative", send_stall_s=1.0, idle_s=600.0))
    with connect(server.port) as waiting, _stalled_reader(server.port) as slow:
        waiting.sendall(b"GET /big.bin HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        for _ in range(40):
            slow.recv(20_000)
            select.select([], [], [], 0.04)
        read_all(slow)
        for _ in range(2):
            assert read_answer(waiting)[2] == BIG
            waiting.sendall(b"GET /big.bin HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert read_answer(waiting)[2] == BIG


@pytest.mark.parametrize(
    "request_head",
    [
        b"GET /big.bin\r\n",
        b"GET /big.bin HTTP/1.0\r\n\r\n",
        b"GET /big.bin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /big.bin HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_a_stray_byte_does_not_cost_the_response(
    start: StartServer, site: Path, mode: str, request_head: bytes
) -> None:
    """A second Enter in ``nc`` while the response is in the kernel's buffers: a close would turn it into a reset."""
    server = start(site, "--mode", mode)
    with connect(server.port) as sock:
        sock.sendall(request_head)
        first = sock.recv(1000)
        sock.sendall(b"\r\n")
        assert (first + read_all(sock)).endswith(BIG)


def test_a_half_closing_client_gets_its_whole_response(start: StartServer, site: Path, mode: str) -> None:
    server = start(site, "--mode", mode)
    with connect(server.port) as sock:
        sock.sendall(b"GET /big.bin HTTP/1.0\r\n\r\n")
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock).endswith(BIG)


def test_a_client_that_vanishes_is_one_log_line(start: StartServer, site: Path, mode: str) -> None:
    server = start(site, "--mode", mode)
    sock = _stalled_reader(server.port)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()  # a reset, as a browser does when a video is closed
    server.wait_for_line(r'"GET /big.bin HTTP/1.0" 200 ')
    assert get(server.port, "/ten.txt")[0] == 200
    server.wait_for_line(r'"GET /ten.txt HTTP/1.0" 200 10 ')
    assert len(server.access_lines()) == 2


def test_lingering_close_lets_a_sending_client_read_the_refusal(start: StartServer, site: Path, mode: str) -> None:
    server = start(site, "--mode", mode)
    with connect(server.port) as sock:
        sock.sendall(b"POST /ten.txt HTTP/1.0\r\nContent-Length: 3000000\r\n\r\n")
        for _ in range(30):
            sock.sendall(b"x" * 100_000)
        assert read_all(sock).startswith(b"HTTP/1.0 405 ")
