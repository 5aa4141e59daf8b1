"""``--chroot``: the program cannot load any of its files any more, and everything has to work. Needs root."""

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

from httpmini.site.users import set_password
from tests.support.processes import WAIT_S, ServerProcess, processes_of_session
from tests.support.tls import Authority
from tests.support.tls_wire import converse_tls, unverified
from tests.support.tools import tool
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
        f'[status]\non_site = true\n[daemon]\n{IDENTITY}pid_file = "/run/pid"\n{more}'
        '[log]\naccess = "/log/access.log"\nformat = "json"\n[site]\nroot = "/www"\narchives = true\n'
        '[[realms]]\npath = "/private/"\nusers = "/etc/users"\n'
    )


# Targets with a field and the expected status. Each needs another part of the program.
REQUESTS = [
    ("/small.txt", "X: y", 200),
    ("/small.txt", "Range: bytes=0-1,3-4", 206),
    ("/small.txt", "Range: bytes=9-", 416),
    ("/", "X: y", 200),
    ("/", "Accept: application/json", 200),
    ("/?zip", "X: y", 200),
    ("/?tar", "X: y", 200),
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


@pytest.mark.parametrize("open_to_all", ["", "etc", "lib", "lib/x86_64-linux-gnu", "usr/lib", "etc/passwd"])
def test_a_jail_that_others_may_write(jail: Path, open_to_all: str) -> None:
    """They could put libraries there that root would load, or say that their name is root's."""
    (jail / "etc" / "httpmini.toml").write_text(settings("select", 0))
    place = jail / open_to_all
    if open_to_all.endswith("passwd"):
        place.touch()
    else:
        place.mkdir(parents=True, exist_ok=True)
    place.chmod(0o777)
    done = serve("--chroot", str(jail), "-c", "/etc/httpmini.toml")
    assert done.returncode == 1
    said = f"/{open_to_all} in it" if open_to_all else "it"
    assert f"--chroot {jail}: {said} can be written by others than root" in done.stderr


@pytest.mark.parametrize("owner", ["nobody-knows", "ada"])
def test_nothing_in_the_jail_becomes_code(jail: Path, owner: str) -> None:
    """No library and no module in it is ever opened, although its files ask for them and users are not found."""
    libraries = jail / "lib" / f"{os.uname().machine}-linux-gnu"
    modules = jail / os.path.relpath(os.path.dirname(os.__file__), "/")
    for folder in (libraries, jail / "usr" / "lib", modules, modules / "lib-dynload"):
        folder.mkdir(parents=True, exist_ok=True)
    for folder in (libraries, jail / "lib", jail / "usr" / "lib"):
        for service in ("systemd", "evil", "files", "dns", "compat", "mymachines", "myhostname"):
            (folder / f"libnss_{service}.so.2").write_bytes(b"")
    (jail / "etc" / "nsswitch.conf").write_text("passwd: evil files systemd\ngroup: evil\nhosts: evil files dns\n")
    (jail / "etc" / "passwd").write_text("ada:x:65534:65534::/:\n")
    (jail / "etc" / "hosts").write_text("127.0.0.1 localhost\n")
    text = settings("select", 0).replace(f'user = "{NOBODY}"\ngroup = "{NOBODY}"', f'user = "{owner}"')
    (jail / "etc" / "httpmini.toml").write_text(text.replace('"[::1]:0"', '"localhost:0"'))
    calls = jail.parent / f"{jail.name}.calls"
    wrapper = [tool("strace", "strace"), "-f", "-e", "trace=openat,open,chroot,execve", "-o", str(calls)]
    command = [*wrapper, sys.executable, "-m", "httpmini", "serve", "--chroot", str(jail), "-c", "/etc/httpmini.toml"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        if owner == "ada":
            assert process.stdout is not None
            banner = process.stdout.readline()
            assert "user ada" in banner, process.communicate(timeout=WAIT_S)
            (server,) = map(int, Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split())
            port = int(re.findall(r":(\d+)/", banner)[0])
            assert get(port, "/")[0] == 200
            os.kill(server, signal.SIGTERM)
        _, errors = process.communicate(timeout=WAIT_S)
        assert ("does not exist on this machine" in errors) == (owner != "ada"), errors
        inside = calls.read_text().partition('chroot(".")')[2]
        inside = "\n".join(line for line in inside.splitlines() if "O_PATH" not in line)  # which reads nothing
        assert "/etc/passwd" in inside
        assert re.findall(r'"[^"]*(?:\.so(?:\.\d+)?|\.pyc?)"', inside) == []
    finally:
        process.kill()
        process.communicate()
        calls.unlink(missing_ok=True)


def test_tls(jail: Path, mode: str, tmp_path: Path) -> None:
    """There is no /proc inside, so OpenSSL reads the files themselves; ``ssl`` was loaded before."""
    authority = Authority(tmp_path)
    port = free_port()
    file = jail / "etc" / "httpmini.toml"
    files = [jail / "etc" / name for name in ("cert.pem", "key.pem")]

    def install() -> None:
        for source, target in zip(authority.pair("localhost"), files, strict=True):
            target.write_bytes(source.read_bytes())
            target.chmod(0o600)
            os.chown(target, NOBODY, NOBODY)

    install()
    tls = '[tls]\ncertificate = "/etc/cert.pem"\nkey = "/etc/key.pem"\n'
    file.write_text(settings(mode, port).replace(f'"127.0.0.1:{port}", "[::1]:0"', f'"tls:127.0.0.1:{port}"') + tls)
    server = ServerProcess(["--chroot", str(jail), "-c", "/etc/httpmini.toml"])
    try:
        request = [b"GET /small.txt HTTP/1.0\r\n\r\n"]
        said, first = converse_tls(port, request, authority.client(), "localhost")
        assert said.endswith(b"small")
        install()
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_line("a new certificate is in use")
        server.wait_for_line("(?<!not) reloaded: ")
        said, second = converse_tls(port, request, authority.client(), "localhost")
        assert said.endswith(b"small")
        assert first.tls.getpeercert(binary_form=True) != second.tls.getpeercert(binary_form=True)
        assert server.stop(signal.SIGTERM) == 0
    finally:
        server.kill()


def test_a_certificate_of_our_own(jail: Path) -> None:
    """The library that makes it is loaded before the settings, which ask for it, are read."""
    port = free_port()
    file = jail / "etc" / "httpmini.toml"
    listen = settings("select", port).replace(f'"127.0.0.1:{port}", "[::1]:0"', f'"tls:127.0.0.1:{port}"')
    file.write_text(listen + '[tls]\ncertificate = "self-signed"\n')
    server = ServerProcess(["--chroot", str(jail), "-c", "/etc/httpmini.toml"])
    try:
        said, _ = converse_tls(port, [b"GET /small.txt HTTP/1.0\r\n\r\n"], unverified(), "localhost")
        assert said.endswith(b"small")
        assert server.stop(signal.SIGTERM) == 0
    finally:
        server.kill()
