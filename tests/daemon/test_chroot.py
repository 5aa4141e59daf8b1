"""``--chroot``: the program cannot load any of its files any more, and everything has to work. Needs root."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from httpmini.site.users import set_password
from tests.support.processes import WAIT_S, ServerProcess, processes_of_session
from tests.support.wire import converse, free_port, get

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can change its root")

NOBODY = 65534
IDENTITY = f'user = "{NOBODY}"\ngroup = "{NOBODY}"\n'
# The password is "pw".
RIGHT, WRONG = "Authorization: Basic YWRhOnB3", "Authorization: Basic YWRhOnA="


@pytest.fixture
def jail() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        for part in ("www/private", "log", "run", "etc"):
            (folder / part).mkdir(parents=True)
        for part in ("log", "run"):
            os.chown(folder / part, NOBODY, NOBODY)
        (folder / "www" / "small.txt").write_text("small")
        (folder / "www" / "out").symlink_to("/etc/hosts")
        (folder / "www" / "private" / "p.txt").write_text("private")
        set_password(str(folder / "etc" / "users"), "ada", "pw", 4)
        os.chown(folder / "etc" / "users", NOBODY, NOBODY)
        yield folder


def settings(mode: str, port: int, more: str = "") -> str:
    return (
        f'[server]\nmode = "{mode}"\nworkers = 2\nlisten = ["127.0.0.1:{port}", "[::1]:0"]\n'
        f'[daemon]\n{IDENTITY}pid_file = "/run/pid"\n{more}'
        '[log]\naccess = "/log/access.log"\nformat = "json"\n[site]\nroot = "/www"\n'
        '[[realms]]\npath = "/private/"\nusers = "/etc/users"\n'
    )


# Targets with a field and the expected status. Each needs another part of the program.
REQUESTS = [
    ("/small.txt", "X: y", 200),
    ("/small.txt", "Range: bytes=0-1,3-4", 206),
    ("/small.txt", "Range: bytes=9-", 416),
    ("/", "X: y", 200),
    ("/", "Accept: application/json", 200),
    ("/private/p.txt", RIGHT, 200),
    ("/private/p.txt", WRONG, 401),
    ("/private/p.txt", "Authorization: Basic w7w6cHc=", 401),
    ("/nowhere", "X: y", 404),
    ("/out", "X: y", 404),
    ("/-/status", "Host: localhost", 200),
    ("/-/status.json", "Host: localhost", 200),
    ("/-/metrics", "Host: localhost", 200),
    ("/-/health", "Host: localhost", 200),
]


def test_everything_works(jail: Path, mode: str) -> None:
    port = free_port()
    file = jail / "etc" / "httpmini.toml"
    file.write_text(settings(mode, port))
    server = ServerProcess(["--chroot", str(jail), "-c", "/etc/httpmini.toml"])
    try:
        assert f", user {NOBODY}" in server.banner
        for process in processes_of_session(server.pid):
            assert os.readlink(f"/proc/{process}/root") == str(jail)
        for target, field, status in REQUESTS:
            assert get(port, target, field)[0] == status, target
        assert b" 400 " in converse(port, [b"rubbish\r\n\r\n"])
        server.process.send_signal(signal.SIGUSR2)
        file.write_text(settings(mode, port).replace("format", "formt"))
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_line("not reloaded: .*did you mean log.format")
        other = "prefork" if mode != "prefork" else "forking"
        file.write_text(settings(other, port).replace('"json"', '"common"'))
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_line("(?<!not) reloaded: ")
        for target, field, status in REQUESTS:
            assert get(port, target, field)[0] == status, target
        assert server.stop(signal.SIGTERM) == 0
        assert not any("fault" in line for line in server.lines)
    finally:
        server.kill()
    written = (jail / "log" / "access.log").read_text().splitlines()
    assert sum("/small.txt" in line for line in written) == 6
    assert not (jail / "run" / "pid").exists()


def serve(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "httpmini", "serve", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False)


def test_in_the_background(jail: Path) -> None:
    port = free_port()
    (jail / "etc" / "httpmini.toml").write_text(settings("select", port))
    done = serve("--daemon", "--chroot", str(jail), "-c", "/etc/httpmini.toml")
    assert (done.returncode, "in the background" in done.stdout) == (0, True), done.stderr
    process = int((jail / "run" / "pid").read_text())
    try:
        assert os.readlink(f"/proc/{process}/root") == str(jail)
        assert get(port, "/small.txt")[2] == b"small"
    finally:
        os.kill(process, signal.SIGTERM)


@pytest.mark.parametrize(
    ("folder", "text", "status", "said"),
    [
        ("{jail}", settings("select", 0).replace(IDENTITY, ""), 2, "--chroot needs daemon.user"),
        ("{jail}", settings("select", 0).replace("/www", "/nowhere"), 2, 'site.root = "/nowhere": does not exist'),
        ("{jail}", settings("select", 0).replace(f'"{NOBODY}"', '"nobody"', 1), 2, "does not exist on this machine"),
        ("{jail}/nowhere", "", 1, "No such file or directory"),
        ("{jail}/etc/httpmini.toml", "", 1, "Not a directory"),
    ],
)  # fmt: skip
def test_wrong_settings(jail: Path, folder: str, text: str, status: int, said: str) -> None:
    (jail / "etc" / "httpmini.toml").write_text(text)
    done = serve("--chroot", folder.format(jail=jail), "-c", "/etc/httpmini.toml")
    assert done.returncode == status
    assert said in done.stderr
    assert "Traceback" not in done.stderr
