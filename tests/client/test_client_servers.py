"""The client against real servers: ours in every mode, Python's, nginx, lighttpd, and one built on h11."""

from __future__ import annotations

import gzip
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import h11
import pytest

import httpmini
from httpmini.errors import BadStatus, FetchError
from httpmini.lint.cases.site_tree import BIG
from tests.conftest import StartServer
from tests.support.processes import eventually
from tests.support.progress import EndAfter
from tests.support.small_site import write_tree
from tests.support.tools import tool
from tests.support.wire import WAIT_S, accepts, free_port

PAGE = b"<h1>a page</h1>\n" * 500
FILES = {
    "ten.txt": b"0123456789",
    "empty.txt": b"",
    "big.bin": BIG,
    "page.html": PAGE,
    "a b.txt": b"blank\n",
    "ü.txt": b"umlaut\n",
    "100%.txt": b"percent\n",
    "sub/index.html": b"an index\n",
}


# ---------------------------------------------------------------------------------------------------------------
# The servers


@contextmanager
def running(command: list[str], port: int, folder: Path) -> Iterator[str]:
    """Start another program as a server; return its URL."""
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            eventually(lambda: process.poll() is not None or accepts(port), f"{command[0]} accepts")
            assert process.poll() is None, log.read_text()
            yield f"http://127.0.0.1:{port}/"
            assert process.poll() is None, log.read_text()
        finally:
            process.terminate()
            try:
                process.wait(WAIT_S)
            finally:
                process.kill()


def http_server(root: Path, folder: Path, port: int) -> list[str]:
    return [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(root)]


def nginx(root: Path, folder: Path, port: int) -> list[str]:
    """Run one process as the current user, which writes only below ``folder``."""
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = folder / "nginx.conf"
    config.write_text(f"""
        daemon off; master_process off; pid {folder}/pid; error_log stderr;
        events {{ worker_connections 64; }}
        http {{
            access_log off; {temporary} default_type text/plain; types {{ text/html html; }}
            gzip on; gzip_http_version 1.0; gzip_proxied any; gzip_min_length 1000;
            server {{
                listen 127.0.0.1:{port}; root {root}; autoindex on;
                location /moved {{ return 302 /ten.txt; }}
                location /private {{ auth_basic x; auth_basic_user_file {folder}/users; }}
            }}
        }}
    """)
    return [tool("nginx", "nginx-light"), "-c", str(config), "-p", str(folder), "-e", "stderr"]


def lighttpd(root: Path, folder: Path, port: int) -> list[str]:
    config = folder / "lighttpd.conf"
    config.write_text(f"""
        server.modules = ("mod_indexfile", "mod_dirlisting", "mod_staticfile", "mod_redirect", "mod_deflate")
        server.document-root = "{root}"
        server.bind = "127.0.0.1"
        server.port = {port}
        index-file.names = ("index.html")
        dir-listing.activate = "enable"
        mimetype.assign = (".html" => "text/html", ".txt" => "text/plain", "" => "application/octet-stream")
        url.redirect = ("^/moved$" => "/ten.txt")
        url.redirect-code = 302
        deflate.mimetypes = ("text/html")
        deflate.allowed-encodings = ("gzip", "deflate")
        server.max-keep-alive-requests = 1000
    """)
    return [tool("lighttpd", "lighttpd"), "-D", "-f", str(config)]


PROGRAMS = {"http.server": http_server, "nginx": nginx, "lighttpd": lighttpd}
KEEPERS = ("nginx", "lighttpd")
# lighttpd 1.4 does neither for HTTP/1.0 requests, and http.server never does.
KNOWS_RANGES = PACKS = ("nginx",)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tree(tmp_path_factory.mktemp("root"), FILES)


