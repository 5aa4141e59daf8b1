"""What a hostile server must not get a client to do."""

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
from httpmini.client.client import Client
from httpmini.client.options import Limits, Retries, Timeouts
from httpmini.errors import BrokenResponse, FetchError, TimedOut, Truncated
from tests.client.test_exchange import CONTINUE, OK, WHOLE, Script, ask, get, plain_client, script
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
    assert (status, output.exists()) == (0 if success else 11, success)
    assert (f"{code} Who knows".encode() in errors) != success


@pytest.mark.parametrize("field", [b"content-length:5", b"CONTENT-LENGTH: 5", b"cOnTeNt-LeNgTh:\t 5 \t"])
def test_field_names_in_any_case(field: bytes) -> None:
    with script([OK + field + b"\r\n\r\nhello, and more"]) as server:
        assert ask(server) == (200, b"hello")


def _flood() -> Iterator[bytes]:
    """A hundred thousand interim responses before the final one: no honest server needs a thousandth of them."""
    for _ in range(100):
        yield CONTINUE * 1_000
    yield WHOLE


def test_endless_interim_answers_are_cut_off() -> None:
    with script(_flood()) as server, pytest.raises(FetchError):
        ask(server)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirection_is_followed_without_what_is_private(tmp_path: Path, code: int) -> None:
    """RFC 9110 §15.4: neither credentials nor cookies go to another host or port."""
    output = tmp_path / "out"
    with script([WHOLE]) as other:
        answer = f"HTTP/1.0 {code} Go\r\nLocation: {other.url}x\r\n".encode() + HELLO
        with script([answer]) as server:
            secret = ("-H", "Authorization: Basic dTpw", "-H", "Cookie: a=b", "-H", "X: y")
            assert get(server, *secret, "-o", str(output)) == (0, b"", b"")
        assert output.read_bytes() == b"hello"
        assert b"Basic dTpw" in server.requests[0]
        assert other.requests[0].startswith(b"GET /x HTTP/1.0\r\n")
        for private in (b"authorization", b"cookie"):
            assert private in server.requests[0].lower()
            assert private not in other.requests[0].lower()
        assert b"X: y" in server.requests[0]
        assert b"X: y" not in other.requests[0], "it may be a key, whatever its name"


@pytest.mark.parametrize(("code", "flags"), [(300, ()), (305, ()), (302, ("--no-follow",)), (308, ("--no-follow",))])
def test_a_redirection_is_not_followed(tmp_path: Path, code: int, flags: tuple[str, ...]) -> None:
    output = tmp_path / "out"
    with script([WHOLE]) as other:
        answer = f"HTTP/1.0 {code} Go\r\nLocation: {other.url}x\r\n".encode() + HELLO
        with script([answer], [WHOLE]) as server:
            status, said, errors = get(server, *flags, "-o", str(output))
        assert (status, said, output.exists()) == (11, b"", False)
        assert f"{code} Go".encode() in errors
        assert len(server.requests) == 1
        assert other.requests == []


@pytest.mark.parametrize("code", [301, 302, 307, 308])
@pytest.mark.parametrize("flags", [("--data", "x"), ("-X", "POST"), ("-X", "DELETE")])
def test_what_changes_something_is_not_sent_again(code: int, flags: tuple[str, ...]) -> None:
    """RFC 1945 §9.3: not without confirmation by the user."""
    answer = f"HTTP/1.0 {code} Go\r\nLocation: /x\r\n".encode() + HELLO
    with script([answer], [WHOLE]) as server:
        status, _, errors = get(server, *flags)
    assert (status, len(server.requests)) == (11, 1)
    assert f"{code} Go".encode() in errors


@pytest.mark.parametrize(
    "location",
    [
        "",
        "/",
        "file:///etc/passwd",
        "ftp://other.invalid/",
        "data:,x",
        "javascript:alert(1)",
        "http:",
        "http:///x",
        "///x",
        "http://h:99999/",
        "http://[::1",
        "//caf\xe9/",
    ],
)
def test_no_location_takes_the_client_anywhere(location: str) -> None:
    answer = f"HTTP/1.0 302 Found\r\nLocation: {location}\r\n".encode("iso-8859-1") + HELLO
    with script([answer], [WHOLE]) as server:
        status, said, errors = get(server)
    assert (status, said) == (9, b"")
    assert errors.count(b"\n") == 1
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("location", "line"),
    [
        ("?", "GET /? HTTP/1.0"),
        ("x", "GET /x HTTP/1.0"),
        ("/a%0d%0aX:y", "GET /a%0d%0aX:y HTTP/1.0"),
        ("/caf\xe9 x#y", "GET /caf%E9%20x HTTP/1.0"),
        ("/a/./b/../c", "GET /a/c HTTP/1.0"),
        ("/\\evil.invalid", "GET /%5Cevil.invalid HTTP/1.0"),
    ],
)
def test_a_location_is_resolved_and_encoded(location: str, line: str) -> None:
    answer = f"HTTP/1.0 302 Found\r\nLocation: {location}\r\n".encode("iso-8859-1") + HELLO
    with script([answer], [WHOLE]) as server:
        assert get(server) == (0, b"hello", b"")
    assert server.requests[1].decode().split("\r\n")[0] == line


