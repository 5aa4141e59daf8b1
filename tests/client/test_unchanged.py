"""``get -O`` of a file that is here: done if it is the one on the server, an error if not."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest

from httpmini.client.download.unchanged import is_unchanged
from httpmini.protocol.dates import format_date
from httpmini.protocol.message import Headers
from tests.conftest import StartServer
from tests.support.processes import WAIT_S

HERE, WRITTEN = b"0123456789", 1_700_000_000


def digest(data: bytes) -> str:
    return f"sha-256=:{b64encode(hashlib.sha256(data).digest()).decode()}:"


CASES: dict[str, tuple[bool, dict[str, str]]] = {
    "older, and as long": (True, {"Content-Length": "10", "Last-Modified": format_date(WRITTEN - 1)}),
    "newer": (False, {"Content-Length": "10", "Last-Modified": format_date(WRITTEN + 1)}),
    "of the same second": (False, {"Content-Length": "10", "Last-Modified": format_date(WRITTEN)}),
    "longer": (False, {"Content-Length": "11", "Last-Modified": format_date(WRITTEN - 1)}),
    "of no known length": (False, {"Last-Modified": format_date(WRITTEN - 1)}),
    "of no known date": (False, {"Content-Length": "10"}),
    "coded": (
        False,
        {"Content-Length": "10", "Content-Encoding": "gzip", "Last-Modified": format_date(WRITTEN - 1)},
    ),
    "newer, of the same digest": (
        True,
        {"Content-Length": "10", "Last-Modified": format_date(WRITTEN + 9), "Repr-Digest": digest(HERE)},
    ),
    "older, of another digest": (
        False,
        {"Content-Length": "10", "Last-Modified": format_date(WRITTEN - 9), "Repr-Digest": digest(b"x")},
    ),
}


@pytest.mark.parametrize(("expected", "fields"), CASES.values(), ids=CASES)
def test_what_counts_as_unchanged(tmp_path: Path, expected: bool, fields: dict[str, str]) -> None:
    path = tmp_path / "a"
    path.write_bytes(HERE)
    os.utime(path, (WRITTEN, WRITTEN))
    headers = Headers(tuple(fields.items()))
    assert is_unchanged(str(path), headers) is expected
    wanted = hashlib.sha256(HERE).hexdigest()
    assert is_unchanged(str(path), headers, wanted) is (fields.get("Content-Length") == "10")
    (tmp_path / "link").symlink_to("a")
    assert not is_unchanged(str(tmp_path / "link"), headers)
    assert not is_unchanged(str(tmp_path / "b"), headers)


def test_the_command_says_so(old_site: Path, start: StartServer, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "httpmini", "get", "-O", f"{start(old_site).url}ten.txt"]

    def get() -> tuple[int, bytes, bytes]:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=WAIT_S, check=False)
        return done.returncode, done.stdout, done.stderr

    assert get() == (0, b"", b"")
    assert get() == (0, b"", b"httpmini: ten.txt is here already, and has not changed\n")
    (tmp_path / "ten.txt").write_bytes(b"another length")
    assert get() == (1, b"", b"httpmini: ten.txt exists already; -f replaces it\n")