@pytest.fixture(scope="module", params=PROGRAMS)
def program(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def url(program: str, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp(program)
    port = free_port()
    with running(PROGRAMS[program](root, folder, port), port, folder) as made:
        yield made


# ---------------------------------------------------------------------------------------------------------------
# Other servers


@pytest.fixture
def client() -> Iterator[httpmini.Client]:
    with httpmini.Client() as made:
        yield made


@pytest.mark.parametrize("name", FILES)
def test_a_file(url: str, client: httpmini.Client, name: str, tmp_path: Path) -> None:
    target = name.replace("%", "%25")
    with client.fetch(url + target) as response:
        assert response.raise_for_status().read() == FILES[name]
    assert b"".join(client.fetch(url + target)) == FILES[name]
    assert client.fetch(url + target).save(tmp_path / "out") == len(FILES[name])
    assert (tmp_path / "out").read_bytes() == FILES[name]


@pytest.mark.parametrize("name", FILES)
def test_a_head(url: str, client: httpmini.Client, name: str) -> None:
    with httpmini.Client(decode=False) as plain:
        response = plain.fetch(url + name.replace("%", "%25"), method="HEAD")
    assert (response.status, response.content_length, response.read()) == (200, len(FILES[name]), b"")


def test_a_missing_file(url: str, client: httpmini.Client) -> None:
    with client.fetch(url + "nowhere") as response:
        assert response.status == 404
        assert b"404" in response.read()
        with pytest.raises(BadStatus):
            response.raise_for_status()


def test_a_folder(url: str, client: httpmini.Client) -> None:
    response = client.fetch(url + "sub?q=1")
    assert response.read() == b"an index\n"
    assert [status for status, _ in response.history] == [301]
    assert response.url in (f"{url}sub/", f"{url}sub/?q=1")


def test_a_redirection(url: str, client: httpmini.Client, program: str) -> None:
    if program == "http.server":  # serves folders only
        return
    response = client.fetch(url + "moved")
    assert (response.read(), response.url) == (FILES["ten.txt"], f"{url}ten.txt")
    assert response.history == ((302, f"{url}moved"),)


def test_a_range(url: str, client: httpmini.Client, program: str) -> None:
    response = client.fetch(url + "big.bin", headers=[("Range", "bytes=1000000-1999999")])
    if program not in KNOWS_RANGES:
        assert (response.status, response.read()) == (200, BIG)
        return
    assert (response.status, response.read()) == (206, BIG[1_000_000:2_000_000])
    with client.fetch(url + "ten.txt", headers=[("Range", "bytes=10-")]) as response:
        assert response.status == 416


@pytest.mark.parametrize("segments", [1, 4])
def test_a_download_that_is_interrupted_and_gone_on_with(
    url: str, client: httpmini.Client, program: str, root: Path, tmp_path: Path, segments: int
) -> None:
    """From a server without ranges it starts over; either way the file is right."""
    os.utime(root / "big.bin", (1_000_000_000,) * 2)
    target = tmp_path / "big.bin"
    with pytest.raises(KeyboardInterrupt):
        httpmini.download(
            client, url + "big.bin", target, segments=segments, progress=EndAfter(len(BIG) // 2, KeyboardInterrupt())
        )
    assert not target.exists()
    done = httpmini.download(client, url + "big.bin", target, segments=segments)
    assert (done.resumed_from > 0) == (program in KNOWS_RANGES)
    assert target.read_bytes() == BIG
    assert os.listdir(tmp_path) == ["big.bin"]


def test_a_condition(url: str, client: httpmini.Client) -> None:
    since = client.fetch(url + "ten.txt", method="HEAD").headers.get("Last-Modified")
    assert since is not None
    response = client.fetch(url + "ten.txt", headers=[("If-Modified-Since", since)])
    assert (response.status, response.read()) == (304, b"")


def test_packed_on_the_way(url: str, client: httpmini.Client, program: str) -> None:
    response = client.fetch(url + "page.html")
    assert response.codings == (["gzip"] if program in PACKS else [])
    assert response.read() == PAGE


TARGETS = ("ten.txt", "empty.txt", "nowhere", "sub/", "big.bin", "a b.txt") * 3


def connections_for(client: httpmini.Client, url: str) -> int:
    """Return how many connections are made for all targets, one after another."""
    made = 0
    for target in TARGETS:
        with client.fetch(url + target) as response:
            made += response.timings.connect_s is not None
            response.read()
    return made


def test_connections(url: str, client: httpmini.Client, program: str) -> None:
    assert connections_for(client, url) == (1 if program in KEEPERS else len(TARGETS))


def test_many_small_files(url: str, client: httpmini.Client) -> None:
    for number in range(100):
        name = ("ten.txt", "a b.txt", "empty.txt")[number % 3]
        assert client.fetch(url + name).read() == FILES[name]


def test_several_threads(url: str, client: httpmini.Client) -> None:
    wrong: list[str] = []

    def ask() -> None:
        for name in ("ten.txt", "big.bin", "a b.txt", "page.html", "sub/index.html") * 3:
            try:
                if client.fetch(url + name).read() != FILES[name]:
                    wrong.append(name)
            except FetchError as error:
                wrong.append(str(error))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert wrong == []


# ---------------------------------------------------------------------------------------------------------------
# Ours


def test_ours(start: StartServer, root: Path, mode: str, client: httpmini.Client, tmp_path: Path) -> None:
    server = start(root, "--mode", mode)
    for name, content in FILES.items():
        target = name.replace("%", "%25")
        assert client.fetch(server.url + target).read() == content
        assert client.fetch(server.url + target).save(tmp_path / "out") == len(content)
        response = client.fetch(server.url + target, method="HEAD")
        assert (response.content_length, response.read()) == (len(content), b"")
    response = client.fetch(f"{server.url}sub?q=1")
    assert (response.read(), response.url) == (b"an index\n", f"{server.url}sub/?q=1")
    assert response.history == ((301, f"{server.url}sub?q=1"),)
    for target, status in (("nowhere", 404), ("%00", 400), (".hidden", 404)):
        with client.fetch(server.url + target) as response:
            assert response.status == status
            assert b"<!doctype html>" in response.read().lower()
    for method, status in (("OPTIONS", 204), ("POST", 405), ("BREW", 501)):
        with client.fetch(f"{server.url}ten.txt", method=method) as response:
            assert response.status == status
    part = client.fetch(f"{server.url}big.bin", headers=[("Range", "bytes=-1000000")])
    assert (part.status, part.read()) == (206, BIG[-1_000_000:])
    tag = client.fetch(f"{server.url}ten.txt", method="HEAD").headers.get("ETag") or ""
    assert client.fetch(f"{server.url}ten.txt", headers=[("If-None-Match", tag)]).status == 304


def test_one_connection_to_ours(start: StartServer, root: Path, mode: str, client: httpmini.Client) -> None:
    assert connections_for(client, start(root, "--mode", mode).url) == 1


def test_ours_closes_what_is_idle(start: StartServer, root: Path, mode: str, client: httpmini.Client) -> None:
    """The server closes an idle connection, and the client silently uses another."""
    server = start(root, "--mode", mode, config="[limits]\nidle_s = 1.0\n")
    for _ in range(3):
        response = client.fetch(f"{server.url}ten.txt")
        assert response.timings.connect_s is not None
        wire = response._connection
        assert response.read() == FILES["ten.txt"]
        eventually(lambda wire=wire: not wire.is_quiet, "the server has closed it")  # type: ignore[misc]


def test_ours_sends_what_is_packed(start: StartServer, tmp_path: Path, client: httpmini.Client) -> None:
    write_tree(tmp_path / "packed", {"page.html": PAGE, "page.html.gz": gzip.compress(PAGE)})
    os.utime(tmp_path / "packed" / "page.html", (1, 1))
    server = start(tmp_path / "packed", config='[site]\nprecompressed = ["gzip"]\n')
    response = client.fetch(f"{server.url}page.html")
    assert response.codings == ["gzip"]
    assert response.read() == PAGE


def test_ours_asks_for_a_password(start: StartServer, tmp_path: Path) -> None:
    root = write_tree(tmp_path / "site", {"private/x": b"hidden"})
    users = tmp_path / "users"
    subprocess.run(
        [sys.executable, "-m", "httpmini", "htpasswd", str(users), "ada"],
        input=b"secret\nsecret\n",
        check=True,
        timeout=WAIT_S,
    )
    server = start(root, config=f'[[realms]]\npath = "/private/"\nusers = "{users}"\n')
    with httpmini.Client() as client, client.fetch(f"{server.url}private/x") as response:
        assert response.status == 401
    with httpmini.Client(auth=("ada", "secret")) as client:
        assert client.fetch(f"{server.url}private/x").read() == b"hidden"
    with httpmini.Client() as client:
        assert client.fetch(f"{server.url.replace('//', '//ada:secret@')}private/x").read() == b"hidden"


def test_a_server_that_is_full(start: StartServer, root: Path, client: httpmini.Client) -> None:
    """After a 503 with Retry-After the client waits, until another client has left."""
    server = start(root, config='[server]\nmax_clients = 1\noverflow = "refuse"\n')
    with socket.create_connection(("127.0.0.1", server.port), WAIT_S) as holder:
        holder.sendall(b"GET /ten.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert holder.recv(65536).startswith(b"HTTP/1.0 200 ")
        with (
            httpmini.Client(retries=httpmini.Retries(times=0)) as hasty,
            hasty.fetch(f"{server.url}ten.txt") as response,
        ):
            assert (response.status, response.headers.get("Retry-After") is not None) == (503, True)
    assert client.fetch(f"{server.url}ten.txt").read() == FILES["ten.txt"]


# ---------------------------------------------------------------------------------------------------------------
# A server built on h11


class H11Server:
    """Responds with the body of each request, or so many bytes of its target, framed by h11.

    Every request is treated as HTTP/1.1, as by servers that send chunks regardless of the version.
    """

    def __init__(self) -> None:
        self.accepts = 0
        self.asked: list[h11.Request] = []
        self.faults: list[BaseException] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._socks: list[socket.socket] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/"

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for sock in self._socks:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(WAIT_S)
        self._listener.close()
        assert self.faults == []

    def _run(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.accepts += 1
            self._socks.append(sock)
            sock.settimeout(WAIT_S)
            with sock, suppress(OSError):
                self._converse(sock)

    def _converse(self, sock: socket.socket) -> None:
        connection = h11.Connection(h11.SERVER)
        head: h11.Request | None = None
        body = b""
        while True:
            try:
                event = connection.next_event()
            except h11.RemoteProtocolError as error:
                self.faults.append(error)
                return
            if event is h11.NEED_DATA:
                connection.receive_data(sock.recv(65536).replace(b" HTTP/1.0\r\n", b" HTTP/1.1\r\n", 1))
            elif isinstance(event, h11.Request):
                head, body = event, b""
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                assert head is not None
                self.asked.append(head)
                self._answer(sock, connection, head, body)
                if connection.our_state is not h11.DONE:
                    return
                connection.start_next_cycle()
            else:
                return

    def _answer(self, sock: socket.socket, connection: h11.Connection, head: h11.Request, body: bytes) -> None:
        target = head.target.decode()
        fields = [("X", "y")]
        if target.startswith("/counted/"):
            fields.append(("Content-Length", str(len(body or target))))
        for status in (100, 103) if target.startswith("/interim/") else ():
            sock.sendall(connection.send(h11.InformationalResponse(status_code=status, headers=[])) or b"")
        sock.sendall(connection.send(h11.Response(status_code=200, headers=fields)) or b"")
        data = body or target.encode()
        for at in range(0, len(data) if head.method != b"HEAD" else 0, 1000):
            sock.sendall(connection.send(h11.Data(data=data[at : at + 1000])) or b"")
        trailer = [("Trailer", "z")] if target.startswith("/chunks/") and head.method != b"HEAD" else []
        sock.sendall(connection.send(h11.EndOfMessage(headers=trailer)) or b"")


@pytest.fixture
def judge() -> Iterator[H11Server]:
    server = H11Server()
    try:
        yield server
    finally:
        server.stop()


@pytest.mark.parametrize("kind", ["counted", "chunks", "interim"])
def test_h11(judge: H11Server, client: httpmini.Client, kind: str) -> None:
    target = f"/{kind}/" + "x" * 5000
    for _ in range(3):
        with client.fetch(judge.url + target[1:]) as response:
            assert (response.status, response.version, response.headers.get("X")) == (200, (1, 1), "y")
            assert ("Transfer-Encoding" in response.headers) == (kind != "counted")
            assert response.read() == target.encode()
        assert client.fetch(judge.url + target[1:], method="HEAD").read() == b""
    assert judge.accepts == 1
    assert len(judge.asked) == 6


@pytest.mark.parametrize("kind", ["counted", "chunks"])
@pytest.mark.parametrize("size", [1, 1000, 200_000])
def test_h11_hears_what_is_sent(judge: H11Server, client: httpmini.Client, kind: str, size: int) -> None:
    data = os.urandom(size)
    assert client.fetch(f"{judge.url}{kind}/", method="POST", data=data).read() == data
    assert dict(judge.asked[0].headers)[b"content-length"] == str(size).encode()
