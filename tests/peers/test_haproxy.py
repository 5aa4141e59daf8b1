"""HAProxy in front of three servers, each in a different mode: restarts, a kill, and clients in their logs."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import WAIT_S, ServerProcess, eventually
from tests.support.tools import tool
from tests.support.wire import accepts, fields, free_port, read_exactly, read_head

CONF = Path(__file__).parents[2] / "conf" / "haproxy" / "haproxy.cfg"
NAMES = {"one": "select", "two": "prefork", "three": "threading"}
SMALL = b"small"
LARGE = 64 * 1024 * 1024
CLIENT = "127.0.0.5"
AT_ONCE = 4
BEFORE_EACH = 50  # responses, so that there is load at each step


class Cluster:
    """HAProxy with conf/haproxy/haproxy.cfg, and its three servers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "root"
        self.root.mkdir()
        (self.root / "small.txt").write_bytes(SMALL)
        with open(self.root / "large.bin", "wb") as file:
            file.truncate(LARGE)
        self.port = free_port()
        self.ports = {name: free_port() for name in NAMES}
        self.servers: dict[str, ServerProcess] = {}
        self.ended: list[ServerProcess] = []
        for name in NAMES:
            self.begin(name)
        text = CONF.read_text().replace("bind :80\n", f"bind 127.0.0.1:{self.port}\n")
        for number, name in enumerate(NAMES, 8081):
            text = text.replace(f"127.0.0.1:{number}\n", f"127.0.0.1:{self.ports[name]}\n")
        (folder / "haproxy.cfg").write_text(text)
        self.balancer = subprocess.Popen([tool("haproxy", "haproxy"), "-db", "-q", "-f", str(folder / "haproxy.cfg")])
        eventually(lambda: accepts(self.port), "HAProxy listens")

    def begin(self, name: str) -> None:
        file = self.folder / f"{name}.toml"
        file.write_text(
            f'[server]\nmode = "{NAMES[name]}"\nworkers = 2\nproduct = "{name}"\n'
            f'listen = ["127.0.0.1:{self.ports[name]}"]\n[site]\nroot = "{self.root}"\n'
            '[proxies]\ntrusted = ["127.0.0.1"]\n'
        )
        self.servers[name] = ServerProcess(["-c", str(file)])

    def restart(self, name: str) -> None:
        old = self.servers[name]
        assert old.stop() == 0
        self.ended.append(old)
        self.begin(name)
        self.wait_until_used(name)

    def wait_until_used(self, name: str) -> None:
        """Wait until HAProxy has checked the server's health and uses it."""
        server = self.servers[name]
        server.wait_for_line('"GET /small.txt')

    def connect(self) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.port), WAIT_S, source_address=(CLIENT, 0))
        sock.settimeout(WAIT_S)
        return sock

    def close(self) -> None:
        self.balancer.terminate()
        self.balancer.wait(WAIT_S)
        for server in self.servers.values():
            server.kill()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path)
    try:
        yield cluster
    finally:
        cluster.close()


class Load:
    """Clients that send requests, each on a new connection or on a persistent one."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.answers: list[str] = []
        self.failures: list[str] = []
        self.cut_short: list[str] = []  # servers whose response ended after its head
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(bool(n % 2),)) for n in range(AT_ONCE)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def wait_for_some(self) -> None:
        goal = len(self.answers) + BEFORE_EACH
        eventually(lambda: len(self.answers) >= goal or bool(self.failures), "there are answers")

    def _ask(self, keep: bool) -> None:
        request = b"GET /small.txt HTTP/1.1\r\nHost: h\r\n" + (b"" if keep else b"Connection: close\r\n") + b"\r\n"
        while not self._over.is_set():
            server = None
            try:
                with self.cluster.connect() as sock:
                    for _ in range(20 if keep else 1):
                        sock.sendall(request)
                        server = None
                        head, body = read_head(sock)
                        server = fields(head)["server"]
                        body += read_exactly(sock, len(SMALL) - len(body))
                        if (head[8:13], body) != (b" 200 ", SMALL):
                            self.failures.append(f"{head!r} {body[:80]!r}")
                        self.answers.append(server)
            except (OSError, AssertionError, KeyError) as error:
                if server is None:
                    self.failures.append(repr(error))
                else:
                    self.cut_short.append(server)


def test_restarted_one_by_one(cluster: Cluster) -> None:
    """No request fails, and each of the three servers has responded."""
    with Load(cluster) as load:
        for name in NAMES:
            load.wait_for_some()
            cluster.restart(name)
        load.wait_for_some()
    assert load.failures == load.cut_short == []
    assert set(load.answers) == set(NAMES)
    for server in cluster.servers.values():
        server.assert_clean_end()
    written = 0
    for server in (*cluster.ended, *cluster.servers.values()):
        lines = [line for line in server.access_lines() if "/small.txt" in line]
        assert {line.split()[0] for line in lines} == {CLIENT}
        written += len(lines)
    assert written == len(load.answers)


LIES = [
    "Forwarded: for=198.51.100.1",
    'Forwarded: for="x',
    "X-Forwarded-For: 198.51.100.1",
    "X-Forwarded-For: 198.51.100.1,",
    "X-Forwarded-For:",
    "Connection: X-Forwarded-For\r\nX-Forwarded-For: 198.51.100.1",
    "X-Real-IP: 198.51.100.1",
    "PROXY: TCP4 198.51.100.1 127.0.0.1 1 2",
]


def test_clients_cannot_choose_their_address(cluster: Cluster) -> None:
    for number, lie in enumerate(LIES):
        for version in ("1.0", "1.1"):
            with cluster.connect() as sock:
                head = f"GET /small.txt?{number} HTTP/{version}\r\nHost: h\r\nConnection: close\r\n{lie}\r\n\r\n"
                sock.sendall(head.encode())
                answer, _ = read_head(sock)
                assert answer.split()[1] == b"200"
            server = cluster.servers[fields(answer)["server"]]
            server.wait_for_line(rf'^{re.escape(CLIENT)} - .*"GET /small\.txt\?{number} HTTP/1\.[01]" 200 ')
    for server in cluster.servers.values():
        hosts = {line.split()[0] for line in server.access_lines() if "/small.txt?" in line}
        assert hosts <= {CLIENT}


@pytest.mark.parametrize("name", NAMES)
def test_one_is_killed(cluster: Cluster, name: str) -> None:
    """Only the responses that it was sending are lost."""
    begun = []
    for _ in range(6):
        sock = cluster.connect()
        sock.sendall(b"GET /large.bin HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        head, rest = read_head(sock)
        match = re.search(rb"\r\nserver: (\w+)\r\n", head, re.IGNORECASE)
        assert match is not None
        begun.append((sock, match[1].decode(), len(rest)))
    assert {server for _, server, _ in begun} == set(NAMES)
    with Load(cluster) as load:
        load.wait_for_some()
        cluster.servers[name].kill()
        load.wait_for_some()
        load.wait_for_some()
    for sock, server, received in begun:
        with sock:
            try:
                while data := sock.recv(1 << 20):
                    received += len(data)
            except ConnectionError:
                assert server == name
        assert (received == LARGE) == (server != name)
    assert load.failures == []
    assert set(load.cut_short) <= {name}, "only open connections of the killed server"
    for other, server in cluster.servers.items():
        if other != name:
            assert server.stop(signal.SIGTERM) == 0
