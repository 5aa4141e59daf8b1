"""Wherever Python and its packages are: all that the server imports later is loaded before, or stays readable."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

import httpmini
from httpmini.site.users import set_password
from tests.support.processes import WAIT_S, ServerProcess, eventually
from tests.support.tls import Authority
from tests.support.tls_wire import converse_tls
from tests.support.wire import free_port, get

PACKAGES = ("bcrypt", "click", "idna", "jinja2", "markdown_it", "markupsafe", "mdurl", "msgspec")
BASE = str(getattr(sys, "_base_executable", sys.executable))  # knows nothing of the packages of this environment
RIGHT, WRONG = "Authorization: Basic YWRhOnB3", "Authorization: Basic YWRhOnA="

# Each needs another part of the program.
REQUESTS = [
    ("/small.txt", "X: y", 200),
    ("/small.txt", "Range: bytes=0-1,3-4", 206),
    ("/", "X: y", 200),
    ("/", "Accept: application/json", 200),
    ("/?view=grid&sort=size&q=S", "Accept-Encoding: gzip", 200),
    ("/read/", "X: y", 200),
    ("/large.jpg?thumb", "X: y", 200),
    ("/?zip", "X: y", 200),
    ("/?tar", "X: y", 200),
    ("/nowhere", "X: y", 404),
    ("/private/", RIGHT, 200),
    ("/private/", WRONG, 401),
]


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that any user may enter, with a site and its settings."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "www" / "private").mkdir(parents=True)
        (folder / "www" / "small.txt").write_text("small")
        (folder / "www" / "read").mkdir()
        (folder / "www" / "read" / "README.md").write_text("# Some *Markdown*\n\n| a |\n|---|\n")
        (folder / "www" / "large.jpg").write_bytes(bytes(600_000))
        (folder / "etc").mkdir()
        set_password(str(folder / "etc" / "users"), "ada", "pw", 4)
        (folder / "etc" / "users").chmod(0o644)
        yield folder


def copy_packages(into: Path, *more: str) -> Path:
    """Copy what is installed here, as ``pip install --target`` would put it there."""
    into.mkdir(parents=True)
    for name in (*PACKAGES, *more):
        spec = find_spec(name)
        assert spec is not None
        for place in spec.submodule_search_locations or ():
            shutil.copytree(place, into / name, ignore=shutil.ignore_patterns("__pycache__"))
    return into


def archive(into: Path) -> Path:
    """Put this program into a zip archive; the packages with compiled parts cannot be in one."""
    package = Path(httpmini.__file__).parent
    with zipfile.ZipFile(into, "w") as file:
        for path in package.rglob("*"):
            if path.is_file() and path.suffix != ".pyc":
                file.write(path, path.relative_to(package.parent))
    return into


def interpreter(paths: str, *environment: str) -> tuple[str, ...]:
    """Return a wrapper that runs the interpreter of the system instead of ours, with ``paths`` as PYTHONPATH."""
    variables = (f"PYTHONPATH={paths}", "PYTHONDONTWRITEBYTECODE=1", *environment)
    return ("env", *variables, "sh", "-c", f'cd /; shift; exec {BASE} "$@"', "sh")


def settings(home: Path, mode: str, more: str = "") -> str:
    (home / "etc" / "httpmini.toml").write_text(
        f'[server]\nmode = "{mode}"\nworkers = 2\n[site]\nroot = "../www"\narchives = true\n[daemon]\n{more}'
        '[[realms]]\npath = "/private/"\nusers = "users"\n'
    )
    return str(home / "etc" / "httpmini.toml")


def serves_everything(file: str, wrapper: tuple[str, ...]) -> None:
    """Start a server, request what needs late imports, and reload into a mode that was not used yet."""
    server = ServerProcess(["-c", file, "--port", "0"], wrapper)
    try:
        assert "sandbox Landlock+seccomp" in server.banner
        for _ in range(2):
            for target, field, status in REQUESTS:
                assert get(server.port, target, field)[0] == status, (target, server.lines)
            server.process.send_signal(signal.SIGHUP)
            server.wait_for_line("(?<!not) reloaded: ")
        server.assert_clean_end()
    finally:
        server.kill()


def test_in_a_folder_of_its_own(home: Path, mode: str) -> None:
    """As after ``pip install --target``."""
    target = copy_packages(home / "target", "httpmini")
    serves_everything(settings(home, mode), interpreter(str(target)))


@pytest.mark.parametrize("name", ["lib/python{}.{}/site-packages", "local/lib/python{}.{}/dist-packages"])
def test_outside_the_prefix(home: Path, name: str) -> None:
    """As after ``pip install --user``, or with Debian's own pip."""
    folder = home / name.format(*sys.version_info)
    copy_packages(folder, "httpmini")
    serves_everything(settings(home, "select"), interpreter(str(folder), f"PYTHONUSERBASE={home}"))


