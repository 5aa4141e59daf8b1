"""The client's Python interface, against scripted servers on real sockets."""

from __future__ import annotations

import base64
import gc
import gzip
import itertools
import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import h11
import pytest

import httpmini
from httpmini.client.response import Response
from httpmini.client.transport.connection import MAX_INTERIM
from httpmini.client.transport.routing import Routing
from httpmini.client.url import parse_url
from httpmini.errors import (
    BadRedirect,
    BadStatus,
    BadUrl,
    BrokenResponse,
    FetchError,
    NotConnected,
    NotResolved,
    TimedOut,
    TooLarge,
    Truncated,
)
from httpmini.protocol.dates import format_date
from tests.conformance.scripted import unacknowledged
from tests.support.processes import eventually
from tests.support.tls import Authority
from tests.support.wire import WAIT_S

# ---------------------------------------------------------------------------------------------------------------
# A scripted server


class Asked(NamedTuple):
    """A request, its number on its connection, and the number of that connection; both from 0."""

    connection: int
    nth: int
    head: bytes
    body: bytes

    @property
    def line(self) -> str:
        return self.head.partition(b"\r\n")[0].decode()

    @property
    def target(self) -> str:
        return self.line.split(" ")[1]

    @property
    def fields(self) -> dict[str, str]:
        lines = self.head.decode("iso-8859-1").split("\r\n")[1:]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}


class Do:
    """An action instead of a response."""

    CLOSE = b"<close>"
    RESET = b"<reset>"


Piece = bytes | Callable[[socket.socket], None]
Answer = Callable[[Asked], bytes | Iterable[Piece]]


class Server:
    """A server that sends what ``answer`` returns for each request, with a thread per connection."""

    def __init__(self, answer: Answer, tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[Asked] = []
        self.accepts = 0
        self.over = threading.Event()
        self.faults: list[BaseException] = []
        self._answer = answer
        self._tls = tls
        self._ended = threading.Semaphore(0)
        self._socks: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.place = f"{'localhost' if tls else '127.0.0.1'}:{self.port}"
        self.url = f"{'https' if tls else 'http'}://{self.place}/"
        self._threads.append(threading.Thread(target=self._accept))
        self._threads[0].start()

    def stop(self) -> None:
        self.over.set()
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self._threads[0].join(WAIT_S)
        for sock in self._socks:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(WAIT_S)
            assert not thread.is_alive()
        self._listener.close()
        if self.faults:
            raise self.faults[0]

    def wait_for_ends(self, count: int = 1) -> None:
        """Wait until so many connections have ended, from either side."""
        for _ in range(count):
            assert self._ended.acquire(timeout=WAIT_S), "a connection stays open"

    @property
    def lines(self) -> list[str]:
        return [asked.line for asked in self.asked]

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.settimeout(WAIT_S)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socks.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock, self.accepts))
            self._threads.append(thread)
            self.accepts += 1
            thread.start()

    def _serve(self, plain: socket.socket, connection: int) -> None:
        sock = plain
        try:
            if self._tls:
                sock = self._tls.wrap_socket(plain.dup(), server_side=True)
            for nth in itertools.count():
                if not self._exchange(sock, connection, nth):
                    break
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            pass  # the client may hang up
        except BaseException as error:
            self.faults.append(error)
        finally:
            if sock is not plain:
                sock.close()
            plain.close()
            self._ended.release()

    def _exchange(self, sock: socket.socket, connection: int, nth: int) -> bool:
        """Send the response; return whether the connection stays open."""
        request = b""
        while b"\r\n\r\n" not in request:
            if not (data := sock.recv(65536)):
                return False
            request += data
        head, _, body = request.partition(b"\r\n\r\n")
        asked = Asked(connection, nth, head, body)
        length = int(asked.fields.get("content-length", "0"))
        said = self._answer(asked) if length < 1_000_000 else self._answer(asked._replace(nth=-1))
        while len(body) < length < 1_000_000:
            body += sock.recv(65536)
        self.asked.append(asked._replace(body=body))
        for piece in (said,) if isinstance(said, bytes) else said:
            if piece is Do.CLOSE:
                return False
            if piece is Do.RESET:
                eventually(lambda: unacknowledged(sock) == 0, "everything is with the client's kernel")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return False
            if isinstance(piece, bytes):
                sock.sendall(piece)
            else:
                piece(sock)
        return True


