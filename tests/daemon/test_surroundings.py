"""Surroundings that are not as expected: links, replaced files, deleted folders, closed streams, pid files that lie."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from httpmini.daemon.pid_file import PidFile, find_owner, is_published
from httpmini.errors import CannotRun
from httpmini.server.listeners.unix import UnixListener
from httpmini.server.logs.file import LogFile
from httpmini.site.users import set_password
from tests.support.processes import WAIT_S, ServerProcess, eventually
from tests.support.wire import free_port, get

HOME = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-X", "dev", "-W", "error", "-m", "httpmini"]
RIGHT, NEW = "Authorization: Basic YWRhOnB3", "Authorization: Basic YWRhOm5ldw=="


@pytest.fixture
def linked(tmp_path: Path) -> Iterator[tuple[Path, ServerProcess]]:
    """A server whose config file, users file and log are links into other folders, in a home with other folders."""
    for name in ("www/private", "etc", "real", "real-log", "log", ".ssh"):
        (tmp_path / name).mkdir(parents=True)
    set_password(str(tmp_path / "real" / "users"), "ada", "pw", 4)
    (tmp_path / "real" / "httpmini.toml").write_text(
        f'[site]\nroot = "{tmp_path}/www"\n[log]\naccess = "{tmp_path}/log/access.log"\n'
        f'[[realms]]\npath = "/private/"\nusers = "{tmp_path}/etc/users"\n'
    )
    (tmp_path / "etc" / "httpmini.toml").symlink_to("../real/httpmini.toml")
    (tmp_path / "etc" / "users").symlink_to("../real/users")
    (tmp_path / "log" / "access.log").symlink_to("../real-log/access.log")
    server = ServerProcess(["-c", str(tmp_path / "etc" / "httpmini.toml"), "--port", "0"])
    try:
        yield tmp_path, server
        server.assert_clean_end()
    finally:
        server.kill()


def test_links(linked: tuple[Path, ServerProcess]) -> None:
    """Files behind links are replaced, as editors do it, and log files are moved away: all goes on."""
    home, server = linked
    assert get(server.port, "/private/", RIGHT)[0] == 200
    set_password(str(home / "real" / "users"), "ada", "new", 4)  # by a rename
    assert get(server.port, "/private/", NEW)[0] == 200
    for name in ("access.log", "other.log"):
        (home / "real-log" / "access.log").rename(home / "real-log" / f"old-{name}")
        assert get(server.port, "/")[0] == 200
        eventually((home / "real-log" / "access.log").exists, "the log is made again")
    text = (home / "real" / "httpmini.toml").read_text()
    (home / "real" / "fresh").write_text(text + '[server]\nproduct = "new"\n')
    (home / "real" / "fresh").rename(home / "real" / "httpmini.toml")
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_line("(?<!not) reloaded: ")
    assert get(server.port, "/")[1]["server"] == "new"


def test_a_folder_that_was_replaced(linked: tuple[Path, ServerProcess]) -> None:
    """What can no longer be reached is said with that reason; it is right again when the folder is back."""
    home, server = linked
    (home / "real").rename(home / "moved")
    shutil.copytree(home / "moved", home / "real")
    server.process.send_signal(signal.SIGHUP)
    line = server.wait_for_line("not reloaded: ")
    assert "another file than at the start, or new, and outside the sandbox" in line
    assert "daemon.readable" in line
    assert get(server.port, "/private/", RIGHT)[0] == 500
    shutil.rmtree(home / "real")
    (home / "moved").rename(home / "real")
    assert get(server.port, "/private/", RIGHT)[0] == 200
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_line("(?<!not) reloaded: ")


# Pid files.


def test_the_kernel_says_who_has_locked_it(tmp_path: Path) -> None:
    path = str(tmp_path / "pid")
    code = "import sys; from httpmini.daemon.pid_file import PidFile; f = PidFile(sys.argv[1]); print(1); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code, path], cwd=HOME, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"1\n"
        assert not is_published(path)  # not yet ready for signals
        for lie in (f"{os.getpid()}\n", "-1\n", "1\n", "rubbish"):
            Path(path).write_text(lie)
            assert find_owner(path) == other.pid
        with pytest.raises(CannotRun, match=f"is locked by process {other.pid};"):
            PidFile(path)
        other.communicate(b"\n", WAIT_S)
    assert find_owner(path) is None


@pytest.mark.parametrize("spelled", ["./httpmini.pid", "../{name}/httpmini.pid", "link/httpmini.pid"])
def test_a_pid_file_that_is_respelled(tmp_path: Path, spelled: str) -> None:
    """The lock stays: to open and close the same file once more would end it."""
    (tmp_path / "www").mkdir()
    (tmp_path / "link").symlink_to(".")
    file = tmp_path / "httpmini.toml"
    text = '[site]\nroot = "www"\n[daemon]\npid_file = "{}"\n'
    file.write_text(text.format("httpmini.pid"))
    server = ServerProcess(["-c", str(file), "--port", "0"])
    try:
        pid_file = tmp_path / "httpmini.pid"
        assert pid_file.read_text() == f"{server.pid}\n"
        for count, name in enumerate((spelled.format(name=tmp_path.name), "httpmini.pid"), 1):
            file.write_text(text.format(name))
            server.process.send_signal(signal.SIGHUP)
            server.wait_for_line("(?<!not) reloaded: ", count)
            assert find_owner(str(pid_file)) == server.pid
        pid_file.unlink()  # somebody has tidied up: a reload makes it again
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_line("(?<!not) reloaded: ", 3)
        assert (pid_file.read_text(), find_owner(str(pid_file))) == (f"{server.pid}\n", server.pid)
        server.assert_clean_end()
        assert not pid_file.exists()
    finally:
        server.kill()


@pytest.mark.parametrize("command", ["stop", "reload", "reopen"])
def test_nobody_else_is_signalled(tmp_path: Path, command: str) -> None:
    """The number in a file of somebody else, or one that a crash has left, is nobody's to signal."""
    (tmp_path / "www").mkdir()
    (tmp_path / "c.toml").write_text('[site]\nroot = "www"\n[daemon]\npid_file = "pid"\n')
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as innocent:
        for lie in (str(innocent.pid), "-1"):
            (tmp_path / "pid").write_text(f"{lie}\n")
            asked = [*PROGRAM, "ctl", command, "-c", str(tmp_path / "c.toml")]
            done = subprocess.run(asked, cwd=HOME, capture_output=True, text=True, timeout=WAIT_S, check=False)
            assert (done.returncode, "no server runs" in done.stderr) == (1, True), done.stderr
        assert innocent.poll() is None
        innocent.communicate(b"\n", WAIT_S)
        assert innocent.returncode == 0


