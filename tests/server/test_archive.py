"""Archives from a running server: in every mode, inside its sandbox, for impatient clients and changing folders."""

from __future__ import annotations

import io
import os
import re
import signal
import socket
import subprocess
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from httpmini.client.download.part import kept_plan
from httpmini.site.freshness import SETTLED_S
from tests.client.test_get import PROGRAM
from tests.conftest import StartServer
from tests.support.processes import ServerProcess, eventually
from tests.support.small_site import write_tree
from tests.support.wire import WAIT_S, converse, fields, get, read_exactly, read_head

STOPPED_S = 0.01  # a write of a mebibyte takes a tenth of that
LARGE = os.urandom(1024 * 1024) * 24  # more than the socket buffers of both ends hold
OTHER = "127.0.0.2"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "www", {"photos/a.bin": LARGE, "photos/b.txt": b"small", "photos/sub/c.txt": b"c"})


def ask_slowly(port: int, target: str, host: str = "127.0.0.1", *more: str) -> socket.socket:
    """Ask for something and read no more of it than fits into a small buffer."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
    sock.settimeout(WAIT_S)
    sock.bind((host, 0))
    sock.connect(("127.0.0.1", port))
    sock.sendall("\r\n".join([f"GET {target} HTTP/1.0", *more, "", ""]).encode())
    return sock


def wait_until_old(root: Path) -> None:
    """Wait until the files of a folder are old enough for a strong tag."""
    old = max(path.stat().st_ctime for path in root.rglob("*")) + SETTLED_S
    eventually(lambda: time.time() > old, "the files are old", every_s=0.05)


def status_of(port: int, host: str = "127.0.0.1") -> int:
    """Return the status of another request for an archive."""
    with ask_slowly(port, "/photos/sub/?tar", host) as sock:
        return int(read_head(sock)[0].split()[1])


@pytest.mark.parametrize("form", ["zip", "tar"])
def test_it_comes_whole(start: StartServer, root: Path, mode: str, form: str) -> None:
    server = start(root, "--mode", mode)
    for _ in range(2):  # the second one with known checksums, so that a zip leaves by sendfile as well
        status, named, body = get(server.port, f"/photos/?{form}")
        assert status == 200
        assert len(body) == int(named["content-length"])
        if form == "zip":
            with zipfile.ZipFile(io.BytesIO(body)) as opened:
                assert opened.read("photos/a.bin") == LARGE
                assert opened.testzip() is None
        else:
            with tarfile.open(fileobj=io.BytesIO(body), mode="r:") as tar:
                file = tar.extractfile("photos/a.bin")
                assert file is not None
                assert file.read() == LARGE


def test_one_at_a_time_for_each_address(start: StartServer, root: Path, mode: str) -> None:
    server = start(root, "--mode", mode)
    with ask_slowly(server.port, "/photos/?zip") as sock:
        head, _ = read_head(sock)
        assert b" 200 OK" in head
        status, named, body = get(server.port, "/photos/?tar")
        assert (status, named["retry-after"]) == (429, "1")
        assert b"archive-busy" in body
        assert get(server.port, "/photos/b.txt")[0] == 200
        assert status_of(server.port, OTHER) == 200
    eventually(lambda: status_of(server.port) == 200, "the place is free")
    eventually(lambda: status_of(server.port) == 200, "and again")


@pytest.mark.parametrize("mode", ["forking", "prefork"])
def test_a_killed_process_gives_the_place_back(start: StartServer, root: Path, mode: str) -> None:
    server = start(root, "--mode", mode)
    with ask_slowly(server.port, "/photos/?tar") as sock:
        read_head(sock)
        assert status_of(server.port) == 429
        for child in server.children():
            with suppress(ProcessLookupError):  # that of the second request has just ended
                os.kill(child, signal.SIGKILL)
        eventually(lambda: status_of(server.port) == 200, "the place is free")


@pytest.mark.parametrize("form", ["zip", "tar"])
def test_a_change_resets_the_connection(start: StartServer, root: Path, mode: str, form: str) -> None:
    server = start(root, "--mode", mode)
    with ask_slowly(server.port, f"/photos/?{form}") as sock:
        head, rest = read_head(sock)
        with (root / "photos" / "a.bin").open("r+b") as file:
            file.write(b"#")
        with pytest.raises(ConnectionResetError):
            read_exactly(sock, int(fields(head)["content-length"]) - len(rest))
    line = server.wait_for_line("photos/a.bin")
    assert "has changed while it was sent in an archive" in line
    assert get(server.port, "/photos/b.txt")[0] == 200


def test_a_zip_goes_on_with_another_server(start: StartServer, root: Path) -> None:
    """Whose table of checksums is empty."""
    first, second = start(root), start(root, "--mode", "threading")
    wait_until_old(root)
    _, named, whole = get(first.port, "/photos/?zip")
    for place in (1, len(whole) // 3, len(whole) - 400, len(whole) - 10):
        part = get(second.port, "/photos/?zip", f"Range: bytes={place}-", f"If-Range: {named['etag']}")
        assert part[0] == 206
        assert part[2] == whole[place:]


def test_nobody_waits_for_a_checksum(start: StartServer, root: Path) -> None:
    """The end of a zip needs the checksum of everything before it; meanwhile the loop goes on."""
    with (root / "photos" / "huge.bin").open("wb") as file:
        file.truncate(8 * 1024**3)
    server = start(root)
    with ask_slowly(server.port, "/photos/?zip", "127.0.0.1", "Range: bytes=-100") as sock:
        assert b" 206 " in read_head(sock)[0]
        for _ in range(10):
            assert get(server.port, "/photos/b.txt")[0] == 200


def test_twenty_gigabytes_need_no_memory(start: StartServer, tmp_path: Path) -> None:
    root = write_tree(tmp_path / "www", {"a.txt": b"first", "z.txt": b"last"})
    for number in range(4):
        with (root / f"film-{number}.bin").open("wb") as file:
            file.truncate(5 * 1024**3)
    server = start(root)
    get(server.port, "/a.txt")
    before = server.memory_kib()
    for form in ("zip", "tar"):
        head = converse(server.port, [f"HEAD /?{form} HTTP/1.0\r\n\r\n".encode()])
        size = int(fields(head)["content-length"])
        assert size > 20 * 1024**3
        middle = get(server.port, f"/?{form}", f"Range: bytes={size // 3}-{size // 3 + 50_000_000}")
        assert middle[0] == 206
        assert not any(middle[2])
    end = get(server.port, "/?tar", f"Range: bytes={size - 3000}-")[2]
    assert b"www/z.txt" in end
    assert b"last" in end
    assert server.memory_kib() - before < 40 * 1024


@contextmanager
def changing(change: Callable[[int], object]) -> Iterator[list[tuple[float, float]]]:
    """Call ``change`` again and again; yield when each call has begun and ended."""
    done = threading.Event()
    times: list[tuple[float, float]] = []

    def go_on() -> None:
        number = 0
        while not done.is_set():
            number, begun = number + 1, time.monotonic()
            change(number)
            times.append((begun, time.monotonic()))
            done.wait(0.002)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield times
    finally:
        done.set()
        thread.join()


def in_place(path: Path, number: int) -> None:
    """Write all of a file again, with the same size; every byte says which version it is of."""
    with path.open("r+b") as file:
        for _ in range(16):
            file.write(bytes([number % 256]) * 65536)
            file.flush()


def by_rename(path: Path, number: int) -> None:
    draft = path.with_name(".draft")
    draft.write_bytes(bytes([number % 256]) * 1024 * 1024)
    draft.rename(path)


def truncated(path: Path, number: int) -> None:
    path.write_bytes(bytes([number % 256]) * 1024 * 1024)


WRITERS = {"in place": in_place, "by rename": by_rename, "truncated": truncated}


@pytest.mark.parametrize("form", ["zip", "tar"])
@pytest.mark.parametrize("writer", WRITERS)
def test_a_success_is_never_of_two_versions(start: StartServer, tmp_path: Path, writer: str, form: str) -> None:
    root = write_tree(tmp_path / "www", {f"{name}.bin": bytes(1024 * 1024) for name in "abc"})
    server = start(root)
    mixed = []
    with changing(lambda number: WRITERS[writer](root / "b.bin", number)) as changes:
        for _ in range(12):
            begun = time.monotonic()
            if outcome(server, form) == "mixed":
                mixed.append((begun, time.monotonic()))
    # A writer that the machine has stopped in the middle leaves a file at rest, half of each version: nobody can tell.
    stopped = [(begun, ended) for begun, ended in changes if ended - begun > STOPPED_S]
    unexplained = [one for one in mixed if not any(begun < one[1] and one[0] < ended for begun, ended in stopped)]
    assert unexplained == [], "two versions in one file"
    eventually(lambda: outcome(server, form) == "whole", "it comes whole when nothing is changed")


def outcome(server: ServerProcess, form: str) -> str:
    """Ask for the archive; return whether it came whole, with a file of two versions, broke off, or was refused."""
    try:
        answer = converse(server.port, [f"GET /?{form} HTTP/1.0\r\n\r\n".encode()])
    except ConnectionResetError:
        return "broken off"
    head, _, body = answer.partition(b"\r\n\r\n")
    if b" 200 OK" not in head:
        assert re.match(rb"HTTP/1.0 (429|503) ", head), head
        return "refused"
    assert len(body) == int(fields(head + b"\r\n\r\n")["content-length"]), "a clean end of what is not whole"
    return "whole" if all(content == content[:1] * len(content) for content in contents(body, form)) else "mixed"


def contents(body: bytes, form: str) -> list[bytes]:
    if form == "zip":
        with zipfile.ZipFile(io.BytesIO(body)) as opened:
            return [opened.read(name) for name in opened.namelist() if not name.endswith("/")]
    with tarfile.open(fileobj=io.BytesIO(body), mode="r:") as tar:
        return [file.read() for file in map(tar.extractfile, tar) if file is not None]


@pytest.mark.parametrize("form", ["zip", "tar"])
def test_our_client_names_it_and_resumes(start: StartServer, root: Path, tmp_path: Path, form: str) -> None:
    server = start(root, config="[site]\narchives = true\n")
    folder = tmp_path / "downloads"
    folder.mkdir()
    target = f"{server.url}photos/?{form}"
    wait_until_old(root)
    with subprocess.Popen([*PROGRAM, "--rate", "500K", "-O", target], cwd=folder, stderr=subprocess.DEVNULL) as first:
        eventually(lambda: kept_plan(str(folder / f"photos.{form}")) is not None, "a part can be resumed")
        first.kill()
    eventually(lambda: status_of(server.port) == 200, "the server has noticed")
    second = subprocess.run([*PROGRAM, "-O", target], cwd=folder, stderr=subprocess.PIPE, timeout=WAIT_S, check=False)
    assert second.returncode == 0, second.stderr
    assert os.listdir(folder) == [f"photos.{form}"]
    assert (folder / f"photos.{form}").read_bytes() == get(server.port, f"/photos/?{form}")[2]
    server.wait_for_line(rf'GET /photos/\?{form} HTTP/1.0" 206 ')
