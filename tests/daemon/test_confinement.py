"""Planted code in the process that serves tries what a server never does: with the confinement, nothing of it works."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.attempts import ALLOWED, FORBIDDEN, OF_A_RELOAD
from tests.support.processes import ServerProcess
from tests.support.wire import get

Attempts = Mapping[str, tuple[str, Callable[[str], None]]]

PLANTED = ("-m", "tests.support.planted_build")
ONLY_SERVES = ("prefork", "forking")  # the modes in which the main process serves nobody


class Place:
    """A home folder with a config file, a root, logs and a private key; and somebody else on this machine."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.root = home / "www"
        for name in ("www", "log", "run", ".ssh"):
            (home / name).mkdir()
        (self.root / "small.txt").write_text("small")
        for name in ("log/other.log", ".ssh/key", "outside"):
            (home / name).write_text("secret")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.unix = socket.socket(socket.AF_UNIX)
        self.unix.bind(str(home / "unix"))
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract.bind(f"\0httpmini-{os.getpid()}")
        for sock in (self.unix, self.abstract):
            sock.listen(64)
        self.stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        self.server: ServerProcess | None = None

    def start(self, mode: str, more: str = "", *, file: bool = True) -> ServerProcess:
        arguments = ["serve", str(self.root), "--mode", mode, "--port", "0"]
        if file:
            settings = (
                f'[server]\nworkers = 2\n[log]\naccess = "log/access.log"\n[daemon]\npid_file = "run/pid"\n{more}'
            )
            (self.home / "httpmini.toml").write_text(settings)
            arguments += ["-c", str(self.home / "httpmini.toml")]
        self.server = ServerProcess(arguments, program=PLANTED)
        return self.server

    def target(self, name: str) -> str:
        assert self.server is not None
        return {
            "port": str(self.listener.getsockname()[1]),
            "unix": str(self.home / "unix"),
            "abstract": f"httpmini-{os.getpid()}",
            "new": str(self.home / "new"),
            "parent": str(os.getpid()),
            "stranger": str(self.stranger.pid),
            "master": str(self.server.pid),
            "log": str(self.home / "log" / "access.log"),
            "other log": str(self.home / "log" / "other.log"),
            "private key": str(self.home / ".ssh" / "key"),
            "outside": str(self.home / "outside"),
            "served": str(self.root / "small.txt"),
        }.get(name, "-")

    def results(self, attempts: Attempts) -> dict[str, int]:
        """Return the status of the answer for each attempt: 200 if it worked, 403 if it was refused."""
        assert self.server is not None
        found = {}
        for name, (target, _) in attempts.items():
            path = quote(f"/planted/attempt/{name}/{self.target(target)}")
            found[name] = get(self.server.port, path)[0]
        return found

    def close(self) -> None:
        if self.server is not None:
            self.server.kill()
        self.stranger.communicate(b"\n")
        for sock in (self.listener, self.unix, self.abstract):
            sock.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    try:
        yield made
        if made.server is not None:
            made.server.assert_clean_end()
    finally:
        made.close()


def refused(attempts: Attempts) -> dict[str, int]:
    return dict.fromkeys(attempts, 403)


def allowed(attempts: Attempts) -> dict[str, int]:
    return dict.fromkeys(attempts, 200)


def test_without_it_everything_works(place: Place) -> None:
    """Or the others would prove nothing."""
    place.start("select", 'sandbox = "off"\n')
    everything = {**ALLOWED, **OF_A_RELOAD, **FORBIDDEN}
    del everything["a signal to everybody"]
    assert place.results(everything) == allowed(everything)


def test_with_a_config_file(place: Place, mode: str) -> None:
    """Where the process that serves also reloads, it may listen and fork; nowhere else."""
    server = place.start(mode)
    assert "sandbox Landlock+seccomp open for " in server.banner
    assert f"{place.home}/log (append)" in server.banner
    assert place.results(FORBIDDEN) == refused(FORBIDDEN)
    assert place.results(OF_A_RELOAD) == (refused if mode in ONLY_SERVES else allowed)(OF_A_RELOAD)
    assert place.results(ALLOWED) == allowed(ALLOWED)
    assert (place.home / "log" / "other.log").read_text() == "secret"


def test_without_a_config_file(place: Place, mode: str) -> None:
    """Nothing is ever reloaded, so in every mode the process that serves does that and nothing else."""
    server = place.start(mode, file=False)
    assert server.banner.endswith("sandbox Landlock+seccomp)")
    everything = {**OF_A_RELOAD, **FORBIDDEN}
    assert place.results(everything) == refused(everything)
    of_itself = {name: attempt for name, attempt in ALLOWED.items() if name != "a log to append to"}
    assert place.results(of_itself) == allowed(of_itself)
