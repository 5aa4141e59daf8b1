"""Over real sockets, in every mode: a server with a response cache sends the same octets as one without it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from httpmini.lint.cases import CASES, Case
from httpmini.server.modes import MODES
from tests.support.processes import ServerProcess
from tests.support.tables import check_all, in_batches
from tests.support.wire import connect, converse, fields, mask_date, read_answer, read_head

KEEP = "Host: h\r\nConnection: keep-alive\r\n"
# Sent on one connection, since in forking mode a cache lives no longer.
REQUESTS = {
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
    "too large to cache": f"GET /big.bin HTTP/1.1\r\n{KEEP}\r\n",
}


@dataclass
class Pair:
    """Two servers of the same site.

    Attributes:
        caching: with a response cache, in each mode in turn.
        uncached: without one, in select mode; test_modes_same_bytes shows that all modes send the same.
        repeats: how many connections it takes until a response has come in all ways. In forking mode no cache outlives
            a connection, so that all of them are alike.
    """

    caching: ServerProcess
    uncached: ServerProcess
    repeats: int


@pytest.fixture(scope="module")
def uncached(old_site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    config = tmp_path_factory.mktemp("config") / "httpmini.toml"
    config.write_text("[site]\narchives = true\n[limits]\nresponse_cache_bytes = 0\n")
    yield from running(str(old_site), "--mode", "select", "-c", str(config))


@pytest.fixture(scope="module")
def from_uncached(uncached: ServerProcess) -> Callable[[Case], bytes]:
    """Return a function that asks the server without a cache once for each case."""

    @cache
    def response_to(data: bytes) -> bytes:
        return mask_date(converse(uncached.port, [data]))

    return lambda case: response_to(case.data)


@pytest.fixture(scope="module", params=sorted(MODES))
def pair(request: pytest.FixtureRequest, old_site: Path, uncached: ServerProcess) -> Iterator[Pair]:
    for caching in running(str(old_site), "--mode", request.param):
        yield Pair(caching, uncached, 1 if request.param == "forking" else 3)


def running(*arguments: str) -> Iterator[ServerProcess]:
    """Run a server until the generator is resumed; it must end cleanly."""
    server = ServerProcess([*arguments, "--port", "0"])
    try:
        yield server
        server.assert_clean_end()
    finally:
        server.kill()


@in_batches("cases", CASES)
def test_every_case_repeated(cases: Sequence[Case], pair: Pair, from_uncached: Callable[[Case], bytes]) -> None:
    def check_one(case: Case) -> None:
        expected = from_uncached(case)
        for _ in range(pair.repeats):  # built and cached; found by its key; found by its octets
            assert mask_date(converse(pair.caching.port, [case.data])) == expected

    check_all(cases, check_one)


@pytest.mark.parametrize("name", REQUESTS)
def test_repeated_requests_on_one_connection(name: str, pair: Pair) -> None:
    head = REQUESTS[name].encode()
    with connect(pair.uncached.port) as sock:
        expected = ask(sock, head)
    with connect(pair.caching.port) as sock:
        assert [ask(sock, head) for _ in range(5)] == [expected] * 5


def test_alternating_requests_on_one_connection(pair: Pair) -> None:
    """A cached response is not sent for a different request."""
    heads = [head.encode() for head in REQUESTS.values()]
    with connect(pair.uncached.port) as sock:
        expected = [ask(sock, head) for head in heads]
    with connect(pair.caching.port) as sock:
        for _ in range(4):
            assert [ask(sock, head) for head in heads] == expected


def ask(sock: socket.socket, head: bytes) -> tuple[int, dict[str, str], bytes]:
    """Return status, fields without Date, and body of the response."""
    sock.sendall(head)
    if head.startswith(b"HEAD "):
        said, body = read_head(sock)
        status, named = int(said.split(b" ", 2)[1]), fields(said)
    else:
        status, named, body = read_answer(sock)
    del named["date"]
    return status, named, body
