"""``httpmini get`` against httpmini's own server, both as processes."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from httpmini.lint.cases.site_tree import changed
from httpmini.protocol.dates import format_date
from tests.conftest import StartServer
from tests.support.processes import WAIT_S, run_command

PROGRAM = [sys.executable, "-X", "dev", "-W", "error", "-m", "httpmini", "get"]


def get(*arguments: str) -> tuple[int, bytes, str]:
    status, output, errors = run_command("get", *arguments)
    return status, output, errors.decode()


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
    since = ("-H", f"If-Modified-Since: {format_date(changed(site))}")
    status, said, errors = get(server.url + "ten.txt", *since, "-H", "User-Agent:  me \t", "-H", "referer:you")
    assert (status, said) == (11, b"")
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
    ("target", "flags", "message"),
    [
        ("nowhere", (), "404 Not Found"),
        (".hidden", (), "404 Not Found"),
        ("sub", ("--no-follow",), "301 Moved Permanently"),
        ("sub?a=b", ("--no-follow",), "301 Moved Permanently"),
    ],
)
def test_what_is_no_success(
    site: Path, start: StartServer, mode: str, target: str, flags: tuple[str, ...], message: str
) -> None:
    server = start(site, "--mode", mode)
    url = server.url + target
    status, said, errors = get(url, *flags)
    assert status == 11
    assert errors.startswith(f"httpmini: {url}: {message}")
    assert errors.count("\n") == 1
    assert b"<html" in said.lower()  # the server's explanation is shown


def test_a_redirection_is_followed(site: Path, start: StartServer, mode: str) -> None:
    server = start(site, "--mode", mode)
    assert get(server.url + "indexed?q=1") == (0, b"an index\n", "")
    server.wait_for_line(r'"GET /indexed/\?q=1 HTTP/1.0" 200 ')


def test_what_is_no_success_is_not_saved(site: Path, start: StartServer, tmp_path: Path) -> None:
    server = start(site)
    folder = tmp_path / "out"
    folder.mkdir()
    status, said, errors = get(server.url + "nowhere", "-o", str(folder / "here"))
    assert (status, said) == (11, b"")
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
    # Expected: an existing file that is not a regular one is opened and written to.
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
    status, _, said = get(server.url + "ten.txt", "-o", str(tmp_path / "book"))
    assert (status, "so it is not ours" in said) == (1, True)
    assert not (tmp_path / "book").exists()
    assert (tmp_path / "book.part").read_text() == "mine"


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
        url = f"http://127.0.0.1:{port}/"
        status, said, errors = get("--retries", "0", url)
    assert (status, said) == (4, b"")
    assert errors.startswith(f"httpmini: {url}: cannot connect to 127.0.0.1 port {port} (")
    assert "Connection refused" in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize("host", ["nobody.invalid", "a..invalid", "a" * 64 + ".invalid", "\u00fc.invalid"])
def test_a_name_without_address(host: str) -> None:
    status, said, errors = get(f"http://{host}/")
    assert (status, said) == (3, b"")
    assert errors.startswith("httpmini: ")
    assert f": {host}: " in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("url", "code", "message"),
    [
        ("ftp://h/", 2, "ftp://h/: only http and https URLs can be fetched"),
        ("http://h:99999/", 2, "http://h:99999/: the port is not a number"),
        ("http://h/\x1b[31m", 2, "'http://h/\\x1b[31m' contains control characters"),
        ("http://a b.invalid/", 2, "is not a host name"),
        ("http://[::1/", 2, "neither a name nor an address"),
        ("", 2, "httpmini: http://: has no host"),
        ("http://\u20ac.invalid/", 3, "\u20ac.invalid: "),
        ("http://127.0.0.1:1/caf\udce9", 4, "/caf%E9: cannot connect"),
    ],
)
def test_a_bad_url_on_the_command_line(url: str, code: int, message: str) -> None:
    status, said, errors = get("--retries", "0", url)
    assert "Traceback" not in errors
    assert (status, said) == (code, b"")
    assert errors.startswith("httpmini: ")
    assert errors.count("\n") == 1
    assert message in errors
    assert "\x1b" not in errors
