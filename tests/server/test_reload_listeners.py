"""Reloads that name listeners in another way: they are compared by what they are bound to."""

from __future__ import annotations

import os
import signal
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.processes import ServerProcess
from tests.support.wire import WAIT_S, accepts, connect, free_port, get, read_all

REQUEST = b"GET /small.txt HTTP/1.0\r\n\r\n"


class Reloaded:
    """A server whose addresses are in its file alone."""

    def __init__(self, folder: Path, mode: str, listen: list[str], more: str) -> None:
        self.root = folder / "root"
        self.root.mkdir()
        (self.root / "small.txt").write_bytes(b"small")
        self.file = folder / "httpmini.toml"
        self.mode = mode
        self._write(listen, more)
        self.server = ServerProcess([str(self.root), "-c", str(self.file)])

    def _write(self, listen: list[str], more: str) -> None:
        server = f'[server]\nmode = "{self.mode}"\nworkers = 2\nlisten = {listen}\n'
        self.file.write_text(f"{server}{more}\n")

    def reload(self, listen: list[str], more: str = "", expected: str = "(?<!not) reloaded: ") -> str:
        seen = sum("reloaded: " in line for line in self.server.lines)
        self._write(listen, more)
        self.server.process.send_signal(signal.SIGHUP)
        self.server.wait_for_line("reloaded: ", seen + 1)
        return self.server.wait_for_line(expected)


Begin = Callable[..., Reloaded]


@pytest.fixture
def begin(tmp_path: Path, mode: str) -> Iterator[Begin]:
    """Return a function that starts a server at some addresses; it must end cleanly."""
    begun: list[Reloaded] = []

    def begin_server(listen: list[str], more: str = "") -> Reloaded:
        begun.append(Reloaded(tmp_path, mode, listen, more))
        return begun[-1]

    try:
        yield begin_server
        for one in begun:
            one.server.assert_clean_end()
    finally:
        for one in begun:
            one.server.kill()


STEPS = [  # P stands for the port
    (["127.0.0.1:P"], ["*:P"], ["127.0.0.1", "127.0.0.2", "::1"]),
    (["*:P"], [":P"], ["127.0.0.1", "127.0.0.2", "::1"]),
    (["*:P"], ["127.0.0.1:P"], ["127.0.0.1"]),
    (["0.0.0.0:P"], ["*:P"], ["127.0.0.1", "127.0.0.2", "::1"]),
    (["*:P"], ["0.0.0.0:P", "[::]:P"], ["127.0.0.1", "::1"]),
    (["127.0.0.1:P", "127.0.0.2:P"], ["0.0.0.0:P"], ["127.0.0.1", "127.0.0.2", "127.0.0.3"]),
    (["[::1]:P"], ["[0:0:0:0:0:0:0:1]:P"], ["::1"]),
    (["127.0.0.1:P", "[::1]:P"], ["[::1]:P", "127.0.0.1:P"], ["127.0.0.1", "::1"]),
    (["127.0.0.1:P"], ["localhost:P"], ["127.0.0.1"]),
    (["127.0.0.2:P"], ["127.0.0.1:P"], ["127.0.0.1"]),
]
OTHERS = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "::1"]


def ask(host: str, port: int) -> bytes:
    with socket.create_connection((host, port), WAIT_S) as sock:
        sock.sendall(REQUEST)
        return read_all(sock)


def is_open(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), WAIT_S).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize(("before", "after", "hosts"), STEPS, ids=[f"{a} to {b}" for a, b, _ in STEPS])
def test_another_spelling_or_more_addresses(
    begin: Begin, before: list[str], after: list[str], hosts: list[str]
) -> None:
    """Taken by a reload, and by another one back."""
    port = free_port()
    first, second = ([where.replace("P", str(port)) for where in listen] for listen in (before, after))
    running = begin(first)
    running.reload(second)
    for host in hosts:
        assert ask(host, port).endswith(b"small")
    served = {host for host in OTHERS if is_open(host, port)}
    running.reload(first)
    running.reload(second)
    assert {host for host in OTHERS if is_open(host, port)} == served >= set(hosts)
    assert running.server.errors == ""


def test_an_address_moves_to_the_status_listener_and_back(begin: Begin) -> None:
    one, two = free_port(), free_port()
    first = [f"127.0.0.1:{one}"], f'[status]\nlisten = ["127.0.0.1:{two}"]'
    second = [f"127.0.0.1:{two}"], f'[status]\nlisten = ["127.0.0.1:{one}"]'
    running = begin(*first)
    for step, (site, status) in ((second, (two, one)), (first, (one, two))):
        running.reload(*step)
        assert get(site, "/small.txt")[2] == b"small"
        assert get(status, "/-/health")[2] == b"ok\n"
        assert get(status, "/small.txt")[0] == 404


