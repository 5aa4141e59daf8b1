"""nginx, Caddy, HAProxy and Varnish in front of a server, with the files that ``httpmini config example`` prints."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.processes import WAIT_S, ServerProcess, eventually, run_command
from tests.support.tools import tool
from tests.support.wire import accepts, free_port, read_all, read_answer

CLIENT = "127.0.0.5"
LARGE = 48 * 1024 * 1024
AT_ONCE = 3
AGAIN = 100  # requests in a row
BETWEEN = 20  # responses between two reloads


class Front:
    """A proxy, with what differs from others: how it is started, and how it is told of a changed file."""

    kind = ""

    def __init__(self, folder: Path, server: int) -> None:
        self.folder, self.server, self.port = folder, server, free_port()
        self.process = subprocess.Popen(self.command(), stderr=subprocess.DEVNULL, env=self.environment())
        try:
            eventually(lambda: accepts(self.port), "the proxy listens")
        except AssertionError:
            self.close()
            raise

    def example(self, listen: tuple[str, str], backends: str = "127.0.0.1:8080") -> str:
        """The printed file with ports that are free here, and the lines for a prefix in force."""
        status, output, errors = run_command("config", "example", "--for", self.kind)
        assert (status, errors) == (0, b"")
        text = output.decode()
        for old, new in (listen, (backends, backends.replace("8080", str(self.server)))):
            assert old in text, old
            text = text.replace(old, new)
        before, remark, after = text.partition("# For the same site below a prefix; httpmini need not know it.\n")
        assert remark, "nothing about a prefix"
        lines = re.match(r"(?:[\t ]*#.*\n)+", after)
        assert lines is not None
        return before + re.sub(r"^([\t ]*)#", r"\1", lines[0], flags=re.MULTILINE) + after[lines.end() :]

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def command(self) -> list[str]:
        raise NotImplementedError

    def reload(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(WAIT_S)


class Nginx(Front):
    kind = "nginx"

    def command(self) -> list[str]:
        (self.folder / "site.conf").write_text(self.example(("listen 80;", f"listen 127.0.0.1:{self.port};")))
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "".join(f"{kind}_temp_path {self.folder}/{kind};" for kind in kinds)
        (self.folder / "nginx.conf").write_text(
            f"daemon off; worker_processes 2; pid {self.folder}/pid; error_log {self.folder}/error.log;\n"
            f"events {{}}\nhttp {{ access_log off; {temporary} include {self.folder}/site.conf; }}\n"
        )
        arguments = [
            "-p",
            str(self.folder),
            "-e",
            str(self.folder / "error.log"),
            "-c",
            str(self.folder / "nginx.conf"),
        ]
        return [tool("nginx", "nginx-light"), *arguments]

    def reload(self) -> None:
        self.process.send_signal(signal.SIGHUP)


class Caddy(Front):
    kind = "caddy"

    def command(self) -> list[str]:
        text = self.example((":80 {", f":{self.port} {{\n\tbind 127.0.0.1"))
        self.file = self.folder / "Caddyfile"
        self.file.write_text(f"{{\n\tadmin unix/{self.folder}/admin\n}}\n{text}")
        return [tool("caddy", "caddy"), "run", "--adapter", "caddyfile", "--config", str(self.file)]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder), "GOMAXPROCS": "2"}

    def reload(self) -> None:
        arguments = ["reload", "--force", "--adapter", "caddyfile", "--config", str(self.file)]
        run(
            tool("caddy", "caddy"), *arguments, "--address", f"unix/{self.folder}/admin", environment=self.environment()
        )


class Haproxy(Front):
    kind = "haproxy"

    def command(self) -> list[str]:
        text = self.example(("bind :80\n", f"bind 127.0.0.1:{self.port}\n"), "127.0.0.1:8081")
        text = text.replace("127.0.0.1:8081", f"127.0.0.1:{self.server}")
        text = re.sub(r"    server (two|three) .*\n", "", text).replace("/run/haproxy", str(self.folder))
        (self.folder / "haproxy.cfg").write_text(text)
        return [tool("haproxy", "haproxy"), "-W", "-db", "-q", "-f", str(self.folder / "haproxy.cfg")]

    def reload(self) -> None:
        self.process.send_signal(signal.SIGUSR2)


class Varnish(Front):
    kind = "varnish"

    def command(self) -> list[str]:
        self.reloads = 0
        self.file = self.folder / "default.vcl"
        self.file.write_text(self.example(('.port = "8080"', f'.port = "{self.server}"'), '.host = "127.0.0.1"'))
        address, self.work = f"127.0.0.1:{self.port}", str(self.folder / "work")
        arguments = ["-F", "-a", address, "-f", str(self.file), "-n", self.work, "-s", "malloc,16m", "-j", "none"]
        return [tool("varnishd", "varnish"), *arguments]

    def reload(self) -> None:
        self.reloads += 1
        for words in (("vcl.load", f"next{self.reloads}", str(self.file)), ("vcl.use", f"next{self.reloads}")):
            run(tool("varnishadm", "varnish"), "-n", self.work, *words, environment=self.environment())


def run(*command: str, environment: dict[str, str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False, env=environment)
    assert done.returncode == 0, (done.stdout, done.stderr)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("server")
    root = folder / "root"
    (root / "sub").mkdir(parents=True)
    (root / "small.txt").write_bytes(b"small")
    (root / "sub" / "inner.txt").write_bytes(b"inner")
    with open(root / "large.bin", "wb") as file:
        file.truncate(LARGE)
    (folder / "httpmini.toml").write_text(
        f'[server]\nmode = "prefork"\nworkers = 2\n[site]\nroot = "{root}"\n'
        '[proxies]\ntrusted = ["127.0.0.1"]\nclient_from = "x-forwarded-for"\n[status]\non_site = true\n'
    )
    server = ServerProcess(["-c", str(folder / "httpmini.toml"), "--port", "0"])
    try:
        yield server
        server.assert_clean_end()
    finally:
        server.kill()


@pytest.fixture(scope="module", params=[Nginx, Caddy, Haproxy, Varnish], ids=lambda front: front.kind)
def front(
    request: pytest.FixtureRequest, server: ServerProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Front]:
    make: Callable[[Path, int], Front] = request.param
    front = make(tmp_path_factory.mktemp("front"), server.port)
    try:
        eventually(lambda: ask(front, "/small.txt?ready")[0] == 200, "it serves")
        yield front
    finally:
        front.close()


def ask(front: Front, target: str, more: str = "") -> tuple[int, dict[str, str], bytes]:
    with socket.create_connection(("127.0.0.1", front.port), WAIT_S, source_address=(CLIENT, 0)) as sock:
        sock.sendall(f"GET {target} HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n{more}\r\n".encode())
        return read_answer(sock)


def test_the_client_is_in_the_log(front: Front, server: ServerProcess) -> None:
    """Whatever it says about itself."""
    lie = "X-Forwarded-For: 198.51.100.1\r\nForwarded: for=198.51.100.1\r\n"
    assert ask(front, f"/small.txt?{front.kind}", lie)[::2] == (200, b"small")
    server.wait_for_line(rf'^{re.escape(CLIENT)} - .*"GET /small\.txt\?{front.kind} ')


def test_the_status_pages_are_closed(front: Front) -> None:
    """The server has them on its site, for this machine."""
    targets = [f"{prefix}/-/{name}" for prefix in ("", "/files") for name in ("status", "status.json", "metrics")]
    assert {target: ask(front, target, "")[0] for target in targets} == dict.fromkeys(targets, 404)


def test_below_a_prefix(front: Front) -> None:
    """Redirections, listings and their links stay below it."""
    assert ask(front, "/files/small.txt")[::2] == (200, b"small")
    status, fields, _ = ask(front, "/files/sub")
    assert status == 301
    assert fields["location"] in ("./sub/", "sub/", "/files/sub/", "http://example.org/files/sub/")
    page = listing(front, "/files/sub/")
    links = set(re.findall(r'href="([^"]*)"', page.decode()))
    assert any("inner.txt" in link for link in links), page
    assert [link for link in links if link.startswith("/")] == []


def listing(front: Front, target: str) -> bytes:
    """Return a response whose end may be that of the connection: its length changes if a proxy decompresses it."""
    with socket.create_connection(("127.0.0.1", front.port), WAIT_S) as sock:
        sock.sendall(f"GET {target} HTTP/1.0\r\nHost: example.org\r\n\r\n".encode())
        return read_all(sock)


def test_a_large_file(front: Front) -> None:
    status, fields, body = ask(front, "/large.bin")
    assert (status, len(body)) == (200, LARGE)
    assert fields["etag"]
    status, fields, body = ask(front, "/large.bin", f"Range: bytes={LARGE - 5}-\r\n")
    assert (status, len(body)) == (206, 5)


def test_connections_are_used_again(front: Front, server: ServerProcess) -> None:
    """By Caddy and Varnish. nginx and HAProxy do not ask httpmini to keep one, or not in a way that HTTP/1.0 knows."""
    before = admitted(server)
    for number in range(AGAIN):
        assert ask(front, f"/small.txt?again={number}")[0] == 200
    if front.kind in ("nginx", "haproxy"):
        eventually(lambda: admitted(server) - before >= AGAIN, "each request has a connection of its own")
    else:
        assert admitted(server) - before < AGAIN / 2


def admitted(server: ServerProcess) -> int:
    with socket.create_connection(("127.0.0.1", server.port), WAIT_S) as sock:
        sock.sendall(b"GET /-/status.json HTTP/1.0\r\nHost: localhost\r\n\r\n")
        status, _, body = read_answer(sock)
    assert status == 200
    return int(json.loads(body)["admitted"])


class Load:
    """Clients that ask on and on, and remember what failed."""

    def __init__(self, front: Front) -> None:
        self.front, self.answers, self.failures = front, 0, list[str]()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(AT_ONCE)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def wait_for_some(self) -> None:
        goal = self.answers + BETWEEN
        eventually(lambda: self.answers >= goal or bool(self.failures), "there are answers")

    def _ask(self, number: int) -> None:
        while not self._over.is_set():
            try:
                status, _, body = ask(self.front, f"/small.txt?{number}.{self.answers}")
                if (status, body) != (200, b"small"):
                    self.failures.append(f"{status} {body[:80]!r}")
            except ConnectionResetError as error:
                if self.front.kind != "caddy":  # its new listener takes over from the old one a moment too late
                    self.failures.append(repr(error))
            except (OSError, AssertionError) as error:
                self.failures.append(repr(error))
            self.answers += 1


def test_a_reload_of_either_side_fails_no_request(front: Front, server: ServerProcess) -> None:
    done = sum(" reloaded: " in line and "not reloaded" not in line for line in server.lines)
    with Load(front) as load:
        for number in range(1, 4):
            load.wait_for_some()
            front.reload()
            load.wait_for_some()
            server.process.send_signal(signal.SIGHUP)
            server.wait_for_line("(?<!not) reloaded: ", done + number)
        load.wait_for_some()
    assert load.failures == []
