"""Reloads: the next request sees the new settings, and no connected client is cut off."""

from __future__ import annotations

import itertools
import os
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from httpmini.server.modes import MODES
from tests.conftest import StartServer
from tests.support.processes import ServerProcess, eventually
from tests.support.wire import accepts, connect, free_port, get, read_all, read_answer, read_head

LARGE = 64 * 1024 * 1024
FIRST_RELOADS = 5  # what is opened when it is first needed is open then
RELOADS = 100
KEEP = b"GET /small.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
IN_ONE_PROCESS = ("iterative", "select", "threading")


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


class Reloaded:
    """A server whose file can be changed."""

    def __init__(self, root: Path, text: str) -> None:
        self.file = root.parent / "httpmini.toml"
        self.file.write_text(text)
        self.server = ServerProcess([str(root), "-c", str(self.file)])

    def reload(self, text: str, expected: str = "reloaded: ") -> str:
        """Write ``text`` to the file, reload, and return the log line that contains ``expected``."""
        self.file.write_text(text)
        before = sum(f" {expected}" in line for line in self.server.lines)
        self.server.process.send_signal(signal.SIGHUP)
        return self.server.wait_for_line(f" {expected}", before + 1)


Begin = Callable[[str], Reloaded]


@pytest.fixture
def begin(root: Path) -> Iterator[Begin]:
    """Return a function that starts a server with settings; the server must end cleanly."""
    servers: list[ServerProcess] = []

    def begin_server(text: str) -> Reloaded:
        running = Reloaded(root, text)
        servers.append(running.server)
        return running

    try:
        yield begin_server
        for server in servers:
            server.assert_clean_end()
    finally:
        for server in servers:
            server.kill()


def settings(mode: str, product: str = "old", more: str = "", listen: tuple[int, ...] = (0,)) -> str:
    where = [f"127.0.0.1:{port}" for port in listen]
    return f'[server]\nmode = "{mode}"\nworkers = 2\nproduct = "{product}"\nlisten = {where}\n{more}'


def product(port: int) -> str:
    return get(port, "/small.txt")[1]["server"]


def begin_large(port: int) -> tuple[socket.socket, int]:
    """Return a client in the middle of a transfer, and the number of bytes that it has received."""
    sock = connect(port)
    sock.sendall(b"GET /large.bin HTTP/1.0\r\n\r\n")
    _, body = read_head(sock)
    return sock, len(body)


def test_the_next_request_sees_a_reload(begin: Begin, mode: str) -> None:
    running = begin(settings(mode))
    port = running.server.port
    assert product(port) == "old"
    line = running.reload(settings(mode, "new", "[limits]\nresponse_cache_bytes = 0\n"))
    assert 'server.product: "old" -> "new"; limits.response_cache_bytes: 67108864 -> 0' in line
    assert [product(port) for _ in range(5)] == ["new"] * 5


def test_an_open_connection_sees_a_reload(begin: Begin, mode: str) -> None:
    """It is served by the process that reads the file, or else is closed between two requests."""
    running = begin(settings(mode))
    with connect(running.server.port) as kept:
        kept.sendall(KEEP)
        assert read_answer(kept)[1]["server"] == "old"
        running.reload(settings(mode, "new"))
        if mode in IN_ONE_PROCESS:
            kept.sendall(KEEP)
            assert read_answer(kept)[1]["server"] == "new"
        else:
            assert kept.recv(1) == b""


@pytest.mark.parametrize(("old", "new"), list(itertools.product(MODES, MODES)))
def test_a_transfer_outlives_its_mode(begin: Begin, old: str, new: str) -> None:
    running = begin(settings(old, more="[limits]\ndrain_s = 0.05\n"))
    server = running.server
    sock, received = begin_large(server.port)
    with sock:
        if old == "iterative":  # it does nothing else until the transfer ends
            running.file.write_text(settings(new, "new"))
            server.process.send_signal(signal.SIGHUP)
            rest = read_all(sock)
            server.wait_for_line(" reloaded: ")
        else:
            running.reload(settings(new, "new"))
            assert product(server.port) == "new"
            rest = read_all(sock)
    assert received + len(rest) == LARGE
    assert rest.endswith(b"end")
    assert product(server.port) == "new"
    workers = 2 if new == "prefork" else 0
    eventually(lambda: len(server.children()) == workers, "nobody is left of the old mode")


def test_wrong_settings_change_nothing(begin: Begin, mode: str) -> None:
    running = begin(settings(mode))
    running.reload('[server]\nmode = "selct"\nmax_clients = 0\n', "not reloaded: ")
    running.server.wait_for_line(" not reloaded: ", 2)
    said = [line for line in running.server.lines if " not reloaded: " in line]
    assert [("server.mode" in line, "server.max_clients" in line) for line in said] == [(True, False), (False, True)]
    running.file.unlink()
    running.server.process.send_signal(signal.SIGHUP)
    running.server.wait_for_line(" not reloaded: .*cannot be read")
    os.mkfifo(running.file)  # to open it would wait for a writer
    running.server.process.send_signal(signal.SIGHUP)
    running.server.wait_for_line(" not reloaded: .*is not a regular file")
    running.file.unlink()
    assert product(running.server.port) == "old"
    running.reload(settings(mode, "new"))
    assert product(running.server.port) == "new"


