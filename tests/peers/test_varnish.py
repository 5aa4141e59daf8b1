"""Varnish in front of a server, with conf/varnish/default.vcl: cache hits and revalidation."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import WAIT_S, ServerProcess, eventually
from tests.support.tools import tool
from tests.support.wire import accepts, free_port, read_answer

VCL = Path(__file__).parents[2] / "conf" / "varnish" / "default.vcl"
FILES, ROUNDS = 10, 10
CLIENT = "127.0.0.5"
DENIED = "127.0.0.6"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    root = tmp_path / "root"
    root.mkdir()
    for number in range(FILES):
        (root / f"{number}.txt").write_text(f"file {number}")
    (tmp_path / "httpmini.toml").write_text('[proxies]\ntrusted = ["127.0.0.1"]\n')
    server = ServerProcess([str(root), "-c", str(tmp_path / "httpmini.toml"), "--port", "0"])
    try:
        yield server
        server.assert_clean_end()
    finally:
        server.kill()


@pytest.fixture
def cache(server: ServerProcess, tmp_path: Path) -> Iterator[int]:
    """Start Varnish, whose responses are fresh for one second only, and which refuses DENIED; yield its port."""
    vcl = VCL.read_text().replace('"8080"', f'"{server.port}"').replace("ttl = 10s", "ttl = 1s")
    assert vcl.count("ttl = 1s") == 1
    vcl = vcl.replace("grace = 10s", "grace = 0s").replace('# "192.0.2.0"/24;', f'"{DENIED}";')
    (tmp_path / "default.vcl").write_text(vcl)
    port = free_port()
    folder = tmp_path / "varnish"
    command = [tool("varnishd", "varnish"), "-F", "-a", f"127.0.0.1:{port}", "-f", str(tmp_path / "default.vcl")]
    process = subprocess.Popen(
        [*command, "-n", str(folder), "-s", "malloc,16m", "-j", "none"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: accepts(port), "Varnish listens")
        server.wait_for_line('"GET / ')
        yield port
    finally:
        process.terminate()
        process.wait(WAIT_S)


def ask(port: int, target: str, fields: str = "", *, client: str = CLIENT) -> tuple[int, dict[str, str], bytes]:
    with socket.create_connection(("127.0.0.1", port), WAIT_S, source_address=(client, 0)) as sock:
        sock.sendall(f"GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{fields}\r\n".encode())
        return read_answer(sock)


def asked(server: ServerProcess) -> list[str]:
    return [line for line in server.access_lines() if re.search(r'"GET /\d\.txt', line)]


def test_most_responses_come_from_the_cache(server: ServerProcess, cache: int) -> None:
    """A stale response is revalidated by a 304 until its file changes."""
    told = [ask(cache, f"/{number}.txt") for _ in range(ROUNDS) for number in range(FILES)]
    assert {(status, body) for status, _, body in told} == {(200, f"file {n}".encode()) for n in range(FILES)}
    hits = sum(fields["x-cache"] == "hit" for _, fields, _ in told)
    # Each file is fetched once and revalidated when it is stale, more often on a slow machine.
    eventually(lambda: hits + len(asked(server)) == len(told), "what was no hit is in our log, and nothing else")
    assert hits >= len(told) / 2
    assert ask(cache, "/0.txt", f"If-None-Match: {told[0][1]['etag']}\r\n")[0] == 304

    def is_asked_about() -> bool:
        assert ask(cache, "/0.txt")[2] == b"file 0"
        return any(re.search(r'"GET /0\.txt HTTP/1\.1" 304 ', line) for line in server.lines)

    eventually(is_asked_about, "Varnish asks whether it is still right")
    root = Path(re.sub(r".* serving (\S+) at .*", r"\1", server.banner))
    (root / "0.txt").write_text("another")
    eventually(lambda: ask(cache, "/0.txt")[2] == b"another", "the change is seen")
    assert {line.split()[0] for line in asked(server)} == {CLIENT}


def test_the_status_pages_are_not_public(cache: int) -> None:
    assert ask(cache, "/-/status.json")[0] == 404


def root_of(server: ServerProcess) -> Path:
    return Path(re.sub(r".* serving (\S+) at .*", r"\1", server.banner))


@pytest.mark.parametrize("times", [1, 5])
def test_a_file_that_was_asked_for_too_early_appears_at_once(server: ServerProcess, cache: int, times: int) -> None:
    for _ in range(times):
        status, fields, _ = ask(cache, "/late.txt")
        assert (status, fields["cache-control"]) == (404, "no-store")
    (root_of(server) / "late.txt").write_text("here")
    assert ask(cache, "/late.txt")[::2] == (200, b"here")


def test_who_is_denied_gets_nothing_that_is_cached(cache: int) -> None:
    assert ask(cache, "/0.txt")[0] == 200
    assert ask(cache, "/0.txt")[1]["x-cache"] == "hit"
    assert ask(cache, "/0.txt", client=DENIED)[0] == 403
