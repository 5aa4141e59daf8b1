"""What people see: whole screens at three widths, and on terminals that can do less."""

from __future__ import annotations

import os

import pytest

from tests.support.terminal import Terminal
from tests.support.wire import connect, get, read_all
from tests.terminal.conftest import StartTerminal

GOLDEN = {
    40: """\
Sharing ~/Pictures: 2 files, 64.0 MB.
    Ctrl-C stops.
  on this machine
    http://localhost:PORT/
  on your network   nobody; --lan lets
    them
127.0.0.1       notes.txt       3 bytes
127.0.0.1       a b.txt   404 Not Found
Stopped.
""",
    80: """\
Sharing ~/Pictures: 2 files, 64.0 MB. Ctrl-C stops.
  on this machine   http://localhost:PORT/
  on your network   nobody; --lan lets them
HH:MM  127.0.0.1       notes.txt                                        3 bytes
HH:MM  127.0.0.1       a b.txt                                    404 Not Found
Stopped.
""",
    130: f"""\
Sharing ~/Pictures: 2 files, 64.0 MB. Ctrl-C stops.
  on this machine   http://localhost:PORT/
  on your network   nobody; --lan lets them
HH:MM  127.0.0.1       notes.txt{" " * 90}3 bytes
HH:MM  127.0.0.1       a b.txt{" " * 86}404 Not Found
Stopped.
""",
}


def use(terminal: Terminal) -> None:
    """Fetch a file, fetch one that is not there, and begin to fetch a long one."""
    terminal.wait_for(r"--lan lets\s+them")
    assert get(terminal.port, "/notes.txt")[0] == 200
    assert get(terminal.port, "/a%20b.txt")[0] == 404
    terminal.wait_for("404 Not Found")


@pytest.mark.parametrize("columns", GOLDEN)
def test_the_screen(share: StartTerminal, columns: int) -> None:
    terminal = share(columns=columns)
    use(terminal)
    assert terminal.end() == 0
    assert terminal.golden + "\n" == GOLDEN[columns]


@pytest.mark.parametrize(
    "environment", [{"TERM": "dumb"}, {"LC_ALL": "C"}, {"NO_COLOR": "1"}], ids=lambda given: next(iter(given))
)
def test_a_terminal_that_can_do_less(share: StartTerminal, environment: dict[str, str]) -> None:
    terminal = share(environment=environment)
    use(terminal)
    with connect(terminal.port) as sock:
        sock.sendall(b"GET /old/film.mp4 HTTP/1.0\r\n\r\n")
        if "TERM" not in environment:
            terminal.wait_for(r"film\.mp4 .* \d+ %")
        assert len(read_all(sock)) > 64_000_000
    terminal.wait_for(r"film\.mp4 +64\.0 MB")
    assert terminal.end() == 0
    assert (b"\x1b[" in terminal.received) == ("TERM" not in environment)
    assert (b"\x1b[2m" in terminal.received) == ("LC_ALL" in environment)
    assert terminal.received.isascii() == ("LC_ALL" in environment or "TERM" in environment)


def test_progress_in_every_mode(share: StartTerminal, mode: str) -> None:
    terminal = share("--mode", mode)
    terminal.wait_for(r"--lan lets\s+them")
    with connect(terminal.port) as sock:
        sock.sendall(b"GET /old/film.mp4 HTTP/1.0\r\n\r\n")
        terminal.wait_for(r"127\.0\.0\.1 +old/film\.mp4 .* \d+ %")
        assert len(read_all(sock)) > 64_000_000
    terminal.wait_for(r"\d\d:\d\d  127\.0\.0\.1 +old/film\.mp4 +64\.0 MB")
    with connect(terminal.port) as sock:
        sock.sendall(b"GET /old/film.mp4 HTTP/1.0\r\n\r\n")
        terminal.wait_for(r"old/film\.mp4 .* \d+ %")
    terminal.wait_for(r"old/film\.mp4 +cut off at \d+ %")
    assert terminal.end() == 0
    assert terminal.text.endswith("Stopped.")
    assert not [line for line in terminal.text.splitlines() if "━" in line]


def test_a_log_was_asked_for(share: StartTerminal) -> None:
    terminal = share("--log", "combined", columns=200)
    terminal.wait_for(r"httpmini serving \S+ at ")
    assert get(terminal.port, "/notes.txt")[0] == 200
    terminal.wait_for('"GET /notes.txt HTTP/1.0" 200 3 ')
    assert terminal.end() == 0
    assert b"\x1b" not in terminal.received
    assert os.fsencode("Sharing") not in terminal.received
