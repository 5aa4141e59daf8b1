"""``kill -9`` of the main process: its ports are free at once, and its children end within ``drain_s``."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import StartServer
from tests.support.processes import ServerProcess, eventually, ports_listened_on, processes_of_session
from tests.support.wire import connect, free_port, read_all, read_answer, read_head

KEEP = b"GET /small.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
LARGE = 64 * 1024 * 1024
LONG_S = 600.0


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "small.txt").write_bytes(b"small")
    with open(folder / "large.bin", "wb") as file:
        file.truncate(LARGE)
    return folder


@pytest.fixture(params=["forking", "prefork"])
def mode(request: pytest.FixtureRequest) -> str:
    """The modes with processes that outlive a killed one."""
    return str(request.param)


def settings(mode: str, listen: list[str], drain_s: float = LONG_S, more: str = "") -> str:
    idle = f"[limits]\nidle_s = {LONG_S}\nsend_stall_s = {LONG_S}\ndrain_s = {drain_s}\n"
    return f'[server]\nmode = "{mode}"\nworkers = 2\nlisten = {listen}\n{idle}{more}'


def kill_master(server: ServerProcess) -> None:
    server.process.kill()
    server.process.wait()
    server.expected_status = -signal.SIGKILL


def begin_large(port: int) -> tuple[socket.socket, int]:
    sock = connect(port)
    sock.sendall(b"GET /large.bin HTTP/1.0\r\n\r\n")
    _, body = read_head(sock)
    return sock, len(body)


def reload(server: ServerProcess, file: Path, text: str) -> None:
    before = sum(" reloaded: " in line for line in server.lines)
    file.write_text(text)
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_line("(?<!not) reloaded: ", before + 1)


def no_process_is_left(server: ServerProcess) -> bool:
    return processes_of_session(server.pid) == []


def test_the_ports_are_free_at_once_and_transfers_end(start: StartServer, root: Path, mode: str) -> None:
    """While a child still sends: another server may begin, at the status listener's address too."""
    status = free_port()
    more = f'[status]\nlisten = ["127.0.0.1:{status}"]\n'
    server = start(root, config=settings(mode, ["127.0.0.1:0"], more=more))
    transfer, received = begin_large(server.port)
    with transfer, connect(server.port) as idle:
        idle.sendall(KEEP)
        read_answer(idle)
        kill_master(server)
        assert idle.recv(1) == b"", "a connection that is idle ends at once"
        eventually(lambda: _is_free(server.port), "the port is free")
        eventually(lambda: _is_free(status), "the status listener's port is free")
        assert not no_process_is_left(server), "a child is still sending"
        assert received + len(read_all(transfer)) == LARGE
    eventually(lambda: no_process_is_left(server), "no process is left")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen()
        except OSError:
            return False
    return True


@pytest.mark.parametrize("reloads", [0, 1, 3])
def test_children_end_within_the_time_to_drain(
    start: StartServer, root: Path, tmp_path: Path, mode: str, reloads: int
) -> None:
    """Those of earlier generations too, whose clients take nothing: they were draining already."""
    text = settings(mode, ["127.0.0.1:0"], drain_s=0.3)
    server = start(root, config=text)
    stuck = []
    for number in range(reloads + 1):
        if number:
            reload(server, tmp_path / "config-0.toml", text + f"# {number}\n")
        stuck.append(begin_large(server.port)[0])
    kill_master(server)
    eventually(lambda: no_process_is_left(server), "no process is left")
    for sock in stuck:
        with pytest.raises(ConnectionResetError):  # cut off, and visibly so
            read_all(sock)
        sock.close()


@pytest.fixture
def reloadable(root: Path, tmp_path: Path, mode: str) -> Iterator[ServerProcess]:
    """A server whose addresses are in its file alone."""
    file = tmp_path / "httpmini.toml"
    file.write_text(settings(mode, [f"127.0.0.1:{free_port()}"]))
    server = ServerProcess([str(root), "-c", str(file)])
    try:
        yield server
        server.assert_clean_end()
    finally:
        server.kill()


def test_children_hold_no_listener_that_they_do_not_serve(reloadable: ServerProcess, tmp_path: Path, mode: str) -> None:
    server, two, status = reloadable, free_port(), free_port()
    more = f'[status]\nlisten = ["127.0.0.1:{status}"]\n'
    reload(server, tmp_path / "httpmini.toml", settings(mode, [f"127.0.0.1:{two}"], more=more))
    with connect(two) as kept:
        kept.sendall(KEEP)
        read_answer(kept)
        served = {two} if mode == "prefork" else set()
        # A worker that has only just begun still closes what it inherited, and one from before the reload is leaving.
        eventually(
            lambda: set(map(frozenset, map(ports_listened_on, server.children()))) == {frozenset(served)},
            "each child holds the listeners that it serves, and no other",
        )
        eventually(lambda: ports_listened_on(server.pid) == {two, status}, "the master holds those it serves")


def _accepts(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


def test_a_unix_socket_can_be_taken_over_at_once(start: StartServer, root: Path, tmp_path: Path, mode: str) -> None:
    unix = str(tmp_path / "socket")
    listen = ["127.0.0.1:0", f"unix:{unix}"]
    first = start(root, config=settings(mode, listen))
    transfer, _ = begin_large(first.port)
    with transfer:
        kill_master(first)
        eventually(lambda: not _accepts(unix), "nobody listens any more")
        second = start(root, config=settings(mode, listen))
        assert _accepts(unix)
        assert second.stop() == 0
    eventually(lambda: no_process_is_left(first), "no process is left")
