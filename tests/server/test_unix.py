"""Unix sockets: the same bytes through a path, whose permissions decide which clients may connect."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import StartServer
from tests.support.processes import WAIT_S, ServerProcess, eventually
from tests.support.tools import tool
from tests.support.wire import get, mask_date, read_all, read_answer

LARGE = 8 * 1024 * 1024


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "small.txt").write_bytes(b"small")
    (folder / "large.bin").write_bytes(os.urandom(LARGE))
    return folder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "socket"


def connect(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(WAIT_S)
    sock.connect(str(path))
    return sock


def settings(mode: str, path: Path, more: str = "") -> str:
    return f'[server]\nmode = "{mode}"\nworkers = 2\nlisten = ["unix:{path.name}", "127.0.0.1:0"]\n{more}'


@pytest.fixture
def begin(root: Path) -> Callable[[str], ServerProcess]:
    def start(text: str) -> ServerProcess:
        file = root.parent / "httpmini.toml"
        file.write_text(text)
        return ServerProcess([str(root), "-c", str(file)])

    return start


Begin = Callable[[str], ServerProcess]


def test_the_same_bytes(begin: Begin, root: Path, path: Path, mode: str) -> None:
    youngest = max(file.stat().st_ctime for file in root.iterdir())
    eventually(lambda: time.time() > youngest + 1.1, "the files are so old that their validators stay as they are")
    server = begin(settings(mode, path))
    try:
        assert f" at unix:{path}, http://127.0.0.1:" in server.banner
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        port = int(server.urls[0].rstrip("/").rpartition(":")[2])
        for target in ("small.txt", "large.bin", "missing", ""):
            request = f"GET /{target} HTTP/1.0\r\n\r\n".encode()
            with connect(path) as one, socket.create_connection(("127.0.0.1", port), WAIT_S) as other:
                answers = []
                for sock in (one, other):
                    sock.sendall(request)
                    answers.append(mask_date(read_all(sock)))
            assert answers[0] == answers[1]
        with connect(path) as sock:
            for _ in range(3):
                sock.sendall(b"GET /small.txt?kept HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                assert read_answer(sock)[2] == b"small"
        server.wait_for_line(r'^unix: - .*"GET /small\.txt\?kept HTTP/1\.0" 200 5', 3)
        curl = [tool("curl", "curl"), "-s", "--unix-socket", str(path), "http://localhost/small.txt"]
        assert subprocess.run(curl, capture_output=True, timeout=WAIT_S, check=True).stdout == b"small"
        server.assert_clean_end()
    finally:
        server.kill()
    assert not path.exists()
    assert sorted(os.listdir(path.parent)) == ["httpmini.toml", "root"]


def test_the_permissions_are_those_of_the_settings(begin: Begin, path: Path) -> None:
    server = begin(settings("select", path, 'socket_mode = "600"\n'))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert server.stop() == 0


def test_a_socket_without_a_listener_is_replaced(begin: Begin, path: Path, mode: str) -> None:
    server = begin(settings(mode, path))
    server.kill()
    assert path.exists()
    server = begin(settings(mode, path))
    with connect(path) as sock:
        sock.sendall(b"GET /small.txt HTTP/1.0\r\n\r\n")
        assert read_all(sock).endswith(b"small")
    server.assert_clean_end()
    assert not path.exists()


@pytest.mark.parametrize("what", ["another server", "a full queue", "a file", "a link to a socket"])
def test_other_files_are_left_alone(root: Path, path: Path, what: str) -> None:
    other = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    waiting = []
    if what == "a file":
        path.write_text("mine")
    elif what == "a link to a socket":
        other.bind(str(path) + "-far")
        path.symlink_to(str(path) + "-far")
    else:
        other.bind(str(path))
        other.listen(0)
        if what == "a full queue":
            waiting.append(connect(path))
    before = path.lstat()
    done = subprocess.run(
        [sys.executable, "-m", "httpmini", "serve", str(root), "-c", "/dev/stdin"],
        input=settings("select", path).replace(path.name, str(path)),
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert (done.returncode, f"cannot listen on unix:{path}: " in done.stderr) == (1, True), done.stderr
    after = path.lstat()
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
    for sock in (other, *waiting):
        sock.close()


def test_a_reload_adds_and_removes_it(begin: Begin, root: Path, path: Path, mode: str) -> None:
    file = root.parent / "httpmini.toml"
    server = begin(settings(mode, path))
    port = int(server.urls[0].rstrip("/").rpartition(":")[2])
    identity = path.stat().st_ino
    file.write_text(settings(mode, path, 'product = "new"\n'))
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_line("(?<!not) reloaded: ")
    assert path.stat().st_ino == identity
    with connect(path) as sock:
        sock.sendall(b"GET /small.txt HTTP/1.0\r\n\r\n")
        assert b"\r\nServer: new\r\n" in read_all(sock)
    file.write_text(settings(mode, path).replace(f'"unix:{path.name}", ', ""))
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_line("(?<!not) reloaded: ", 2)
    eventually(lambda: not path.exists(), "it is removed")
    assert get(port, "/small.txt")[0] == 200
    file.write_text(settings(mode, path))
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_line("(?<!not) reloaded: ", 3)
    with connect(path) as sock:
        sock.sendall(b"GET /small.txt HTTP/1.0\r\n\r\n")
        assert read_all(sock).endswith(b"small")
    server.assert_clean_end()


def test_a_proxy_may_connect_through_it(begin: Begin, path: Path, mode: str) -> None:
    """The client is then the one in its forwarding header; address rules apply to that one, not to the proxy."""
    server = begin(settings(mode, path, 'deny = ["192.0.2.0/24"]\n[proxies]\ntrusted = ["unix:"]\n'))
    for host, status in (("198.51.100.1", 200), ("192.0.2.7", 403)):
        with connect(path) as sock:
            sock.sendall(f"GET /small.txt HTTP/1.0\r\nX-Forwarded-For: {host}\r\n\r\n".encode())
            assert read_answer(sock)[0] == status
        server.wait_for_line(rf"^{host} - .* {status} ")
    server.assert_clean_end()


WRONG = {"no path": "unix:", "too long": "unix:/" + "a" * 100, "a null": "unix:/a\\u0000b"}


@pytest.mark.parametrize("entry", WRONG.values(), ids=WRONG)
def test_wrong_paths(root: Path, entry: str) -> None:
    file = root.parent / "wrong.toml"
    file.write_text(f'[server]\nlisten = ["{entry}"]\n')
    command = [sys.executable, "-m", "httpmini", "config", "check", "-c", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert (done.returncode, "server.listen" in done.stderr, "Traceback" in done.stderr) == (2, True, False)


def test_it_has_no_port(start: StartServer, root: Path) -> None:
    """--port applies to addresses only; a Unix socket alone is enough to serve."""
    file = root.parent / "httpmini.toml"
    file.write_text('[server]\nlisten = ["unix:only"]\n')
    server = ServerProcess([str(root), "-c", str(file), "--port", "8080"])
    with connect(root.parent / "only") as sock:
        sock.sendall(b"GET /small.txt HTTP/1.0\r\n\r\n")
        assert read_all(sock).endswith(b"small")
    server.assert_clean_end()
