"""A real tree of thousands of files, fetched in every mode and compared byte for byte."""

from __future__ import annotations

import os
import sysconfig
from functools import cache
from pathlib import Path
from urllib.parse import quote_from_bytes

from tests.conftest import StartServer
from tests.support.processes import ServerProcess
from tests.support.wire import connect, read_answer

# Python's own library: it exists wherever these tests run, with text, bytecode and (on Debian) symlinks that leave it.
TREE = Path(sysconfig.get_path("stdlib"))
DOCUMENTATION = Path("/usr/share/doc")
MOST = 6_000


@cache
def _files(root: Path) -> list[bytes]:
    """Return the names of at most MOST files below ``root``, as octets."""
    found = []
    for folder, folders, names in os.walk(os.fsencode(root)):
        folders[:] = sorted(name for name in folders if not name.startswith(b".") and name != b"site-packages")
        found += [os.path.join(folder, name) for name in sorted(names) if not name.startswith(b".")]
    return [path[len(os.fsencode(root)) :] for path in found[:MOST]]


@cache
def _is_inside(root: Path, name: bytes) -> bool:
    real_root, real = os.path.realpath(os.fsencode(root)), os.path.realpath(os.fsencode(root) + name)
    return os.path.isfile(real) and os.path.commonpath([real_root, real]) == real_root


def _compare(server: ServerProcess, root: Path) -> tuple[int, int]:
    """Fetch every file over persistent connections; return how many were equal, and how many rightly a 404."""
    equal = missing = 0
    sock = connect(server.port)
    for name in _files(root):
        target = quote_from_bytes(name).encode()
        sock.sendall(b"GET " + target + b" HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        status, fields, body = read_answer(sock)
        assert fields["connection"] == "keep-alive"
        if _is_inside(root, name):
            assert status == 200, name
            assert body == Path(os.fsdecode(os.fsencode(root) + name)).read_bytes(), name
            equal += 1
        else:
            assert status == 404, name
            missing += 1
    sock.close()
    return equal, missing


def test_the_library_of_python(start: StartServer, mode: str) -> None:
    equal, _ = _compare(start(TREE, "--mode", mode, config='[log]\naccess = "off"\n'), TREE)
    assert equal > 1_000, "a tree of some size"


def test_the_documentation_of_the_system(start: StartServer, mode: str) -> None:
    """On Debian it has many symlinks between packages, some of which leave the root. A small system may have few."""
    root = DOCUMENTATION if DOCUMENTATION.is_dir() else TREE
    equal, missing = _compare(start(root, "--mode", mode, config='[log]\naccess = "off"\n'), root)
    assert equal + missing == len(_files(root))
