"""A system that is not Linux: the server does without what it lacks, and says so in one line."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import StartServer
from tests.support.processes import WAIT_S
from tests.support.wire import get

HOME = Path(__file__).parents[2]
PATHS = f"PYTHONPATH={HOME / 'tests' / 'without_linux'}:{HOME}"
LACKING = "epoll, sendfile, TCP_CORK, TCP_DEFER_ACCEPT, eventfd, memfd, O_PATH, Landlock and seccomp"
LARGE = 3_000_000


@pytest.mark.parametrize("mode", ["iterative", "forking", "threading", "select"])
def test_it_serves(start: StartServer, tmp_path: Path, mode: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "large.bin").write_bytes(bytes(LARGE))
    (root / "README.md").write_text("# A *title*\n")
    config = f'[server]\nmode = "{mode}"\n[site]\nroot = "{root}"\n[daemon]\npid_file = "pid"\n'
    server = start(root, config=config, wrapper=("env", PATHS))
    said = [line for line in server.lines if " lacks " in line]
    assert len(said) == 1
    assert re.sub(r" \([^)]*\)", "", said[0]).endswith(f"this system lacks {LACKING}")
    assert "sandbox" not in server.banner
    for number in (1, 2):
        assert get(server.port, "/large.bin")[2] == bytes(LARGE)
        assert b"<em>title</em>" in get(server.port, "/")[2]
        assert get(server.port, "/nowhere")[0] == 404
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_line("(?<!not) reloaded: ", number)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ('[server]\nmode = "prefork"\n', "eventfd"),
        ("[limits]\naddress_clients = 5\n", "memfd_create"),
        ("[limits]\ntotal_bytes_per_s = 9000000\n", "memfd_create"),
    ],
)
def test_what_cannot_be_done_without(tmp_path: Path, settings: str, said: str) -> None:
    (tmp_path / "httpmini.toml").write_text(settings)
    command = [sys.executable, "-m", "httpmini", "serve", str(tmp_path), "-c", "httpmini.toml", "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": PATHS.partition("=")[2]}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=WAIT_S, check=False
    )
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can switch users")
def test_another_user_and_a_unix_socket(start: StartServer, tmp_path: Path) -> None:
    """Without setresuid(2), and without O_PATH."""
    tmp_path.chmod(0o755)
    for folder in tmp_path.parents:
        if folder.stat().st_uid == os.geteuid() and folder.is_relative_to("/tmp/pytest-of-root"):
            folder.chmod(0o755)
    config = f'[server]\nlisten = ["unix:{tmp_path}/socket"]\n[daemon]\nuser = "nobody"\n[site]\nroot = "{tmp_path}"\n'
    file = tmp_path / "nobody.toml"
    file.write_text(config)
    server = start(tmp_path, "-c", str(file), wrapper=("env", PATHS))
    assert "user nobody" in server.banner
    status = Path(f"/proc/{server.pid}/status").read_text()
    (uids,) = re.findall(r"^Uid:\s+(.*)$", status, re.MULTILINE)
    assert set(uids.split()) == {"65534"}