def test_a_circle_ends_and_is_named() -> None:
    answers = [f"HTTP/1.0 302 Found\r\nLocation: /{name}\r\n".encode() + HELLO for name in "aba"]
    with script(*([answer] for answer in answers)) as server:
        status, said, errors = get(server)
    assert (status, said, len(server.requests)) == (9, b"", 3)
    circle = " -> ".join(server.url + name for name in "aba")
    assert f"redirected in a circle: {circle}\n".encode() in errors


@pytest.mark.parametrize("challenge", ['Basic realm="a"', 'Digest realm="a", Basic realm="b, c"', "", "Negotiate"])
def test_a_401_is_shown_and_not_answered(challenge: str) -> None:
    """Credentials are sent with the first request or not at all: a server cannot make the client prompt for them."""
    answer = f"HTTP/1.0 401 Who are you\r\nWWW-Authenticate: {challenge}\r\n".encode() + HELLO
    for flags in ((), ("-u", "ada:secret")):
        with script([answer], [answer]) as server:
            status, said, errors = get(server, *flags)
        assert (status, said) == (11, b"hello")
        assert b"401 Who are you" in errors
        assert len(server.requests) == 1
        assert (b"Authorization: Basic YWRhOnNlY3JldA==\r\n" in server.requests[0]) == (flags != ())


def test_a_416_is_no_data(tmp_path: Path) -> None:
    output = tmp_path / "out"
    output.write_bytes(b"begun")
    with script([b"HTTP/1.0 416 No\r\nContent-Range: bytes */5\r\n" + HELLO]) as server:
        status, said, _ = get(server, "-H", "Range: bytes=5-", "-o", str(output))
    assert (status, said, output.read_bytes()) == (11, b"", b"begun")


@pytest.mark.parametrize(
    "content_range", [b"", b"Content-Range: bytes 0-4/100\r\n", b"Content-Range: bytes 5-9/10\r\n"]
)
@pytest.mark.parametrize("to_file", [True, False])
def test_a_part_that_nobody_asked_for_is_not_the_file(tmp_path: Path, content_range: bytes, to_file: bool) -> None:
    """RFC 9110 §15.3.7: 206 responds to a Range. Without one, a part must not be taken for the whole."""
    output = tmp_path / "out"
    with script([b"HTTP/1.0 206 Part\r\n" + content_range + HELLO]) as server:
        status, said, _ = get(server, *(("-o", str(output)) if to_file else ()))
    assert (status, said, output.exists()) == (7, b"", False)


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.0 200", OK + b"A: b\r\n", OK + HELLO[:-1], OK + b"\r\nhel"])
def test_silence_has_an_end(begun: bytes) -> None:
    over = threading.Event()

    def answer() -> Iterator[bytes]:
        yield begun
        over.wait(WAIT_S)

    timeouts = Timeouts(silence_s=0.2) if begun else Timeouts(first_byte_s=0.2)
    with script(answer()) as server, Client(timeouts=timeouts) as client:
        try:
            with pytest.raises(TimedOut) as caught:
                client.fetch(server.url).read()
        finally:
            over.set()
    assert caught.value.phase == ("silence" if begun else "first byte")


def test_the_limits_of_patience_are_finite() -> None:
    limits = Timeouts()
    assert (limits.connect_s, limits.first_byte_s, limits.silence_s) == (10, 30, 30)
    assert (Limits().redirects, Limits().head_bytes, Limits().fields, Retries().times) == (10, 65536, 500, 2)


def test_a_length_that_no_disk_has_is_not_believed() -> None:
    with script([OK + b"Content-Length: " + b"9" * 18 + b"\r\n\r\nhello"]) as server, pytest.raises(Truncated):
        ask(server)


def _get_in(folder: Path, server: Script, *arguments: str) -> tuple[int, bytes]:
    """``httpmini get`` in a folder that is checked for leftovers."""
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
    """One that was not requested; or, with --compressed, one that is unknown."""
    body = gzip.compress(b"hello" * 1000) + b"more"
    head = f"HTTP/1.0 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with script([head, body[:10], body[10:]]) as server:
        assert ask(server) == (200, body)
    assert b"Accept-Encoding" not in server.requests[0]
    with script([head.replace(coding.encode(), b"unheard-of, gzip"), body]) as server:
        assert get(server, "--compressed") == (0, body, b"")
    assert b"Accept-Encoding: gzip, deflate" in server.requests[0]


@pytest.mark.parametrize("trailing", [b"", b"more"])
def test_a_content_coding_that_was_asked_for_is_undone_whole_or_not_at_all(tmp_path: Path, trailing: bytes) -> None:
    output = tmp_path / "out"
    body = gzip.compress(b"hello" * 1000) + trailing
    head = b"HTTP/1.0 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    with script([head, body[:10], body[10:]]) as server:
        status, _, _ = get(server, "--compressed", "-o", str(output))
    if trailing:
        assert (status, output.exists()) == (7, False)
    else:
        assert (status, output.read_bytes()) == (0, b"hello" * 1000)


@pytest.mark.parametrize("url", ["", "?q", "#f", "a#f", "a b", "%41%2f"])
def test_every_request_is_a_full_one(url: str) -> None:
    with script([WHOLE]) as server, plain_client() as client:
        assert client.fetch(server.url + url).read() == b"hello"
    first, *lines = server.requests[0].decode().split("\r\n")
    method, target, version = first.split(" ")
    assert (method, target[0], version) == ("GET", "/", "HTTP/1.0")
    assert "#" not in target
    assert f"Host: 127.0.0.1:{server.port}" in lines
    assert any(line.startswith("User-Agent: httpmini/") for line in lines)
