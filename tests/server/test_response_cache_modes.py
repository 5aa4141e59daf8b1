"""Over real sockets, in every mode: a server that keeps answers says the same octets as one that keeps none."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from httpmini.server.modes import MODES
from tests.support.processes import ServerProcess
from tests.support.wire import connect, converse, fields, mask_date, read_answer, read_head
from tests.wire_cases import CASES, Case

KEEP = "Host: h\r\nConnection: keep-alive\r\n"
# On one connection, since in forking mode nothing is remembered longer.
QUESTIONS = {
    "a file": f"GET /ten.txt HTTP/1.1\r\n{KEEP}\r\n",
    "its head": f"HEAD /ten.txt HTTP/1.1\r\n{KEEP}\r\n",
    "by a 1.0 client": f"GET /ten.txt HTTP/1.0\r\n{KEEP}\r\n",
    "with a query": f"GET /ten.txt?a=b HTTP/1.1\r\n{KEEP}\r\n",
    "an index": f"GET /indexed/ HTTP/1.1\r\n{KEEP}\r\n",
    "the second index": f"GET /old/ HTTP/1.1\r\n{KEEP}\r\n",
    "through a link": f"GET /link-in.txt HTTP/1.1\r\n{KEEP}\r\n",
    "not modified": f"GET /ten.txt HTTP/1.1\r\n{KEEP}If-None-Match: *\r\n\r\n",
    "modified": f'GET /ten.txt HTTP/1.1\r\n{KEEP}If-None-Match: "x"\r\n\r\n',
    "a part": f"GET /ten.txt HTTP/1.1\r\n{KEEP}Range: bytes=2-4\r\n\r\n",
    "nothing": f"GET /empty.txt HTTP/1.1\r\n{KEEP}\r\n",
    "nowhere": f"GET /missing HTTP/1.1\r\n{KEEP}\r\n",
    "a folder": f"GET /sub HTTP/1.1\r\n{KEEP}\r\n",
    "a listing": f"GET /sub/ HTTP/1.1\r\n{KEEP}\r\n",
    "too large to keep": f"GET /big.bin HTTP/1.1\r\n{KEEP}\r\n",
}


@dataclass
class Pair:
    """Two servers of the same site in the same mode."""

    keeping: ServerProcess
    forgetful: ServerProcess


@pytest.fixture(scope="module", params=sorted(MODES))
def pair(request: pytest.FixtureRequest, old_site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    config = tmp_path_factory.mktemp("config") / "httpmini.toml"
    config.write_text("[limits]\nrecall_bytes = 0\n")
    arguments = [str(old_site), "--port", "0", "--mode", request.param]
    servers: list[ServerProcess] = []
    try:
        servers = [ServerProcess(arguments), ServerProcess([*arguments, "-c", str(config)])]
        yield Pair(*servers)
        for server in servers:
            server.assert_clean_end()
    finally:
        for server in servers:
            server.kill()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name[:60])
def test_every_case_asked_again(case: Case, pair: Pair) -> None:
    expected = mask_date(converse(pair.forgetful.port, [case.data]))
    for _ in range(3):  # made, kept; found by its question; found by its octets
        assert mask_date(converse(pair.keeping.port, [case.data])) == expected


@pytest.mark.parametrize("name", QUESTIONS)
def test_asked_again_on_one_connection(name: str, pair: Pair) -> None:
    head = QUESTIONS[name].encode()
    with connect(pair.forgetful.port) as sock:
        expected = ask(sock, head)
    with connect(pair.keeping.port) as sock:
        assert [ask(sock, head) for _ in range(5)] == [expected] * 5


def test_questions_in_turns_on_one_connection(pair: Pair) -> None:
    """What is kept for one is not said to another."""
    heads = [head.encode() for head in QUESTIONS.values()]
    with connect(pair.forgetful.port) as sock:
        expected = [ask(sock, head) for head in heads]
    with connect(pair.keeping.port) as sock:
        for _ in range(4):
            assert [ask(sock, head) for head in heads] == expected


def ask(sock: socket.socket, head: bytes) -> tuple[int, dict[str, str], bytes]:
    """One answer, without its Date."""
    sock.sendall(head)
    if head.startswith(b"HEAD "):
        said, body = read_head(sock)
        status, named = int(said.split(b" ", 2)[1]), fields(said)
    else:
        status, named, body = read_answer(sock)
    del named["date"]
    return status, named, body
