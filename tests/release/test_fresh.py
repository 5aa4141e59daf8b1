"""httpmini where only the wheel was installed: commands, manual pages, completion in three shells, one file."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from httpmini.config.examples import EXAMPLES
from httpmini.version import __version__
from tests.release.conftest import HOME, clean_environment, run
from tests.support.processes import WAIT_S, eventually
from tests.support.tools import tool
from tests.support.wire import accepts, free_port, get

LIBRARIES = (
    *("bcrypt", "click", "idna", "ifaddr", "jinja2", "markdown_it", "markupsafe", "mdurl", "msgspec", "pygments"),
    *("rich", "segno"),
)


def httpmini(home: Path, *arguments: str) -> str:
    return run(home / "venv" / "bin" / "httpmini", *arguments, folder=home, environment=clean_environment(home))


@contextmanager
def serving(home: Path, *program: str | Path) -> Iterator[int]:
    """Serve a folder with a program; yield its port. It has to end well, with nothing on standard error."""
    (home / "www" / "sub").mkdir(parents=True, exist_ok=True)
    (home / "www" / "README.md").write_text("# A *title*\n")
    (home / "www" / "small.txt").write_text("small")
    port = free_port()
    command = [*map(str, program), "serve", str(home / "www"), "--port", str(port)]
    server = subprocess.Popen(
        command, cwd=home, env=clean_environment(home), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        eventually(lambda: accepts(port) or server.poll() is not None, "it listens")
        yield port
    finally:
        server.terminate()
        output, errors = server.communicate(timeout=WAIT_S)
    assert (server.returncode, errors) == (0, b"")
    assert b"sandbox Landlock+seccomp" in output


def test_the_source_is_far_away(installed: Path) -> None:
    where = "import httpmini; print(httpmini.__file__)"
    python = installed / "venv" / "bin" / "python"
    found = run(python, "-c", where, folder=installed, environment=clean_environment(installed))
    assert found.startswith(str(installed))


def test_serve_and_get(installed: Path) -> None:
    assert httpmini(installed, "--version") == f"httpmini, version {__version__}\n"
    with serving(installed, installed / "venv" / "bin" / "httpmini") as port:
        assert httpmini(installed, "get", f"http://127.0.0.1:{port}/small.txt") == "small"
        assert b"<em>title</em>" in get(port, "/")[2]
        assert get(port, "/nowhere")[0] == 404


def test_every_example_is_printed(installed: Path) -> None:
    for kind, names in EXAMPLES.items():
        expected = "\n".join((HOME / "conf" / name).read_text("utf-8") for name in names)
        assert httpmini(installed, "config", "example", "--for", kind) == expected
    socket_unit = httpmini(installed, "config", "example", "--for", "systemd", "httpmini.socket")
    assert socket_unit == (HOME / "conf" / "systemd" / "httpmini.socket").read_text("utf-8")


def test_the_example_of_all_settings_is_accepted(installed: Path) -> None:
    text = httpmini(installed, "config", "example")
    assert text == (HOME / "conf" / "httpmini.toml").read_text("utf-8").replace('"../www"', '"/srv/www"')
    (installed / "all.toml").write_text(text.replace('"/srv/www"', f'"{installed}"'))
    assert httpmini(installed, "config", "check", "-c", "all.toml") == "ok\n"


@pytest.mark.parametrize("name", ["httpmini", "httpmini-get", "httpmini.toml"])
def test_manual_pages_are_found(installed: Path, name: str) -> None:
    """By ``man``, which looks beside each folder of PATH."""
    environment = {**clean_environment(installed), "MANWIDTH": "80", "MAN_KEEP_FORMATTING": "", "MANPAGER": "cat"}
    text = re.sub(r".\x08|\x1b\[[0-9;]*m", "", run(tool("man", "man-db"), name, environment=environment))
    assert f"{name.upper()}(" in text
    assert f"httpmini {__version__}" in text
    assert "\nNAME\n" in text


PROMPT = "ready> "
SHELLS = {
    "bash": ("--norc", "--noprofile", "-i"),
    "zsh": ("-f", "-i"),
    "fish": ("--no-config", "-i"),
}


def documented(shell: str) -> str:
    """The line that the documentation gives for a shell."""
    match = re.search(rf"^ *(\S.*_HTTPMINI_COMPLETE={shell}_source.*)$", (HOME / "docs/deploy.md").read_text(), re.M)
    assert match is not None
    return match[1]


@pytest.mark.parametrize("shell", SHELLS)
def test_completion(installed: Path, shell: str) -> None:
    """Type the beginnings of words, each with TAB, in the shell itself; what they mean is then run."""
    preparation = {
        "bash": f"PS1='{PROMPT}'; {documented(shell)}",
        "zsh": f"PROMPT='{PROMPT}'; autoload -U compinit; compinit -u -D; {documented(shell)}",
        "fish": f"function fish_prompt; printf '{PROMPT}'; end; {documented(shell)}",
    }[shell]
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [tool(shell, shell), *SHELLS[shell]],
        cwd=installed,
        env=clean_environment(installed),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(slave)
    try:
        type_keys(master, preparation.encode() + b"; echo pre''pared\r", rb"prepared\r(?s:.)*ready> ")
        type_keys(master, b"httpmini config exa\t--fo\tlogr\t\r", rb"# /etc/logrotate\.d/httpmini")
    finally:
        process.kill()
        process.wait(WAIT_S)
        os.close(master)


def type_keys(master: int, keys: bytes, until: bytes) -> None:
    """Type keys, and read until the terminal has shown a match of ``until``."""
    os.write(master, keys)
    seen, end = b"", time.monotonic() + WAIT_S
    while not re.search(until, seen):
        ready, _, _ = select.select([master], [], [], max(0, end - time.monotonic()))
        assert ready, seen
        seen += os.read(master, 65536)


def test_one_file(installed: Path, tmp_path: Path) -> None:
    """As ``make dist`` makes it: shiv unpacks it into a folder of the user, which the sandbox has to know."""
    (packages,) = (installed / "venv" / "lib").glob("python*/site-packages")
    together = tmp_path / "packages"
    shutil.copytree(packages, together, ignore=shutil.ignore_patterns("libraries.pth", "__pycache__"))
    for name in LIBRARIES:
        spec = find_spec(name)
        assert spec is not None
        for place in spec.submodule_search_locations or ():
            shutil.copytree(place, together / name, ignore=shutil.ignore_patterns("__pycache__"))
    program = tmp_path / "httpmini.pyz"
    options = ("--reproducible", "--uncompressed", "--site-packages", together, "-e", "httpmini.__main__:main")
    run(sys.executable, "-m", "shiv", *options, "-o", program)
    shutil.rmtree(together)
    with serving(tmp_path, sys.executable, "-I", program) as port:
        assert get(port, "/small.txt")[2] == b"small"
        assert b"<em>title</em>" in get(port, "/")[2]
        assert get(port, "/nowhere")[0] == 404
