"""The client against misbehaving servers: a script on a real socket."""

from __future__ import annotations

import itertools
import os
import socket
import struct
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from httpmini.client.client import Client
from httpmini.client.options import Retries
from httpmini.errors import BadUrl, BrokenResponse, FetchError, NotConnected, Truncated
from httpmini.version import __version__
from tests.support.processes import run_command
from tests.support.wire import WAIT_S

RESET = b"<reset>"  # instead of a piece: break the connection


class Script:
    """A server that sends each connection its scripted response, whatever the request, and records the requests."""

    def __init__(self, answers: Iterable[Iterable[bytes]]) -> None:
        self.requests: list[bytes] = []
        self._answers = answers
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        with suppress(OSError):  # closed when no response is left, so that no client waits for one
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self._thread.join(WAIT_S)
        self._listener.close()

    def _run(self) -> None:
        for answer in self._answers:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with sock:
                sock.settimeout(WAIT_S)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with suppress(OSError):  # the client may hang up
                    self._converse(sock, answer)
        self._listener.close()

    def _converse(self, sock: socket.socket, answer: Iterable[bytes]) -> None:
        request = b""
        while b"\r\n\r\n" not in request and (data := sock.recv(65536)):
            request += data
        self.requests.append(request)
        for piece in answer:
            if piece is RESET:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            sock.sendall(piece)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            pass


@contextmanager
def script(*answers: Iterable[bytes]) -> Iterator[Script]:
    server = Script(answers)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def plain_client() -> Client:
    """A client without retries or decoding."""
    return Client(follow=False, decode=False, retries=Retries(times=0))


def ask(server: Script, method: str = "GET") -> tuple[int, bytes]:
    with plain_client() as client, client.fetch(server.url, method=method) as answer:
        return answer.status, answer.read()


WHOLE = b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def test_an_answer_that_is_cut_off_is_never_a_success() -> None:
    with script(*([WHOLE[:size]] for size in range(len(WHOLE)))) as server:
        for _ in range(len(WHOLE)):
            with pytest.raises((NotConnected, Truncated)):
                ask(server)


def test_an_answer_may_come_in_two_pieces() -> None:
    with script(*([WHOLE[:size], WHOLE[size:]] for size in range(len(WHOLE)))) as server:
        for _ in range(len(WHOLE)):
            assert ask(server) == (200, b"hello")


def test_an_answer_may_come_byte_by_byte() -> None:
    with script([WHOLE[at : at + 1] for at in range(len(WHOLE))]) as server:
        assert ask(server) == (200, b"hello")


OK = b"HTTP/1.0 200 OK\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"

