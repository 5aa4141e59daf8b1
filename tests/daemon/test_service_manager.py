"""Notifications for a service manager, and sockets inherited from it: sd_notify(3), systemd-socket-activate(1)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import StartServer
from tests.support.processes import WAIT_S, ServerProcess, eventually
from tests.support.tools import tool
from tests.support.wire import accepts, connect, free_port, get, read_all, read_head


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "small.txt").write_bytes(b"small")
    with open(folder / "large.bin", "wb") as file:
        file.truncate(64 * 1024 * 1024)
    return folder


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The socket that receives the notifications."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(WAIT_S)
        sock.bind(str(tmp_path / "notify"))
        yield sock


def heard(manager: socket.socket) -> dict[str, str]:
    return dict(line.split("=", 1) for line in manager.recv(4096).decode().splitlines())


def test_each_step_is_reported(start: StartServer, root: Path, mode: str, manager: socket.socket) -> None:
    wrapper = ("env", f"NOTIFY_SOCKET={manager.getsockname()}")
    config = f'[server]\nmode = "{mode}"\n'
    server = start(root, config=config, wrapper=wrapper)
    title = f"serving {root}, mode {mode}"
    assert heard(manager) == {"READY": "1", "STATUS": title}

    server.process.send_signal(signal.SIGHUP)
    said = heard(manager)
    assert said["RELOADING"] == "1"
    assert int(said["MONOTONIC_USEC"]) > 0
    assert heard(manager) == {"READY": "1", "STATUS": title}

    file = next(root.parent.glob("config-*.toml"))
    file.write_text("[limits]\nidle_s = -1\n")  # refused: the server is as ready as before
    server.process.send_signal(signal.SIGHUP)
    assert heard(manager)["RELOADING"] == "1"
    assert heard(manager) == {"READY": "1", "STATUS": title}

    with connect(server.port) as client:
        client.sendall(b"GET /large.bin HTTP/1.0\r\n\r\n")
        read_head(client)
        server.process.send_signal(signal.SIGTERM)
        assert heard(manager) == {"STOPPING": "1", "STATUS": "finishing what is being sent"}


def test_the_name_may_be_abstract(start: StartServer, root: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(WAIT_S)
        sock.bind(f"\0httpmini-test-{os.getpid()}")
        start(root, wrapper=("env", f"NOTIFY_SOCKET=@httpmini-test-{os.getpid()}"))
        assert heard(sock)["READY"] == "1"


@pytest.mark.parametrize("place", ["nowhere", "/nowhere/at/all", "", "vsock:1:2"])
def test_without_a_service_manager(start: StartServer, root: Path, place: str) -> None:
    server = start(root, wrapper=("env", f"NOTIFY_SOCKET={place}"))
    assert get(server.port, "/small.txt")[2] == b"small"


def test_the_watchdog_is_fed(start: StartServer, root: Path, mode: str, manager: socket.socket) -> None:
    """Both while nothing happens and during a long transfer."""
    wrapper = ("env", f"NOTIFY_SOCKET={manager.getsockname()}", "WATCHDOG_USEC=400000")
    server = start(root, "--mode", mode, wrapper=wrapper)
    while "READY" not in heard(manager):  # the workers may take longer to start than the first message
        pass
    for _ in range(3):
        assert heard(manager) == {"WATCHDOG": "1"}
    with connect(server.port) as client:
        client.sendall(b"GET /large.bin HTTP/1.0\r\n\r\n")
        read_head(client)
        for _ in range(5):
            assert heard(manager) == {"WATCHDOG": "1"}
            client.recv(65536)  # slow but alive


def test_the_watchdog_of_another_process(start: StartServer, root: Path, manager: socket.socket) -> None:
    wrapper = ("env", f"NOTIFY_SOCKET={manager.getsockname()}", "WATCHDOG_USEC=100000", "WATCHDOG_PID=1")
    server = start(root, wrapper=wrapper)
    assert heard(manager)["READY"] == "1"
    server.stop()
    assert heard(manager)["STOPPING"] == "1"


@pytest.mark.parametrize("micros", ["\u00b2", "\u0661\u0660", "many", "-1", "0", "9" * 5000])
def test_a_watchdog_time_that_is_none(start: StartServer, root: Path, manager: socket.socket, micros: str) -> None:
    server = start(root, wrapper=("env", f"NOTIFY_SOCKET={manager.getsockname()}", f"WATCHDOG_USEC={micros}"))
    assert heard(manager)["READY"] == "1"
    server.stop()
    assert heard(manager)["STOPPING"] == "1"


# Sockets that another program has opened.


def activate(names: list[str], *arguments: str, host: str = "127.0.0.1:") -> tuple[ServerProcess, list[int], bytes]:
    """Start the server through socket activation.

    Returns:
        The server, its ports, and what the client received whose connection started it.
    """
    ports = [free_port(host.rstrip(":")) for _ in names]
    listen = [word for port in ports for word in ("-l", f"{host}{port}")]
    environment = ("-E", "PYTHONPATH", "-E", "PYTHONDONTWRITEBYTECODE")
    wrapper = (tool("systemd-socket-activate", "systemd"), *listen, f"--fdname={':'.join(names)}", *environment)
    received: list[bytes] = []
    waker = threading.Thread(target=lambda: received.append(_wake(ports[0])))
    waker.start()
    try:
        return ServerProcess(arguments, wrapper), ports, _joined(waker, received)
    finally:
        waker.join()


def _joined(thread: threading.Thread, received: list[bytes]) -> bytes:
    thread.join()
    return received[0]


def _wake(port: int) -> bytes:
    eventually(lambda: accepts(port), "the port is open")
    with connect(port) as client:
        client.sendall(b"GET /small.txt HTTP/1.0\r\n\r\n")
        return read_all(client)


@pytest.fixture
def activated(root: Path) -> Iterator[list[ServerProcess]]:
    servers: list[ServerProcess] = []
    try:
        yield servers
        for server in servers:
            assert server.stop() == 0
    finally:
        for server in servers:
            server.kill()


def test_inherited_sockets_are_used(activated: list[ServerProcess], root: Path, mode: str) -> None:
    """All of them if the settings name none. A client that connected before the server ran is served too."""
    server, ports, received = activate(["one", "two"], str(root), "--mode", mode)
    activated.append(server)
    assert received.endswith(b"\r\n\r\nsmall")
    assert server.urls == [f"http://127.0.0.1:{port}/" for port in ports]
    for port in ports:
        assert get(port, "/small.txt")[2] == b"small"


def test_ipv4_clients_of_an_ipv6_socket(activated: list[ServerProcess], root: Path, mode: str) -> None:
    """As ListenStream=80 opens one: they have their IPv4 address, in the log and for address rules."""
    file = root.parent / "dual.toml"
    file.write_text(f'[server]\nmode = "{mode}"\ndeny = ["127.0.0.5"]\n[log]\nformat = "json"\n')
    server, (port,), received = activate(["web"], str(root), "-c", str(file), host="")
    activated.append(server)
    assert received.endswith(b"\r\n\r\nsmall")
    server.wait_for_line(r'"client":"127\.0\.0\.1",.*"status":200')
    with socket.create_connection(("127.0.0.1", port), WAIT_S, source_address=("127.0.0.5", 0)) as denied:
        denied.sendall(b"GET /small.txt HTTP/1.0\r\n\r\n")
        assert read_all(denied).startswith(b"HTTP/1.0 403 ")
    server.wait_for_line(r'"client":"127\.0\.0\.5",.*"status":403')
    with socket.create_connection(("::1", port), WAIT_S) as other:
        other.sendall(b"GET /small.txt HTTP/1.0\r\n\r\n")
        assert read_all(other).endswith(b"\r\n\r\nsmall")
    server.wait_for_line(r'"client":"::1",.*"status":200')


def test_sockets_are_chosen_by_name(activated: list[ServerProcess], root: Path, mode: str) -> None:
    file = root.parent / "named.toml"
    other = free_port()
    text = f'[server]\nmode = "{mode}"\nlisten = ["systemd:web"{{more}}]\n[status]\nlisten = ["systemd:admin"]\n'
    file.write_text(text.format(more=""))
    server, (web, admin), _ = activate(["web", "admin"], str(root), "-c", str(file))
    activated.append(server)
    assert get(web, "/small.txt")[0] == 200
    assert get(admin, "/small.txt")[0] == 404
    assert get(admin, "/-/health")[2] == b"ok\n"

    # A reload keeps them. A socket that is no longer used is not shut down, because its owner still has it.
    file.write_text(text.format(more=f', "127.0.0.1:{other}"'))
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_line(" reloaded: ")
    assert get(web, "/small.txt")[0] == get(other, "/small.txt")[0] == 200
    file.write_text(text.format(more=f', "127.0.0.1:{other}"').replace('"systemd:web", ', ""))
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_line(" reloaded: ", 2)
    with connect(web) as client:  # the client waits, as systemd intends
        client.sendall(b"GET /small.txt HTTP/1.0\r\n\r\n")
        file.write_text(text.format(more=""))
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_line(" reloaded: ", 3)
        assert read_all(client).endswith(b"\r\n\r\nsmall")


@pytest.mark.parametrize("given", [True, False])
def test_an_unknown_socket_name(root: Path, given: bool) -> None:
    file = root.parent / "named.toml"
    file.write_text('[server]\nlisten = ["systemd:wbe"]\n')
    arguments = [sys.executable, "-m", "httpmini", "serve", str(root), "-c", str(file)]
    port = free_port()
    if given:
        wrapper = [tool("systemd-socket-activate", "systemd"), "-l", f"127.0.0.1:{port}", "--fdname=web"]
        arguments = [*wrapper, "-E", "PYTHONPATH", *arguments]
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE)
    if given:
        eventually(lambda: accepts(port), "the port is open")
    _, errors = process.communicate(timeout=WAIT_S)
    known = '"systemd:web"' if given else "none at all"
    assert (process.returncode, f"it was given: {known}" in errors.decode()) == (1, True), errors


# Environments that lie about the sockets. A program that gives itself sockets, as systemd-socket-activate gives them.

GIVE = """
import os, socket, sys
from pathlib import Path
given, environment, arguments = eval(sys.argv[1]), eval(sys.argv[2]), sys.argv[3:]
kept = []
for number, kind in enumerate(given):
    if kind == "listener":
        one = socket.create_server(("127.0.0.1", 0))
    elif kind == "datagram":
        one = socket.socket(type=socket.SOCK_DGRAM)
    elif kind == "connection":
        one = socket.create_connection(kept[0].getsockname())
    else:
        one = open(os.devnull)
    kept.append(one)
