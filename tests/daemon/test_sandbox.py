"""The kernel keeps the server to its folders, whatever bugs it has: these tests run a build with a hole in it."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.processes import ServerProcess
from tests.support.wire import get

PLANTED = ("-m", "tests.support.planted_build")

Begin = Callable[..., ServerProcess]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "small.txt").write_text("small")
    (tmp_path / "secret").write_text("secret")
    return folder


@pytest.fixture
def begin(root: Path) -> Iterator[Begin]:
    """Start the planted build with the given lines in its config file."""
    servers: list[ServerProcess] = []
    # Not beside the secret: the server may read the folder of its config file, because a reload reads that again.
    (root.parent / "etc").mkdir()
    file = root.parent / "etc" / "httpmini.toml"

    def start(text: str, *arguments: str) -> ServerProcess:
        file.write_text(text)
        servers.append(ServerProcess(["serve", "-c", str(file), "--port", "0", *arguments], program=PLANTED))
        return servers[-1]

    try:
        yield start
        for server in servers:
            server.assert_clean_end()
    finally:
        for server in servers:
            server.kill()


def settings(mode: str, root: Path, more: str = "") -> str:
    return f'[server]\nmode = "{mode}"\nworkers = 2\n[site]\nroot = "{root}"\n[daemon]\n{more}'


@pytest.mark.parametrize("sandbox", ["auto", "off"])
def test_a_hole_leads_nowhere(begin: Begin, root: Path, mode: str, sandbox: str) -> None:
    """Without the sandbox it does lead somewhere, or this would prove nothing."""
    server = begin(settings(mode, root, f'sandbox = "{sandbox}"\n'))
    assert ("sandbox Landlock" in server.banner) == (sandbox == "auto")
    status, _, body = get(server.port, f"/planted/read{root.parent}/secret")
    assert (status, b"secret" in body) == ((403, False) if sandbox == "auto" else (200, True))
    written = root.parent / "written"
    assert get(server.port, f"/planted/write{written}")[0] == (403 if sandbox == "auto" else 200)
    assert written.exists() == (sandbox == "off")
    assert get(server.port, f"/planted/write{root}/small.txt")[0] == (403 if sandbox == "auto" else 200)
    assert (root / "small.txt").read_text() == ("small" if sandbox == "auto" else "")
    with socket.create_server(("127.0.0.1", 0)) as other:
        status, _, _ = get(server.port, f"/planted/connect/{other.getsockname()[1]}")
    assert status == (403 if sandbox == "auto" else 200)
    assert get(server.port, "/small.txt")[0] == 200


def test_everything_else_works(begin: Begin, root: Path, mode: str) -> None:
    """Logs are created again, pages are rendered, the config file is reloaded, passwords are checked."""
    log = root.parent / "log"
    log.mkdir()
    (root / "private").mkdir()
    (root.parent / "etc" / "users").write_text("ada:$2b$04$abcdefghijklmnopqrstuuK2v1XJ5m0SdU5VJqzYv9QYpJ8mIHe0G\n")
    more = f'pid_file = "{log}/pid"\n[log]\naccess = "{log}/access.log"\n'
    more += '[[realms]]\npath = "/private/"\nname = "mine"\nusers = "users"\n'
    server = begin(settings(mode, root, more))
    assert get(server.port, "/")[0] == 200
    assert get(server.port, "/private/")[0] == 401
    (log / "access.log").rename(log / "old.log")
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_line("(?<!not) reloaded: ")
    assert get(server.port, "/missing")[0] == 404
    server.stop()
    assert "/missing" in (log / "access.log").read_text()
    assert not (log / "pid").exists()


def test_a_later_root(begin: Begin, root: Path, mode: str) -> None:
    """A reload refuses a root outside the sandbox and says what to do; it accepts one that was named at the start."""
    other, named = root.parent / "other", root.parent / "named"
    for folder in (other, named):
        folder.mkdir()
        (folder / "small.txt").write_text(folder.name)
    more = f'readable = ["{named}"]\n'
    file = root.parent / "etc" / "httpmini.toml"
    server = begin(settings(mode, root, more))
    file.write_text(settings(mode, other, more))
    server.process.send_signal(signal.SIGHUP)
    line = server.wait_for_line(" not reloaded: ")
    assert f"{other} is outside the sandbox" in line
    assert "daemon.readable" in line
    assert get(server.port, "/small.txt")[2] == b"small"
    file.write_text(settings(mode, named, more))
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_line("(?<!not) reloaded: ")
    assert get(server.port, "/small.txt")[2] == b"named"
    for number, later in enumerate(('sandbox = "off"\n', f'{more}[log]\naccess = "access.log"\n'), 2):
        file.write_text(settings(mode, named, later))
        server.process.send_signal(signal.SIGHUP)
        assert "that needs a new start" in server.wait_for_line(" not reloaded: ", number)


def test_a_root_that_vanishes_or_is_replaced(begin: Begin, root: Path, mode: str) -> None:
    server = begin(settings(mode, root))
    root.rename(root.parent / "moved")
    assert get(server.port, "/small.txt")[0] == 404
    server.wait_for_line(f"the root {root} is gone")
    root.mkdir()
    (root / "small.txt").write_text("another")
    assert get(server.port, "/small.txt")[0] == 403
    server.wait_for_line(f"the root {root} is another folder now, which the sandbox does not let")
    root.rename(root.parent / "wrong")
    (root.parent / "moved").rename(root)
    assert get(server.port, "/small.txt")[2] == b"small"
    server.wait_for_line(f"the root {root} is another folder now$")


def test_a_kernel_without_it(begin: Begin, root: Path) -> None:
    server = begin(settings("select", root), "--no-landlock")
    server.wait_for_line("no sandbox: this kernel has no Landlock")
    assert "sandbox" not in server.banner
    assert get(server.port, "/small.txt")[0] == 200