@contextmanager
def serving(answer: Answer | bytes, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    always = answer
    server = Server((lambda _: always) if isinstance(always, bytes) else always, tls)
    try:
        yield server
    finally:
        server.stop()


def answer(
    body: bytes = b"hello", *fields: str, status: str = "200 OK", version: str = "1.0", length: bool = True
) -> bytes:
    """Build a response that keeps its connection."""
    lines = [f"HTTP/{version} {status}", "Connection: keep-alive", *fields]
    lines += [f"Content-Length: {len(body)}"] if length else []
    return "\r\n".join([*lines, "", ""]).encode("iso-8859-1") + body


def moved(to: str, status: str = "302 Found") -> bytes:
    return answer(b"", f"Location: {to}", status=status)


HELLO = answer()
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
AT_ONCE = httpmini.Retries(first_s=0.01)
NEVER = httpmini.Retries(times=0)


@pytest.fixture
def client() -> Iterator[httpmini.Client]:
    with httpmini.Client(retries=NEVER) as made:
        yield made


# ---------------------------------------------------------------------------------------------------------------
# What a response is


def test_everything_about_an_answer(client: httpmini.Client) -> None:
    said = answer(b"hello", "X: 1", "y: caf\xe9", "x: 2", "X:", status="203 Who knows", version="1.1")
    with serving(said) as server, client.fetch(f"{server.url}a?b#c") as response:
        assert (response.status, response.reason, response.version) == (203, "Who knows", (1, 1))
        assert response.ok
        assert response.raise_for_status() is response
        assert (response.url, response.history) == (f"{server.url}a?b", ())
        assert response.headers.get("x") == response.headers.get("X") == "1"
        assert response.headers.all("X") == ["1", "2", ""]
        assert response.headers.get("Y") == "caf\xe9"
        assert "content-LENGTH" in response.headers
        assert "z" not in response.headers
        assert [name for name, _ in response.headers] == ["Connection", "X", "y", "x", "X", "Content-Length"]
        assert response.content_length == 5
        assert response.raw_head == said[:-5]
        assert response.timings.total_s is None
        assert response.read() == b"hello"
        times = response.timings
    assert times.connect_s is not None
    assert times.first_byte_s is not None
    assert times.total_s is not None
    assert 0 < times.connect_s <= times.first_byte_s <= times.total_s
    assert times.tls_s is None


def test_a_kept_connection_has_no_time_to_connect(client: httpmini.Client) -> None:
    with serving(HELLO) as server:
        client.fetch(server.url).read()
        response = client.fetch(server.url)
        response.read()
    assert (response.timings.resolve_s, response.timings.connect_s) == (None, None)
    assert response.timings.first_byte_s is not None


@pytest.mark.parametrize("way", ["download", "save", "read"])
def test_a_204_has_no_body_whatever_it_announces(client: httpmini.Client, tmp_path: Path, way: str) -> None:
    path = tmp_path / "file"
    with serving(b"HTTP/1.0 204 No Content\r\nContent-Length: 3\r\n\r\nabc") as server:
        if way == "download":
            httpmini.download(client, server.url, path)
            assert path.read_bytes() == b""
            return
        with client.fetch(server.url) as response:
            assert response.content_length == 0
            if way == "save":
                response.save(path)
                assert path.read_bytes() == b""
            else:
                assert response.read() == b""


@pytest.mark.parametrize(("status", "ok"), [(200, True), (204, True), (299, True), (304, False), (404, False)])
@pytest.mark.parametrize("more", ["", " Who knows"])
def test_success(client: httpmini.Client, status: int, ok: bool, more: str) -> None:
    with serving(answer(b"", status=f"{status}{more}")) as server, client.fetch(server.url) as response:
        assert response.ok == ok
        if ok:
            response.raise_for_status()
            return
        with pytest.raises(BadStatus) as caught:
            response.raise_for_status()
    assert (caught.value.status, caught.value.exit_status) == (status, 11)
    assert str(caught.value) == f"{server.url}: {status}{more}"


def test_one_call() -> None:
    with serving(HELLO) as server:
        with httpmini.fetch(server.url, headers=[("A", "b")], method="PUT", data=b"x") as response:
            assert response.read() == b"hello"
        server.wait_for_ends()  # nothing is kept
        assert (server.asked[0].fields["connection"], server.asked[0].fields["a"]) == ("close", "b")
        assert server.asked[0].body == b"x"


@pytest.mark.parametrize("said", [HELLO, CHUNKED, HELLO.replace(b"keep-alive", b"close")])
def test_one_call_keeps_nothing_whatever_the_server_says(said: bytes) -> None:
    with serving(said) as server:
        assert httpmini.fetch(server.url).read() == b"hello"
        server.wait_for_ends()


@pytest.mark.parametrize(
    ("url", "error"),
    [("ftp://h/", BadUrl), ("http://nobody.invalid/", NotResolved), ("http://127.0.0.1:1/", NotConnected)],
)
def test_nobody_there(client: httpmini.Client, url: str, error: type[FetchError]) -> None:
    with pytest.raises(error):
        client.fetch(url)


# ---------------------------------------------------------------------------------------------------------------
# Kept connections

KEPT: dict[str, tuple[str, bytes]] = {
    "length": ("GET", HELLO),
    "length zero": ("GET", answer(b"")),
    "an error": ("GET", answer(b"no", status="404 No")),
    "many in a list": ("GET", HELLO.replace(b"keep-alive", b"x, Keep-Alive")),
    "1.1 says nothing": ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    "1.1 says so": ("GET", answer(version="1.1")),
    "chunks": ("GET", CHUNKED),
    "chunks and a trailer": ("GET", CHUNKED[:-2] + b"A: b\r\n\r\n"),
    "HEAD": ("HEAD", HELLO[:-5]),
    "HEAD of chunks": ("HEAD", CHUNKED.partition(b"5\r\n")[0]),
    "HEAD without length": ("HEAD", answer(b"", length=False)),
    "204": ("GET", answer(b"", status="204 No", length=False)),
    "304 with a length": ("GET", b"HTTP/1.1 304 Same\r\nContent-Length: 5\r\n\r\n"),
    "100 before it": ("GET", CONTINUE + HELLO),
    "OPTIONS": ("OPTIONS", answer(b"")),
}


@pytest.mark.parametrize(("method", "said"), KEPT.values(), ids=KEPT)
def test_a_connection_is_kept(client: httpmini.Client, method: str, said: bytes) -> None:
    with serving(said) as server:
        bodies = {client.fetch(server.url, method=method).read() for _ in range(5)}
        assert (server.accepts, len(server.asked), len(bodies)) == (1, 5, 1)
        assert {asked.fields["connection"] for asked in server.asked} == {"keep-alive"}


NOT_KEPT: dict[str, tuple[str, bytes]] = {
    "1.0 says nothing": ("GET", b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    "close": ("GET", HELLO.replace(b"keep-alive", b"close")),
    "close in 1.1": ("GET", b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 5\r\n\r\nhello"),
    "both": ("GET", HELLO.replace(b"keep-alive", b"keep-alive, close")),
    "both, in two fields": ("GET", answer(b"hello", "Connection: close")),
    "surplus": ("GET", HELLO + b"x"),
    "surplus that is an answer": ("GET", HELLO + answer(b"evil!")),
    "surplus after chunks": ("GET", CHUNKED + answer(b"evil!")),
    "surplus after a HEAD": ("HEAD", HELLO),
    "surplus after a 204": ("GET", answer(b"x", status="204 No", length=False)),
    "surplus after a 304": ("GET", answer(b"x", status="304 Same")),
    "surplus after length zero": ("GET", answer(b"") + b"\r\n"),
    "chunks in 1.0": ("GET", CHUNKED.replace(b"1.1 200 OK\r\n", b"1.0 200 OK\r\nConnection: keep-alive\r\n")),
    "101": ("GET", b"HTTP/1.1 101 Switching\r\n\r\n"),
}


@pytest.mark.parametrize(("method", "said"), NOT_KEPT.values(), ids=NOT_KEPT)
def test_a_connection_is_not_kept(client: httpmini.Client, method: str, said: bytes) -> None:
    with serving(said) as server:
        for count in range(1, 4):
            assert client.fetch(server.url, method=method).read() in (b"hello", b"")
            server.wait_for_ends()
            assert server.accepts == count


def test_a_body_until_the_end_ends_its_connection(client: httpmini.Client) -> None:
    with serving(lambda _: [answer(length=False), Do.CLOSE]) as server:
        assert [client.fetch(server.url).read() for _ in range(3)] == [b"hello"] * 3
        assert server.accepts == 3


def test_octets_behind_an_answer_are_not_the_next_one(client: httpmini.Client) -> None:
    """They come after the response has been read, while the connection is idle."""
    there = threading.Event()

    def late(sock: socket.socket) -> None:
        sock.sendall(answer(b"evil!"))
        eventually(lambda: unacknowledged(sock) == 0, "it is with the client's kernel")
        there.set()

    said: Answer = lambda asked: [HELLO, late] if asked.target == "/1" else answer(b"right")  # noqa: E731
    with serving(said) as server:
        assert client.fetch(f"{server.url}1").read() == b"hello"
        assert there.wait(WAIT_S)
        assert client.fetch(f"{server.url}2").read() == b"right"
        assert server.accepts == 2


@pytest.mark.parametrize("end", [Do.CLOSE, Do.RESET])
def test_a_connection_that_has_ended_meanwhile(client: httpmini.Client, end: bytes) -> None:
    with serving(lambda asked: [HELLO, end] if asked.connection == 0 else HELLO) as server:
        assert client.fetch(server.url).read() == b"hello"
        server.wait_for_ends()
        assert client.fetch(server.url).read() == b"hello"
        assert (server.accepts, len(server.asked)) == (2, 2)


@pytest.mark.parametrize("said", [[Do.CLOSE], [Do.RESET], [b"HTTP/1.", Do.CLOSE], [CONTINUE, Do.CLOSE]])
def test_a_connection_that_ends_when_it_is_asked_again(client: httpmini.Client, said: list[bytes]) -> None:
    """The server decides to close it while the request is on its way (RFC 9112 §9.3.1)."""
    with serving(lambda asked: said if (asked.connection, asked.nth) == (0, 1) else HELLO) as server:
        assert [client.fetch(server.url).read() for _ in range(3)] == [b"hello"] * 3
        assert server.accepts == 2
        assert [(asked.connection, asked.nth) for asked in server.asked] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_what_changes_something_is_asked_on_a_new_connection(client: httpmini.Client) -> None:
    """It could not be repeated if the idle connection turned out to be closed."""
    with serving(HELLO) as server:
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "BREW"):
            client.fetch(server.url, method=method).read()
        assert [asked.connection for asked in server.asked] == list(range(6))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "BREW"])
@pytest.mark.parametrize("said", [[Do.CLOSE], [Do.RESET], answer(b"", "Retry-After: 0", status="503 Later")])
def test_what_changes_something_is_asked_once(method: str, said: bytes | list[Piece]) -> None:
    with httpmini.Client(retries=AT_ONCE) as client, serving(lambda _: said) as server:
        try:
            assert client.fetch(server.url, method=method, data=b"x").status == 503
        except NotConnected:
            assert said in ([Do.CLOSE], [Do.RESET])
        assert len(server.asked) == 1


def test_each_origin_has_its_own_connections(client: httpmini.Client) -> None:
    with serving(answer(b"first")) as first, serving(answer(b"other")) as other:
        for _ in range(3):
            assert client.fetch(first.url).read() == b"first"
            assert client.fetch(other.url).read() == b"other"
        assert (first.accepts, other.accepts) == (1, 1)


def test_a_closed_client_keeps_nothing() -> None:
    client = httpmini.Client()
    with serving(HELLO) as server:
        client.fetch(server.url).read()
        begun = client.fetch(server.url)
        client.close()
        assert begun.read() == b"hello"
        server.wait_for_ends(1)
        client.fetch(server.url).read()  # it can still be used, but keeps no connection
        server.wait_for_ends(1)
        assert server.accepts == 2
        client.close()


def test_not_more_than_a_few_are_kept(client: httpmini.Client) -> None:
    with serving(HELLO) as server:
        for _ in range(2):
            begun = [client.fetch(server.url) for _ in range(12)]
            assert [response.read() for response in begun] == [b"hello"] * 12
        assert server.accepts == 12 + 4  # the second time, eight of them were idle
        server.wait_for_ends(8)


def test_several_threads() -> None:
    barrier = threading.Barrier(8)
    bodies: list[bytes] = []

    def ask(number: int) -> None:
        barrier.wait(WAIT_S)
        for nth in range(25):
            body = client.fetch(f"{server.url}{number}-{nth}").read()
            bodies.append(body if body == f"/{number}-{nth}".encode() * 100 else b"wrong")

    with httpmini.Client() as client, serving(lambda asked: answer(asked.target.encode() * 100)) as server:
        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT_S)
        assert len(bodies) == 200
        assert b"wrong" not in bodies
        assert server.accepts <= 8


# ---------------------------------------------------------------------------------------------------------------
# Reading


BIG = os.urandom(1024) * 3000


