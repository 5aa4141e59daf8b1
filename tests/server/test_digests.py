"""Digests in every mode: nobody else waits while one is made, and all processes remember it."""

from __future__ import annotations

import hashlib
import json
import os
import select
import signal
import socket
import time
from base64 import b64decode
from contextlib import ExitStack
from pathlib import Path

import pytest

from httpmini.site.freshness import SETTLED_S
from tests.conftest import StartServer
from tests.support.processes import eventually
from tests.support.small_site import write_tree
from tests.support.wire import connect, fields, get, read_answer, read_head

WANT = "Want-Repr-Digest: sha-256=1"
LARGE = 64 * 1024**2  # several slices; sparse, so that it takes no room
ENDLESS = 4 * 1024**4


def sparse(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    return path


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def told(named: dict[str, str]) -> str:
    return b64decode(named["repr-digest"].removeprefix("sha-256=:").removesuffix(":"), validate=True).hex()


def ask(port: int, target: str, *more: str, method: str = "HEAD") -> socket.socket:
    sock = connect(port)
    sock.sendall("\r\n".join([f"{method} {target} HTTP/1.0", WANT, *more, "", ""]).encode())
    return sock


def known(port: int) -> dict[str, str]:
    """Return the digests that the listing of the root tells, by name."""
    _, _, body = get(port, "/", "Accept: application/json")
    return {entry["name"]: entry["sha256"] for entry in json.loads(body)["entries"] if "sha256" in entry}


def make_root(folder: Path) -> Path:
    """Make a folder of files that are old enough to be told from their next versions, and so to have digests."""
    root = write_tree(folder / "www", {"small.txt": b"small"})
    for name, size in (("film.bin", 3 * 1024**2), ("large.bin", LARGE), ("endless.bin", ENDLESS)):
        sparse(root / name, size)
    old = max(path.stat().st_ctime for path in root.iterdir()) + SETTLED_S
    eventually(lambda: time.time() > old, "the files are old enough", every_s=0.05)
    return root


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_root(tmp_path_factory.mktemp("digests"))


def test_nobody_waits_for_the_digest_of_another(start: StartServer, mode: str, root: Path) -> None:
    """Nor does the server when it has to stop: what is asked for here would take hours."""
    server = start(root, "--mode", mode, config=f"[site]\ndigests = {ENDLESS}\n[limits]\ndrain_s = 0.05\n")
    get(server.port, "/small.txt")
    with ask(server.port, "/endless.bin") as waits:
        for _ in range(3):
            assert get(server.port, "/small.txt")[2] == b"small"
        assert get(server.port, "/film.bin", WANT)[1]["repr-digest"], "nor does another digest"
        assert select.select([waits], [], [], 0)[0] == []
        server.process.send_signal(signal.SIGTERM)
        server.assert_clean_end()


def test_all_processes_remember(start: StartServer, mode: str, tmp_path: Path) -> None:
    root = make_root(tmp_path)
    server = start(root, "--mode", mode)
    assert known(server.port) == {}
    told_now = {}
    for name in ("film.bin", "small.txt"):
        status, named, body = get(server.port, f"/{name}", WANT)
        assert (status, body) == (200, (root / name).read_bytes())
        told_now[name] = told(named)
    assert told_now == {name: digest_of(root / name) for name in told_now}
    assert [known(server.port) for _ in range(8)] == [told_now] * 8, "whichever worker is asked"
    (root / "small.txt").write_bytes(b"Small")
    assert known(server.port) == {"film.bin": told_now["film.bin"]}


def test_kept_connections_and_the_cache(start: StartServer, mode: str, root: Path) -> None:
    """A response that was made without a digest is not sent to those who want one, and the other way round."""
    server = start(root, "--mode", mode)
    keep = "Connection: keep-alive"
    with connect(server.port) as sock:
        for turn in range(12):
            more = [keep, WANT] if turn % 3 == 1 else [keep, "Want-Repr-Digest: md5=1"] if turn % 3 == 2 else [keep]
            sock.sendall("\r\n".join(["GET /small.txt HTTP/1.0", "Host: h", *more, "", ""]).encode())
            status, named, body = read_answer(sock)
            assert (status, body, "repr-digest" in named) == (200, b"small", turn % 3 == 1)


def test_some_leave_while_it_is_made(start: StartServer, mode: str, root: Path) -> None:
    """Connections that are reset in the meantime cost the others nothing, and the descriptors are given back."""
    server = start(root, "--mode", mode)
    assert "repr-digest" in get(server.port, "/film.bin", WANT)[1]  # what helpers need is open from now on
    before = len(os.listdir(f"/proc/{server.process.pid}/fd"))
    with ExitStack() as stack:
        socks = [stack.enter_context(ask(server.port, "/large.bin", method="GET")) for _ in range(6)]
        for sock in socks[::2]:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            sock.close()
        for sock in socks[1::2]:
            head, _ = read_head(sock)
            assert told(fields(head)) == digest_of(root / "large.bin")
    eventually(lambda: len(os.listdir(f"/proc/{server.process.pid}/fd")) <= before, "the descriptors are closed")


def test_the_server_stops_while_one_is_made(start: StartServer, mode: str, root: Path) -> None:
    """Draining finishes what has begun."""
    server = start(root, "--mode", mode)
    get(server.port, "/small.txt")
    with ask(server.port, "/large.bin") as sock:
        sock.shutdown(socket.SHUT_WR)
        get(server.port, "/small.txt")
        server.process.send_signal(signal.SIGTERM)
        head, _ = read_head(sock)
    assert told(fields(head)) == digest_of(root / "large.bin")
