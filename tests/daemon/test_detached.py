"""``serve --daemon``, its pid file, and ``ctl``, as operators and start scripts use them."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from httpmini.version import __version__
from tests.support.processes import WAIT_S, eventually, processes_of_session
from tests.support.wire import accepts, connect, free_port, get, read_head

HOME = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-X", "dev", "-W", "error", "-m", "httpmini"]


class Place:
    """A folder with a site and a config file for a daemon."""

    def __init__(self, folder: Path, mode: str) -> None:
        self.folder = folder
        self.file = folder / "httpmini.toml"
        self.pid_file = folder / "httpmini.pid"
        self.errors = folder / "error.log"
        self.port = free_port()
        self.mode = mode
        (folder / "www").mkdir()
        (folder / "www" / "small.txt").write_text("small")
        with open(folder / "www" / "large.bin", "wb") as file:
            file.truncate(64 * 1024 * 1024)
        self.write()

    def write(self, **changed: str) -> None:
        """Write the config file; ``changed`` holds more settings as TOML, by section."""
        sections = {
            "server": f'mode = "{self.mode}"\nlisten = ["127.0.0.1:{self.port}"]\nworkers = 2\n',
            "site": 'root = "www"\n',
            "log": 'access = "access.log"\nerror = "error.log"\n',
            "daemon": 'pid_file = "httpmini.pid"\n',
        }
        for name, more in changed.items():
            sections[name] = sections.get(name, "") + more
        self.file.write_text("".join(f"[{name}]\n{text}" for name, text in sections.items()))

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run a command with this config file."""
        return self.call(*arguments, "-c", "httpmini.toml")

    def call(self, *arguments: str) -> tuple[int, str, str]:
        """Run any command with the folder as the current one."""
        done = subprocess.run(
            [*PROGRAM, *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(HOME)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=WAIT_S,
            check=False,
        )
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def begin(self) -> int:
        """Start the daemon; return its process number as soon as it serves."""
        status, said, errors = self.run("serve", "--daemon")
        assert (status, errors) == (0, "")
        match = re.fullmatch(r"httpmini serving .*, in the background as process (\d+)\n", said)
        assert match is not None, said
        return int(match[1])

    def kill(self) -> None:
        """Kill the daemon of a test that has failed."""
        try:
            process = int(self.pid_file.read_text())
        except (OSError, ValueError):
            return
        for number in processes_of_session(process):
            os.kill(number, signal.SIGKILL)


@pytest.fixture
def make_place(tmp_path: Path) -> Iterator[Callable[[str], Place]]:
    places: list[Place] = []

    def make(mode: str) -> Place:
        places.append(Place(tmp_path, mode))
        return places[-1]

    try:
        yield make
    finally:
        for place in places:
            place.kill()


@pytest.fixture
def place(make_place: Callable[[str], Place]) -> Place:
    return make_place("select")


def test_a_life(make_place: Callable[[str], Place], mode: str) -> None:
    """It is started, inspected, reloaded and stopped, and leaves nothing behind."""
    place = make_place(mode)
    process = place.begin()
    assert f"httpmini serving {place.folder / 'www'} at http://127.0.0.1:{place.port}/" in place.errors.read_text()
    # Clients can connect as soon as the command has ended, and the process belongs to no terminal.
    assert get(place.port, "/small.txt")[2] == b"small"
    assert place.pid_file.read_text() == f"{process}\n"
    assert os.getsid(process) == process
    assert os.readlink(f"/proc/{process}/cwd") == "/"
    assert {os.readlink(f"/proc/{process}/fd/{number}") for number in range(3)} == {"/dev/null"}

    status, said, errors = place.run("ctl", "status")
    assert (status, errors) == (0, "")
    assert re.search(rf"^httpmini \S+, mode {mode}, process {process}, up 00:00:\d\d$", said, re.MULTILINE)
    counted = re.compile(r"^requests   [1-9]\d*, [0-9,]+ bytes sent; refusals: none$", re.MULTILINE)
    eventually(lambda: counted.search(place.run("ctl", "status")[1]) is not None, "the request is counted")

    place.write(server='product = "another"\n')
    assert place.run("ctl", "reload") == (0, f"process {process} has reloaded\n", "")
    assert get(place.port, "/small.txt")[1]["server"] == "another"

    assert place.run("ctl", "stop") == (0, f"process {process} has ended\n", "")
    assert not place.pid_file.exists()
    eventually(lambda: not processes_of_session(process), "nothing is left of its session")
    said = "no server runs with the pid file"
    for command in ("stop", "reload"):
        status, _, errors = place.run("ctl", command)
        assert (status, said in errors) == (1, True), errors
    assert '"GET /small.txt HTTP/1.0" 200' in (place.folder / "access.log").read_text()


def test_stop_waits_for_what_is_being_sent(place: Place) -> None:
    process = place.begin()
    with connect(place.port) as client:
        client.sendall(b"GET /large.bin HTTP/1.0\r\n\r\n")
        _, rest = read_head(client)
        stopping = subprocess.Popen([*PROGRAM, "ctl", "stop", "-c", str(place.file)], stdout=subprocess.PIPE)
        eventually(lambda: not accepts(place.port), "it stops")
        assert place.pid_file.exists()
        received = len(rest)
        while data := client.recv(1 << 20):
            received += len(data)
    assert received == 64 * 1024 * 1024
    said, _ = stopping.communicate(timeout=WAIT_S)
    assert (stopping.returncode, said.decode()) == (0, f"process {process} has ended\n")


# Errors appear where the daemon was started, with an exit status, and nothing is left over.

WRONG: dict[str, tuple[dict[str, str], int, str]] = {
    "a wrong setting": ({"limits": "idle_s = -1\n"}, 2, "limits.idle_s = -1"),
    "a port that is taken": ({}, 1, "another program has this port"),
    "a log that cannot be written": ({"log": ""}, 2, "error.log"),
    "a pid file that is something else": ({}, 1, "is not a pid file"),
    "a pid file that cannot be written": ({}, 2, "daemon.pid_file"),
}


@pytest.mark.parametrize("what", WRONG)
def test_errors_reach_the_terminal(place: Place, what: str) -> None:
    changed, expected, fragment = WRONG[what]
    place.write(**changed)
    taken = None
    match what:
        case "a port that is taken":
            taken = socket.create_server(("127.0.0.1", place.port))
        case "a log that cannot be written":
            place.errors.mkdir()
        case "a pid file that is something else":
            place.pid_file.write_text("my notes\n")
        case "a pid file that cannot be written":
            place.pid_file.mkdir()
    status, said, errors = place.run("serve", "--daemon")
    if taken is not None:
        taken.close()
    assert (status, said) == (expected, "")
    assert fragment in errors
    assert "Traceback" not in errors
    if what == "a pid file that is something else":
        assert place.pid_file.read_text() == "my notes\n"


def test_a_second_one_is_refused(place: Place) -> None:
    process = place.begin()
    status, _, errors = place.run("serve", "--daemon")
    assert status == 1
    assert f"is locked by process {process};" in errors
    assert place.pid_file.read_text() == f"{process}\n"
    assert place.run("ctl", "stop")[0] == 0


@pytest.mark.parametrize("left", ["", "1\n", "OURS\n", "999999999\n"])
def test_a_stale_pid_file_is_recognised(place: Place, left: str) -> None:
    """A process that has this number now is not signalled, and does not prevent the next start."""
    place.pid_file.write_text(left.replace("OURS", str(os.getpid())))
    status, _, errors = place.run("ctl", "stop")
    assert (status, "no server runs" in errors) == (1, True)
    process = place.begin()
    assert place.pid_file.read_text() == f"{process}\n"
    assert place.run("ctl", "stop")[0] == 0


def test_the_server_is_killed(make_place: Callable[[str], Place], mode: str) -> None:
    """The lock ends with the server, although the pid file stays. Children do not hold the lock."""
    place = make_place(mode)
    process = place.begin()
    with connect(place.port) as client:
        client.sendall(b"GET /small.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        read_head(client)  # in forking mode, there is a child
        os.kill(process, signal.SIGKILL)
        eventually(lambda: place.run("ctl", "stop")[0] == 1, "ctl sees that it is gone")
    assert place.pid_file.read_text() == f"{process}\n"
    for number in processes_of_session(process):
        os.kill(number, signal.SIGKILL)
    eventually(lambda: not processes_of_session(process), "all have gone")
    assert place.begin() != process
    assert place.run("ctl", "stop")[0] == 0


def test_the_holder_of_the_lock_counts(place: Place) -> None:
    """The number in the file does not: another process may have written it."""
    with open(place.pid_file, "w+") as file:
        file.write(f"{os.getpid()}\n")
        file.flush()
        assert place.run("ctl", "stop")[0] == 1
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        status, _, errors = place.run("serve", "--daemon")
        assert (status, f"is locked by process {os.getpid()};" in errors) == (1, True)


def test_ctl_without_a_pid_file(place: Place) -> None:
    place.file.write_text('[server]\nlisten = ["127.0.0.1:1"]  # where nothing listens\n[site]\nroot = "www"\n')
    for command in ("stop", "reload"):
        status, _, errors = place.run("ctl", command)
        assert (status, "daemon.pid_file is not set" in errors) == (1, True), errors
    status, _, errors = place.run("ctl", "status")
    assert (status, "no status available" in errors) == (1, True), errors


def test_a_reload_that_fails_is_reported(place: Place) -> None:
    process = place.begin()
    place.write(limits="idle_s = -1\n")
    status, _, errors = place.run("ctl", "reload")
    assert (status, "limits.idle_s = -1" in errors) == (2, True), errors
    place.write()
    with socket.create_server(("127.0.0.1", 0)) as other:  # only the server can notice that
        taken = f'"127.0.0.1:{other.getsockname()[1]}"'
        place.file.write_text(place.file.read_text().replace("listen = [", f"listen = [{taken}, "))
        status, _, errors = place.run("ctl", "reload")
    assert status == 1
    assert errors.startswith("httpmini: not reloaded, the old settings stay: cannot listen on 127.0.0.1:"), errors
    assert "another program has this port" in errors
    assert "another program has this port" in place.errors.read_text()
    place.write()
    assert place.run("ctl", "reload")[0] == 0
    status, said, _ = place.run("ctl", "status")
    assert re.search(r"^reloads    1, 1 failed$", said, re.MULTILINE), said
    assert place.run("ctl", "stop") == (0, f"process {process} has ended\n", "")


def test_ctl_has_a_way_of_its_own(make_place: Callable[[str], Place], mode: str) -> None:
    """Through a socket that no client of the site can open, even if no listener of the site is known to ctl."""
    place = make_place(mode)
    process = place.begin()
    path = place.folder / "httpmini.pid.ctl"
    status = path.lstat()
    assert (stat.S_ISSOCK(status.st_mode), stat.S_IMODE(status.st_mode)) == (True, 0o600)
    place.write()
    place.file.write_text(place.file.read_text().replace(f"127.0.0.1:{place.port}", "systemd:web"))
    code, said, errors = place.run("ctl", "status")
    assert (code, errors, f", process {process}, " in said) == (0, "", True), said
    code, _, errors = place.run("ctl", "reload")  # no such socket was given to it
    assert (code, errors.startswith("httpmini: not reloaded, the old settings stay: ")) == (1, True), errors
    assert get(place.port, "/-/status.json")[0] == 404
    place.write()
    assert place.run("ctl", "reload") == (0, f"process {process} has reloaded\n", "")
    assert path.lstat().st_ino == status.st_ino
    assert place.run("ctl", "stop")[0] == 0
    assert not path.exists()


def test_the_socket_of_a_killed_server_is_replaced(place: Place) -> None:
    os.kill(place.begin(), signal.SIGKILL)
    eventually(lambda: place.run("ctl", "stop")[0] == 1, "ctl sees that it is gone")
    assert (place.folder / "httpmini.pid.ctl").exists()
    process = place.begin()
    assert f", process {process}, " in place.run("ctl", "status")[1]
    assert place.run("ctl", "stop")[0] == 0


def test_the_socket_moves_with_the_pid_file(place: Place) -> None:
    process = place.begin()
    moved = place.file.read_text().replace("httpmini.pid", "moved.pid")
    place.file.write_text(moved)
    os.kill(process, signal.SIGHUP)
    eventually((place.folder / "moved.pid.ctl").exists, "the socket has moved")
    eventually(lambda: not (place.folder / "httpmini.pid.ctl").exists(), "the old one is gone")
    assert place.run("ctl", "reload") == (0, f"process {process} has reloaded\n", "")
    assert place.run("ctl", "stop")[0] == 0


def test_what_a_reload_would_change(make_place: Callable[[str], Place], mode: str) -> None:
    """Compared with the running settings, command line included, not with the file at the start."""
    place = make_place(mode)
    status, said, _ = place.run("serve", "--daemon", "--max-clients", "99")
    assert status == 0, said
    assert place.call("config", "diff", "httpmini.toml") == (0, "", "")
    place.write(server='product = "another"\nmax_clients = 50\n', limits="idle_s = 3.0\n")
    changes = f'server.product: "httpmini/{__version__}" -> "another"\nlimits.idle_s: 15.0 -> 3.0\n'
    assert place.call("config", "diff", "httpmini.toml") == (0, changes, "")
    assert place.run("ctl", "reload")[0] == 0
    assert place.call("config", "diff", "httpmini.toml") == (0, "", "")
    assert place.run("ctl", "stop")[0] == 0
    status, _, errors = place.call("config", "diff", "httpmini.toml")
    assert (status, "no server runs with the pid file" in errors) == (1, True), errors
    status, _, errors = place.call("config", "diff", "a", "b", "c")
    assert (status, errors) == (2, "httpmini: config diff takes one file or two, not 3\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can switch users")
def test_what_runs_is_not_shown_to_others(place: Place) -> None:
    process = place.begin()
    folder = Path(f"/proc/{process}/fd")
    looking = subprocess.run(
        [sys.executable, "-c", f"import os; os.setuid(65534); print(os.listdir('{folder}'))"],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert "PermissionError" in looking.stderr
    assert place.run("ctl", "stop")[0] == 0


def test_the_pid_file_moves_with_a_reload(place: Place) -> None:
    process = place.begin()
    place.file.write_text(place.file.read_text().replace('"httpmini.pid"', '"other.pid"'))
    os.kill(process, signal.SIGHUP)
    other = place.folder / "other.pid"
    eventually(lambda: other.exists() and other.read_text() == f"{process}\n", "it has locked the other file")
    eventually(lambda: not place.pid_file.exists(), "it has removed the first one")
    assert place.run("ctl", "stop") == (0, f"process {process} has ended\n", "")
    assert not other.exists()


def test_status_through_a_unix_socket(place: Place) -> None:
    place.file.write_text(place.file.read_text().replace(f'"127.0.0.1:{place.port}"', '"unix:http"'))
    process = place.begin()
    status, said, errors = place.run("ctl", "status")
    assert (status, f"process {process}, " in said) == (0, True), errors
    assert place.run("ctl", "stop")[0] == 0


def test_status_is_shown_again_and_again(place: Place) -> None:
    place.begin()
    watching = subprocess.Popen([*PROGRAM, "ctl", "status", "--watch", "-c", str(place.file)], stdout=subprocess.PIPE)
    assert watching.stdout is not None
    seen = 0
    for line in watching.stdout:
        seen += line.startswith(b"httpmini ")
        if seen == 2:
            break
    watching.send_signal(signal.SIGINT)
    watching.communicate(timeout=WAIT_S)
    assert seen == 2
    assert place.run("ctl", "stop")[0] == 0


def test_standard_output_goes_nowhere(place: Place) -> None:
    place.file.write_text(place.file.read_text().replace('"access.log"', '"stdout"'))
    status, _, errors = place.run("serve", "--daemon")
    assert status == 0
    assert 'log.access = "stdout", which is lost in the background' in errors
    assert place.run("ctl", "stop")[0] == 0


@pytest.mark.parametrize("name", ["café".encode("latin-1"), "mit Ümlaut".encode()])
def test_what_runs_with_a_strange_name(place: Place, name: bytes) -> None:
    """A root whose name is not UTF-8 can be named on the command line only."""
    strange = os.fsdecode(name)
    (place.folder / strange).mkdir()
    status, said, _ = place.run("serve", strange, "--daemon")
    assert status == 0, said
    assert place.call("config", "diff", "httpmini.toml") == (0, "", "")
    assert place.run("ctl", "stop")[0] == 0
