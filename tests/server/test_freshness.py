"""A change on the disk is visible to the very next request, also when its answer was kept; in every mode."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from httpmini.server.modes import MODES
from httpmini.site.witness import SETTLED_S
from tests.conftest import StartServer
from tests.support.processes import eventually
from tests.support.wire import connect, read_answer

OLD, NEW = b"0123456789", b"9876543210"
KEEP = b"GET /sub/page.html HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n"


def rewrite_in_secret(page: Path) -> None:
    before = page.stat()
    page.write_bytes(NEW)
    os.utime(page, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(page: Path) -> None:
    (page.parent / "new").write_bytes(NEW)
    os.rename(page.parent / "new", page)


def another_folder(page: Path) -> None:
    shutil.copytree(page.parent, page.parents[1] / "other")
    (page.parents[1] / "other" / "page.html").write_bytes(NEW)
    os.rename(page.parent, page.parents[1] / "old")
    (page.parent).symlink_to("other")


CHANGES: dict[str, tuple[Callable[[Path], object], int, bytes]] = {
    "content": (lambda page: page.write_bytes(NEW + b"."), 200, NEW + b"."),
    "content of the same size and date": (rewrite_in_secret, 200, NEW),
    "size": (lambda page: os.truncate(page, 3), 200, OLD[:3]),
    "deletion": (lambda page: page.unlink(), 404, b""),
    "replacement": (replace, 200, NEW),
    "folder": (another_folder, 200, NEW),
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Old pages, a root for each mode and change: nobody vouches for a file that was written a moment ago."""
    folder = tmp_path_factory.mktemp("pages")
    for mode in MODES:
        for number in range(len(CHANGES)):
            (folder / f"{mode}-{number}" / "sub").mkdir(parents=True)
            (folder / f"{mode}-{number}" / "sub" / "page.html").write_bytes(OLD)
    youngest = time.time()
    eventually(lambda: time.time() > youngest + SETTLED_S, "the pages are old")
    return folder


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_visible_at_once(start: StartServer, pages: Path, mode: str, name: str) -> None:
    change, status, body = CHANGES[name]
    root = pages / f"{mode}-{list(CHANGES).index(name)}"
    server = start(root, "--mode", mode)
    with connect(server.port) as sock:
        for _ in range(5):
            sock.sendall(KEEP)
            assert read_answer(sock)[2] == OLD
        change(root / "sub" / "page.html")
        sock.sendall(KEEP)
        said, _, content = read_answer(sock)
        assert said == status
        assert status == 404 or content == body
    assert os.listdir(root), "the folder was really used"


def test_the_log_is_complete_and_in_order(start: StartServer, site: Path, mode: str, tmp_path: Path) -> None:
    """Lines are written in batches, of kept answers too: none is lost on a clean stop."""
    log = tmp_path / "access.log"
    server = start(site, "--mode", mode, config=f'[log]\naccess = "{log}"\n')
    with connect(server.port) as one, connect(server.port) as other:
        for number in range(700):
            sock = (one, other)[number % 2]
            sock.sendall(f"GET /ten.txt?{number} HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n".encode())
            assert read_answer(sock)[2] == OLD
            sock.sendall(b"GET /ten.txt HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n")
            assert read_answer(sock)[2] == OLD
        server.process.send_signal(signal.SIGTERM)
        assert server.wait() == 0
    lines = log.read_text().splitlines()
    assert len(lines) == 1400
    numbers = [int(line.split("?")[1].split()[0]) for line in lines if "?" in line]
    assert numbers[::2] == sorted(numbers[::2]) if mode in ("select", "iterative") else True
    assert sorted(numbers) == list(range(700))


def test_lines_come_without_further_requests(start: StartServer, site: Path, mode: str) -> None:
    server = start(site, "--mode", mode)
    with connect(server.port) as sock:
        sock.sendall(b"GET /ten.txt HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n")
        read_answer(sock)
        server.wait_for_line(r'"GET /ten.txt HTTP/1.1" 200 10 ')
