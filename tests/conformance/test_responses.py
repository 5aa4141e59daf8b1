"""Our responses in independent readers: all see the same status, fields, body and end.

First the octets of every wire case, played to each reader from a small server that says nothing else. Then the
real server in every mode. What is right is what a split by hand says (``readers.by_hand``).
"""

from __future__ import annotations

import queue
import re
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import h11
import pytest

from httpmini.client.retry import SAFE_METHODS
from httpmini.lint.cases import CASES, Case
from httpmini.lint.cases.build import LAST_MODIFIED, TEN
from httpmini.lint.cases.site_tree import BIG
from httpmini.protocol.dates import parse_date
from httpmini.server.modes import MODES
from tests.conformance.readers import (
    OURS,
    READERS,
    Question,
    Reading,
    by_hand,
    differences,
    read_events,
)
from tests.support.processes import ServerProcess
from tests.support.sans_io import answers_to
from tests.support.tables import check_all, in_batches
from tests.support.wire import WAIT_S, converse

CLOSE = ("Connection", "close")
KEEP = ("Connection", "keep-alive")
KEEPERS = ("requests", "http.client", OURS)  # h11 does not keep a connection to a 1.0 peer


# ---------------------------------------------------------------------------------------------------------------
# Replay


class Player:
    """A server that sends the same response to every request; one connection at a time, in one thread."""

    def __init__(self) -> None:
        self._octets = b""
        self._closes = True
        self._heard: queue.SimpleQueue[list[bytes]] = queue.SimpleQueue()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self._thread.join(WAIT_S)
        self._listener.close()
        assert not self._thread.is_alive()

    @contextmanager
    def playing(self, octets: bytes, *, closes: bool) -> Iterator[list[bytes]]:
        """One connection gets ``octets``; at the end, the list has the requests that came on it.

        Where the answer ``closes``, the connection ends with it, else it stays until the client hangs up: one who
        waits for more than the answer waits in vain.
        """
        self._octets, self._closes, self._heard = octets, closes, queue.SimpleQueue()
        heard: list[bytes] = []
        try:
            yield heard
        finally:
            heard += self._heard.get(timeout=WAIT_S)

    def _run(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            heard: list[bytes] = []
            with sock, suppress(OSError):  # a client that breaks off fails its own test
                sock.settimeout(WAIT_S)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._converse(sock, heard)
            self._heard.put(heard)

    def _converse(self, sock: socket.socket, heard: list[bytes]) -> None:
        buffer = b""
        while data := sock.recv(65536):
            buffer += data
            if b"\r\n\r\n" in buffer:
                request, _, buffer = buffer.partition(b"\r\n\r\n")
                heard.append(request)
                sock.sendall(self._octets)
                if self._closes:
                    sock.shutdown(socket.SHUT_WR)


@pytest.fixture(scope="module")
def player() -> Iterator[Player]:
    server = Player()
    try:
        yield server
    finally:
        server.stop()


def method_of(case: Case) -> str:
    """The method that was asked with. What has no request line of three words has none either."""
    line = re.match(rb"\r?\n?([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]+[^ \t\r\n]+[ \t]+HTTP/", case.data)
    method = line[1].decode() if line else "GET"
    return "GET" if method != method.upper() == "HEAD" else method  # requests cannot ask by another case


def first_answer(said: bytes, method: str) -> bytes:
    """Return the first response of a conversation (RFC 9112 §6.3)."""
    size = said.index(b"\r\n\r\n") + 4
    named = dict(by_hand(said[:size]).fields)
    bodiless = method == "HEAD" or said.split(b" ", 2)[1] in (b"204", b"304")
    return said[: size + (0 if bodiless else int(named["content-length"]))]


def play(player: Player, name: str, question: Question, octets: bytes, *, times: int = 1) -> list[Reading]:
    """What the reader ``name`` makes of ``octets``, asking so many times on one connection."""
    closes = not by_hand(octets).may_keep
    with player.playing(octets, closes=closes) as heard, closing(READERS[name](player.port)) as reader:
        readings = [reader.ask(question) for _ in range(times)]
    asked = [request.split(b" ", 1)[0].decode().upper() for request in heard]  # requests writes them in capitals
    assert asked == [question.method.upper()] * times
    return readings


ANSWERED = [case for case in CASES if case.answers]
every_answer = in_batches("cases", ANSWERED)


@pytest.fixture(scope="module")
def answers(site: Path) -> dict[str, bytes]:
    """Return the first response to each wire case."""
    table = {}
    for case in ANSWERED:
        said = answers_to(site, [case.data])
        answer = first_answer(said, method_of(case))
        assert len(case.answers) > 1 or answer == said, f"there is more than the answer to {case.name}"
        table[case.name] = answer
    return table


@every_answer
def test_every_response_is_read_alike(cases: Sequence[Case], answers: dict[str, bytes], player: Player) -> None:
    check_all(cases, lambda case: check_reading(case, answers[case.name], player))


def check_reading(case: Case, octets: bytes, player: Player) -> None:
    question = Question(method_of(case), "/")
    truth = by_hand(octets)
    assert truth.status == case.answers[0].status
    assert truth.body == (truth.body if case.answers[0].body is None else case.answers[0].body)
    readings = {name: play(player, name, question, octets)[0] for name in READERS}
    assert {name: said for name, reading in readings.items() if (said := differences(reading, truth))} == {}
    keepers = {name: readings[name].may_keep for name in KEEPERS}
    assert keepers == dict.fromkeys(KEEPERS, truth.may_keep)
    assert readings["h11"].may_keep is False


@every_answer
def test_h11_keeps_what_we_keep_where_the_version_lets_it(cases: Sequence[Case], answers: dict[str, bytes]) -> None:
    """h11 uses connections to 1.1 peers again. Only the version is changed: the rest must say the same in 1.1."""
    check_all(cases, lambda case: check_h11(case, answers[case.name]))


def check_h11(case: Case, octets: bytes) -> None:
    connection = h11.Connection(our_role=h11.CLIENT)
    connection.send(h11.Request(method=method_of(case), target="/", headers=[("Host", "x")]))
    connection.send(h11.EndOfMessage())
    pieces = iter([octets.replace(b"HTTP/1.0", b"HTTP/1.1", 1)])
    reading = read_events(connection, lambda: next(pieces))
    truth = by_hand(octets)
    assert (reading.may_keep, reading.version) == (truth.may_keep, (1, 1))
    assert differences(replace(reading, version=(1, 0)), truth) == []


def kept(answers: dict[str, bytes]) -> dict[str, bytes]:
    return {name: octets for name, octets in answers.items() if by_hand(octets).may_keep}


@pytest.mark.parametrize("name", READERS)
def test_a_persistent_connection_is_reused(name: str, answers: dict[str, bytes], player: Player) -> None:
    """Every answer that keeps its connection, twice on one connection: the second begins where the first ends."""
    methods = {case.name: method_of(case) for case in ANSWERED}
    assert {by_hand(octets).status for octets in kept(answers).values()} >= {200, 204, 206, 301, 304, 404, 405}
    for case, octets in kept(answers).items():
        if name == OURS and methods[case] not in SAFE_METHODS:  # these get a connection of their own
            continue
        truth = by_hand(octets)
        for reading in play(player, name, Question(methods[case], "/"), octets, times=2):
            assert differences(reading, truth) == [], case


GOOD = b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\nX: a\r\n\r\nhello"


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    ("old", "new", "differs"),
    [
        (b"200", b"201", "status"),
        (b"OK", b"Okay", "phrase"),
        (b"X: a", b"X: b", "fields"),
        (b"X: a", b"X: a\r\nX: a", "fields"),
        (b"X: a\r\n", b"", "fields"),
        (b"hello", b"hallo", "body"),
    ],
)
def test_a_different_response_is_read_differently(
    name: str, old: bytes, new: bytes, differs: str, player: Player
) -> None:
    """Readers notice differences, so their agreement is meaningful."""
    octets = GOOD.replace(old, new)
    with player.playing(octets, closes=False), closing(READERS[name](player.port)) as reader:
        reading = reader.ask(Question("GET", "/"))
    assert [said.partition(":")[0] for said in differences(reading, by_hand(GOOD))] == [differs]