def test_a_body_that_is_given_up_takes_its_connection_along(client: httpmini.Client) -> None:
    with serving(answer(BIG)) as server:
        for piece in client.fetch(server.url):
            assert BIG.startswith(piece)
            break
        server.wait_for_ends()
        with client.fetch(server.url):
            pass
        server.wait_for_ends()
        response = client.fetch(server.url)
        response.close()
        response.close()
        server.wait_for_ends()
        assert client.fetch(server.url).read() == BIG
        assert server.accepts == 4


def test_a_body_is_read_once(client: httpmini.Client, tmp_path: Path) -> None:
    """The second time it would be empty, and look complete."""
    with serving(HELLO) as server:
        response = client.fetch(server.url)
        assert response.read() == b"hello"
        for again in (response.read, lambda: list(response), lambda: response.save(tmp_path / "x")):
            with pytest.raises(FetchError, match="has been read or closed already"):
                again()


@pytest.mark.parametrize("how", ["close", "break", "with", "error"])
def test_what_was_given_up_is_not_read_on(client: httpmini.Client, how: str) -> None:
    with serving(answer(BIG)) as server:
        response = client.fetch(server.url)
        if how == "close":
            response.close()
        elif how == "with":
            with response:
                pass
        elif how == "error":
            with pytest.raises(TooLarge):
                response.read(10)
        else:
            for _ in response:
                break
        with pytest.raises(FetchError, match="has been read or closed already"):
            response.read()


def test_closed_while_it_is_read(client: httpmini.Client) -> None:
    with serving(lambda _: [answer(BIG)[:-1]]) as server:
        pieces = iter(response := client.fetch(server.url))
        next(pieces)
        response.close()
        with pytest.raises(FetchError):
            list(pieces)


def test_pieces_stay_what_they_were(client: httpmini.Client) -> None:
    with serving(answer(BIG)) as server:
        pieces = list(client.fetch(server.url))
    assert len(pieces) > 1
    assert all(isinstance(piece, bytes) for piece in pieces)
    assert b"".join(pieces) == BIG


@pytest.mark.parametrize(
    "body", [HELLO, CHUNKED, answer(b"", length=False) + b"hello"], ids=["length", "chunks", "end"]
)
@pytest.mark.parametrize("most", [0, 4, 5])
def test_reading_has_a_bound(body: bytes, most: int) -> None:
    with (
        httpmini.Client(limits=httpmini.Limits(read_bytes=most)) as client,
        serving(lambda _: [body, Do.CLOSE]) as server,
    ):
        assert client.fetch(server.url).read(5) == b"hello"
        if most < 5:
            with pytest.raises(TooLarge, match=f"more than {most} bytes"):
                client.fetch(server.url).read()
            with pytest.raises(TooLarge, match=f"more than {most} bytes"):
                client.fetch(server.url).read(most)
        else:
            assert client.fetch(server.url).read() == b"hello"


def test_reading_what_has_no_end_has_a_bound(client: httpmini.Client) -> None:
    endless = itertools.chain([answer(b"", length=False)], itertools.repeat(b"x" * 65536))
    with serving(lambda _: endless) as server:
        with pytest.raises(TooLarge):
            client.fetch(server.url).read(1_000_000)
        server.wait_for_ends()


def test_nothing_is_allocated_because_a_server_says_so(client: httpmini.Client) -> None:
    said = answer(b"hello", "Content-Length: 99999999999999999", length=False)
    with serving(lambda _: [said, Do.CLOSE]) as server, pytest.raises(Truncated):
        client.fetch(server.url).read()


# ---------------------------------------------------------------------------------------------------------------
# Saving


def test_saving(client: httpmini.Client, tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"old")
    with serving(answer(BIG)) as server:
        assert client.fetch(server.url).save(path) == len(BIG)
        assert path.read_bytes() == BIG
        assert client.fetch(server.url, method="HEAD").save(str(path)) == 0
        assert path.read_bytes() == b""
        assert os.listdir(tmp_path) == ["out"]


def test_saving_through_a_link(client: httpmini.Client, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder/file")
    with serving(HELLO) as server:
        client.fetch(server.url).save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder" / "file").read_bytes() == b"hello"
    assert os.listdir(tmp_path / "folder") == ["file"]


@pytest.mark.parametrize("name", ["x" * 255, "ü" * 127, "€" * 85, os.fsdecode(b"\xff" * 255)])
def test_saving_under_the_longest_names(client: httpmini.Client, tmp_path: Path, name: str) -> None:
    with serving(HELLO) as server:
        client.fetch(server.url).save(tmp_path / name)
    assert os.listdir(tmp_path) == [name]


WRONG_BODIES: dict[str, tuple[list[bytes], type[FetchError]]] = {
    "truncated": ([answer(BIG)[:-1], Do.CLOSE], Truncated),
    "reset": ([answer(BIG)[:-1], Do.RESET], Truncated),
    "truncated chunks": ([CHUNKED[:-1], Do.CLOSE], Truncated),
    "broken chunks": ([CHUNKED.replace(b"hello\r\n", b"helloXX")], BrokenResponse),
    "not gzip": ([answer(b"hello", "Content-Encoding: gzip")], BrokenResponse),
    "too large": ([answer(b"x" * 2_000_000)], TooLarge),
    "too large without length": ([answer(b"x" * 2_000_000, length=False), Do.CLOSE], TooLarge),
    "silence": ([answer(BIG)[:-1]], TimedOut),
}


@pytest.mark.parametrize(("said", "error"), WRONG_BODIES.values(), ids=WRONG_BODIES)
@pytest.mark.parametrize("before", [None, b"old"])
def test_saving_leaves_no_part(
    tmp_path: Path, said: list[bytes], error: type[FetchError], before: bytes | None
) -> None:
    path = tmp_path / "out"
    if before is not None:
        path.write_bytes(before)
    limits, timeouts = httpmini.Limits(body_bytes=len(BIG) if error is not TooLarge else 1_000_000), httpmini.Timeouts()
    timeouts = replace(timeouts, silence_s=0.1 if error is TimedOut else WAIT_S)
    with httpmini.Client(limits=limits, timeouts=timeouts) as client, serving(lambda _: said) as server:
        with pytest.raises(error):
            client.fetch(server.url).save(path)
        server.wait_for_ends()
    assert (path.read_bytes() if path.exists() else None) == before
    assert os.listdir(tmp_path) == ([] if before is None else ["out"])


def test_saving_where_nothing_can_be_written(client: httpmini.Client, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with serving(HELLO) as server:
        for path, error in (
            (tmp_path / "no" / "where", FileNotFoundError),
            (tmp_path / "folder", IsADirectoryError),
            (tmp_path / ("x" * 256), OSError),
            ("/proc/nothing", OSError),
        ):
            with pytest.raises(error):
                client.fetch(server.url).save(path)
        gc.collect()  # a connection left open would warn now
    assert os.listdir(tmp_path) == ["folder"]
    assert os.listdir(tmp_path / "folder") == []


def test_a_full_disk(client: httpmini.Client) -> None:
    """/dev/full is not a file to be replaced: the part goes into its folder, and is never renamed."""
    with serving(answer(BIG)) as server, pytest.raises(OSError, match="out"):
        client.fetch(server.url).save("/dev/null/out")


# ---------------------------------------------------------------------------------------------------------------
# Redirections


def goes(table: dict[str, bytes]) -> Answer:
    return lambda asked: table.get(asked.target, answer(b"there"))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_redirection_is_followed(client: httpmini.Client, status: int, method: str) -> None:
    with serving(goes({"/a": moved("b?c#d", f"{status} Go")})) as server:
        response = client.fetch(f"{server.url}a", method=method, headers=[("X", "y")])
        assert response.read() == (b"there" if method == "GET" else b"")
        assert (response.url, response.status) == (f"{server.url}b?c", 200)
        assert response.history == ((status, f"{server.url}a"),)
        assert server.lines == [f"{method} /a HTTP/1.0", f"{method} /b?c HTTP/1.0"]
        assert [asked.fields["x"] for asked in server.asked] == ["y", "y"]
        assert server.accepts == 1


@pytest.mark.parametrize(
    ("method", "said", "follow"),
    [
        *(("GET", moved("b", f"{status} No"), True) for status in (200, 201, 300, 304, 305, 306, 309, 399, 404, 503)),
        *((method, moved("b"), True) for method in ("POST", "PUT", "DELETE", "OPTIONS", "BREW")),
        ("GET", moved("b"), False),
        ("GET", answer(b"", status="302 Found"), True),
    ],
)
def test_a_redirection_that_is_not_followed(method: str, said: bytes, follow: bool) -> None:
    with httpmini.Client(follow=follow, retries=NEVER) as client, serving(said) as server:
        response = client.fetch(f"{server.url}a", method=method)
        response.read()
        assert (response.url, response.history) == (f"{server.url}a", ())
        assert len(server.asked) == 1


@pytest.mark.parametrize(
    "location",
    [
        *("ftp://h/", "file:///etc/passwd", "data:,x", "javascript:alert(1)", "mailto:a@b", "ws://h/", "x:y"),
        *("http:", "http:b", "http:/b", "http:///b", "//", "///b", "//:80/", "http://h:99999/", "http://h:0/"),
        *("http://[::1", "//a b/", "http://caf\xe9/", "http://a%0d%0ab/", "http://%00/"),
    ],
)
def test_a_redirection_to_where_nobody_goes(client: httpmini.Client, location: str) -> None:
    with serving(moved(location)) as server:
        with pytest.raises(BadRedirect, match="redirects to a URL that cannot be followed") as caught:
            client.fetch(f"{server.url}a")
        assert caught.value.exit_status == 9
        assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("", "/d/a"),
        ("?", "/d/a?"),
        ("?b", "/d/a?b"),
        ("b", "/d/b"),
        ("../b", "/b"),
        ("/x/./y/../z", "/x/z"),
        ("/a%0d%0aX: y", "/a%0d%0aX:%20y"),
        ("/a\tb", "/a%09b"),
        ("/caf\xe9 \xc3\xa9", "/caf%E9%20%C3%A9"),
        ("/\\evil.invalid/", "/%5Cevil.invalid/"),
        ("\\\\evil.invalid/", "/d/%5C%5Cevil.invalid/"),
        ("./http://evil.invalid/", "/d/http://evil.invalid/"),
        ("/b#c?d", "/b"),
    ],
)
def test_a_redirection_stays_on_its_host(client: httpmini.Client, location: str, target: str) -> None:
    if location == "":  # to itself
        with serving(moved(location)) as server, pytest.raises(BadRedirect, match="in a circle"):
            client.fetch(f"{server.url}d/a")
        return
    with serving(goes({"/d/a": moved(location)})) as server:
        assert client.fetch(f"{server.url}d/a").read() == b"there"
        assert server.lines[1:] == [f"GET {target} HTTP/1.0"]


