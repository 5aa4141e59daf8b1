"""``httpmini get`` against our own server, both as processes."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from httpmini.client.url import Url, parse_url
from httpmini.errors import BadUrl
from tests.conftest import StartServer
from tests.support.processes import WAIT_S

PROGRAM = [sys.executable, "-X", "dev", "-W", "error", "-m", "httpmini", "get"]


def get(*arguments: str) -> tuple[int, bytes, str]:
    done = subprocess.run(
        [*PROGRAM, *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=WAIT_S, check=False
    )
    return done.returncode, done.stdout, done.stderr.decode()


@pytest.mark.parametrize("name", ["ten.txt", "big.bin", "empty.txt", "a b.txt", "umlaut-ü.txt"])
def test_the_body_goes_to_standard_output(site: Path, start: StartServer, mode: str, name: str) -> None:
    server = start(site, "--mode", mode)
    assert get(server.url + name) == (0, (site / name).read_bytes(), "")


@pytest.mark.parametrize("name", ["big.bin", "empty.txt"])
def test_a_file_gets_its_name_when_it_is_complete(
    site: Path, start: StartServer, mode: str, tmp_path: Path, name: str
) -> None:
    server = start(site, "--mode", mode)
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "here").write_text("something old")
    assert get(server.url + name, "-o", str(folder / "here")) == (0, b"", "")
    assert (folder / "here").read_bytes() == (site / name).read_bytes()
    assert os.listdir(folder) == ["here"]


def test_the_head_alone(site: Path, start: StartServer, mode: str) -> None:
    server = start(site, "--mode", mode)
    status, said, errors = get(server.url + "big.bin", "-I")
    assert (status, errors) == (0, "")
    assert said.startswith(b"HTTP/1.0 200 OK\r\n")
    assert said.endswith(b"\r\n\r\n")
    assert said.count(b"\r\n\r\n") == 1
    assert f"\r\nContent-Length: {(site / 'big.bin').stat().st_size}\r\n".encode() in said
    assert '"HEAD /big.bin HTTP/1.0" 200 -' in server.wait_for_line(r"HEAD /big\.bin")


def test_the_head_before_the_body(site: Path, start: StartServer, mode: str) -> None:
    server = start(site, "--mode", mode)
    status, said, errors = get(server.url + "ten.txt", "-i")
    assert (status, errors) == (0, "")
    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200 OK\r\n")
    assert body == b"0123456789"


def test_head_and_body_into_a_file(site: Path, start: StartServer, tmp_path: Path) -> None:
    server = start(site)
    output = tmp_path / "out"
    assert get(server.url + "ten.txt", "-i", "-o", str(output)) == (0, b"", "")
    assert output.read_bytes().startswith(b"HTTP/1.0 200 OK\r\n")
    assert output.read_bytes().endswith(b"\r\n\r\n0123456789")


def test_fields_of_ones_own(site: Path, start: StartServer, mode: str) -> None:
    server = start(site, "--mode", mode)
    since = ("-H", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT")
    status, said, errors = get(server.url + "ten.txt", *since, "-H", "User-Agent:  me \t", "-H", "referer:you")
    assert (status, said) == (1, b"")
    assert "304 Not Modified" in errors
    assert server.wait_for_line(r'"GET /ten').endswith('"GET /ten.txt HTTP/1.0" 304 - "you" "me"')


def test_both_heads_on_standard_error(site: Path, start: StartServer, mode: str) -> None:
    server = start(site, "--mode", mode)
    status, said, errors = get(server.url + "ten.txt", "-v")
    assert (status, said) == (0, b"0123456789")
    lines = errors.splitlines()
    assert lines[0] == "> GET /ten.txt HTTP/1.0"
    assert f"> Host: 127.0.0.1:{server.port}" in lines
    assert "< HTTP/1.0 200 OK" in lines
    assert "< Content-Length: 10" in lines
    assert all(line[:1] in "<>" for line in lines)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("nowhere", "404 Not Found"),
        (".hidden", "404 Not Found"),
        ("sub", "301 Moved Permanently; it is at {base}sub/"),
        ("sub?a=b", "301 Moved Permanently; it is at {base}sub/?a=b"),
    ],
)
def test_what_is_no_success(site: Path, start: StartServer, mode: str, target: str, message: str) -> None:
    server = start(site, "--mode", mode)
    url = server.url + target
    status, said, errors = get(url)
    assert (status, errors) == (1, f"httpmini: {url}: {message.format(base=server.url)}\n")
    assert b"<html" in said.lower()  # what the server has to say about it is shown


def test_what_is_no_success_is_not_saved(site: Path, start: StartServer, tmp_path: Path) -> None:
    server = start(site)
    folder = tmp_path / "out"
    folder.mkdir()
    status, said, errors = get(server.url + "nowhere", "-o", str(folder / "here"))
    assert (status, said) == (1, b"")
    assert "404 Not Found" in errors
    assert os.listdir(folder) == []


@pytest.mark.parametrize(
    ("output", "fragment"), [("no/where", "No such file"), ("folder", "Is a directory"), ("a" * 300, "too long")]
)
def test_an_output_that_cannot_be_written(
    site: Path, start: StartServer, tmp_path: Path, output: str, fragment: str
) -> None:
    server = start(site)
    (tmp_path / "folder").mkdir()
    status, said, errors = get(server.url + "ten.txt", "-o", str(tmp_path / output))
    assert (status, said) == (1, b"")
    assert errors.startswith(f"httpmini: cannot write {tmp_path / output}: ")
    assert fragment in errors


def test_an_output_that_is_no_regular_file_is_written_to(site: Path, start: StartServer, tmp_path: Path) -> None:
    # Expected: what is there and is no regular file is opened and written to.
    server = start(site)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    try:
        assert get(server.url + "ten.txt", "-o", str(fifo)) == (0, b"", "")
        assert stat.S_ISFIFO(os.stat(fifo).st_mode)
        assert os.read(reader, 100) == b"0123456789"
    finally:
        os.close(reader)


def test_a_file_that_happens_to_be_called_part_is_not_lost(site: Path, start: StartServer, tmp_path: Path) -> None:
    server = start(site)
    (tmp_path / "book.part").write_text("mine")
    assert get(server.url + "ten.txt", "-o", str(tmp_path / "book")) == (0, b"", "")
    assert (tmp_path / "book").read_bytes() == b"0123456789"
    assert (tmp_path / "book.part").read_text() == "mine"


def test_nobody_reads_standard_output(site: Path, start: StartServer) -> None:
    server = start(site)
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*PROGRAM, server.url + "big.bin"],
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=subprocess.PIPE,
            timeout=WAIT_S,
            check=False,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"httpmini: standard output was closed\n")


@pytest.mark.parametrize("name", ["ten.txt", "big.bin"])
def test_standard_output_is_full(site: Path, start: StartServer, name: str) -> None:
    server = start(site)
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*PROGRAM, server.url + name],
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=WAIT_S,
            check=False,
        )
    message = b"httpmini: cannot write standard output: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, message)


def test_nobody_listens() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        status, said, errors = get(f"http://127.0.0.1:{port}/")
    assert (status, said) == (1, b"")
    assert errors == f"httpmini: cannot connect to 127.0.0.1 port {port}: Connection refused\n"


@pytest.mark.parametrize(
    "host", ["nobody.invalid", "a b.invalid", "a..invalid", "a" * 64 + ".invalid", "\u00fc.invalid"]
)
def test_a_name_without_address(host: str) -> None:
    status, said, errors = get(f"http://{host}/")
    assert (status, said) == (1, b"")
    assert errors.startswith(f"httpmini: {host}: ")
    assert errors.count("\n") == 1


BAD_URLS = [
    ("", "only http URLs"),
    ("h/x", "only http URLs"),
    ("127.0.0.1:80/x", "only http URLs"),
    ("localhost:80", "only http URLs"),
    ("ftp://h/", "only http URLs"),
    ("https://h/", "only http URLs"),
    ("file:///etc/passwd", "only http URLs"),
    ("//h/", "only http URLs"),
    ("http:", "has no host"),
    ("http://", "has no host"),
    ("http:///x", "has no host"),
    ("http://:80/", "has no host"),
    ("http://?x", "has no host"),
    ("http://h:65536/", "Port"),
    ("http://h:-1/", "Port"),
    ("http://h:x/", "Port"),
    ("http://[::1/", "Invalid IPv6 URL"),
    ("http://u@h/", "user names"),
    ("http://u:p@h/", "user names"),
    ("http://h/a\nb", "control characters"),
    ("http://h/\x1b[31m", "control characters"),
    ("\thttp://h/", "control characters"),
    ("http://h/\x7f", "control characters"),
]


@pytest.mark.parametrize(("url", "message"), BAD_URLS)
def test_what_is_no_url(url: str, message: str) -> None:
    with pytest.raises(BadUrl, match=message) as caught:
        parse_url(url)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://h/", "https://h/: only http URLs can be fetched"),
        ("http://h:99999/", "http://h:99999/: Port"),
        ("http://h/\x1b[31m", "'http://h/\\x1b[31m' has control characters"),
        ("-", "-: only http URLs"),
        ("http://\u20ac.invalid/", "\u20ac.invalid"),
        ("http://127.0.0.1:1/caf\udce9", ""),
    ],
)
def test_a_bad_url_on_the_command_line(url: str, message: str) -> None:
    status, said, errors = get(url)
    assert "Traceback" not in errors
    could_ask = "cannot connect" in errors or ".invalid: " in errors  # the URL itself was fine
    assert (status, said) == (1 if could_ask else 2, b"")
    assert errors.startswith("httpmini: ")
    assert message in errors
    assert "\x1b" not in errors


@pytest.mark.parametrize(
    ("text", "url", "host_field"),
    [
        ("http://h", Url("h", 80, "/"), "h"),
        ("http://h/", Url("h", 80, "/"), "h"),
        ("HTTP://H:80/A", Url("h", 80, "/A"), "h"),
        ("http://h:8080/a/b?c=d&e#f", Url("h", 8080, "/a/b?c=d&e"), "h:8080"),
        ("http://h?c", Url("h", 80, "/?c"), "h"),
        ("http://h#c", Url("h", 80, "/"), "h"),
        ("http://h//a", Url("h", 80, "//a"), "h"),
        ("http://h/../a;b=c", Url("h", 80, "/../a;b=c"), "h"),
        ("http://h/%41%2f%zz", Url("h", 80, "/%41%2f%zz"), "h"),
        ("http://h/a b?c d", Url("h", 80, "/a%20b?c%20d"), "h"),
        ('http://h/"<>\\^`{|}', Url("h", 80, "/%22%3C%3E%5C%5E%60%7B%7C%7D"), "h"),
        ("http://h/\u00fc?\u20ac", Url("h", 80, "/%C3%BC?%E2%82%AC"), "h"),
        ("http://[::1]/", Url("::1", 80, "/"), "[::1]"),
        ("http://[::1]:81/", Url("::1", 81, "/"), "[::1]:81"),
        ("http://127.0.0.1:0/", Url("127.0.0.1", 0, "/"), "127.0.0.1:0"),
    ],
)
def test_urls(text: str, url: Url, host_field: str) -> None:
    assert parse_url(text) == url
    assert parse_url(text).host_field == host_field
