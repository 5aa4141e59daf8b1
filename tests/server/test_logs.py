"""The access log of a running server: real byte counts, lines that cannot be forged, every refusal, any destination."""

from __future__ import annotations

import fcntl
import os
import re
import socket
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from tests.conftest import StartServer
from tests.support.processes import eventually
from tests.support.wire import WAIT_S, converse, get

COMBINED = re.compile(
    r'(?P<host>\S+) - - \[[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9:]{8} \+0000\] "(?P<line>[^"]*)" (?P<status>[0-9]{3}) '
    r'(?P<size>[0-9]+|-) "(?P<referer>[^"]*)" "(?P<agent>[^"]*)"'
)


@pytest.mark.parametrize(
    ("data", "line", "status"),
    [
        (b"GET /ten.txt HTTP/1.0\r\n\r\n", "GET /ten.txt HTTP/1.0", "200"),
        (b"GET /ten.txt\r\n", "GET /ten.txt", "200"),
        (b"GET /\x1b[31m HTTP/1.0\r\n\r\n", r"GET /\x1B[31m HTTP/1.0", "400"),
        (b'GET /"\\\xff HTTP/1.0\r\n\r\n', r"GET /\x22\x5C\xFF HTTP/1.0", "404"),
        (b"GET /a\r127.0.0.1 - - HTTP/1.0\r\n\r\n", r"GET /a\x0D127.0.0.1 - - HTTP/1.0", "400"),
        (b"\x16\x03\x01\x02\x00", r"\x16\x03\x01\x02\x00", "400"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "PRI * HTTP/2.0", "400"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH-2.0-OpenSSH_9.2", "400"),
        (b"GET / HTTP/3.0\r\n\r\n", "GET / HTTP/3.0", "505"),
        (b"GET /ten.txt HTTP/1.0\r\nX", "GET /ten.txt HTTP/1.0", "400"),
        (b"POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", "POST / HTTP/1.0", "405"),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.0\r\n\r\n", "GET /" + "x" * 1992 + "...", "414"),
    ],
)
def test_one_line_for_each(start: StartServer, site: Path, mode: str, data: bytes, line: str, status: str) -> None:
    server = start(site, "--mode", mode)
    answer = converse(server.port, [data])
    assert get(server.port, "/ten.txt")[0] == 200, "the server goes on"
    server.wait_for_line(r'"GET /ten.txt HTTP/1.0" 200 10 "-" "-"$')
    if data.startswith(b"GET /ten.txt HTTP/1.0\r\n\r\n"):
        server.wait_for_line(r'"GET /ten.txt HTTP/1.0" 200 10 ', count=2)
    server.wait_for_line(re.escape(f'"{line}" {status} '))
    lines = server.access_lines()
    if mode == "prefork":  # each worker writes when it is idle, so the first request may be in the second line
        lines.sort(key=lambda entry: f'"{line}" {status} ' not in entry)
    combined, _, why = lines[0].partition(" reason=")
    assert bool(why) == (status >= "400")
    first = COMBINED.fullmatch(combined)
    assert first is not None, server.access_lines()
    assert (first["host"], first["line"], first["status"]) == ("127.0.0.1", line, status)
    body = answer.partition(b"\r\n\r\n")[2] if answer.startswith(b"HTTP/") else answer
    assert int(first["size"]) == len(body)
    assert len(server.access_lines()) == 2


def test_fields_of_the_client_are_escaped(start: StartServer, site: Path) -> None:
    server = start(site)
    request = b'GET /ten.txt HTTP/1.0\r\nReferer: http://x/"\r\nUser-Agent: a"b\\c\xff\td\r\n\r\n'
    converse(server.port, [request])
    line = server.wait_for_line("ten.txt")
    match = COMBINED.fullmatch(line)
    assert match is not None
    assert (match["referer"], match["agent"]) == (r"http://x/\x22", r"a\x22b\x5Cc\xFF\x09d")


def test_into_a_file(start: StartServer, site: Path, mode: str, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text("what was there\n")
    config = f'[server]\nmode = "{mode}"\n[log]\naccess = "access.log"\nformat = "common"\nerror = "off"\n'
    server = start(site, config=config)  # the path is relative to the file
    for _ in range(5):
        get(server.port, "/ten.txt")
    eventually(lambda: log.read_text().count("\n") == 6, "five lines are added")
    lines = log.read_text().splitlines()
    assert lines[0] == "what was there"
    assert all(
        re.fullmatch(r'127\.0\.0\.1 - - \[\S+ \+0000\] "GET /ten\.txt HTTP/1\.0" 200 10', line) for line in lines[1:]
    )
    assert server.lines == [server.banner]


def test_off(start: StartServer, site: Path, mode: str) -> None:
    server = start(site, config=f'[server]\nmode = "{mode}"\n[log]\naccess = "off"\nlevel = "error"\n')
    assert get(server.port, "/ten.txt")[0] == 200
    assert server.stop() == 0
    assert server.lines == [server.banner]


def test_a_full_disk_costs_no_response(start: StartServer, site: Path, mode: str) -> None:
    server = start(site, config=f'[server]\nmode = "{mode}"\n[log]\naccess = "/dev/full"\n')
    for _ in range(3):
        assert get(server.port, "/ten.txt")[2] == b"0123456789"


def test_a_reader_that_is_gone_costs_no_response(start: StartServer, site: Path, mode: str, tmp_path: Path) -> None:
    """As with ``httpmini serve | head -1``."""
    server = start(site, "--mode", mode)
    assert server.process.stdout is not None
    server.stop_reading()
    for _ in range(3):
        assert get(server.port, "/ten.txt")[2] == b"0123456789"


def _waiting_in(pipe: int) -> int:
    """Return how many bytes can be read from a pipe."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


def test_a_reader_that_sleeps_costs_no_response_and_no_shutdown(site: Path, mode: str) -> None:
    """When the pipe is full, lines are lost and counted, clients get responses, and signals still work."""
    read_end, write_end = os.pipe()
    fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, 4096)
    command = [sys.executable, "-X", "dev", "-W", "error", "-m", "httpmini", "serve", str(site), "-p", "0"]
    process = subprocess.Popen([*command, "--mode", mode], stdout=write_end, stderr=subprocess.PIPE)
    os.close(write_end)
    try:
        banner = os.read(read_end, 4096).decode()
        match = re.search(r":(\d+)/ ", banner)
        assert match is not None
        for _ in range(200):
            assert get(int(match[1]), "/ten.txt")[2] == b"0123456789"
        rest = b""
        for _ in range(8):  # the number of lost lines is written when there is room again
            eventually(lambda: _waiting_in(read_end) > 0, "something is written")
            rest += os.read(read_end, 4096)
            for _ in range(5):
                assert get(int(match[1]), "/ten.txt")[2] == b"0123456789"
        process.terminate()
        _, errors = process.communicate(timeout=WAIT_S)
        assert (process.returncode, errors) == (0, b"")
        while data := os.read(read_end, 4096):
            rest += data
        if mode not in ("forking", "prefork"):  # there each process counts its own
            assert re.search(rb"^\(\d+ lines were lost here\)$", rest, re.MULTILINE)
    finally:
        process.kill()
        process.communicate()
        os.close(read_end)


def test_standard_output_that_cannot_be_written(site: Path) -> None:
    with open("/dev/full", "wb") as full:
        command = [sys.executable, "-m", "httpmini", "serve", str(site), "-p", "0"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=WAIT_S, check=False)
    assert done.returncode == 1
    assert b"httpmini: cannot write to standard output: No space left on device\n" in done.stderr
    assert b"Traceback" not in done.stderr


def test_closed_standard_descriptors_are_not_reused(site: Path, tmp_path: Path) -> None:
    """With descriptor 1 closed, the next file opened would get its number, and the access log would end up in it."""
    config = tmp_path / "config.toml"
    config.write_text('[log]\nerror = "error.log"\nlevel = "error"\n')
    port = socket.create_server(("127.0.0.1", 0))
    number = port.getsockname()[1]
    port.close()
    shell = f'exec "{sys.executable}" -m httpmini serve "{site}" -c "{config}" -p {number} <&- >&-'
    process = subprocess.Popen(["/bin/sh", "-c", shell], stderr=subprocess.PIPE)
    try:
        eventually(lambda: _answers(number), "it serves")
        process.terminate()
        assert process.communicate(timeout=WAIT_S)[1] == b""
    finally:
        process.kill()
        process.communicate()
    assert (tmp_path / "error.log").read_text() == ""


def _answers(port: int) -> bool:
    try:
        return get(port, "/ten.txt")[0] == 200
    except ConnectionRefusedError:
        return False