def test_logs_are_opened_again_by_command(tmp_path: Path) -> None:
    (tmp_path / "www").mkdir()
    (tmp_path / "c.toml").write_text('[site]\nroot = "www"\n[daemon]\npid_file = "pid"\n[log]\naccess = "a.log"\n')
    server = ServerProcess(["-c", str(tmp_path / "c.toml"), "--port", "0"])
    try:
        (tmp_path / "a.log").rename(tmp_path / "old.log")
        (tmp_path / "pid").write_text("-1\n")
        asked = [*PROGRAM, "ctl", "reopen", "-c", str(tmp_path / "c.toml")]
        subprocess.run(asked, cwd=HOME, capture_output=True, timeout=WAIT_S, check=True)
        eventually((tmp_path / "a.log").exists, "the log is there again")
        server.assert_clean_end()
    finally:
        server.kill()


# How the command was started.


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&-", ">&- 2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("background", [True, False])
def test_closed_streams(tmp_path: Path, closed: str, background: bool) -> None:
    (tmp_path / "www").mkdir()
    (tmp_path / "c.toml").write_text(
        '[site]\nroot = "www"\n[daemon]\npid_file = "pid"\n[log]\naccess = "access.log"\nerror = "error.log"\n'
    )
    port = free_port()
    command = " ".join([*PROGRAM, "serve", "--daemon" if background else "", "-c", str(tmp_path / "c.toml")])
    with subprocess.Popen(["sh", "-c", f"exec {command} -p {port} {closed}"], cwd=HOME) as process:
        try:
            if background:
                assert process.wait(WAIT_S) == 0
            pid_file = tmp_path / "pid"
            eventually(lambda: pid_file.exists() and pid_file.read_text() != "", "it serves")
            assert get(port, "/")[0] == 200
            os.kill(int(pid_file.read_text()), signal.SIGTERM)
            eventually(lambda: not pid_file.exists(), "it ends")
        finally:
            process.kill() if not background else None
    assert " error: " not in (tmp_path / "error.log").read_text()


def test_a_current_folder_that_was_deleted(tmp_path: Path) -> None:
    """What is named by an absolute path works; for the rest there is a message, and no traceback."""
    (tmp_path / "www").mkdir()
    (tmp_path / "c.toml").write_text('[site]\nroot = "www"\n[daemon]\npid_file = "pid"\n')
    environment = {**os.environ, "PYTHONPATH": str(HOME)}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        script = f'mkdir {tmp_path}/gone; cd {tmp_path}/gone; rmdir {tmp_path}/gone; exec "$@"'
        command = ["sh", "-c", script, "sh", *PROGRAM, *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=WAIT_S, check=False)

    assert run("config", "check", "-c", f"{tmp_path}/c.toml").returncode == 0
    for extra in ((), (f"{tmp_path}/www",)):
        done = run("serve", "--daemon", "-p", str(free_port()), "-c", f"{tmp_path}/c.toml", *extra)
        assert (done.returncode, "in the background" in done.stdout) == (0, True), done.stderr
        assert run("ctl", "stop", "-c", f"{tmp_path}/c.toml").returncode == 0
    for arguments in (("serve", "-p", "0"), ("serve", "www", "-p", "0"), ("serve", "--daemon", "-p", "0")):
        done = run(*arguments)
        assert done.returncode == 2
        assert "does not exist" in done.stderr
        assert "Traceback" not in done.stderr
    assert "cannot be read" in run("serve", "-c", "c.toml").stderr