def long(length: int) -> bytes:
    return answer(b"a" * length, "Location: /b", status="302 Found")


def slow(sock: socket.socket) -> None:
    """The chain goes on until the client gives up."""
    with suppress(ConnectionResetError):
        sock.recv(1)


@pytest.mark.parametrize(
    ("said", "connections"),
    [
        (long(100), 1),
        (long(64 * 1024), 1),
        (CHUNKED.replace(b"200 OK", b"302 Found\r\nLocation: /b"), 1),
        (long(64 * 1024 + 1), 2),
        (long(100_000_000)[:-99_999_000], 2),
        (answer(b"until the end", "Location: /b", status="302 Found", length=False), 2),
        ([long(100)[:-1], slow], 2),
        (answer(b"no gzip", "Location: /b", "Content-Encoding: gzip", status="302 Found"), 2),
    ],
    ids=["short", "just so", "chunked", "longer", "huge", "until the end", "slow", "broken"],
)
def test_the_page_of_a_redirection_is_read_when_it_is_short(
    client: httpmini.Client, said: bytes | list[Piece], connections: int
) -> None:
    with serving(lambda asked: said if asked.target == "/a" else HELLO) as server:
        assert client.fetch(f"{server.url}a").read() == b"hello"
        assert server.accepts == connections


def test_the_page_of_a_redirection_may_be_longer_than_what_is_asked_for() -> None:
    with (
        httpmini.Client(limits=httpmini.Limits(body_bytes=5)) as client,
        serving(lambda asked: long(100) if asked.target == "/a" else HELLO) as server,
    ):
        assert client.fetch(f"{server.url}a").read() == b"hello"


def test_the_page_of_a_503_is_read_when_it_is_short() -> None:
    said = answer(b"later", status="503 Later")
    with httpmini.Client(retries=AT_ONCE) as client, serving(lambda asked: HELLO if asked.nth else said) as server:
        assert client.fetch(server.url).read() == b"hello"
        assert server.accepts == 1


@pytest.mark.parametrize(("second", "good"), [("b", True), ("/b", False), ("http://evil.invalid/", False)])
def test_two_locations(client: httpmini.Client, second: str, good: bool) -> None:
    """Two equal ones are harmless; of two that differ, another client may follow the other one."""
    said = answer(b"", "Location: b", f"location: {second}", status="302 Found")
    with serving(goes({"/a": said})) as server:
        if good:
            assert client.fetch(f"{server.url}a").read() == b"there"
            return
        with pytest.raises(BadRedirect, match="to several URLs"):
            client.fetch(f"{server.url}a")
        assert len(server.asked) == 1


def test_a_line_end_in_a_location(client: httpmini.Client) -> None:
    """The folded line is one value (RFC 9112 §5.2), and its blank is not a line end in the next request."""
    said = b"HTTP/1.0 302 Found\r\nLocation: /b\r\n Set-Cookie: x\r\nContent-Length: 0\r\n\r\n"
    with serving(goes({"/a": said})) as server:
        assert client.fetch(f"{server.url}a").read() == b"there"
        assert server.lines[1:] == ["GET /b%20Set-Cookie:%20x HTTP/1.0"]
    with serving(said.replace(b"\r\n Set", b"\rSet")) as server, pytest.raises(BrokenResponse):
        client.fetch(f"{server.url}a")


@pytest.mark.parametrize("most", [0, 1, 10])
def test_redirections_are_counted(most: int) -> None:
    def answers(asked: Asked) -> bytes:
        return answer(b"there") if asked.target == f"/{most}" else moved(f"/{int(asked.target[1:]) + 1}")

    with httpmini.Client(limits=httpmini.Limits(redirects=most)) as client, serving(answers) as server:
        response = client.fetch(f"{server.url}0")
        assert response.read() == b"there"
        assert response.history == tuple((302, f"{server.url}{number}") for number in range(most))
    endless: Answer = lambda asked: moved(f"/{int(asked.target[1:]) + 1}")  # noqa: E731
    with httpmini.Client(limits=httpmini.Limits(redirects=most)) as client, serving(endless) as server:
        with pytest.raises(BadRedirect, match=f"more than {most} times, most recently to {server.url}{most + 1}"):
            client.fetch(f"{server.url}0")
        assert len(server.asked) == most + 1


@pytest.mark.parametrize(
    ("table", "circle"),
    [
        ({"/a": "/a"}, "a -> a"),
        ({"/a": "a#b"}, "a -> a"),
        ({"/a": "/b", "/b": "/a"}, "a -> b -> a"),
        ({"/a": "/b", "/b": "/c", "/c": "/b"}, "b -> c -> b"),
    ],
)
def test_a_circle_is_named(client: httpmini.Client, table: dict[str, str], circle: str) -> None:
    with serving(goes({target: moved(to) for target, to in table.items()})) as server:
        with pytest.raises(BadRedirect) as caught:
            client.fetch(f"{server.url}a")
        named = " -> ".join(server.url + name for name in circle.split(" -> "))
        assert str(caught.value) == f"redirected in a circle: {named}"
        assert len(server.asked) == len(table)


PRIVATE = [("Authorization", "Basic dTpw"), ("cookie", "a=b"), ("Proxy-Authorization", "x"), ("Host", "me"), ("X", "y")]
SECRETS = {"authorization", "cookie", "proxy-authorization"}


def secrets_in(asked: Asked) -> set[str]:
    return SECRETS & set(asked.fields)


@pytest.mark.parametrize("status", ["301 Go", "302 Go", "303 Go", "307 Go", "308 Go"])
def test_secrets_are_not_for_others(client: httpmini.Client, status: str) -> None:
    with serving(HELLO) as other, serving(lambda asked: moved(f"{other.url}x", status)) as server:
        assert client.fetch(server.url, headers=PRIVATE).read() == b"hello"
        assert secrets_in(server.asked[0]) == SECRETS
        assert server.asked[0].fields["host"] == "me"
        assert secrets_in(other.asked[0]) == set()
        assert other.asked[0].fields["host"] == other.place
        assert "x" not in other.asked[0].fields, "it may be a key, whatever its name"


def test_secrets_stay_where_they_belong(client: httpmini.Client) -> None:
    with serving(lambda asked: moved(f"//x:y@{server.place}/b") if asked.target == "/a" else HELLO) as server:
        assert client.fetch(f"{server.url}a", headers=PRIVATE).read() == b"hello"
        assert [secrets_in(asked) for asked in server.asked] == [SECRETS, SECRETS]
        assert {asked.fields["authorization"] for asked in server.asked} == {"Basic dTpw"}