class Load:
    """Clients that send requests, each on a new connection, and record what fails."""

    def __init__(self, port: int, clients: int = 4) -> None:
        self.answers, self.failures = 0, [""][:0]
        self._port, self._over = port, threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def wait_for_another(self) -> None:
        """Wait until one more request has had its response."""
        before = self.answers
        eventually(lambda: self.answers > before or bool(self.failures), "one more answer")

    def _ask(self) -> None:
        while not self._over.is_set():
            try:
                status, _, body = get(self._port, "/small.txt")
                if (status, body) != (200, b"small"):
                    self.failures.append(f"{status} {body!r}")
                self.answers += 1
            except (OSError, AssertionError, ValueError) as error:
                self.failures.append(repr(error))


def test_a_hundred_reloads_under_load(begin: Begin, mode: str) -> None:
    running = begin(settings(mode))
    with Load(running.server.port) as load:
        for number in range(FIRST_RELOADS):
            running.reload(settings(mode, f"q{number}"))
            load.wait_for_another()
    assert not load.failures
    before = running.server.descriptors()  # without load: during it, a moment without a client would count too few
    with Load(running.server.port) as load:
        for number in range(RELOADS):
            running.reload(settings(mode, f"p{number}"))
            load.wait_for_another()
    assert not load.failures
    eventually(lambda: running.server.descriptors() <= before, "no descriptor is lost by a reload")


def test_a_hundred_changes_of_mode_under_load(begin: Begin) -> None:
    running = begin(settings("select"))
    modes = itertools.cycle(
        ["prefork", "select", "forking", "threading", "iterative", "forking", "prefork", "threading"]
    )
    with Load(running.server.port) as load:
        for number, mode in zip(range(RELOADS), modes, strict=False):
            running.reload(settings(mode, f"p{number}"))
            load.wait_for_another()
    assert not load.failures
    running.reload(settings("select", "last"))
    eventually(lambda: not running.server.children(), "no process of the old modes is left")


def test_listeners_come_and_go(begin: Begin, mode: str) -> None:
    first, second = free_port(), free_port()
    running = begin(settings(mode, listen=(first,)))
    running.reload(settings(mode, "both", listen=(first, second)))
    assert (product(first), product(second)) == ("both", "both")
    running.reload(settings(mode, "second", listen=(second,)))
    assert product(second) == "second"
    eventually(lambda: not accepts(first), "a listener that is no longer in the file is closed")
    with socket.create_server(("127.0.0.1", first)):
        running.reload(settings(mode, "both", listen=(first, second)), "not reloaded: ")
        assert product(second) == "second"


def test_other_logs(begin: Begin, root: Path, mode: str) -> None:
    off = '[daemon]\nsandbox = "off"\n'  # it would allow only the folders known at the start
    running = begin(settings(mode, more=off))
    get(running.server.port, "/small.txt?before")
    log = root.parent / "access.log"
    running.reload(settings(mode, more=f'{off}[log]\naccess = "access.log"\n'))
    get(running.server.port, "/small.txt?after")
    eventually(lambda: log.exists() and "?after" in log.read_text(), "the new log has the line")
    assert "?before" not in log.read_text()
    running.server.wait_for_line(r"/small.txt\?before")


def test_a_new_max_clients_counts_connected_clients(begin: Begin) -> None:
    refuse = 'overflow = "refuse"\nmax_clients = '
    running = begin(settings("select", more=f"{refuse}3\n"))
    with connect(running.server.port) as one, connect(running.server.port) as two:
        for kept in (one, two):
            kept.sendall(KEEP)
            assert read_answer(kept)[0] == 200
        running.reload(settings("select", "less", f"{refuse}2\n"))
        assert get(running.server.port, "/small.txt")[0] == 503
        running.reload(settings("select", "more", f"{refuse}3\n"))
        assert get(running.server.port, "/small.txt")[0] == 200


def test_without_a_file_there_is_nothing_to_reload(start: StartServer, root: Path) -> None:
    server = start(root)
    server.process.send_signal(signal.SIGHUP)
    assert server.wait() == 0


def test_sigquit_ends_the_server_at_once(start: StartServer, root: Path, mode: str) -> None:
    server = start(root, "--mode", mode, config="[limits]\ndrain_s = 600.0\n")
    sock, received = begin_large(server.port)
    with sock:
        server.process.send_signal(signal.SIGQUIT)
        assert server.wait() == 0
        with pytest.raises(ConnectionResetError):
            received += len(read_all(sock))
    assert received < LARGE


def test_sigusr2_logs_the_state_of_every_client(start: StartServer, root: Path, mode: str) -> None:
    server = start(root, "--mode", mode)
    with connect(server.port) as kept:
        kept.sendall(KEEP)
        assert read_answer(kept)[0] == 200
        sent = kept.getsockname()[1]
        line = re.compile(rf"notice: client 127\.0\.0\.1:{sent}: READ, \d+ bytes sent, \d+\.\d s, process \d+$")

        def is_said() -> bool:
            server.process.send_signal(signal.SIGUSR2)
            return any(map(line.search, server.lines))

        eventually(is_said, "a line about the client")  # its response may come before it is counted as waiting


@pytest.mark.parametrize("new", ["prefork", "forking"])
def test_children_hold_no_sockets_of_threads(begin: Begin, new: str) -> None:
    """A thread's client sees end of file even if children were started while it was connected."""
    running = begin(settings("threading"))
    with connect(running.server.port) as old, connect(running.server.port) as later:
        old.sendall(KEEP)
        assert read_answer(old)[0] == 200
        running.reload(settings(new, "new"))
        later.sendall(KEEP)
        assert read_answer(later)[1]["server"] == "new"
        old.sendall(b"GET /small.txt HTTP/1.0\r\n\r\n")
        assert read_all(old).endswith(b"\r\n\r\nsmall")
