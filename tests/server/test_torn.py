"""Files that change while they are sent: exactly the announced bytes, or a connection that visibly breaks."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.conftest import StartServer
from tests.support.wire import connect, get, read_all, read_head

SIZE = 32 * 1024 * 1024


def _begin(port: int) -> tuple[socket.socket, bytes]:
    sock = connect(port)
    sock.sendall(b"GET /file.bin HTTP/1.0\r\n\r\n")
    head, body = read_head(sock)
    assert f"Content-Length: {SIZE}\r\n".encode() in head
    return sock, body


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    path = tmp_path / "root" / "file.bin"
    path.write_bytes(b"old!" * (SIZE // 4))
    return path


def test_grown(start: StartServer, file: Path, mode: str) -> None:
    server = start(file.parent, "--mode", mode)
    sock, body = _begin(server.port)
    with sock, open(file, "ab") as growing:
        growing.write(b"more")
        growing.flush()
        body += read_all(sock)
    assert body == b"old!" * (SIZE // 4)


def test_shrunk(start: StartServer, file: Path, mode: str) -> None:
    server = start(file.parent, "--mode", mode)
    sock, _ = _begin(server.port)
    with sock:
        os.truncate(file, 100)
        with pytest.raises(ConnectionResetError):
            read_all(sock)
    line = server.wait_for_line("file.bin")
    assert int(line.split('" 200 ')[1].split()[0]) < SIZE
    assert get(server.port, "/file.bin")[2] == b"old!" * 25


@pytest.mark.parametrize("how", ["replaced", "deleted"])
def test_replaced_or_deleted(start: StartServer, file: Path, mode: str, how: str) -> None:
    """The response that has begun is the whole old file; the next one reflects the new state."""
    server = start(file.parent, "--mode", mode)
    sock, body = _begin(server.port)
    with sock:
        if how == "replaced":
            (file.parent / "new").write_bytes(b"new")
            os.replace(file.parent / "new", file)
        else:
            file.unlink()
        body += read_all(sock)
    assert body == b"old!" * (SIZE // 4)
    status, _, now = get(server.port, "/file.bin")
    assert (status, now[:3]) == ((200, b"new") if how == "replaced" else (404, now[:3]))