@pytest.mark.parametrize(
    "data",
    [
        b"HEAD /ten.txt HTTP/1.1\r\n\r\n",
        b"HEAD /ten.txt HTTP/1.0\r\nHost: a b\r\n\r\n",
        b"HEAD /ten.txt HTTP/1.0\r\nX: a\r\n b\r\n\r\n",
        b"HEAD /ten.txt HTTP/1.0\r\nX\r\n\r\n",
        b"HEAD /ten.txt HTTP/1.0\r\nX: " + b"x" * 17_000 + b"\r\n\r\n",
        b"HEAD /ten.txt HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HEAD /%zz HTTP/1.0\r\n\r\n",
    ],
    ids=["no Host", "wrong Host", "folded", "no colon", "too long", "chunked", "wrong target"],
)
def test_a_head_request_that_is_refused_gets_no_body(data: bytes, site: Path) -> None:
    """The method could be read: no response to HEAD has a body (RFC 1945 §8.2, RFC 9110 §9.3.2)."""
    truth = by_hand(answers_to(site, [data]))
    assert (truth.status in (400, 431), truth.body, truth.may_keep) == (True, b"", False)


# ---------------------------------------------------------------------------------------------------------------
# Live


@dataclass(frozen=True)
class Row:
    """A question to the real server and what is known of the answer; a body that is None is anything but empty."""

    name: str
    question: Question
    status: int
    body: bytes | None = None
    keeps: bool = True