# Unix sockets.


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
def test_a_socket_has_its_permissions_from_the_beginning(
    tmp_path: Path, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is changed by name: the owner of the folder may have put another file there."""
    victim = tmp_path / "victim"
    victim.touch(0o600)
    before = os.umask(0o027)
    listen = UnixListener.listen

    def swap(self: UnixListener, backlog: int) -> None:
        """Do what an attacker may do right after the bind."""
        name = Path(self.getsockname())
        assert stat.S_IMODE(name.stat().st_mode) == mode
        name.unlink()
        name.symlink_to(victim)
        listen(self, backlog)

    monkeypatch.setattr(UnixListener, "listen", swap)
    try:
        with UnixListener(str(tmp_path / "socket"), mode, 5) as listener:
            assert stat.S_IMODE(victim.stat().st_mode) == 0o600
            with pytest.raises(OSError, match="another file has taken its place"):
                listener.give_to(65534, 65534)
            assert victim.stat().st_uid == os.getuid()
    finally:
        assert os.umask(before) == 0o027


def test_only_a_socket_of_ours_is_given_away(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with UnixListener(str(path), 0o660, 5) as listener:
        path.rename(tmp_path / "moved")
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(path))
            with pytest.raises(OSError, match="another file has taken its place"):
                listener.give_to(65534, 65534)
            assert path.stat().st_uid == os.getuid()


def test_a_pid_file_is_a_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("elsewhere")
    for name, said in (("pipe", "it is not a regular file"), ("link", "cannot write the pid file")):
        with pytest.raises(CannotRun, match=said):
            PidFile(str(tmp_path / name))
    with open(tmp_path / "pid", "w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)  # by this very process: not somebody else
        assert find_owner(str(tmp_path / "pid")) is None


def test_a_log_that_cannot_be_made_again(tmp_path: Path, mode: str) -> None:
    """Its folder was replaced, and the new one is outside the sandbox: the error log says so, once."""
    for name in ("www", "log"):
        (tmp_path / name).mkdir()
    settings = f'[server]\nmode = "{mode}"\nworkers = 2\n[site]\nroot = "www"\n[log]\naccess = "log/access.log"\n'
    (tmp_path / "c.toml").write_text(settings)
    server = ServerProcess(["-c", str(tmp_path / "c.toml"), "--port", "0"])
    try:
        (tmp_path / "log").rename(tmp_path / "moved")
        (tmp_path / "log").mkdir()
        for count in range(2):
            server.process.send_signal(signal.SIGUSR1)
            server.process.send_signal(signal.SIGHUP)
            server.wait_for_line("(?<!not) reloaded: |not reloaded: ", count + 1)
        said = [line for line in server.lines if "cannot open the log" in line and "outside the sandbox" in line]
        assert len(said) == 1, server.lines
        server.assert_clean_end()
    finally:
        server.kill()


def test_a_fifo_where_the_log_was(tmp_path: Path, mode: str) -> None:
    """Nobody reads it, and to open it would wait for whoever does: lines are lost, requests are not."""
    (tmp_path / "www").mkdir()
    log = tmp_path / "access.log"
    settings = f'[server]\nmode = "{mode}"\nworkers = 1\n[site]\nroot = "www"\n[log]\naccess = "access.log"\n'
    (tmp_path / "c.toml").write_text(settings)
    server = ServerProcess(["-c", str(tmp_path / "c.toml"), "--port", "0"])
    try:
        log.rename(tmp_path / "moved")
        os.mkfifo(log)
        for _ in range(3):
            assert get(server.port, "/")[0] == 200
        server.process.send_signal(signal.SIGUSR1)
        server.wait_for_line("cannot open the log .*: it is a FIFO that nobody reads")
        assert get(server.port, "/")[0] == 200
        server.assert_clean_end()
    finally:
        server.kill()


def test_a_fifo_as_log_at_the_start(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")
    with pytest.raises(CannotRun, match=r"cannot write the log .*: it is a FIFO that nobody reads"):
        LogFile(str(tmp_path / "log"))
    reader = os.open(tmp_path / "log", os.O_RDONLY | os.O_NONBLOCK)
    try:
        LogFile(str(tmp_path / "log")).write("line")
        assert os.read(reader, 100) == b"line\n"
    finally:
        os.close(reader)
