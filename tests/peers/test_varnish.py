"""Varnish in front of a server, with conf/varnish/default.vcl: cache hits and revalidation."""

from __future__ import annotations

import gzip
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from httpmini.lint import answer as lenient
from httpmini.site.freshness import SETTLED_S
from tests.support.processes import WAIT_S, ServerProcess, eventually
from tests.support.tools import tool
from tests.support.wire import accepts, free_port, read_all

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
        said = read_all(sock)
    answer, rest = lenient.read_answer(said, head_only=False, ended=True)  # Varnish unpacks into chunks
    assert (answer.is_complete, rest) == (True, b"")
    return answer.status, dict(answer.fields), answer.body


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


# What a client sends that is not in the key of the cache; and, of the same meaning, other spellings of what is.
UNKEYED: dict[str, str] = {
    "another host": "X-Forwarded-Host: evil.example",
    "another server": "X-Host: evil.example\r\nX-Forwarded-Server: evil.example",
    "another scheme": "X-Forwarded-Proto: https\r\nX-Forwarded-Port: 1",
    "a prefix": "X-Forwarded-Prefix: /evil",
    "another target": "X-Original-URL: /evil\r\nX-Rewrite-URL: /evil",
    "another method": "X-HTTP-Method-Override: HEAD\r\nX-HTTP-Method: DELETE",
    "another client": 'X-Forwarded-For: 198.51.100.1\r\nForwarded: for=198.51.100.1;host="evil.example"',
    "an address that cannot be read": 'X-Forwarded-For: "x\r\nForwarded: for="x',
    "JSON": "Accept: application/json",
    "nothing acceptable": "Accept: nothing/nothing",
    "gzip": "Accept-Encoding: gzip",
    "another coding": "Accept-Encoding: br, zstd",
    "no coding": "Accept-Encoding: identity;q=0, *;q=0",
    "a language": "Accept-Language: tlh\r\nAccept-Charset: x",
    "a part": "Range: bytes=0-0",
    "no part": "Range: bytes=999999-",
    "a part of a version": 'Range: bytes=0-0\r\nIf-Range: "x"',
    "any version": "If-None-Match: *",
    "no such version": 'If-Match: "x"',
    "changed since": "If-Modified-Since: Fri, 31 Dec 2100 23:59:59 GMT",
    "not changed since": "If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT",
    "a user": "Authorization: Basic eDp5",
    "a cookie": "Cookie: a=b",
    "hop by hop": "Connection: Host, X-Forwarded-For",
    "a body": "Content-Length: 0",
    "an expectation": "Expect: 100-continue",
    "an upgrade": "Upgrade: h2c",
    "a long field": "X: " + "x" * 7000,
    "what is not allowed in a field": "X: a\x7f\xff",
}
# Varnish passes on in chunks what it is still receiving.
_OF_THE_MOMENT = {"date", "age", "x-varnish", "x-cache", "content-length", "transfer-encoding"}


def answer_to(port: int, target: str, fields: str = "") -> tuple[int, dict[str, str], bytes]:
    """Return a response without what differs from one to the next."""
    status, named, body = ask(port, target, fields)
    query = target.partition("?")[2]
    kept = {name: value.replace(query, "N") for name, value in named.items() if name not in _OF_THE_MOMENT}
    return status, kept, body.replace(query.encode(), b"N")


def wait_until_old(path: Path) -> None:
    """Wait until tags stay as they are."""
    young = path.stat().st_ctime
    eventually(lambda: time.time() > young + SETTLED_S, "the file is old")


@pytest.mark.parametrize("target", ["/0.txt", "/packed.txt", "/", "/folder", "/missing"])
def test_nobody_else_gets_what_was_made_for_a_strange_request(server: ServerProcess, cache: int, target: str) -> None:
    root = root_of(server)
    (root / "folder").mkdir()
    (root / "packed.txt").write_bytes(b"packed" * 1000)
    (root / "packed.txt.gz").write_bytes(gzip.compress(b"packed" * 1000))
    wait_until_old(root / "packed.txt.gz")
    expected = answer_to(cache, f"{target}?n=1000")
    for number, fields in enumerate(UNKEYED.values(), 1001):
        asked = f"{target}?n={number}"
        for _ in range(2):
            with suppress(AssertionError):  # Varnish itself refuses some and closes
                ask(cache, asked, fields + "\r\n")
        assert answer_to(cache, asked) == expected, fields


@pytest.mark.parametrize("host", ["H", "h.", "h:80", "evil.example", "h\r\nHost: evil.example", "h, evil.example", ""])
def test_a_host_is_part_of_no_answer(server: ServerProcess, cache: int, host: str) -> None:
    """However it is spelled, the one who spells it usually gets what is made for it."""
    wait_until_old(root_of(server) / f"{FILES - 1}.txt")
    expected = answer_to(cache, "/0.txt?n=0")
    with socket.create_connection(("127.0.0.1", cache), WAIT_S, source_address=(CLIENT, 0)) as sock:
        sock.sendall(f"GET http://other/0.txt?n=9 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        assert b"evil" not in read_all(sock)
    assert answer_to(cache, "/0.txt?n=9") == expected