def test_from_an_archive(home: Path, mode: str) -> None:
    paths = f"{archive(home / 'httpmini.zip')}:{copy_packages(home / 'target')}"
    serves_everything(settings(home, mode), interpreter(paths))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can switch users")
def test_where_its_user_cannot_read(home: Path, mode: str) -> None:
    """Root may have it in its home; and names of users cannot be looked up in the sandbox, but a reload needs that."""
    target = copy_packages(home / "hidden" / "target", "httpmini")
    (home / "hidden").chmod(0o700)
    file = settings(home, mode, 'user = "www-data"\n')
    serves_everything(file, interpreter(str(target)))


def test_a_host_name_with_letters_beyond_ascii(home: Path) -> None:
    """What such a name has to be is told by a library that only a reload has needed."""
    target = copy_packages(home / "target", "httpmini")
    file = settings(home, "select")
    server = ServerProcess(["-c", file, "--port", "0"], interpreter(str(target)))
    try:
        Path(file).write_text(Path(file).read_text().replace("[site]\n", '[site]\nhosts = ["bücher.example"]\n'))
        server.process.send_signal(signal.SIGHUP)
        assert "xn--bcher-kva.example" in server.wait_for_line("not reloaded: ")
        server.assert_clean_end()
    finally:
        server.kill()


def test_another_user_needs_a_new_start(home: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can switch users")
    file = settings(home, "select", 'user = "www-data"\n')
    server = ServerProcess(["-c", file, "--port", "0"])
    try:
        settings(home, "select", 'user = "nobody"\n')
        server.process.send_signal(signal.SIGHUP)
        assert "daemon.user has changed; that needs a new start" in server.wait_for_line("not reloaded: ")
        server.assert_clean_end()
    finally:
        server.kill()


def test_from_a_relative_archive_in_the_background(home: Path) -> None:
    """The current folder becomes another one."""
    archive(home / "httpmini.zip")
    target = copy_packages(home / "target")
    port = free_port()
    file = settings(home, "select", 'pid_file = "pid"\n')
    command = f"cd {home}; PYTHONPATH=httpmini.zip:{target} {BASE} -m httpmini serve --daemon -c {file} -p {port}"
    assert os.waitstatus_to_exitcode(os.system(command)) == 0
    process = int((home / "etc" / "pid").read_text())
    try:
        for target_of, field, status in REQUESTS:
            assert get(port, target_of, field)[0] == status, target_of
    finally:
        os.kill(process, signal.SIGTERM)
        eventually(lambda: not (home / "etc" / "pid").exists(), f"it ends within {WAIT_S} s")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can switch users")
def test_certificates_are_renewed_where_the_program_cannot_be_read(home: Path, tmp_path: Path) -> None:
    target = copy_packages(home / "hidden" / "target", "httpmini")
    (home / "hidden").chmod(0o700)
    authority = Authority(tmp_path)
    (home / "tls").mkdir()
    files = home / "tls" / "cert.pem", home / "tls" / "key.pem"

    def install() -> None:
        for source, path in zip(authority.pair("localhost"), files, strict=True):
            path.write_bytes(source.read_bytes())
            shutil.chown(path, "www-data")

    install()
    more = f'user = "www-data"\n[tls]\ncertificate = "{files[0]}"\nkey = "{files[1]}"\n'
    file = Path(settings(home, "prefork", more))
    file.write_text(file.read_text().replace("[server]\n", '[server]\nlisten = ["tls:127.0.0.1:0"]\n'))
    server = ServerProcess(["-c", str(file)], interpreter(str(target)))
    try:
        for number in range(1, 3):
            said, _ = converse_tls(server.port, [b"GET /small.txt HTTP/1.0\r\n\r\n"], authority.client(), "localhost")
            assert said.endswith(b"small")
            install()
            server.process.send_signal(signal.SIGHUP)
            server.wait_for_line("a new certificate is in use", number)
            server.wait_for_line("(?<!not) reloaded: ", number)
        server.assert_clean_end()
    finally:
        server.kill()
