"""What is valid and yet dangerous: what ``config check`` and the log warn of."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from httpmini import config
from httpmini.site.users import set_password
from tests.conftest import StartServer
from tests.support.processes import ServerProcess, eventually
from tests.support.wire import get

ROOT_WARNING = "daemon.user is not set: a server that root starts keeps all rights of root"
REALM = '[[site.realms]]\npath = "{}"\nusers = "users"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a/private/deep", "b", "a/open"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "a/index.html").write_text("a")
    os.symlink("a", tmp_path / "link")
    set_password(str(tmp_path / "users"), "ada", "x", 4)
    (tmp_path / "users").chmod(0o640)
    return tmp_path


def dangers(folder: Path, text: str) -> list[str]:
    """Return what is dangerous, without the one thing that depends on who runs the tests."""
    file = folder / "httpmini.toml"
    file.write_text(text)
    found = config.find_dangers(config.load(str(file), to_serve=True), str(file))
    return [line for line in found if line != ROOT_WARNING]


def site(root: str, *realms: str, hosts: str = "") -> str:
    return f'[[site]]\nroot = "{root}"\nhosts = [{hosts}]\n' + "".join(REALM.format(path) for path in realms)


OTHER = '"b.example"'
WAYS_ROUND = {
    "the same root": (site("a", "/private/") + site("a", hosts=OTHER), "a/private"),
    "the same root through a symlink": (site("a", "/private/") + site("link", hosts=OTHER), "a/private"),
    "a folder above": (site("a", "/private/") + site(".", hosts=OTHER), "a/private"),
    "a folder inside": (site("a", "/private/") + site("a/private/deep", hosts=OTHER), "a/private/deep"),
    "the folder itself": (site("a", "/private/") + site("a/private", hosts=OTHER), "a/private"),
    "all of the site": (site("a", "/") + site("a", hosts=OTHER), "a"),
    "a larger realm": (site("a", "/private/") + site("a", "/", hosts=OTHER), "a"),
    "a smaller realm": (site("a", "/private/") + site("a", "/private/deep", hosts=OTHER), "a/private"),
    "the first is open": (site("a") + site("a", "/private/", hosts=OTHER), "a/private"),
}
NO_WAY_ROUND = {
    "the same realm": site("a", "/private/") + site("a", "/private/", hosts=OTHER),
    "another root": site("a", "/private/") + site("b", hosts=OTHER),
    "beside it": site("a", "/private/") + site("a/open", hosts=OTHER),
    "no realms": site("a") + site("a", hosts=OTHER),
    "a realm inside a realm": site("a", "/private/") + site("a/private", "/", hosts=OTHER),
}


@pytest.mark.parametrize("case", WAYS_ROUND)
def test_a_way_round_a_realm(folder: Path, case: str) -> None:
    text, open_part = WAYS_ROUND[case]
    lines = [line for line in dangers(folder, text) if "needs a password" in line]
    assert len(lines) == 1
    assert lines[0].startswith(f"{folder / open_part} needs a password in [[site]] no. ")


@pytest.mark.parametrize("case", NO_WAY_ROUND)
def test_no_way_round_a_realm(folder: Path, case: str) -> None:
    assert dangers(folder, NO_WAY_ROUND[case]) == []


@pytest.mark.parametrize(("length", "is_said"), [(86, False), (87, True), (200, True)])
def test_a_pid_file_that_leaves_no_room_for_ctl(folder: Path, length: int, is_said: bool) -> None:
    """Its socket is beside it, and paths of sockets are short."""
    path = "/run/" + "x" * (length - len("/run/"))
    found = dangers(folder, site("a") + f'[daemon]\npid_file = "{path}"\n')
    said = f'httpmini ctl cannot ask this server: daemon.pid_file = "{path}" is too long for a socket beside it'
    assert found == [said] * is_said


def test_what_is_where_the_socket_of_ctl_would_be(folder: Path) -> None:
    text = site("a") + f'[daemon]\npid_file = "{folder}/pid"\n'
    said = f"httpmini ctl cannot ask this server: {folder}/pid.ctl is not a socket; remove it, and restart the server"
    assert dangers(folder, text) == []
    os.symlink("nowhere", folder / "pid.ctl")
    assert dangers(folder, text) == [said]
    (folder / "pid.ctl").unlink()
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(folder / "pid.ctl"))
        assert dangers(folder, text) == []


def test_users_that_another_site_serves(folder: Path) -> None:
    found = dangers(folder, site("a", "/private/") + site("b", hosts=OTHER) + site(".", hosts='"c"'))
    found = [line for line in found if "needs a password" not in line]
    assert found == [f"{folder / 'users'} is inside the folder that [[site]] no. 3 serves; move it elsewhere"]


def test_users_that_another_site_serves_by_another_name(folder: Path) -> None:
    """It is where the file is that counts, not where a link to it is."""
    (folder / "users").rename(folder / "b" / "list")
    (folder / "users").symlink_to("b/list")
    found = dangers(folder, site("a", "/private/") + site("b", hosts=OTHER))
    assert found == [f"{folder / 'users'} is inside the folder that [[site]] no. 2 serves; move it elsewhere"]


@pytest.mark.parametrize("mode", [0o666, 0o602, 0o646])
@pytest.mark.parametrize("name", ["users", "httpmini.toml"])
def test_a_file_that_everybody_can_change(folder: Path, name: str, mode: int) -> None:
    text = '[site]\nroot = "a"\n[[realms]]\npath = "/private/"\nusers = "users"\n'
    assert dangers(folder, text) == []
    (folder / name).chmod(mode)
    assert [line for line in dangers(folder, text) if "only root" not in line] == [
        f"{folder / name} can be changed by every user of this machine; chmod o-w"
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file that others cannot read and it can")
@pytest.mark.parametrize(("mode", "is_said"), [(0o600, True), (0o400, True), (0o640, False), (0o644, False)])
def test_users_that_only_root_can_read(folder: Path, mode: int, is_said: bool) -> None:
    (folder / "users").chmod(mode)
    found = dangers(folder, '[site]\nroot = "a"\n[[realms]]\npath = "/private/"\nusers = "users"\n')
    assert [line.startswith(f"only root can read {folder / 'users'}, ") for line in found] == [True] * is_said


def test_root_without_a_user(folder: Path) -> None:
    file = folder / "httpmini.toml"
    for text, expected in (
        ('[site]\nroot = "a"\n', [ROOT_WARNING] if os.geteuid() == 0 else []),
        ('[site]\nroot = "a"\n[daemon]\nuser = "nobody"\n', []),
    ):
        file.write_text(text)
        assert config.find_dangers(config.load(str(file)), str(file)) == expected
    assert config.find_dangers(config.load(None, config.Flags(root=str(folder / "a"))), None) == []


def test_check_and_the_log_warn(folder: Path, start: StartServer) -> None:
    """At the start, and after a reload."""
    text = site("a", "/private/") + site("a", hosts=OTHER)
    server = start(folder / "a", config=text)
    line = f"{folder}/a/private needs a password in [[site]] no. 1, but not in no. 2, which has the root {folder}/a"
    assert server.wait_for_line("needs a password").endswith(f" warning: {line}")
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_line("needs a password", 2)
    command = [sys.executable, "-m", "httpmini", "config", "check", "-c", str(folder / "config-0.toml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "ok\n")
    assert f"httpmini: {line}\n" in done.stderr


# A reload with an empty file.


@pytest.mark.parametrize("text", ["", "# being written\n", '[server]\nmode = "select"\n'])
def test_a_reload_does_not_publish_the_folder_of_the_file(folder: Path, text: str, mode: str) -> None:
    file = folder / "served.toml"
    whole = f'[server]\nmode = "{mode}"\nlisten = ["127.0.0.1:0"]\n[site]\nroot = "a"\n'
    file.write_text(whole)
    server = ServerProcess(["-c", str(file)])
    try:
        file.write_text(text)
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_line("not reloaded: .*(has no settings|site.root: is missing)")
        assert get(server.port, "/users")[0] == 404
        assert get(server.port, "/")[2] == b"a"
        file.write_text(whole)
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_line("(?<!not) reloaded: ")
        assert (server.stop(), server.errors) == (0, "")
    finally:
        server.kill()


def test_a_file_of_a_daemon_may_be_a_pipe(folder: Path) -> None:
    """It is read once at the start; a reload, which finds it empty, is refused."""
    text = (
        f'[server]\nlisten = ["127.0.0.1:0"]\n[site]\nroot = "{folder}/a"\n'
        f'[log]\naccess = "{folder}/access"\nerror = "{folder}/error"\n[daemon]\npid_file = "{folder}/pid"\n'
    )
    read, write = os.pipe()
    os.write(write, text.encode())
    os.close(write)
    command = [sys.executable, "-m", "httpmini", "serve", "--daemon", "-c", f"/dev/fd/{read}"]
    done = subprocess.run(command, capture_output=True, text=True, pass_fds=(read,), check=False)
    os.close(read)
    assert (done.returncode, done.stderr) == (0, "")
    process = int((folder / "pid").read_text())
    port = int(done.stdout.split("http://127.0.0.1:")[1].split("/")[0])
    try:
        assert get(port, "/")[2] == b"a"
        os.kill(process, signal.SIGHUP)
        eventually(lambda: "not reloaded: " in (folder / "error").read_text(), "the reload is refused")
        assert get(port, "/")[2] == b"a"
    finally:
        os.kill(process, signal.SIGTERM)
        eventually(lambda: not (folder / "pid").exists(), "it has ended")
