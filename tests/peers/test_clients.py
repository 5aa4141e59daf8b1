"""Other clients against every mode: requests, h11 as a strict parser of our bytes, curl."""

from __future__ import annotations

import http.client
import subprocess
from collections.abc import Iterator
from pathlib import Path

import h11
import pytest
import requests

from httpmini.lint.cases.build import LAST_MODIFIED
from httpmini.lint.cases.site_tree import BIG, changed
from httpmini.server.modes import MODES
from tests.support.processes import ServerProcess
from tests.support.tools import tool
from tests.support.wire import WAIT_S, connect

TARGETS = [
    "/",
    "/ten.txt",
    "/empty.txt",
    "/a%20b.txt",
    "/caf%E9.txt",
    "/big.bin",
    "/sub/",
    "/sub",
    "/nothing",
    "/.hidden",
]
STATUSES = {"/sub": 301, "/nothing": 404, "/.hidden": 404}


@pytest.fixture(scope="module", params=sorted(MODES))
def server(request: pytest.FixtureRequest, site: Path) -> Iterator[ServerProcess]:
    running = ServerProcess([str(site), "--port", "0", "--mode", request.param])
    try:
        yield running
        running.assert_clean_end()
    finally:
        running.kill()


def _ask(server: ServerProcess, method: str, target: str, *fields: tuple[str, str]) -> tuple[h11.Response, bytes, bool]:
    """Return an exchange as h11 sees it: head, body, and whether the connection may be reused."""
    connection = h11.Connection(our_role=h11.CLIENT)
    with connect(server.port) as sock:
        sock.sendall(connection.send(h11.Request(method=method, target=target, headers=[("Host", "x"), *fields])))
        sock.sendall(connection.send(h11.EndOfMessage()))
        head: h11.Response | None = None
        body = b""
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(sock.recv(65536))
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            else:
                assert isinstance(event, h11.EndOfMessage), event
                break
    assert head is not None
    return head, body, connection.our_state is h11.DONE and connection.their_state is h11.DONE


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("target", TARGETS)
def test_h11_understands_us(server: ServerProcess, method: str, target: str) -> None:
    head, body, _ = _ask(server, method, target)
    assert (head.status_code, head.http_version) == (STATUSES.get(target, 200), b"1.0")
    fields = dict(head.headers)
    assert (len(body) == int(fields[b"content-length"])) == (method == "GET" or fields[b"content-length"] == b"0")
    if target == "/big.bin" and method == "GET":
        assert body == BIG


@pytest.mark.parametrize(
    ("field", "length_matches"),
    [(("If-Modified-Since", LAST_MODIFIED), True), (("X", "y"), False)],
    ids=["known", "unknown"],
)
def test_h11_and_304(server: ServerProcess, field: tuple[str, str], length_matches: bool) -> None:
    head, body, _ = _ask(server, "GET", "/ten.txt", field)
    assert (head.status_code == 304, body == b"") == (length_matches, length_matches)


def test_requests_session_keeps_one_connection(server: ServerProcess) -> None:
    with requests.Session() as session:
        ports = set()
        for target in TARGETS * 3:
            answer = session.get(server.url.rstrip("/") + target, allow_redirects=False, timeout=WAIT_S, stream=True)
            connection = answer.raw.connection
            if connection is not None and connection.sock is not None:
                ports.add(connection.sock.getsockname())
            assert answer.status_code == STATUSES.get(target, 200)
            content = answer.content
            if target == "/big.bin":
                assert content == BIG
        assert len(ports) == 1, "every request had a connection of its own"


def test_requests_follows_to_the_folder(server: ServerProcess) -> None:
    answer = requests.get(server.url + "sub?x=1", timeout=WAIT_S)
    assert (answer.status_code, answer.url) == (200, server.url + "sub/?x=1")
    assert "file.txt" in answer.text


def test_requests_and_what_is_refused(server: ServerProcess) -> None:
    assert (
        requests.post(server.url + "ten.txt", data=b"x" * 500_000, timeout=WAIT_S).headers["Allow"]
        == "GET, HEAD, OPTIONS"
    )
    assert requests.request("BREW", server.url, timeout=WAIT_S).status_code == 501
    assert requests.get(server.url, headers={"X": "y" * 17_000}, timeout=WAIT_S).status_code == 431
    assert requests.get(server.url + "x" * 9_000, timeout=WAIT_S).status_code == 414


def test_http_client_of_the_standard_library(server: ServerProcess) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=WAIT_S)
    connection.request("GET", "/ten.txt")
    answer = connection.getresponse()
    assert (answer.status, answer.version, answer.read()) == (200, 10, b"0123456789")
    connection.close()


def _curl(server: ServerProcess, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    urls = [server.url + part[4:] if part.startswith("URL/") else part for part in arguments]
    command = [tool("curl", "curl"), "--silent", "--show-error", "--max-time", "20", *urls]
    return subprocess.run(command, capture_output=True, check=False)


@pytest.mark.parametrize("version", ["--http1.0", "--http1.1", "--http0.9"])
def test_curl(server: ServerProcess, version: str) -> None:
    done = _curl(server, version, "URL/big.bin")
    assert (done.returncode, done.stderr, done.stdout == BIG) == (0, b"", True)


def test_curl_keeps_one_connection(server: ServerProcess) -> None:
    keep = ("-H", "Connection: keep-alive", "-w", "%{num_connects};")
    done = _curl(
        server,
        *keep,
        "URL/ten.txt",
        "URL/a%20b.txt",
        "URL/nothing",
        "-o",
        "/dev/null",
        "-o",
        "/dev/null",
        "-o",
        "/dev/null",
    )
    assert done.stdout == b"1;0;0;"


def test_curl_time_condition(server: ServerProcess, site: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    done = _curl(server, "-R", "-o", str(copy), "URL/ten.txt", "-w", "%{http_code}")
    assert (done.stdout, copy.stat().st_mtime) == (b"200", changed(site))
    assert _curl(server, "-z", str(copy), "-o", "/dev/null", "URL/ten.txt", "-w", "%{http_code}").stdout == b"304"


def test_curl_head(server: ServerProcess) -> None:
    done = _curl(server, "-I", "URL/big.bin")
    assert done.returncode == 0
    assert done.stdout.startswith(b"HTTP/1.0 200 OK\r\n")
    assert b"Content-Length: %d\r\n" % len(BIG) in done.stdout


def test_curl_path_as_is(server: ServerProcess) -> None:
    done = _curl(server, "--path-as-is", "URL/sub/../../secret.txt", "-o", "/dev/null", "-w", "%{http_code}")
    assert done.stdout == b"404"


def test_curl_post_with_expect(server: ServerProcess, tmp_path: Path) -> None:
    """A 1.1 client that waits for 100 Continue must get a final response at once (RFC 9110 §10.1.1)."""
    (tmp_path / "body").write_bytes(b"x" * 2_000_000)
    upload = ("--data-binary", f"@{tmp_path}/body", "-H", "Expect: 100-continue", "--expect100-timeout", "15")
    done = _curl(server, *upload, "URL/ten.txt", "-o", "/dev/null", "-w", "%{http_code}")
    assert (done.returncode, done.stdout) == (0, b"405")