def test_secrets_do_not_come_back(client: httpmini.Client) -> None:
    """A server that redirects away may redirect back to where the credentials do harm."""
    with (
        serving(lambda asked: moved(f"{server.url}b")) as other,
        serving(lambda asked: moved(f"{other.url}x") if asked.target == "/a" else HELLO) as server,
    ):
        assert client.fetch(f"{server.url}a", headers=PRIVATE).read() == b"hello"
        assert [secrets_in(asked) for asked in server.asked] == [SECRETS, set()]


@pytest.mark.parametrize("how", ["auth", "url"])
def test_a_password_is_for_the_first_origin(how: str) -> None:
    auth = ("ü", "p:q") if how == "auth" else None
    with (
        httpmini.Client(auth=auth) as client,
        serving(HELLO) as other,
        serving(lambda asked: moved("/b" if asked.target == "/a" else f"{other.url}x")) as server,
    ):
        url = f"{server.url}a" if how == "auth" else f"http://%C3%BC:p%3Aq@{server.place}/a"
        response = client.fetch(url)
        assert response.read() == b"hello"
        assert [asked.fields.get("authorization") for asked in server.asked] == ["Basic w7w6cDpx"] * 2
        assert "authorization" not in other.asked[0].fields
        assert "@" not in response.url + str(response.history)


VARIED: list[Any] = [
    {},
    {"headers": [("X", "1")]},
    {"headers": [("X", "2")]},
    {"headers": [["x", "1"]]},  # lists are not promised, and have always worked
    {"headers": {("User-Agent", ""): 0, ("X", "1"): 0}.keys()},
    {"headers": [("Host", "other")]},
    {"headers": [("Accept-Encoding", "identity")]},
    {"method": "HEAD"},
    {"method": "PUT"},
    {"method": "PUT", "data": b"x"},
    {"method": "PUT", "data": b"xy"},
    {"method": "GET", "data": b"xy"},
]


def test_what_a_client_remembers_changes_no_request() -> None:
    """Fields are spelled once and used again: every request has to be what a new client would send."""
    places = ["127.0.0.1", "u:p@127.0.0.1", "localhost"]
    plan = [(place, at, decode) for decode in (True, False) for place in places for at in range(len(VARIED))]
    auth: Any = ["a", "b"]
    fields: Any = [["Y", "1"]]
    with serving(HELLO) as server, httpmini.Client(headers=fields, auth=auth) as old:
        for place, at, old.decode in plan * 2:
            url = f"http://{place}:{server.port}/{at}"
            old.fetch(url, **VARIED[at]).close()
            with httpmini.Client(headers=fields, auth=auth, decode=old.decode) as new:
                new.fetch(url, **VARIED[at]).close()
            remembered, fresh = server.asked[-2:]
            assert (remembered.head, remembered.body) == (fresh.head, fresh.body)
        assert len({asked.head for asked in server.asked}) > len(plan) * 3 // 4, "they do differ"


@pytest.mark.parametrize("field", [("Content-Length", "1"), ("A b", "x"), ("A", "x\ny"), ("A", "\u20ac")])
def test_a_wrong_field_is_refused_each_time(client: httpmini.Client, field: tuple[str, str]) -> None:
    with serving(HELLO) as server:
        for _ in range(3):
            with pytest.raises(BadUrl):
                client.fetch(server.url, headers=[field])
            assert client.fetch(server.url).read() == b"hello"
        assert len(server.asked) == 3


def test_a_netrc_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login u password p\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    with serving(HELLO) as server:
        for use, auth, sent in (
            (True, None, "Basic dTpw"),
            (False, None, None),
            (True, ("a", "b"), "Basic YTpi"),
        ):
            with httpmini.Client(use_netrc=use, auth=auth) as client:
                client.fetch(server.url).read()
            assert server.asked[-1].fields.get("authorization") == sent
        for content in (b"this is no netrc file", b"machine 127.0.0.1 login \xff password p\n"):
            (tmp_path / ".netrc").write_bytes(content)
            with httpmini.Client(use_netrc=True) as client:
                client.fetch(server.url).read()
            assert "authorization" not in server.asked[-1].fields


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def trusting(authority: Authority) -> Routing:
    return Routing(tls=ssl.create_default_context(cafile=str(authority.certificate)))


@pytest.mark.parametrize("allowed", [False, True])
def test_from_https_to_http(authority: Authority, trusting: Routing, allowed: bool) -> None:
    with (
        serving(HELLO) as plain,
        serving(lambda _: moved(f"{plain.url}x"), authority.server("localhost")) as private,
        httpmini.Client(routing=trusting, downgrade=allowed) as client,
    ):
        if allowed:
            assert client.fetch(private.url, headers=PRIVATE).read() == b"hello"
            assert secrets_in(plain.asked[0]) == set()
            return
        with pytest.raises(BadRedirect, match=f"from https to http, to {plain.url}x"):
            client.fetch(private.url)
        assert plain.accepts == 0


def test_from_http_to_https(authority: Authority, trusting: Routing) -> None:
    with (
        serving(HELLO, authority.server("localhost")) as private,
        serving(lambda _: moved(private.url)) as plain,
        httpmini.Client(routing=trusting) as client,
    ):
        response = client.fetch(plain.url, headers=PRIVATE)
        assert (response.read(), response.url) == (b"hello", private.url)
        assert response.timings.tls_s is not None
        assert secrets_in(private.asked[0]) == set()
        for _ in range(3):
            assert client.fetch(private.url).read() == b"hello"
        assert private.accepts == 1


@pytest.mark.parametrize("announced", [True, False])
def test_an_end_that_tls_does_not_announce(authority: Authority, trusting: Routing, announced: bool) -> None:
    """Anyone on the path can cut a connection, but only the server can end TLS on it (RFC 9112 §9.8)."""

    def end(sock: socket.socket) -> None:
        assert isinstance(sock, ssl.SSLSocket)
        if announced:
            sock.unwrap().close()

    said: list[Piece] = [answer(b"hello", length=False), end, Do.CLOSE]
    with (
        serving(lambda _: said, authority.server("localhost")) as server,
        httpmini.Client(routing=trusting, retries=NEVER) as client,
    ):
        if announced:
            assert client.fetch(server.url).read() == b"hello"
            return
        with pytest.raises(Truncated):
            client.fetch(server.url).read()


# ---------------------------------------------------------------------------------------------------------------
# Limits


@pytest.mark.parametrize(
    ("limits", "said", "error", "rule"),
    [
        (httpmini.Limits(head_bytes=100), answer(b"", "A: " + "b" * 100), BrokenResponse, "head-long"),
        (httpmini.Limits(head_bytes=100), b"HTTP/1.0 200 " + b"b" * 100, BrokenResponse, "head-long"),
        (httpmini.Limits(fields=3), answer(b"", "A: b", "A: b"), BrokenResponse, "fields-many"),
        (httpmini.Limits(body_bytes=4), HELLO, TooLarge, ""),
        (httpmini.Limits(body_bytes=4), CHUNKED, TooLarge, ""),
        (httpmini.Limits(body_bytes=4), answer(length=False), TooLarge, ""),
        (httpmini.Limits(body_bytes=10**9), answer(b"", "Content-Length: 1000000001", length=False), TooLarge, ""),
    ],
)
def test_limits(limits: httpmini.Limits, said: bytes, error: type[FetchError], rule: str) -> None:
    with httpmini.Client(limits=limits) as client, serving(said) as server:
        with pytest.raises(error) as caught:
            client.fetch(server.url).read()
        assert getattr(caught.value, "rule", "") == rule
        server.wait_for_ends()


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (httpmini.Limits(head_bytes=len(HELLO) - 5), HELLO),
        (httpmini.Limits(fields=2), HELLO),
        (httpmini.Limits(body_bytes=5), HELLO),
        (httpmini.Limits(body_bytes=5), CHUNKED),
    ],
)
def test_exactly_within_the_limits(limits: httpmini.Limits, said: bytes) -> None:
    with httpmini.Client(limits=limits) as client, serving(said) as server:
        assert client.fetch(server.url).read() == b"hello"


@pytest.mark.parametrize("count", [1, MAX_INTERIM, MAX_INTERIM + 1, 100 * MAX_INTERIM])
@pytest.mark.parametrize("interim", [CONTINUE, b"HTTP/1.1 103 Hints\r\nLink: </x>\r\n\r\n", b"HTTP/1.0 199\r\n\r\n"])
def test_answers_before_the_answer(client: httpmini.Client, count: int, interim: bytes) -> None:
    with serving(interim * count + HELLO) as server:
        if count <= MAX_INTERIM:
            assert client.fetch(server.url).read() == b"hello"
            return
        with pytest.raises(BrokenResponse) as caught:
            client.fetch(server.url)
        assert caught.value.rule == "interim"
        server.wait_for_ends()


def test_answers_before_the_answer_without_end(client: httpmini.Client) -> None:
    with serving(lambda _: itertools.repeat(CONTINUE)) as server, pytest.raises(BrokenResponse):
        client.fetch(server.url)


