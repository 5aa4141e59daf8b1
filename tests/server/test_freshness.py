"""A change on disk is visible to the very next request, even if the response was cached; in every mode."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from httpmini.protocol.dates import format_date
from httpmini.server.modes import MODES
from httpmini.site.freshness import SETTLED_S
from tests.conftest import StartServer
from tests.support.processes import eventually
from tests.support.wire import connect, read_answer

OLD, NEW = b"0123456789", b"9876543210"
KEEP = b"GET /sub/page.html HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n"


def rewrite_with_the_same_date(page: Path) -> None:
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


def grow_with_the_same_date(page: Path) -> None:
    before = page.stat()
    with page.open("ab") as file:
        file.write(NEW)
    os.utime(page, ns=(before.st_atime_ns, before.st_mtime_ns))


def file_becomes_a_link_outside(page: Path) -> None:
    outside = page.parents[2] / f"{page.parents[1].name}-outside"
    outside.write_bytes(NEW)
    page.unlink()
    page.symlink_to(outside)


def folder_becomes_a_link_outside(page: Path) -> None:
    """It leads to the very same file, which is now outside the root."""
    outside = page.parents[2] / f"{page.parents[1].name}-outside"
    os.rename(page.parent, outside)
    page.parent.symlink_to(outside)


def file_becomes_a_folder(page: Path) -> None:
    page.unlink()
    page.mkdir()


CHANGES: dict[str, tuple[Callable[[Path], object], int, bytes]] = {
    "content": (lambda page: page.write_bytes(NEW + b"."), 200, NEW + b"."),
    "content of the same size and date": (rewrite_with_the_same_date, 200, NEW),
    "size": (lambda page: os.truncate(page, 3), 200, OLD[:3]),
    "deletion": (lambda page: page.unlink(), 404, b""),
    "replacement": (replace, 200, NEW),
    "folder": (another_folder, 200, NEW),
    "more content, date set back": (grow_with_the_same_date, 200, OLD + NEW),
    "emptied": (lambda page: os.truncate(page, 0), 200, b""),
    "folder renamed": (lambda page: os.rename(page.parent, page.parents[1] / "other"), 404, b""),
    "a link to the outside": (file_becomes_a_link_outside, 404, b""),
    "folder is a link to the outside": (folder_becomes_a_link_outside, 404, b""),
    "a folder": (file_becomes_a_folder, 301, b""),
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a root for each mode and change, with old pages: files written a moment ago are not cached."""
    folder = tmp_path_factory.mktemp("pages")
    for mode in MODES:
        for number in range(len(CHANGES)):
            (folder / f"{mode}-{number}" / "sub").mkdir(parents=True)
            (folder / f"{mode}-{number}" / "sub" / "page.html").write_bytes(OLD)
        for version, body in (("old", OLD), ("new", NEW)):
            (folder / f"{mode}-{version}" / "sub").mkdir(parents=True)
            (folder / f"{mode}-{version}" / "sub" / "page.html").write_bytes(body)
            (folder / f"{mode}-{version}" / "index.htm").write_bytes(body)
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
        assert status != 200 or content == body
    assert os.listdir(root), "the folder was used"


def test_another_root_is_visible_at_once(start: StartServer, pages: Path, mode: str) -> None:
    """The next release has the same dates as the last and arrives by a rename, as in deployments."""
    current = pages / f"{mode}-current"
    current.symlink_to(f"{mode}-old")
    server = start(current, "--mode", mode, config=f'[daemon]\nreadable = ["{pages}"]\n')
    with connect(server.port) as sock:
        for version, body in (("new", OLD), ("old", NEW), ("new", OLD)):
            for _ in range(5):
                sock.sendall(KEEP)
                assert read_answer(sock)[2] == body
            (pages / f"{mode}-next").symlink_to(f"{mode}-{version}")
            os.rename(pages / f"{mode}-next", current)


def test_an_index_that_comes_first_is_visible_at_once(start: StartServer, pages: Path, mode: str) -> None:
    root = pages / f"{mode}-old"
    server = start(root, "--mode", mode, config='[site]\nindex = ["index.html", "index.htm"]\n')
    with connect(server.port) as sock:
        for present in (False, True, False):
            if present:
                (root / "index.html").write_bytes(NEW)
            else:
                (root / "index.html").unlink(missing_ok=True)
            for _ in range(5):
                sock.sendall(KEEP.replace(b"/sub/page.html", b"/"))
                assert read_answer(sock)[2] == (NEW if present else OLD)


def test_a_new_date_is_visible_at_once(start: StartServer, pages: Path, mode: str) -> None:
    page = pages / f"{mode}-new" / "sub" / "page.html"
    server = start(page.parents[1], "--mode", mode)
    with connect(server.port) as sock:
        for _ in range(5):
            sock.sendall(KEEP)
            assert read_answer(sock)[1]["last-modified"] == format_date(page.stat().st_ctime)
        os.utime(page, (0, 0))  # a date that says nothing
        sock.sendall(KEEP)
        assert "last-modified" not in read_answer(sock)[1]
