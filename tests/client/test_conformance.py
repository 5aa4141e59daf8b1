"""What a client must not be talked into, by servers that try."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import httpmini
from httpmini.client import connect
from httpmini.client.exchange import exchange
from httpmini.client.url import parse_url
from httpmini.errors import BrokenResponse, FetchError, TimedOut, Truncated
from httpmini.protocol.message import Headers
from tests.client.test_exchange import CONTINUE, OK, WHOLE, Script, ask, get, script
from tests.support.wire import WAIT_S

HELLO = b"Content-Length: 5\r\n\r\nhello"


@pytest.mark.parametrize(
    "line", [b"HTTP/1.0 200 OK", b"HTTP/1.0 200 ", b"HTTP/1.1 200", b"HTTP/1.9 200 \xe9 x", b"HTTP/1.0 200 200 200"]
)
def test_a_status_line(line: bytes) -> None:
    with script([line + b"\r\n" + HELLO]) as server:
        assert ask(server) == (200, b"hello")


@pytest.mark.parametrize(
    "line",
    [
        *(b"HTTP/1.0 " + code + b" OK" for code in (b"99", b"099", b"000", b"2000", b"-200", b"+20", b"2OO", b"2.0")),
        *(b"HTTP/1.0 " + code + b" OK" for code in (b"", b"0x2", b"20 0", b"\xb2\xb2\xb2")),
        *(b"HTTP/" + version + b" 200 OK" for version in (b"1", b"1.", b".1", b"1.0.0", b"+1.0", b"10.0", b"1,0")),
        b"HTTP/1.0\t200 OK",
        b"http/1.0 200 OK",
        b"ICY 200 OK",
    ],
)
def test_what_is_no_status_line(line: bytes) -> None:
    with script([line + b"\r\n" + HELLO]) as server, pytest.raises(BrokenResponse):
        ask(server)


@pytest.mark.parametrize(
    ("code", "success"),
    [
        (200, True),
        (299, True),
        (101, False),
        (300, False),
        (399, False),
        (431, False),
        (499, False),
        (599, False),
        (600, False),
        (999, False),
    ],
)
def test_an_unknown_code_counts_by_its_class(tmp_path: Path, code: int, success: bool) -> None:
    output = tmp_path / "out"
    with script([f"HTTP/1.0 {code} Who knows\r\n".encode() + HELLO]) as server:
        status, _, errors = get(server, "-o", str(output))
    assert (status == 0, output.exists()) == (success, success)
    assert (f"{code} Who knows".encode() in errors) != success


@pytest.mark.parametrize("field", [b"content-length:5", b"CONTENT-LENGTH: 5", b"cOnTeNt-LeNgTh:\t 5 \t"])
def test_field_names_in_any_case(field: bytes) -> None:
    with script([OK + field + b"\r\n\r\nhello, and more"]) as server:
        assert ask(server) == (200, b"hello")


def _flood() -> Iterator[bytes]:
    """A hundred thousand interim answers, and then a final one: no honest server needs a thousandth of them."""
    for _ in range(100):
        yield CONTINUE * 1_000
    yield WHOLE


def test_endless_interim_answers_are_cut_off() -> None:
    with script(_flood()) as server, pytest.raises(FetchError):
        ask(server)


@pytest.mark.parametrize("code", [300, 301, 302, 303, 305, 307, 308])
def test_a_redirection_is_not_followed(tmp_path: Path, code: int) -> None:
    """So neither are credentials sent to another host, nor does a loop go round."""
    output = tmp_path / "out"
    with script([WHOLE]) as other:
        answer = f"HTTP/1.0 {code} Go\r\nLocation: {other.url}x\r\n".encode() + HELLO
        with script([answer], [WHOLE]) as server:
            secret = ("-H", "Authorization: Basic dTpw", "-H", "Cookie: a=b")
            status, said, errors = get(server, *secret, "-o", str(output))
        assert (status, said, output.exists()) == (1, b"", False)
        assert f"{code} Go; it is at {other.url}x\n".encode() in errors
        assert len(server.requests) == 1
        assert other.requests == []


@pytest.mark.parametrize(
    "location",
    [
        "",
        "/",
        "?",
        "//other.invalid/",
        "file:///etc/passwd",
        "ftp://other.invalid/",
        "data:,x",
        "javascript:alert(1)",
        "http:///x",
        "http://h:99999/",
        "http://[::1",
        "/a%0d%0aX:y",
        "/caf\xe9 x#y",
    ],
)
def test_no_location_takes_the_client_anywhere(location: str) -> None:
    answer = f"HTTP/1.0 302 Found\r\nLocation: {location}\r\n".encode("iso-8859-1") + HELLO
    with script([answer], [WHOLE]) as server:
        status, said, errors = get(server)
    assert (status, said) == (1, b"hello")
    assert errors.count(b"\n") == 1
    assert len(server.requests) == 1


@pytest.mark.parametrize("challenge", ['Basic realm="a"', 'Digest realm="a", Basic realm="b, c"', "", "Negotiate"])
def test_a_401_is_shown_and_not_answered(challenge: str) -> None:
    answer = f"HTTP/1.0 401 Who are you\r\nWWW-Authenticate: {challenge}\r\n".encode() + HELLO
    with script([answer], [answer]) as server:
        status, said, errors = get(server)
    assert (status, said) == (1, b"hello")
    assert b"401 Who are you" in errors
    assert len(server.requests) == 1
    assert b"Authorization" not in server.requests[0]


def test_a_416_is_no_data(tmp_path: Path) -> None:
    output = tmp_path / "out"
    output.write_bytes(b"begun")
    with script([b"HTTP/1.0 416 No\r\nContent-Range: bytes */5\r\n" + HELLO]) as server:
        status, said, _ = get(server, "-H", "Range: bytes=5-", "-o", str(output))
    assert (status, said, output.read_bytes()) == (1, b"", b"begun")


@pytest.mark.parametrize(
    "content_range", [b"", b"Content-Range: bytes 0-4/100\r\n", b"Content-Range: bytes 5-9/10\r\n"]
)
def test_a_part_that_nobody_asked_for_is_not_the_file(tmp_path: Path, content_range: bytes) -> None:
    """RFC 9110 §15.3.7: 206 answers a Range. Without one, a part must not be taken for the whole."""
    output = tmp_path / "out"
    with script([b"HTTP/1.0 206 Part\r\n" + content_range + HELLO]) as server:
        status, _, _ = get(server, "-o", str(output))
    assert (status, output.exists()) == (1, False)


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.0 200", OK + b"A: b\r\n", OK + HELLO[:-1], OK + b"\r\nhel"])
def test_silence_has_an_end(begun: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "SILENCE_S", 0.2)
    over = threading.Event()

    def answer() -> Iterator[bytes]:
        yield begun
        over.wait(WAIT_S)

    with script(answer()) as server:
        try:
            with pytest.raises(TimedOut):
                ask(server)
        finally:
            over.set()


def test_the_limits_of_patience_are_finite() -> None:
    assert 0 < connect.CONNECT_S <= 60
    assert 0 < connect.SILENCE_S <= 60


def test_a_length_that_no_disk_has_is_not_believed() -> None:
    with script([OK + b"Content-Length: " + b"9" * 18 + b"\r\n\r\nhello"]) as server, pytest.raises(Truncated):
        ask(server)


def _get_in(folder: Path, server: Script, *arguments: str) -> tuple[int, bytes]:
    """``httpmini get`` where it could leave files lying about."""
    environment = {**os.environ, "PYTHONPATH": str(Path(httpmini.__file__).parents[1])}
    command = [sys.executable, "-m", "httpmini", "get", f"{server.url}..%2f..%2fnamed-by-url", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=WAIT_S, check=False
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", ".bashrc", "evil", "a\\..\\evil", "CON", "x" * 300])
def test_the_server_does_not_name_files(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    answer = OK + f'Content-Disposition: attachment; filename="{name}"\r\n'.encode() + HELLO
    with script([answer], [answer]) as server:
        assert _get_in(folder, server) == (0, b"hello")
        assert os.listdir(folder) == []
        assert _get_in(folder, server, "-o", "mine") == (0, b"")
    assert os.listdir(folder) == ["mine"]
    assert os.listdir(tmp_path) == ["here"]


@pytest.mark.parametrize("coding", ["gzip", "x-gzip, gzip", "br", "unheard-of"])
def test_a_content_coding_is_handed_out_as_it_came(coding: str) -> None:
    body = gzip.compress(b"hello" * 1000) + b"more"
    head = f"HTTP/1.0 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with script([head, body[:10], body[10:]]) as server:
        assert ask(server) == (200, body)
    assert b"Accept-Encoding" not in server.requests[0]


@pytest.mark.parametrize("url", ["", "?q", "#f", "a#f", "a b", "%41%2f"])
def test_every_request_is_a_full_one(url: str) -> None:
    with script([WHOLE]) as server, exchange(parse_url(server.url + url), "GET", Headers()):
        pass
    first, *lines = server.requests[0].decode().split("\r\n")
    method, target, version = first.split(" ")
    assert (method, target[0], version) == ("GET", "/", "HTTP/1.0")
    assert "#" not in target
    assert f"Host: 127.0.0.1:{server.port}" in lines
    assert any(line.startswith("User-Agent: httpmini/") for line in lines)