@pytest.mark.parametrize(
    ("said", "rule", "offset"),
    [
        (b"SSH-2.0-x\r\n", "not-http", 0),
        (b"HTTP/1.0 2OO OK\r\n\r\n", "status-line", 0),
        (b"HTTP/1.0 200 OK\r\nA b\r\n\r\n", "field-colon", 17),
        (b"HTTP/1.0 200 OK\r\nA: b\r\nC: \0\r\n\r\n", "field-value", 26),
        (CONTINUE + b"HTTP/1.0 200 OK\r\nA b\r\n\r\n", "field-colon", 17 + len(CONTINUE)),
        (CHUNKED[:-5] + b"-1\r\n\r\n", "chunk", len(CHUNKED) - 5),
        (CHUNKED.replace(b"hello\r\n", b"hello!\r\n"), "chunk", len(CHUNKED) - 7),
    ],
)
def test_which_rule_is_broken_and_where(client: httpmini.Client, said: bytes, rule: str, offset: int) -> None:
    with serving(said) as server, pytest.raises(BrokenResponse) as caught:
        client.fetch(server.url).read()
    assert (caught.value.rule, caught.value.offset, caught.value.exit_status) == (rule, offset, 7)
    assert rule in str(caught.value)


# ---------------------------------------------------------------------------------------------------------------
# Retries