for number, one in enumerate(kept):
    os.dup2(one.fileno(), 50 + number)
    one.close() if hasattr(one, "name") else one.detach()
os.closerange(3, 50)
for number in range(len(kept)):
    os.dup2(50 + number, 3 + number)
os.closerange(50, 60)
os.environ.update({"LISTEN_PID": str(os.getpid()), **environment})
os.execv(sys.executable, [sys.executable, "-m", "httpmini", "serve", *arguments])
"""
LIES = {
    "too many": (["listener"], {"LISTEN_FDS": "2"}, "LISTEN_FDS = 2, but descriptor 4 is not a socket"),
    "far too many": (["listener"], {"LISTEN_FDS": "999999999"}, "descriptor 4 is not a socket"),
    "none at all": ([], {"LISTEN_FDS": "1"}, "LISTEN_FDS = 1, but descriptor 3 is not a socket"),
    "a file": (["file"], {"LISTEN_FDS": "1"}, "descriptor 3 is not a socket"),
    "a datagram socket": (["datagram"], {"LISTEN_FDS": "1"}, "is not a listening TCP socket"),
    "a connection": (
        ["listener", "connection"],
        {"LISTEN_FDS": "2"},
        'the socket "unknown" that was given to this process is not a listening TCP socket',
    ),
    "a superscript": (["listener"], {"LISTEN_FDS": "\u00b2"}, 'LISTEN_FDS = "\u00b2" is not a number of sockets'),
    "digits of another script": (["listener"], {"LISTEN_FDS": "\u0661"}, "is not a number of sockets"),
    "a word": (["listener"], {"LISTEN_FDS": "one"}, 'LISTEN_FDS = "one" is not a number of sockets'),
    "below zero": (["listener"], {"LISTEN_FDS": "-1"}, 'LISTEN_FDS = "-1" is not a number of sockets'),
    "a very long number": (["listener"], {"LISTEN_FDS": "9" * 5000}, "is not a number of sockets"),
    "a name of other letters": (
        ["listener"],
        {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "k\u00e4se"},
        'LISTEN_FDNAMES: "k\u00e4se" is not a name of printable ASCII characters',
    ),
    "a name with a line end": (
        ["listener"],
        {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "a\nb"},
        'LISTEN_FDNAMES: "a\\x0ab" is not a name of printable ASCII characters',
    ),
}


def give(given: list[str], environment: dict[str, str], *arguments: str) -> tuple[str, ...]:
    return ("-c", GIVE, repr(given), repr(environment), *arguments)


@pytest.mark.parametrize("lie", LIES)
def test_an_environment_that_lies(root: Path, lie: str) -> None:
    given, environment, message = LIES[lie]
    command = [sys.executable, *give(given, environment, str(root))]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("httpmini: ")
    assert ended.stderr.count("\n") == 1
    assert message in ended.stderr


@pytest.mark.parametrize(
    ("environment", "listen"),
    [
        ({"LISTEN_FDS": "1", "LISTEN_FDNAMES": "my web"}, None),
        ({"LISTEN_FDS": "1", "LISTEN_FDNAMES": "my web"}, "systemd:my web"),
        ({"LISTEN_FDS": "1", "LISTEN_FDNAMES": ""}, "systemd:unknown"),
    ],
)
def test_names_that_systemd_allows(root: Path, environment: dict[str, str], listen: str | None) -> None:
    file = root.parent / "named.toml"
    file.write_text(f'site.root = "{root}"\n' + (f'[server]\nlisten = ["{listen}"]\n' if listen else ""))
    server = ServerProcess([], program=give(["listener"], environment, str(root), "-c", str(file)))
    try:
        assert get(server.port, "/small.txt")[2] == b"small"
        server.assert_clean_end()
    finally:
        server.kill()


@pytest.mark.parametrize("environment", [{"LISTEN_FDS": "1", "LISTEN_PID": "1"}, {"LISTEN_FDS": "0"}])
def test_sockets_for_another_process(root: Path, environment: dict[str, str]) -> None:
    server = ServerProcess([], program=give([], environment, str(root), "-p", "0"))
    try:
        assert get(server.port, "/small.txt")[2] == b"small"
        server.assert_clean_end()
    finally:
        server.kill()


def test_given_sockets_and_daemon(root: Path) -> None:
    """The sockets are meant for this process, and --daemon would go on without them in another."""
    command = [sys.executable, *give(["listener"], {"LISTEN_FDS": "1"}, str(root), "--daemon")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "sockets were given to this process (LISTEN_FDS), and --daemon goes on in another" in ended.stderr


def test_ctl_finds_a_server_whose_sockets_were_given(activated: list[ServerProcess], root: Path, mode: str) -> None:
    file = root.parent / "given.toml"
    file.write_text(f'[server]\nmode = "{mode}"\n[daemon]\npid_file = "given.pid"\n')
    server, (web,), _ = activate(["web"], str(root), "-c", str(file))
    activated.append(server)
    assert get(web, "/small.txt")[0] == 200
    command = [sys.executable, "-m", "httpmini", "ctl", "status", "-c", str(file)]
    asked = subprocess.run(command, capture_output=True, timeout=WAIT_S, check=False)
    assert (asked.returncode, b", process " in asked.stdout) == (0, True), asked.stderr
