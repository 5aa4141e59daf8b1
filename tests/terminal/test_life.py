"""Terminals that are stopped, left, or gone; and all that is not for people."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
import time
from base64 import b64encode
from contextlib import ExitStack
from pathlib import Path
from socket import create_server

import pytest

from tests.support.processes import WAIT_S, eventually, processes_of_session
from tests.support.terminal import CTRL_Q, CTRL_S, CTRL_Z, HOME
from tests.support.wire import connect, get, read_all
from tests.terminal.conftest import StartTerminal

READY = "--lan lets them"


def serve(*arguments: str, folder: Path, stdin: bytes = b"") -> tuple[int, str, str]:
    """Run a server that does not get far."""
    done = subprocess.run(
        [sys.executable, "-m", "httpmini", "serve", *arguments],
        cwd=folder,
        input=stdin,
        env={**os.environ, "PYTHONPATH": str(HOME)},
        capture_output=True,
        timeout=WAIT_S,
        check=False,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_a_stopped_terminal_slows_nobody(share: StartTerminal) -> None:
    """More is written than a terminal and a plain pipe hold together, and nothing of it is lost."""
    terminal = share()
    terminal.wait_for(READY)
    terminal.press(CTRL_S)
    for number in range(300):
        assert get(terminal.port, f"/{number}/" + "x" * 300)[0] == 404
    terminal.press(CTRL_Q)
    terminal.wait_until(lambda: terminal.received.count(b"404 Not Found") == 300)
    assert terminal.end() == 0
    assert processes_of_session(terminal.process.pid) == []


def test_ctrl_c_ends_a_stopped_terminal_too(share: StartTerminal, mode: str) -> None:
    terminal = share("--mode", mode)
    terminal.wait_for(READY)
    terminal.press(CTRL_S)
    assert get(terminal.port, "/notes.txt")[0] == 200
    terminal.process.send_signal(signal.SIGINT)  # which, unlike the key, does not let the terminal go on
    assert terminal.wait() == 0
    eventually(lambda: processes_of_session(terminal.process.pid) == [], "all processes have ended")


def test_ctrl_z_and_on(share: StartTerminal) -> None:
    """What the shell says in between stays on the screen."""
    terminal = share(wrapper=("bash", "-mc", '"$@"; echo the shell; read line; fg', "bash"))
    terminal.wait_for(READY)
    port = terminal.port
    with connect(port) as sock:
        sock.sendall(b"GET /old/film.mp4 HTTP/1.0\r\n\r\n")
        terminal.wait_for(r"film\.mp4 .* \d+ %")
        terminal.press(CTRL_Z)
        terminal.wait_for("the shell")
        terminal.press(b"\n")
        assert len(read_all(sock)) > 64_000_000
    terminal.wait_for(r"the shell(.*\n)+.*old/film\.mp4 +64\.0 MB")
    assert terminal.end() == 0


@pytest.mark.parametrize("ignored", [False, True], ids=["SIGHUP", "SIGHUP ignored"])
def test_a_terminal_that_goes_away(share: StartTerminal, ignored: bool) -> None:
    """The server ends with its terminal; if SIGHUP is ignored, it serves on, and nothing is drawn."""
    terminal = share(wrapper=("sh", "-c", "trap '' HUP; exec \"$@\"", "sh") if ignored else ())
    terminal.wait_for(READY)
    port = terminal.port
    terminal.hang_up()
    if ignored:
        for _ in range(3):
            assert get(port, "/notes.txt")[0] == 200
        terminal.process.send_signal(signal.SIGTERM)
    assert terminal.wait() == 0
    eventually(lambda: processes_of_session(terminal.process.pid) == [], "all processes have ended")


def test_in_a_pipe_nothing_is_for_people(pictures: Path) -> None:
    """As before there were people's lines: a banner, and the log in Combined Log Format."""
    with subprocess.Popen(
        [sys.executable, "-X", "dev", "-W", "error", "-m", "httpmini", "serve", "-p", "0"],
        cwd=pictures,
        env={**os.environ, "PYTHONPATH": str(HOME), "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        banner = process.stdout.readline().decode()
        match = re.fullmatch(
            rf"httpmini serving {re.escape(str(pictures))} at http://127\.0\.0\.1:(\d+)/ \(mode select, at most 256 "
            r"clients, sandbox Landlock\+seccomp\)\n",
            banner,
        )
        assert match is not None, banner
        assert get(int(match[1]), "/old/film.mp4")[0] == 200
        assert get(int(match[1]), "/nowhere")[0] == 404
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=WAIT_S)
    date = r"\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000\]"
    assert re.fullmatch(
        rf'127\.0\.0\.1 - - {date} "GET /old/film.mp4 HTTP/1.0" 200 64000000 "-" "-"\n'
        rf'127\.0\.0\.1 - - {date} "GET /nowhere HTTP/1.0" 404 \d+ "-" "-" reason=not-found section="[^"]+"\n',
        out.decode(),
    )
    assert (process.returncode, errors) == (0, b"")


# What is shared, and with whom.


def test_a_single_file(share: StartTerminal, pictures: Path) -> None:
    terminal = share("notes.txt")
    terminal.wait_for(READY)
    assert terminal.golden.startswith("Sharing ~/Pictures/notes.txt: 3 bytes. Ctrl-C stops.")
    port = terminal.port
    status, fields, _ = get(port, "/")
    assert (status, fields["location"]) == (302, "./notes.txt")
    assert get(port, "/notes.txt", "Range: bytes=0-1")[::2] == (206, b"hi")
    for target in ("/old/", "/old/film.mp4", "/.hidden", "/notes.txt/", "/./../notes.txt", "/NOTES.TXT", "/?list"):
        assert get(port, target)[0] in ((302,) if target == "/?list" else (404,)), target
    (pictures / "new").write_text("another\n")
    (pictures / "new").rename(pictures / "notes.txt")
    assert get(port, "/notes.txt")[::2] == (200, b"another\n")
    terminal.wait_for("8 bytes")
    assert terminal.end() == 0
    assert not re.search("root|sandbox", terminal.text)


def test_a_password_that_is_made_up(share: StartTerminal) -> None:
    terminal = share("--password")
    words = terminal.wait_for(r"(?<=  password          )[a-z]{4}(-[a-z]{4}){3}")
    port = terminal.port
    assert get(port, "/notes.txt")[0] == 401
    for user, password, status in (("any", words, 200), ("", words, 200), ("any", words + "x", 401), ("any", "", 401)):
        credentials = b64encode(f"{user}:{password}".encode()).decode()
        assert get(port, "/notes.txt", f"Authorization: Basic {credentials}")[0] == status, (user, password)
    terminal.wait_for("wrong password")
    assert terminal.end() == 0


def test_a_password_that_is_asked_for(share: StartTerminal) -> None:
    terminal = share("--password", "ada")
    terminal.wait_for("Password:")
    terminal.press(b"two words\n")
    terminal.wait_for("Repeat for confirmation:")
    terminal.press(b"two words\n")
    terminal.wait_for(READY)
    for user, status in (("ada", 200), ("bob", 401)):
        credentials = b64encode(f"{user}:two words".encode()).decode()
        assert get(terminal.port, "/notes.txt", f"Authorization: Basic {credentials}")[0] == status
    assert "two words" not in terminal.text
    assert terminal.end() == 0


def test_a_password_that_nobody_types(share: StartTerminal) -> None:
    terminal = share("--password", "ada")
    terminal.wait_for("Password:")
    assert terminal.end(b"\x04") == 1
    assert terminal.text.splitlines()[-1] == "httpmini: no password was typed"


def test_a_browser_is_opened(share: StartTerminal, tmp_path: Path) -> None:
    """When clients can connect, and without our terminal; that it fails is nobody's matter."""
    seen = tmp_path / "seen"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {seen}.new && mv {seen}.new {seen}; tty; exit 1\n')
    browser.chmod(browser.stat().st_mode | stat.S_IXUSR)
    terminal = share("--open", environment={"BROWSER": f"{browser} %s"})
    terminal.wait_for(READY)
    eventually(seen.exists, "the browser was started")
    assert seen.read_text() == f"http://localhost:{terminal.port}/\n"
    assert terminal.end() == 0
    assert "tty" not in terminal.text


def test_the_next_free_port(pictures: Path) -> None:
    """Those that other programs have already are as good as ours."""
    with ExitStack() as stack:
        for port in range(8080, 8100):
            try:
                stack.enter_context(create_server(("127.0.0.1", port)))
            except OSError:
                continue
        assert serve(folder=pictures) == (
            1,
            "",
            "httpmini: the ports from 8080 to 8099 are all taken; choose another, or --port 0 for any free one\n",
        )


WRONG: dict[str, tuple[list[str], str]] = {
    "a device": (["/dev/null"], r'PATH: "/dev/null": is a device; it must be the folder or the file to serve'),
    "a pipe": (["pipe"], r'PATH: "pipe": is a pipe; it must be .*'),
    "nothing": (["nowhere"], r'PATH: site\.root = "\S+": does not exist; .*'),
    "an empty password": (["--password", "ada"], "the password is empty; it needs at least one character"),
    "a path as a user": (["--password", "old"], "--password old: that is a path, .* serve old --password"),
    "a colon in a user": (["--password", "a:b"], "--password a:b: a user name has no colon .*"),
    "--lan and --bind": (["--lan", "-b", "::1"], "--lan chooses .*"),
    "--open and --daemon": (["--open", "--daemon"], "--open and --qr are for .*"),
    "a mode": (["--mode", "fork"], r"Usage: (?s:.*)--mode(?s:.*)did you mean forking\?"),
}


@pytest.mark.parametrize(("arguments", "pattern"), WRONG.values(), ids=WRONG)
def test_wrong_usage(pictures: Path, arguments: list[str], pattern: str) -> None:
    os.mkfifo(pictures / "pipe")
    status, out, errors = serve(*arguments, folder=pictures)
    assert (status, out) == (2, "")
    assert re.fullmatch(f"(?:httpmini: )?{pattern}\n", errors), errors


def test_a_port_that_is_taken_is_one_line_on_a_terminal(share: StartTerminal) -> None:
    with create_server(("127.0.0.1", 0)) as other:
        terminal = share("-p", str(other.getsockname()[1]))
        assert terminal.wait() == 1
    assert re.fullmatch(r"httpmini: cannot listen on 127\.0\.0\.1:\d+: Address already in use: .*", terminal.text, re.S)
    assert "Stopped" not in terminal.text


def test_more_files_than_are_counted(share: StartTerminal, pictures: Path) -> None:
    for number in range(200):
        (pictures / str(number)).mkdir()
        for name in range(101):
            (pictures / str(number) / str(name)).touch()
    terminal = share()
    begun = time.monotonic()
    terminal.wait_for(r"more than [\d,]+ files")
    assert get(terminal.port, "/notes.txt")[0] == 200
    assert time.monotonic() - begun < WAIT_S
    assert terminal.end() == 0