TAG = "{tag}"  # stands for the entity tag of /ten.txt


def row(
    name: str, method: str, target: str, *fields: tuple[str, str], status: int = 200, body: bytes | None = None
) -> Row:
    return Row(name, Question(method, target, fields), status, body)


# No refusals of heads: these say at which octet, and each client has a head of its own.
ROWS = (
    row("file", "GET", "/ten.txt", body=TEN),
    row("file, HEAD", "HEAD", "/ten.txt", body=b""),
    row("empty file", "GET", "/empty.txt", body=b""),
    row("empty file, HEAD", "HEAD", "/empty.txt", body=b""),
    row("3 MiB", "GET", "/big.bin", body=BIG),
    row("3 MiB, HEAD", "HEAD", "/big.bin", body=b""),
    row("index", "GET", "/", body=b"<h1>home</h1>\n"),
    row("folder", "GET", "/sub?q=1", status=301),
    row("folder, HEAD", "HEAD", "/sub", status=301, body=b""),
    row("listing", "GET", "/sub/"),
    row("listing, HEAD", "HEAD", "/sub/", body=b""),
    row("missing", "GET", "/nothing", status=404),
    row("missing, HEAD", "HEAD", "/nothing", status=404, body=b""),
    row("wrong target", "GET", "/ten%00.txt", status=400),
    row("range", "GET", "/ten.txt", ("Range", "bytes=1-3"), status=206, body=b"123"),
    row("range of 3 MiB", "GET", "/big.bin", ("Range", "bytes=1000000-"), status=206, body=BIG[1_000_000:]),
    row("two ranges", "GET", "/ten.txt", ("Range", "bytes=0-1,-1"), status=206),
    row("two ranges of 3 MiB", "GET", "/big.bin", ("Range", "bytes=0-999999,1000001-"), status=206),
    row("no such range", "GET", "/ten.txt", ("Range", "bytes=10-"), status=416),
    row("same tag", "GET", "/ten.txt", ("If-None-Match", TAG), status=304, body=b""),
    row("same tag, HEAD", "HEAD", "/ten.txt", ("If-None-Match", TAG), status=304, body=b""),
    row("same date", "GET", "/ten.txt", ("If-Modified-Since", LAST_MODIFIED), status=304, body=b""),
    row("range if same", "GET", "/ten.txt", ("Range", "bytes=9-"), ("If-Range", TAG), status=206, body=b"9"),
    row("another tag is wanted", "GET", "/ten.txt", ("If-Match", '"x"'), status=412),
    row("another tag is wanted, HEAD", "HEAD", "/ten.txt", ("If-Match", '"x"'), status=412, body=b""),
    row("OPTIONS", "OPTIONS", "/ten.txt", status=204, body=b""),
    row("POST", "POST", "/ten.txt", status=405),
    Row("POST, with a body", Question("POST", "/ten.txt", body=b"hello"), 405, keeps=False),
    row("DELETE", "DELETE", "/ten.txt", status=405),
    row("unknown method", "BREW", "/ten.txt", status=501),
    row("name with a percent", "GET", "/50%25.txt", body=b"percent\n"),
    row("name in latin-1", "GET", "/caf%E9.txt", body=b"latin-1 name\n"),
    row("name with control characters", "GET", "/esc%1B%5B31m%0A.txt", body=b"control name\n"),
    row("name with markup", "GET", "/quo'te%22%3Cb%3E&amp;.txt", body=b"markup\n"),
)
KEPT_ROWS = [row for row in ROWS if row.keeps]


