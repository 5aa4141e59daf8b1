"""Listings and small pictures from servers in every mode, beside everything that servers keep."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from httpmini.lint.cases.site_tree import MTIME
from tests.conftest import StartServer
from tests.support.photos import exif, photo, tiff
from tests.support.small_site import write_tree
from tests.support.wire import WAIT_S, connect, read_answer

THUMB = b"\xff\xd8\xff" + b"small" * 40
PHOTO = photo(exif(tiff(THUMB, "<"))) + bytes(20_000)
KEEP = "HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n"


def test_a_thumbnail_is_never_mistaken_for_its_picture(start: StartServer, tmp_path: Path, mode: str) -> None:
    """The response cache looks at no query but this one."""
    root = write_tree(tmp_path / "www", {"a.jpg": PHOTO})
    for path in (root / "a.jpg", root):
        os.utime(path, (MTIME, MTIME))
    server = start(root, "--mode", mode)
    targets = ["/a.jpg", "/a.jpg?thumb", "/a.jpg?x", "/a.jpg?thumb"] * 3
    with connect(server.port) as sock:
        for target in targets:
            sock.sendall(f"GET {target} {KEEP}".encode())
            status, _, body = read_answer(sock)
            assert (status, body) == (200, THUMB if target.endswith("?thumb") else PHOTO), target


def test_a_mirror_sees_more_than_a_page(start: StartServer, tmp_path: Path) -> None:
    names = {f"{number:04}" for number in range(1005)}
    server = start(write_tree(tmp_path / "www", {f"f/{name}": b"" for name in names}))
    command = [sys.executable, "-m", "httpmini", "mirror", server.url + "f/", str(tmp_path / "copy")]
    done = subprocess.run(command, capture_output=True, timeout=WAIT_S, check=False)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "copy").iterdir()} >= names
