"""Signals that reach every process of the server, as ``systemctl kill`` and a terminal send them; and nohup(1)."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import StartServer
from tests.support.processes import WAIT_S, ServerProcess, eventually, open_files, processes_of_session
from tests.support.wire import connect, get, read_all, read_answer, read_head

KEEP = b"GET /small.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
LARGE = 64 * 1024 * 1024


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "small.txt").write_bytes(b"small")
    with open(folder / "large.bin", "wb") as file:
        file.truncate(LARGE)
    return folder


def signal_all(server: ServerProcess, number: int) -> None:
    for pid in processes_of_session(server.pid):
        with suppress(ProcessLookupError):  # a child has just ended
            os.kill(pid, number)


def logs_of(pid: int, folder: Path) -> set[str]:
    """Return the names of the log files that a process has open."""
    return {Path(link).name for link in open_files(pid) if link.startswith(f"{folder}/")}


def test_usr1_reopens_the_logs_and_nothing_else(start: StartServer, root: Path, tmp_path: Path, mode: str) -> None:
    """The processes that live on have the new files open, even if they have nothing to write."""
    logs = tmp_path / "logs"
    logs.mkdir()
    text = f'[server]\nmode = "{mode}"\nworkers = 2\n[log]\naccess = "{logs}/access"\nerror = "{logs}/error"\n'
    server = start(root, config=text)
    with connect(server.port) as transfer:
        transfer.sendall(b"GET /large.bin HTTP/1.0\r\n\r\n")
        _, begun = read_head(transfer)
        for name in ("access", "error"):
            (logs / name).rename(logs / f"{name}.1")
        signal_all(server, signal.SIGUSR1)
        assert len(begun) + len(read_all(transfer)) == LARGE
    lasting = [server.pid, *(server.children() if mode == "prefork" else [])]
    for pid in lasting:
        eventually(lambda pid=pid: logs_of(pid, logs) == {"access", "error"}, "the new files are open")  # type: ignore[misc]
    get(server.port, "/small.txt")
    eventually(lambda: "/small.txt" in (logs / "access").read_text(), "the new log has the line")


def test_usr2_reports_each_client_once(start: StartServer, root: Path, mode: str) -> None:
    server = start(root, "--mode", mode)
    with connect(server.port) as one, connect(server.port) as two:
        for sock in (one, two):
            sock.sendall(KEEP)
            read_answer(sock)
        signal_all(server, signal.SIGUSR2)
        for sock in (one, two):
            name = "{}:{}".format(*sock.getsockname())
            server.wait_for_line(f"client {name}: ")
        for sock in (one, two):
            sock.sendall(KEEP)
            assert read_answer(sock)[2] == b"small"
    assert len([line for line in server.lines if " notice: client " in line]) == 2


def test_hup_reloads_once(start: StartServer, root: Path, mode: str) -> None:
    server = start(root, config=f'[server]\nmode = "{mode}"\nworkers = 2\n')
    with connect(server.port) as transfer:
        transfer.sendall(b"GET /large.bin HTTP/1.0\r\n\r\n")
        _, begun = read_head(transfer)
        signal_all(server, signal.SIGHUP)
        assert len(begun) + len(read_all(transfer)) == LARGE
    server.wait_for_line(" reloaded: nothing has changed")
    assert get(server.port, "/small.txt")[2] == b"small"
    assert sum(" reloaded: " in line for line in server.lines) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_finishes_transfers(start: StartServer, root: Path, mode: str, number: signal.Signals) -> None:
    server = start(root, "--mode", mode)
    with connect(server.port) as transfer:
        transfer.sendall(b"GET /large.bin HTTP/1.0\r\n\r\n")
        _, begun = read_head(transfer)
        signal_all(server, number)
        assert len(begun) + len(read_all(transfer)) == LARGE
    assert server.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGWINCH, signal.SIGCHLD, signal.SIGALRM, signal.SIGCONT, signal.SIGURG])
def test_signals_without_a_meaning(start: StartServer, root: Path, mode: str, number: signal.Signals) -> None:
    server = start(root, "--mode", mode)
    with connect(server.port) as kept:
        kept.sendall(KEEP)
        read_answer(kept)
        signal_all(server, number)
        kept.sendall(KEEP)
        assert read_answer(kept)[2] == b"small"
    assert [line for line in server.lines[1:] if " - - " not in line] == []


# What the server was started with. ``env`` of coreutils sets it.


def started_with(start: StartServer, root: Path, mode: str, *options: str) -> ServerProcess:
    return start(root, config=f'[server]\nmode = "{mode}"\nworkers = 2\n', wrapper=("env", *options))


def test_what_was_ignored_stays_ignored(start: StartServer, root: Path, mode: str) -> None:
    """``nohup`` ignores SIGHUP, a shell without job control SIGINT and SIGQUIT for what it starts with ``&``."""
    server = started_with(start, root, mode, "--ignore-signal=HUP,INT,QUIT")
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        signal_all(server, number)
        assert get(server.port, "/small.txt")[2] == b"small"
    signal_all(server, signal.SIGUSR2)
    assert not any(re.search("reloaded|stopping", line) for line in server.lines)
    assert server.stop(signal.SIGTERM) == 0


def test_a_terminal_that_closes_does_not_end_nohup(root: Path, tmp_path: Path) -> None:
    server = ServerProcess([str(root), "--port", "0"], wrapper=("env", "--ignore-signal=HUP"))
    try:
        os.killpg(server.pid, signal.SIGHUP)
        assert get(server.port, "/small.txt")[2] == b"small"
        server.assert_clean_end()
    finally:
        server.kill()


def test_what_was_blocked_is_unblocked(start: StartServer, root: Path, mode: str) -> None:
    blocked = "--block-signal=HUP,INT,TERM,QUIT,USR1,USR2,CHLD,ALRM"
    server = started_with(start, root, mode, blocked)
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_line(" reloaded: ")
    for _ in range(3):
        assert get(server.port, "/small.txt")[2] == b"small"
    if mode == "forking":
        eventually(lambda: server.states_of_children() == [], "all children are gone")
    assert server.stop(signal.SIGTERM) == 0


def test_a_blocked_signal_that_waits_at_the_start_is_obeyed(root: Path) -> None:
    program = "import os, signal, runpy, sys\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n"
    program += "os.kill(os.getpid(), signal.SIGTERM)\nrunpy.run_module('httpmini', run_name='__main__')\n"
    command = [sys.executable, "-c", program, "serve", str(root), "--port", "0"]
    ended = subprocess.run(command, capture_output=True, timeout=WAIT_S, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")


# Orphans: as process 1 of a container, and as a subreaper, the server is the parent of processes that it never started.

SUBREAPER = """
import ctypes, os, sys, time
from pathlib import Path
assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0  # PR_SET_CHILD_SUBREAPER
if os.fork() == 0:
    for number in range(3):
        if os.fork() == 0:
            os.closerange(0, 3)
            time.sleep(600)
    os._exit(0)
os.execv(sys.executable, [sys.executable, "-m", "httpmini", "serve", *sys.argv[1:]])
"""


def test_orphans_are_reaped(root: Path, mode: str) -> None:
    """One that ended before the server began, and some that end while it serves."""
    ours = {"prefork": 1}.get(mode, 0)
    config = root.parent / "httpmini.toml"
    config.write_text(f'[server]\nmode = "{mode}"\nworkers = 1\n')
    server = ServerProcess([], program=("-c", SUBREAPER, str(root), "-c", str(config), "-p", "0"))
    try:
        eventually(lambda: len(server.children()) == ours + 3, "the first orphan is reaped, the others live")
        for pid in server.children():
            if "-m" not in Path(f"/proc/{pid}/cmdline").read_text().split("\0"):  # the others are forks of the program
                os.kill(pid, signal.SIGKILL)
        eventually(lambda: len(server.children()) == ours, "all orphans are reaped")
        assert get(server.port, "/small.txt")[2] == b"small"
        server.assert_clean_end()
    finally:
        server.kill()
