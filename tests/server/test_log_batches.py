"""Lines of the access log are written in batches: none is lost or late, and they are in order, in every mode."""

from __future__ import annotations

import re
import signal
import socket
import struct
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from httpmini.site.freshness import SETTLED_S
from tests.conftest import StartServer
from tests.support.processes import eventually
from tests.support.small_site import write_tree
from tests.support.wire import connect, read_answer

KEEP = b"GET /ten.txt HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n"
TEN = b"0123456789"
ROUNDS = 250
SIZE = 200 * 1024  # small enough to be cached
PIPELINED = 100  # 20 MB: more than any socket buffer holds


def test_every_response_has_its_line(start: StartServer, old_site: Path, mode: str, tmp_path: Path) -> None:
    """The query tells connections apart, every other request is the same octet for octet, and no batch is full.

    The connections are still open when the server is told to stop.
    """
    log = tmp_path / "access.log"
    server = start(old_site, "--mode", mode, config=f'[log]\naccess = "{log}"\n')
    with ExitStack() as stack:
        socks = [stack.enter_context(connect(server.port)) for _ in range(4)]
        for number in range(ROUNDS):
            for name, sock in enumerate(socks):
                for head in (KEEP.replace(b".txt", b".txt?%d-%d" % (name, number)), KEEP):
                    sock.sendall(head)
                    assert read_answer(sock)[2] == TEN
        server.process.send_signal(signal.SIGTERM)
        assert server.wait() == 0
    lines = log.read_text().splitlines()
    assert len(lines) == 2 * ROUNDS * len(socks)
    for name in range(len(socks)):
        numbers = [int(found[1]) for line in lines if (found := re.search(rf"\?{name}-(\d+) HTTP", line))]
        assert numbers == list(range(ROUNDS)), "in order on each connection"
    assert all(line.endswith(' HTTP/1.1" 200 10 "-" "-"') for line in lines)


def test_pipelined_responses_have_their_lines(start: StartServer, old_site: Path, mode: str) -> None:
    server = start(old_site, "--mode", mode)
    with connect(server.port) as sock:
        for number in range(20):
            sock.sendall(b"".join(KEEP.replace(b".txt", b".txt?%d" % (number * 50 + n)) for n in range(50)))
            rest = b""
            while rest.count(TEN) < 50:
                rest += sock.recv(65536)
        server.wait_for_line(r"\?999 ")
    numbers = [int(found[1]) for line in server.access_lines() if (found := re.search(r"\?(\d+) HTTP", line))]
    assert numbers == list(range(1000))


def test_lines_come_without_further_requests(start: StartServer, old_site: Path, mode: str) -> None:
    """Both for built and for cached responses, while the connection stays open and silent."""
    server = start(old_site, "--mode", mode)
    with connect(server.port) as sock:
        for count in range(1, 6):
            sock.sendall(KEEP)
            assert read_answer(sock)[2] == TEN
            server.wait_for_line(r'"GET /ten.txt HTTP/1.1" 200 10 ', count)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with a page that is large, and old enough to be cached."""
    root = write_tree(tmp_path_factory.mktemp("large"), {"page": b"x" * SIZE})
    written = (root / "page").stat().st_ctime
    eventually(lambda: time.time() > written + SETTLED_S, "the page is old")
    return root


def test_a_response_that_is_cut_off_has_a_line_with_the_bytes_sent(start: StartServer, large: Path, mode: str) -> None:
    """A client requests a lot, reads one response and a bit, and disconnects."""
    server = start(large, "--mode", mode)
    with connect(server.port) as sock:
        sock.sendall(KEEP.replace(b"ten.txt", b"page") * PIPELINED)
        received = 0
        while received < SIZE + 1000:
            received += len(sock.recv(65536))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    server.wait_for_line(rf'"GET /page HTTP/1.1" 200 (?!{SIZE} )')
    assert server.stop() == 0
    sizes = [line.split('" 200 ')[1].split()[0] for line in server.access_lines()]
    sent = [0 if size == "-" else int(size) for size in sizes]
    assert sent[:-1] == [SIZE] * (len(sent) - 1)
    assert sent[-1] < SIZE
    assert len(sent) < PIPELINED
    assert sum(sent) + 1000 * len(sent) >= received, "what has arrived was sent"