@pytest.mark.parametrize("status", [429, 502, 503, 504])
@pytest.mark.parametrize("after", ["", "Retry-After: 0", "Retry-After: soon", "Retry-After: -1", "Retry-After: 0.5"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_it_is_asked_again(status: int, after: str, method: str) -> None:
    later = answer(b"", *filter(None, [after]), status=f"{status} Later")
    with httpmini.Client(retries=AT_ONCE) as client, serving(iter_of(later, later, HELLO)) as server:
        with client.fetch(server.url, method=method) as response:
            assert response.status == 200
        assert len(server.asked) == 3
    with httpmini.Client(retries=AT_ONCE) as client, serving(later) as server:
        assert client.fetch(server.url, method=method).status == status
        assert len(server.asked) == 3  # once, and two retries


def iter_of(*said: bytes | list[Piece]) -> Answer:
    """One after another, from any thread."""
    answers = iter(said)
    return lambda _: next(answers)


@pytest.mark.parametrize("said", [[Do.CLOSE], [Do.RESET]])
def test_lost_and_asked_again(said: list[Piece]) -> None:
    with httpmini.Client(retries=AT_ONCE) as client, serving(iter_of(said, said, HELLO)) as server:
        assert client.fetch(server.url).read() == b"hello"
        assert server.accepts == 3
    with httpmini.Client(retries=AT_ONCE) as client, serving(lambda _: said) as server:
        with pytest.raises(NotConnected, match="without a response"):
            client.fetch(server.url)
        assert server.accepts == 3


@pytest.mark.parametrize(
    "said",
    [
        answer(b"", status="500 No"),
        answer(b"", status="404 No"),
        answer(b"", "Retry-After: 0", status="200 OK"),
        answer(b"", "Retry-After: 31", status="503 Later"),
        answer(b"", "Retry-After: 9999999999", status="503 Later"),
        answer(b"", "Retry-After: " + "9" * 5000, status="503 Later"),
        answer(b"", "Retry-After: Fri, 31 Dec 9999 23:59:59 GMT", status="503 Later"),
    ],
)
def test_it_is_not_asked_again(said: bytes) -> None:
    """Not for permanent failures, nor if the server asks for a long wait."""
    with httpmini.Client(retries=AT_ONCE) as client, serving(said) as server:
        response = client.fetch(server.url)
        assert response.read() == b""
        assert len(server.asked) == 1


@pytest.mark.parametrize(
    "said", [[HELLO[:-1], Do.CLOSE], [HELLO[:20], Do.CLOSE], [b"SSH-2.0"], [CHUNKED[:-1], Do.RESET]]
)
def test_a_broken_answer_is_not_asked_for_again(said: list[Piece]) -> None:
    with httpmini.Client(retries=AT_ONCE) as client, serving(lambda _: said) as server:
        with pytest.raises((Truncated, BrokenResponse)):
            client.fetch(server.url).read()
        assert len(server.asked) == 1


def test_a_date_to_come_back_at() -> None:
    later = answer(b"", f"Retry-After: {format_date(time.time() - 10)}", status="503 Later")
    slow = httpmini.Retries(first_s=WAIT_S)  # only the date makes this short
    with httpmini.Client(retries=slow) as client, serving(iter_of(later, HELLO)) as server:
        assert client.fetch(server.url).read() == b"hello"


def test_seconds_to_come_back_in() -> None:
    later = answer(b"", "Retry-After: 1", status="503 Later")
    with httpmini.Client(retries=AT_ONCE) as client, serving(iter_of(later, HELLO)) as server:
        response = client.fetch(server.url)
        assert response.read() == b"hello"
        assert response.timings.total_s is not None
        assert response.timings.total_s >= 1  # the request began before the first response


def test_the_wait_is_part_of_the_whole() -> None:
    """No pause extends beyond the total limit: the result so far is returned at once."""
    later = answer(b"", "Retry-After: 20", status="503 Later")
    short = httpmini.Timeouts(total_s=10)
    with httpmini.Client(timeouts=short) as client, serving(later) as server:
        assert client.fetch(server.url).status == 503
        assert len(server.asked) == 1
    slow = httpmini.Retries(first_s=60, most_s=60)
    with httpmini.Client(timeouts=short, retries=slow) as client, serving(lambda _: [Do.CLOSE]) as server:
        with pytest.raises(NotConnected):
            client.fetch(server.url)
        assert server.accepts == 1


def test_retries_and_redirections() -> None:
    later = answer(b"", status="503 Later")
    with httpmini.Client(retries=AT_ONCE) as client, serving(iter_of(later, moved("/b"), later, HELLO)) as server:
        response = client.fetch(f"{server.url}a")
        assert response.read() == b"hello"
        assert response.history == ((302, f"{server.url}a"),)
        assert [asked.target for asked in server.asked] == ["/a", "/a", "/b", "/b"]


# ---------------------------------------------------------------------------------------------------------------
# Stalls

SHORT = {  # by the limit that is to be reached; only a hang reaches the others
    "connect": httpmini.Timeouts(0.2, WAIT_S, WAIT_S),
    "first byte": httpmini.Timeouts(WAIT_S, 0.2, WAIT_S),
    "silence": httpmini.Timeouts(WAIT_S, WAIT_S, 0.2),
}
STALLS: dict[str, tuple[list[bytes], str]] = {
    "before the first byte": ([], "first byte"),
    "in the status line": ([b"HTTP/1.0 2"], "silence"),
    "in a field": ([HELLO[:25]], "silence"),
    "after an interim response": ([CONTINUE], "first byte"),
    "in an interim answer": ([CONTINUE[:-2]], "silence"),
    "before the body": ([HELLO[:-5]], "silence"),
    "in the body": ([HELLO[:-1]], "silence"),
    "in a body without length": ([answer(length=False)], "silence"),
    "before a chunk": ([CHUNKED[:-15]], "silence"),
    "in a chunk": ([CHUNKED[:-9]], "silence"),
    "before the last chunk": ([CHUNKED[:-5]], "silence"),
    "in the trailer": ([CHUNKED[:-2]], "silence"),
    "in something packed": (
        [answer(b"\x1f\x8b\x08", "Content-Encoding: gzip", "Content-Length: 9", length=False)],
        "silence",
    ),
}


@pytest.mark.parametrize(("said", "phase"), STALLS.values(), ids=STALLS)
def test_silence(said: list[bytes], phase: str) -> None:
    with httpmini.Client(timeouts=SHORT[phase]) as client, serving(lambda _: said) as server:
        with pytest.raises(TimedOut) as caught:
            client.fetch(server.url).read()
        assert (caught.value.phase, caught.value.limit_s, caught.value.exit_status) == (phase, 0.2, 6)
        assert f"within 0.2 s (the limit for: {phase})" in str(caught.value)
        server.wait_for_ends()
        assert len(server.asked) == 1  # there is no retry


def test_silence_on_a_kept_connection() -> None:
    with httpmini.Client() as client, serving(iter_of(HELLO, [], [])) as server:
        client.fetch(server.url).read()
        client.timeouts = SHORT["first byte"]
        with pytest.raises(TimedOut, match="first byte"):
            client.fetch(server.url)
        server.wait_for_ends(2)
        assert server.accepts == 2, "a new connection is silent, too"


STALE: dict[str, list[Piece]] = {
    "408": [answer(b"", status="408 Request Timeout")],
    "408 and the end": [b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n", Do.CLOSE],
    "408 with a page": [answer(b"late", status="408 Request Timeout")],
    "nothing": [],
    "half a head": [b"HTTP/1.0 200 O"],
    "interim": [CONTINUE],
    "the end": [Do.CLOSE],
    "what is no HTTP": [b"hello"],
}


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("said", STALE.values(), ids=STALE)
def test_a_kept_connection_that_is_of_no_use(said: list[Piece], method: str) -> None:
    """The request is sent again, at once, on a new connection, and nothing else is tried on old ones."""
    right = answer(b"", "X: right")
    with (
        httpmini.Client(retries=NEVER) as client,
        serving(lambda asked: said if asked.connection < 2 and asked.nth else right) as server,
    ):
        client.fetch(server.url, method=method).read()
        client.timeouts = SHORT["silence" if said == STALE["half a head"] else "first byte"]
        response = client.fetch(server.url, method=method)
        assert (response.status, response.headers.get("X")) == (200, "right")
        assert [(asked.connection, asked.nth) for asked in server.asked] == [(0, 0), (0, 1), (1, 0)]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_408_is_handed_out_where_asking_again_is_not_safe(client: httpmini.Client, method: str) -> None:
    with serving(lambda asked: HELLO if asked.line.startswith("GET") else answer(status="408 Late")) as server:
        client.fetch(server.url).read()
        with client.fetch(server.url, method=method, data=b"x") as response:
            assert response.status == 408
        assert [asked.line.split()[0] for asked in server.asked] == ["GET", method]


def test_408_on_a_new_connection_is_handed_out(client: httpmini.Client) -> None:
    with serving(answer(b"", status="408 Late")) as server:
        assert client.fetch(server.url).status == 408
        assert len(server.asked) == 1


FORBIDDEN: dict[str, tuple[str, bytes]] = {
    "HEAD": ("HEAD", HELLO[:-5].replace(b": 5", b": 43")),
    "HEAD of chunks": ("HEAD", CHUNKED.partition(b"5\r\n")[0]),
    "304": ("GET", b"HTTP/1.1 304 Same\r\nContent-Length: 43\r\n\r\n"),
    "204": ("GET", b"HTTP/1.1 204 None\r\nContent-Length: 43\r\n\r\n"),
    "nothing announced": ("GET", b"HTTP/1.1 304 Same\r\n\r\n"),
}


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(("method", "head"), FORBIDDEN.values(), ids=FORBIDDEN)
def test_a_body_where_none_belongs(client: httpmini.Client, method: str, head: bytes, late: bool) -> None:
    """Even if it looks like a response and comes when the connection is to be used again."""
    evil = b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nevil!"
    if "Content-Length" not in head.decode() and b"chunked" not in head:
        evil = b"a page, and no response"
    sent = threading.Event()

    def body(sock: socket.socket) -> None:
        if late:  # as when the server computes the body
            time.sleep(0.02)
        sock.sendall(evil)
        sent.set()

    with serving(lambda asked: [head, body] if asked.connection == 0 else answer(b"right")) as server:
        client.fetch(server.url, method=method).read()
        assert [client.fetch(server.url).read() for _ in range(2)] == [b"right"] * 2
        assert [asked.connection for asked in server.asked if asked.connection] == [1, 1]
        assert sent.wait(WAIT_S)


def test_a_server_that_sends_no_forbidden_bodies_proves_it_once(client: httpmini.Client) -> None:
    with serving(HELLO[:-5]) as server:
        waited: list[float] = []
        for _ in range(20):
            start = time.monotonic()
            client.fetch(server.url, method="HEAD").read()
            waited.append(time.monotonic() - start)
        assert server.accepts == 1
        assert sum(wait >= 0.1 for wait in waited) < 10


PUBLIC = {
    "Accept": "text/x",
    "Accept-Language": "nl",
    "User-Agent": "me",
    "Range": "bytes=0-",
    "If-Range": '"x"',
    "If-None-Match": '"x"',
    "Cache-Control": "no-cache",
}
KEYS = {
    "X-Api-Key": "K",
    "Api": "K",
    "Referer": "http://me/",
    "From": "me",
    "X-Forwarded-For": "1.2.3.4",
    "Origin": "K",
}


@pytest.mark.parametrize("of_client", [False, True], ids=["of the request", "of the client"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_fields_that_were_given_stay_with_the_origin(of_client: bool, method: str) -> None:
    fields = [*PUBLIC.items(), *KEYS.items()]
    said = HELLO if method == "GET" else HELLO[:-5]
    with (
        httpmini.Client(headers=fields if of_client else ()) as client,
        serving(lambda asked: said if asked.target == "/x" else moved(f"{server.url}x")) as other,
        serving(
            lambda asked: said if asked.target == "/x" else moved("/b" if asked.target == "/a" else other.url)
        ) as server,
    ):
        client.fetch(f"{server.url}a", method=method, headers=() if of_client else fields).close()
        given = {name.lower(): value for name, value in fields}
        public = {name.lower(): value for name, value in PUBLIC.items()}
        assert [asked.target for asked in server.asked] == ["/a", "/b", "/x"]
        found = [{name: asked.fields.get(name) for name in given} for asked in (*server.asked, *other.asked)]
        without = dict.fromkeys(given) | public
        assert found == [given, given, without, without]


def test_a_body_is_not_sent_to_another_origin(client: httpmini.Client) -> None:
    with serving(HELLO) as other, serving(lambda _: moved(other.url)) as server:
        with pytest.raises(BadRedirect, match="is not sent the body"):
            client.fetch(server.url, data=b"secret")
        assert other.asked == []


NETRC = """
# the machines
machine 127.0.0.1 login bob password "b o\\"b"
machine 127.0.0.1
  login ada
  account x password a\\ da
macdef init
  machine 127.0.0.1 login eve password eve

machine elsewhere login eve password eve
machine 127.0.0.1 user carl password carl
default login dora password dora
"""


@pytest.mark.parametrize(
    ("user", "sent"),
    [
        ("ada@", "ada:a da"),
        ("bob@", 'bob:b o"b'),
        ("carl@", "carl:carl"),
        ("dora@", "dora:dora"),
        ("eve@", "eve:"),
        ("ada:@", "ada:"),
        ("ada:own@", "ada:own"),
        ("", "carl:carl"),
    ],
)
def test_the_entry_of_a_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, user: str, sent: str) -> None:
    (tmp_path / ".netrc").write_text(NETRC)
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    with serving(HELLO) as server, httpmini.Client(use_netrc=True) as client:
        client.fetch(server.url.replace("//", f"//{user}")).read()
        httpmini.download(client, server.url.replace("//", f"//{user}"), tmp_path / "file")
        found = {base64.b64decode(asked.fields["authorization"].split()[1]).decode() for asked in server.asked}
        assert found == {sent}


@pytest.mark.parametrize(
    "said",
    [
        [b""],
        [HELLO[:-5]],
        [answer(b"", length=False)],
        [CHUNKED[:-15], b"fffff\r\n"],
        [b"HTTP/1.0 200 OK\r\nA: "],
        [CONTINUE, b"HTTP/1.0 200 "],
    ],
    ids=["nothing", "length", "no length", "chunks", "head", "interim"],
)
def test_a_total(said: list[bytes]) -> None:
    """A byte now and then satisfies the silence limit, but not the total one."""

    def answers(_: Asked) -> Iterator[Piece]:
        yield from said
        while not server.over.wait(0.03):
            yield b"" if said == [b""] or said == [HELLO[:-5]] else b"x"

    timeouts = httpmini.Timeouts(total_s=0.3)
    with httpmini.Client(timeouts=timeouts) as client, serving(answers) as server:
        with pytest.raises(TimedOut) as caught:
            client.fetch(server.url).read()
        assert (caught.value.phase, caught.value.limit_s) == ("total", 0.3)


def test_a_total_over_several_requests() -> None:
    """Redirections and retries do not restart it."""

    def answers(asked: Asked) -> Iterator[Piece]:
        server.over.wait(0.06)
        yield moved(f"/{len(server.asked)}")

    timeouts = httpmini.Timeouts(total_s=0.2)
    with httpmini.Client(timeouts=timeouts) as client, serving(answers) as server:
        with pytest.raises(TimedOut) as caught:
            client.fetch(server.url)
        assert caught.value.phase == "total"


def test_nobody_accepts() -> None:
    """The backlog is full, so that the kernel does not accept connections."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        place = full.getsockname()
        waiting = []
        try:
            for _ in range(4):
                sock = socket.socket()
                sock.setblocking(False)
                sock.connect_ex(place)
                waiting.append(sock)
            retries = httpmini.Retries(times=1, first_s=0.01)
            with (
                httpmini.Client(timeouts=SHORT["connect"], retries=retries) as client,
                pytest.raises(TimedOut) as caught,
            ):
                client.fetch(f"http://127.0.0.1:{place[1]}/")
        finally:
            for sock in waiting:
                sock.close()
    assert (caught.value.phase, caught.value.limit_s) == ("connect", 0.2)


def test_a_server_that_does_not_take_the_request() -> None:
    with httpmini.Client(timeouts=SHORT["silence"]) as client, serving(lambda asked: stall()) as server:

        def stall() -> Iterator[Piece]:
            server.over.wait(WAIT_S)
            yield Do.CLOSE

        with pytest.raises(TimedOut) as caught:
            client.fetch(server.url, method="PUT", data=bytes(32 * 1024 * 1024))
        assert caught.value.phase == "silence"
        server.over.set()


def test_a_server_that_takes_the_request_slowly() -> None:
    """The limit is for each wait, not for sending a large body as a whole."""
    data = os.urandom(1024) * 8192
    taken: list[int] = []

    def take(sock: socket.socket) -> None:
        left = len(data) - 70_000
        while left > 0 and not server.over.wait(0.02):
            left -= len(sock.recv(65536))
            taken.append(left)
        sock.sendall(HELLO)

    timeouts = httpmini.Timeouts(silence_s=2)
    with httpmini.Client(timeouts=timeouts) as client, serving(lambda _: [take, Do.CLOSE]) as server:
        assert client.fetch(server.url, method="PUT", data=data).read() == b"hello"
        assert len(taken) > 100


@pytest.mark.parametrize("size", [10, 32 * 1024 * 1024])
def test_an_answer_before_the_request_was_taken(client: httpmini.Client, size: int) -> None:
    """An error response is read even if the body could not be sent (RFC 9112 §9.5)."""

    def refuse(sock: socket.socket) -> None:
        sock.sendall(answer(b"too much", status="413 No"))
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            pass

    with serving(lambda _: [refuse, Do.CLOSE]) as server:
        response = client.fetch(server.url, method="PUT", data=bytes(size))
        assert (response.status, response.read()) == (413, b"too much")


# ---------------------------------------------------------------------------------------------------------------
# Requests


def understood(request: bytes) -> tuple[h11.Request, bytes]:
    """Parse a request with h11, which rejects anything invalid."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(request)
    connection.receive_data(b"")
    head = connection.next_event()
    assert isinstance(head, h11.Request)
    body = b""
    while isinstance(event := connection.next_event(), h11.Data):
        body += bytes(event.data)
    assert isinstance(event, h11.EndOfMessage)
    assert connection.trailing_data[0] == b""
    return head, body


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "BREW", "M-SEARCH"])
@pytest.mark.parametrize("data", [b"", b"x", b"GET /evil HTTP/1.0\r\n\r\n", bytes(300_000)])
@pytest.mark.parametrize(
    ("target", "asked"),
    [
        ("", "/"),
        ("?a b", "/?a%20b"),
        ("a b/ü?€=%zz#x", "/a%20b/%C3%BC?%E2%82%AC=%zz"),
        ("//x/../y;z='*'", "///x/../y;z='*'"),
        ("x" * 5000, "/" + "x" * 5000),
    ],
)
def test_h11_understands_what_is_asked(
    client: httpmini.Client, method: str, data: bytes, target: str, asked: str
) -> None:
    fields = [("X", "caf\xe9"), ("x", "again"), ("Accept", "text/html"), ("Accept-Encoding", "")]
    with serving(HELLO) as server:
        client.fetch(server.url + target, method=method, data=data, headers=fields).read()
        request = server.asked[0]
        head, body = understood(request.head + b"\r\n\r\n" + request.body)
    assert (head.method, head.target, head.http_version) == (method.encode(), asked.encode(), b"1.0")
    assert body == data
    named = [(name.decode(), value.decode("iso-8859-1")) for name, value in head.headers]
    length = [("content-length", str(len(data)))] if data or method in ("POST", "PUT", "PATCH") else []
    assert named == [
        ("host", server.place),
        ("user-agent", f"httpmini/{httpmini.__version__}"),
        ("connection", "keep-alive"),
        ("x", "caf\xe9"),
        ("x", "again"),
        ("accept", "text/html"),
        *length,
    ]


def test_what_is_asked_by_default(client: httpmini.Client) -> None:
    with serving(HELLO) as server:
        client.fetch(server.url).read()
        assert server.asked[0].head.decode().split("\r\n") == [
            "GET / HTTP/1.0",
            f"Host: {server.place}",
            f"User-Agent: httpmini/{httpmini.__version__}",
            "Accept: */*",
            "Connection: keep-alive",
            "Accept-Encoding: gzip, deflate, br, zstd",
        ]


def test_fields_of_the_client_and_of_the_request() -> None:
    client = httpmini.Client(headers=[("A", "client"), ("accept", "client"), ("B", "1")], decode=False)
    with client, serving(HELLO) as server:
        client.fetch(server.url, headers=[("a", "request"), ("USER-AGENT", "me"), ("B", "")]).read()
        assert server.asked[0].head.decode().split("\r\n")[1:] == [
            f"Host: {server.place}",
            "Connection: keep-alive",
            "accept: client",
            "a: request",
            "USER-AGENT: me",
        ]


@pytest.mark.parametrize(
    ("method", "field"),
    [
        *(("GET", field) for field in (("A", "b\r\nC: d"), ("A", "b\nC"), ("A", "b\0"), ("A b", "c"), ("A:", "b"))),
        *(("GET", field) for field in (("", "c"), ("A\r\nB", "c"), ("A", "€"), ("Ä", "b"), ("Content-Length", "5"))),
        ("GET", ("transfer-encoding", "chunked")),
        *((method, ("A", "b")) for method in ("", "G T", "GET\r\nX: y", "GET / HTTP/1.0\r\nX:", "GÉT", "GET\t", "G€T")),
    ],
)
def test_what_cannot_be_asked_is_not(client: httpmini.Client, method: str, field: tuple[str, str]) -> None:
    with serving(HELLO) as server:
        with pytest.raises(BadUrl) as caught:
            client.fetch(server.url, method=method, headers=[field])
        assert server.accepts == 0
    assert str(caught.value)


@pytest.mark.parametrize("target", ["/a b", "/a\r\nX: y", "/\0", "/a#b", "/é", "/€"])
def test_a_url_made_by_hand_is_looked_at_too(client: httpmini.Client, target: str) -> None:
    with serving(HELLO) as server:
        with pytest.raises(BadUrl):
            client.fetch(replace(parse_url(server.url), target=target))
        assert server.accepts == 0


def test_both_heads_are_shown() -> None:
    shown: list[tuple[str, bytes]] = []
    client = httpmini.Client(trace=lambda direction, head: shown.append((direction, head)))
    with client, serving(goes({"/a": moved("/b")})) as server:
        client.fetch(f"{server.url}a").read()
        assert [direction for direction, _ in shown] == [">", "<", ">", "<"]
        heads = [head for direction, head in shown if direction == ">"]
        assert heads == [asked.head + b"\r\n\r\n" for asked in server.asked]
        assert shown[1][1] == moved("/b")


# ---------------------------------------------------------------------------------------------------------------
# Content codings over the wire


def test_a_coding_is_undone(client: httpmini.Client) -> None:
    packed = gzip.compress(b"hello" * 1000)
    said = answer(packed, "Content-Encoding: gzip")
    with serving(said) as server:
        response = client.fetch(server.url)
        assert response.codings == ["gzip"]
        assert response.content_length == len(packed)
        assert response.read() == b"hello" * 1000
        assert client.fetch(server.url, method="HEAD").read() == b""
        assert client.fetch(server.url).read() == b"hello" * 1000


@pytest.mark.parametrize(
    ("decode", "said"),
    [
        (False, answer(b"packed", "Content-Encoding: gzip")),
        (True, answer(b"packed", "Content-Encoding: unheard-of")),
        (True, answer(b"packed", "Content-Encoding: gzip, unheard-of")),
        (True, answer(b"packed", "Content-Encoding: gzip", "Content-Range: bytes 1-6/9", status="206 Part")),
    ],
)
def test_a_coding_is_left_alone(decode: bool, said: bytes) -> None:
    with httpmini.Client(decode=decode) as client, serving(said) as server:
        response = client.fetch(server.url)
        assert (response.codings, response.read()) == ([], b"packed")
        assert ("accept-encoding" in server.asked[0].fields) == decode


def test_a_broken_coding_ends_its_connection(client: httpmini.Client) -> None:
    with serving(answer(b"packed", "Content-Encoding: gzip")) as server:
        with pytest.raises(BrokenResponse, match="is not gzip"):
            client.fetch(server.url).read()
        server.wait_for_ends()


def test_a_response_is_a_response(client: httpmini.Client) -> None:
    with serving(HELLO) as server:
        response = client.fetch(server.url)
        assert type(response) is Response is httpmini.Response
        response.close()