@pytest.fixture(scope="module", params=sorted(MODES))
def server(request: pytest.FixtureRequest, site: Path) -> Iterator[ServerProcess]:
    running = ServerProcess([str(site), "--port", "0", "--mode", request.param])
    try:
        yield running
        running.assert_clean_end()
    finally:
        running.kill()


@pytest.fixture(scope="module")
def tag(server: ServerProcess) -> str:
    """Return the entity tag of /ten.txt."""
    reading = by_hand(converse(server.port, [Question("HEAD", "/ten.txt").spelled()]))
    return dict(reading.fields)["etag"]


def question_of(row: Row, tag: str, connection: tuple[str, str]) -> Question:
    fields = tuple((name, value.replace(TAG, tag)) for name, value in row.question.fields)
    return replace(row.question, fields=(*fields, connection))


def masked(reading: Reading) -> Reading:
    """Return the reading with its Date, which must be valid, masked."""
    assert parse_date(dict(reading.fields)["date"], 0) is not None
    return replace(reading, fields=tuple((name, "*" if name == "date" else value) for name, value in reading.fields))


def true_answer(server: ServerProcess, row: Row, question: Question) -> bytes:
    """Return the response to a bare socket, checked against the table."""
    octets = converse(server.port, [question.spelled()])
    truth = by_hand(octets)
    assert truth.status == row.status
    assert truth.body == row.body if row.body is not None else truth.body, "not the body"
    if truth.status in (204, 304):
        assert "content-length" not in dict(truth.fields)
    elif question.method != "HEAD":
        assert len(truth.body) == int(dict(truth.fields)["content-length"])
    return octets


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_server_is_read_alike(row: Row, server: ServerProcess, tag: str) -> None:
    question = question_of(row, tag, CLOSE)
    octets = true_answer(server, row, question)
    truth = masked(by_hand(octets))
    readings = {}
    for name, make in READERS.items():
        with closing(make(server.port)) as reader:
            readings[name] = reader.ask(question)
    found = {name: said for name, reading in readings.items() if (said := differences(masked(reading), truth))}
    assert found == {}
    assert [readings[name].may_keep for name in KEEPERS] == [False] * len(KEEPERS)


@pytest.mark.parametrize("name", READERS)
def test_a_persistent_connection_is_read_alike(name: str, server: ServerProcess, tag: str) -> None:
    """All questions one after the other on one connection, and in the other order, so that each has others before it.

    Our own client asks what changes something on a connection of its own.
    """
    places = set()
    rows = [row for row in (*KEPT_ROWS, *reversed(KEPT_ROWS)) if name != OURS or row.question.method in SAFE_METHODS]
    with closing(READERS[name](server.port)) as reader:
        for row in rows:
            question = question_of(row, tag, KEEP)
            truth = by_hand(true_answer(server, row, question))
            assert truth.may_keep, row.name
            reading = reader.ask(question)
            assert differences(masked(reading), masked(truth)) == [], row.name
            assert reading.may_keep is (name != "h11"), row.name
            places.add(reading.place)
    assert len(places) == 1, "not all on one connection"
