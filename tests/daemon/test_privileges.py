"""Switching from root to another user, for good. These tests need root, as the switch itself does."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import WAIT_S, ServerProcess, processes_of_session
from tests.support.wire import connect, get, read_head

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can switch users")

PLANTED = ("-m", "tests.support.planted_build")
NOBODY = 65534


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that any user may enter, with a site in it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "www").mkdir()
        (folder / "www" / "small.txt").write_text("small")
        (folder / "www" / "ours.txt").write_text("of root alone")
        (folder / "www" / "ours.txt").chmod(0o600)
        (folder / "run").mkdir()
        (folder / "log").mkdir()
        os.chown(folder / "log", NOBODY, NOBODY)
        yield folder


def test_no_way_back(place: Path, mode: str) -> None:
    file = place / "httpmini.toml"
    file.write_text(
        f'[server]\nmode = "{mode}"\nworkers = 2\nlisten = ["127.0.0.1:0", "unix:run/http"]\n'
        '[site]\nroot = "www"\n[log]\naccess = "log/access.log"\n'
        '[daemon]\nuser = "nobody"\npid_file = "run/pid"\nsandbox = "off"\n'
    )
    server = ServerProcess(["serve", "-c", str(file), "--port", "0"], program=PLANTED)
    try:
        assert ", user nobody" in server.banner
        assert get(server.port, "/small.txt")[2] == b"small"
        assert get(server.port, "/")[0] == 200
        assert get(server.port, "/ours.txt")[0] == 403
        assert get(server.port, "/planted/root/")[0] == 403
        with connect(server.port) as client:
            client.sendall(b"GET /small.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            read_head(client)
            for process in processes_of_session(server.pid):
                status = Path(f"/proc/{process}/status").read_text()
                for name in ("Uid", "Gid"):
                    match = re.search(rf"^{name}:\s+(.*)$", status, re.MULTILINE)
                    assert match is not None
                    assert set(match[1].split()) == {str(NOBODY)}, (process, name)
                assert re.search(r"^Groups:\s*$", status, re.MULTILINE), status
        assert (place / "run" / "pid").read_text() == f"{server.pid}\n"
        assert (place / "run" / "http").stat().st_uid == NOBODY
        server.assert_clean_end()
    finally:
        server.kill()
    assert (place / "log" / "access.log").stat().st_uid == NOBODY
    # It may not remove the file, but has emptied it.
    assert (place / "run" / "pid").read_text() == ""


def test_a_low_port(place: Path) -> None:
    """The port is bound before the switch."""
    port = next(port for port in range(1000, 1024) if _is_free(port))
    arguments = ["serve", str(place / "www"), "-c", str(place / "c.toml"), "--port", str(port)]
    (place / "c.toml").write_text('[daemon]\nuser = "65534"\n')
    server = ServerProcess(arguments, program=PLANTED)
    try:
        assert get(port, "/small.txt")[2] == b"small"
        server.assert_clean_end()
    finally:
        server.kill()


def _is_free(port: int) -> bool:
    try:
        connect(port).close()
    except ConnectionRefusedError:
        return True
    return False


REALM = '[[realms]]\npath = "/private/"\nusers = "users"\n'


def users_of_root(place: Path) -> Path:
    """Make a file of users that root alone can read, as ``httpmini htpasswd`` does when root runs it."""
    (place / "www" / "private").mkdir()
    users = place / "users"
    users.write_text("ada:$2b$04$abcdefghijklmnopqrstuuuO1SZKWMl9Zn1NPZO9kAVQPxKiSmPHK\n")
    users.chmod(0o600)
    return users


def test_a_reload_with_users_that_root_alone_can_read(place: Path, mode: str) -> None:
    """The message names the user who cannot read the file, and a way out; what was served stays."""
    file, users = place / "httpmini.toml", users_of_root(place)
    text = f'[server]\nmode = "{mode}"\nlisten = ["127.0.0.1:0"]\n[site]\nroot = "www"\n'
    text += '[daemon]\nuser = "nobody"\nreadable = ["."]\n'
    file.write_text(text)
    server = ServerProcess(["serve", "-c", str(file)], program=PLANTED)
    try:
        file.write_text(text + REALM)
        server.process.send_signal(signal.SIGHUP)
        line = server.wait_for_line("not reloaded: ")
        assert line.endswith(
            f'{file}: [[realms]] no. 1: users = "users": cannot be read: Permission denied; this process runs as '
            "nobody, whose group may be let in by chgrp and chmod g+r"
        )
        assert get(server.port, "/small.txt")[2] == b"small"
        users.chmod(0o640)
        os.chown(users, 0, NOBODY)
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_line("(?<!not) reloaded: ")
        assert get(server.port, "/private/")[0] == 401
        server.assert_clean_end()
    finally:
        server.kill()


def test_a_start_with_users_that_root_alone_can_read(place: Path) -> None:
    """As under a unit with DynamicUser=, where the file does not name the user."""
    users_of_root(place)
    (place / "c.toml").write_text(REALM)
    command = [sys.executable, *PLANTED, "serve", str(place / "www"), "-c", str(place / "c.toml"), "--as-nobody"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert done.returncode == 2
    assert f"cannot be read: Permission denied; this process runs as user number {NOBODY}, whose group" in done.stderr
    assert "htpasswd" not in done.stderr, "the file is there"


WRONG: dict[str, tuple[str, tuple[str, ...], int, str]] = {
    "no such user": ('user = "nobdy"', (), 2, 'daemon.user = "nobdy": does not exist'),
    "no such number": ('user = "4000000000"', (), 2, "daemon.user"),
    "no such group": ('user = "nobody"\ngroup = "nobdies"', (), 2, 'daemon.group = "nobdies": does not exist'),
    "a group alone": ('group = "nogroup"', (), 2, "daemon.group"),
    "not root": ('user = "root"', ("--as-nobody",), 1, 'only root can become the user "root"'),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_identities(place: Path, what: str) -> None:
    text, arguments, status, fragment = WRONG[what]
    (place / "c.toml").write_text(f"[daemon]\n{text}\n")
    done = subprocess.run(
        [sys.executable, *PLANTED, "serve", str(place / "www"), "-c", str(place / "c.toml"), "-p", "0", *arguments],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert (done.returncode, fragment in done.stderr) == (status, True), done.stderr
    assert "Traceback" not in done.stderr