GOOD: dict[str, tuple[str, list[bytes], int, bytes]] = {
    "100 before it": ("GET", [CONTINUE, WHOLE], 200, b"hello"),
    "100 in one piece with it": ("GET", [CONTINUE + WHOLE], 200, b"hello"),
    "several before it": ("GET", [CONTINUE, CONTINUE + b"HTTP/1.1 103 Hints\r\nA: b\r\n\r\n" + WHOLE], 200, b"hello"),
    "no length, until the end": ("GET", [OK + b"\r\nhel", b"lo"], 200, b"hello"),
    "no length, nothing": ("GET", [OK + b"\r\n"], 200, b""),
    "surplus": ("GET", [WHOLE + b", world"], 200, b"hello"),
    "surplus later": ("GET", [WHOLE, b", world"], 200, b"hello"),
    "surplus across pieces": ("GET", [WHOLE[:-2], b"lo, world"], 200, b"hello"),
    "length zero, surplus": ("GET", [OK + b"Content-Length: 0\r\n\r\nx"], 200, b""),
    "length with zeros": ("GET", [OK + b"Content-Length: 0005\r\n\r\nhello"], 200, b"hello"),
    "204 has no body": ("GET", [b"HTTP/1.1 204 No Content\r\n\r\nx"], 204, b""),
    "304 has no body": ("GET", [b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"], 304, b""),
    "HEAD has no body": ("HEAD", [OK + b"Content-Length: 5\r\n\r\n"], 200, b""),
    "HEAD, and a body all the same": ("HEAD", [WHOLE], 200, b""),
    "HTTP/1.1": ("GET", [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"], 200, b"hello"),
    "no phrase": ("GET", [b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello"], 200, b"hello"),
    "bare LFs": ("GET", [b"HTTP/1.0 200 OK\nContent-Length: 5\n\nhello"], 200, b"hello"),
    "folded": ("GET", [OK + b"A: b\r\n c\r\nContent-Length:\r\n 5\r\n\r\nhello"], 200, b"hello"),
    "chunks": ("GET", [CHUNKS], 200, b"hello"),
    "chunks in pieces": ("GET", [CHUNKS[:48], CHUNKS[48:52], CHUNKS[52:]], 200, b"hello"),
    "an error has a body too": ("GET", [b"HTTP/1.0 404 No\r\nContent-Length: 5\r\n\r\nhello"], 404, b"hello"),
    "a body that looks like a head": ("GET", [OK + b"\r\n" + WHOLE], 200, WHOLE),
}


@pytest.mark.parametrize(("method", "pieces", "status", "body"), GOOD.values(), ids=GOOD)
def test_odd_but_good(method: str, pieces: list[bytes], status: int, body: bytes) -> None:
    with script(pieces) as server:
        assert ask(server, method) == (status, body)


BROKEN: dict[str, tuple[Iterable[bytes], type[FetchError], str]] = {
    "nothing": ([], NotConnected, "without a response"),
    "reset": ([RESET], NotConnected, "without a response: Connection reset by peer"),
    "reset in the head": ([OK, RESET], Truncated, ""),
    "reset in the body": ([WHOLE[:-1], RESET], Truncated, ""),
    "reset in a body without length": ([OK + b"\r\nhel", RESET], Truncated, ""),
    "100 and nothing": ([CONTINUE], NotConnected, "without a response"),
    "end in the head": ([OK], Truncated, "in the middle of the head"),
    "end in the body": ([WHOLE[:-1]], Truncated, "after 4 of 5 bytes"),
    "SSH": ([b"SSH-2.0-OpenSSH_9.2\r\n"], BrokenResponse, "not-http"),
    "TLS alert": ([b"\x15\x03\x01\x00\x02\x02\x16"], BrokenResponse, "not-http"),
    "0.9": ([b"<html>hello</html>\n"], BrokenResponse, "not-http"),
    "a request": ([b"GET / HTTP/1.0\r\n\r\n"], BrokenResponse, "not-http"),
    "empty lines": ([b"\r\n\r\n" + WHOLE], BrokenResponse, "not-http"),
    "no status": ([b"HTTP/1.0 OK\r\n\r\n"], BrokenResponse, "status-line"),
    "status of four digits": ([b"HTTP/1.0 2000 OK\r\n\r\n"], BrokenResponse, "status-line"),
    "ESC in the phrase": ([b"HTTP/1.0 200 \x1b[31mOK\r\n\r\n"], BrokenResponse, "status-line"),
    "NUL in a field": ([OK + b"A: \0\r\n\r\n"], BrokenResponse, "field-value"),
    "no colon": ([OK + b"A b\r\n\r\n"], BrokenResponse, "field-colon"),
    "blank before the colon": ([OK + b"Content-Length : 5\r\n\r\nhello"], BrokenResponse, "field-name-space"),
    "chunks that end too early": ([CHUNKS[:-2]], Truncated, "in the middle of its chunks"),
    "a chunk with a sign": ([CHUNKS.replace(b"5\r", b"+5\r")], BrokenResponse, "chunk (RFC 9112 §7.1), at byte 47"),
    "a chunk that is too long": ([CHUNKS.replace(b"hello", b"hello!")], BrokenResponse, "chunk"),
    "chunked, with a length": (
        [OK + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello"],
        BrokenResponse,
        "transfer coding",
    ),
    "another transfer coding": ([OK + b"Transfer-Encoding: gzip\r\n\r\nhello"], BrokenResponse, "transfer coding"),
    "two lengths": ([OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"], BrokenResponse, "content-length"),
    "two other lengths": (
        [OK + b"Content-Length: 5\r\ncontent-length: 4\r\n\r\nhello"],
        BrokenResponse,
        "content-length",
    ),
    **{
        f"length {value!r}": ([OK + b"Content-Length: " + value + b"\r\n\r\nhello"], BrokenResponse, "content-length")
        for value in (b"", b"-1", b"+5", b"5.0", b"0x5", b"5 5", b"5, 5", b"five", b"\xb2", b"9" * 19)
    },
    "too many fields": ([OK + b"A: b\r\n" * 501 + b"\r\n"], BrokenResponse, "fields-many"),
    "an endless head": (itertools.chain([OK], itertools.repeat(b"A: b\r\n" * 100)), BrokenResponse, "head-long"),
    "a head that is too long says whose": (
        [OK + b"A: " + b"b" * 70_000],
        BrokenResponse,
        "The response head is longer",
    ),
    "too many fields says whose": ([OK + b"A: b\r\n" * 501 + b"\r\n"], BrokenResponse, "The response head has more"),
    "an endless line": (itertools.chain([b"HTTP/1.0 "], itertools.repeat(b"2" * 600)), BrokenResponse, "head-long"),
}


@pytest.mark.parametrize(("pieces", "error", "fragment"), BROKEN.values(), ids=BROKEN)
def test_broken_answers(pieces: Iterable[bytes], error: type[FetchError], fragment: str) -> None:
    with script(pieces) as server, pytest.raises(error) as caught:
        ask(server)
    assert type(caught.value) is error
    assert fragment in str(caught.value)
    assert str(caught.value).isprintable()


OURS = [
    "Host: {host}",
    f"User-Agent: httpmini/{__version__}",
    "Accept: */*",
    "Connection: keep-alive",
]


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ((), OURS),
        ((("X", "y"),), [*OURS, "X: y"]),
        ((("host", "other"),), [*OURS[1:], "host: other"]),
        ((("USER-AGENT", "me"), ("accept", "x")), [OURS[0], OURS[3], "USER-AGENT: me", "accept: x"]),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_is_asked(method: str, extra: tuple[tuple[str, str], ...], expected: list[str]) -> None:
    traced: list[tuple[str, bytes]] = []
    client = Client(decode=False, trace=lambda direction, head: traced.append((direction, head)))
    with client, script([WHOLE]) as server:
        with client.fetch(f"{server.url}a b?c=ü#d", method=method, headers=extra) as answer:
            assert answer.raw_head == WHOLE[:-5]
        lines = [line.format(host=f"127.0.0.1:{server.port}") for line in expected]
        request = "\r\n".join([f"{method} /a%20b?c=%C3%BC HTTP/1.0", *lines, "", ""]).encode()
        assert server.requests == [request]
        assert traced == [(">", request), ("<", WHOLE[:-5])]


@pytest.mark.parametrize("field", [("A", "b\r\nC: d"), ("A B", "c"), ("", "c"), ("A", "\u20ac")])
def test_a_field_that_cannot_be_sent_is_not(field: tuple[str, str]) -> None:
    with plain_client() as client, script([WHOLE]) as server:
        with pytest.raises(BadUrl):
            client.fetch(server.url, headers=[field])
        assert server.requests == []


def test_nobody_listens() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        refused = pytest.raises(NotConnected, match=rf"127\.0\.0\.1 port {port} \(.*Connection refused\)")
        with refused, plain_client() as client:
            client.fetch(f"http://127.0.0.1:{port}/")


# Through the command: what reaches the terminal and the disk.


def get(server: Script, *arguments: str) -> tuple[int, bytes, bytes]:
    """Run ``httpmini get`` without retries."""
    status, output, errors = run_command("get", "--retries", "0", server.url, *arguments)
    assert b"Traceback" not in errors
    return status, output, errors


@pytest.mark.parametrize(
    ("answer", "code", "fragment"),
    [
        (b"HTTP/1.0 404 \x1b[31mred\r\n\r\n", 7, b"status line"),
        (b"HTTP/1.0 404 \x9b31mred\r\n\r\n", 11, b"404 \\x9b31mred"),
        (b"HTTP/1.0 404 \x85httpmini: all is well\r\n\r\n", 11, b"404 \\x85httpmini: all is well"),
        (b"HTTP/1.0 301 Moved\r\nLocation: ftp://h/\x9b31m\r\n\r\n", 9, b"ftp://h/%9B31m"),
        (b"HTTP/1.0 301 Moved\r\nLocation: /\x1b[31m\r\n\r\n", 7, b"control character"),
        (b"HTTP/1.0 301 Moved\r\nLocation: ftp://h/\ta\r\n\r\n", 9, b"ftp://h/%09a"),
        (b"\x1b[31m\r\n\r\n", 7, b"not-http"),
    ],
)
def test_control_characters_do_not_reach_the_terminal(answer: bytes, code: int, fragment: bytes) -> None:
    with script([answer]) as server:
        status, _, errors = get(server)
    assert status == code
    assert fragment in errors
    assert errors.count(b"\n") == 1
    assert errors.decode().replace("\n", "").isprintable()


@pytest.mark.parametrize(
    ("octets", "shown"),
    [
        (b"\x9b31m", b"\\x9b31m"),
        (b"a\tb", b"a\\x09b"),
        (b"a\x85Set-Cookie: b", b"a\\x85Set-Cookie: b"),
    ],
)
def test_control_characters_are_visible_in_a_trace(octets: bytes, shown: bytes) -> None:
    with script([OK + b"A: " + octets + b"\r\nContent-Length: 0\r\n\r\n"]) as server:
        status, _, errors = get(server, "-v")
    assert status == 0
    assert b"< A: " + shown + b"\n" in errors
    assert errors.decode().replace("\n", "").isprintable()


FAILURES: dict[str, tuple[list[bytes], int]] = {
    "no answer": ([], 4),
    "cut off": ([WHOLE[:-1]], 8),
    "cut off in the head": ([OK], 8),
    "reset": ([OK + b"\r\nhel", RESET], 8),
    "chunks that end too early": ([CHUNKS[:-1]], 8),
    "chunks that are none": ([CHUNKS.replace(b"5\r", b"0x5\r")], 7),
    "404": ([b"HTTP/1.0 404 No\r\nContent-Length: 5\r\n\r\nhello"], 11),
    "304": ([b"HTTP/1.0 304 No\r\n\r\n"], 11),
    "redirect": ([b"HTTP/1.0 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n"], 9),
}


@pytest.mark.parametrize(("pieces", "code"), FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("before", [None, b"old"])
def test_a_failure_leaves_the_output_as_it_was(
    tmp_path: Path, pieces: list[bytes], code: int, before: bytes | None
) -> None:
    output = tmp_path / "out"
    if before is not None:
        output.write_bytes(before)
    with script(pieces) as server:
        status, said, errors = get(server, "-o", str(output))
    assert (status, said) == (code, b"")
    assert errors.startswith(b"httpmini: ")
    assert (output.read_bytes() if output.exists() else None) == before


def test_a_success_is_all_there(tmp_path: Path) -> None:
    output = tmp_path / "out"
    with script([WHOLE[:-2], b"lo, world"]) as server:
        assert get(server, "-o", str(output)) == (0, b"", b"")
    assert output.read_bytes() == b"hello"
    assert os.listdir(tmp_path) == ["out"]


def test_an_answer_that_is_cut_off_fails_on_standard_output_too() -> None:
    with script([WHOLE[:-1]]) as server:
        status, said, errors = get(server)
    assert (status, said) == (8, b"hell")
    assert b"after 4 of 5 bytes" in errors