def test_a_port_that_the_system_chose_is_kept_in_any_spelling(begin: Begin) -> None:
    running = begin(["127.0.0.1:0"])
    port = running.server.port
    other = free_port()
    running.reload([f"127.0.0.1:{other}", "127.0.0.1:0"])
    assert (get(port, "/small.txt")[0], get(other, "/small.txt")[0]) == (200, 200)
    running.reload([f"127.0.0.1:{port}"])
    assert (get(port, "/small.txt")[0], accepts(other)) == (200, False)


def test_a_port_of_another_program_is_still_refused(begin: Begin) -> None:
    with socket.create_server(("127.0.0.2", 0)) as other:
        port = other.getsockname()[1]
        running = begin([f"127.0.0.1:{port}"])
        line = running.reload([f"0.0.0.0:{port}"], expected="not reloaded: ")
        assert "Address already in use" in line
        assert get(port, "/small.txt")[0] == 200
        with pytest.raises(OSError, match="Address already in use"):  # and no other may join us
            socket.create_server(("127.0.0.1", port))


def test_no_client_is_refused_while_one_address_becomes_all(begin: Begin) -> None:
    port = free_port()
    running = begin([f"127.0.0.1:{port}"])
    wrong: list[str] = []
    over = threading.Event()

    def keep_asking() -> None:
        while not over.is_set():
            try:
                if get(port, "/small.txt")[2] != b"small":
                    wrong.append("another response")
            except OSError as error:
                wrong.append(str(error))

    threads = [threading.Thread(target=keep_asking) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            running.reload([f"*:{port}"])
            running.reload([f":{port}", f"127.0.0.1:{free_port()}"])
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert wrong == []


# Unix sockets.


def ask_unix(path: Path) -> bytes:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(WAIT_S)
        sock.connect(str(path))
        sock.sendall(REQUEST)
        return read_all(sock)


def identity(path: Path) -> int:
    return path.lstat().st_ino


def test_another_spelling_of_a_unix_socket(begin: Begin, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "run")
    path = tmp_path / "run" / "socket"
    running = begin([f"unix:{path}"])
    before = identity(path)
    for spelled in (f"{tmp_path}/run/./socket", f"{tmp_path}//run/socket", f"{tmp_path}/link/socket", str(path)):
        running.reload([f"unix:{spelled}"])
        assert ask_unix(path).endswith(b"small")
        assert identity(path) == before


def test_a_removed_socket_file_is_made_again(begin: Begin, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    running = begin([f"unix:{path}"])
    for _ in range(2):
        path.unlink()
        running.reload([f"unix:{path}"])
        assert ask_unix(path).endswith(b"small")


def test_the_mode_of_a_socket_follows_the_settings(begin: Begin, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    running = begin([f"unix:{path}"])
    for mode in ("600", "0666", "0640"):
        running.reload([f"unix:{path}"], f'socket_mode = "{mode}"')
        assert stat.S_IMODE(path.lstat().st_mode) == int(mode, 8)
        assert ask_unix(path).endswith(b"small")
        assert [entry.name for entry in tmp_path.iterdir() if entry.is_socket()] == ["socket"]


def test_a_reload_that_fails_leaves_the_old_socket(begin: Begin, tmp_path: Path) -> None:
    """Also one that fails after the new socket was made."""
    path = tmp_path / "socket"
    running = begin([f"unix:{path}"])
    before = identity(path), path.lstat().st_mode
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f'socket_mode = "600"\n[status]\nlisten = ["127.0.0.1:{other.getsockname()[1]}"]'
        running.reload([f"unix:{path}"], taken, expected="not reloaded: ")
    assert (identity(path), path.lstat().st_mode) == before
    assert ask_unix(path).endswith(b"small")
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_socket()] == ["socket"]


def test_a_socket_of_another_program_is_left_alone(begin: Begin, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    running = begin([f"127.0.0.1:{free_port()}", f"unix:{path}"])
    path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        os.chmod(path, 0o600)
        line = running.reload([f"unix:{path}"], 'socket_mode = "0666"', expected="not reloaded: ")
        assert f"cannot listen on unix:{path}: " in line
        assert stat.S_IMODE(path.lstat().st_mode) == 0o600
        with connect(running.server.port) as sock:
            sock.sendall(REQUEST)
            assert read_all(sock).endswith(b"small")
    path.unlink()
