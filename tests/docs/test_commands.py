"""Every command in the documentation is run here, or is known to be run by another test."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tests.docs.typed import HOME, ROWS, Collects, Dry, Elsewhere, Runs, Serves, all_commands, how, typed
from tests.support.processes import WAIT_S, ServerProcess, run_command
from tests.support.tools import tool
from tests.support.wire import get
from tests.test_docs import blocks

FILES = {
    "index.html": b"<!DOCTYPE html><title>Prepared</title><h1>Prepared</h1>\n",
    "film.mp4": bytes(range(256)) * 2000,
    "large.bin": bytes(400),
    "x": b"x\n",
    "photos/a.jpg": b"\xff\xd8\xff",
    "holidays/b.jpg": b"\xff\xd8\xff",
}
# Two sites and a redirection, on the lines that docs/design/why.md names.
SITES = {
    1: '[[site]]\nhosts = ["example.org"]\nroot = "www"',
    14: '[[site]]\nhosts = ["files.example.org"]\nroot = "www"',
    31: '[[site.redirects]]\npath = "/old/**"\nto = "/new/**"',
}
WRONG = '[server]\nmode = "selct"\nmax_client = 5\n[site]\nroot = "nowhere"\n'
_Row = TypeVar("_Row")


def of(kind: type[_Row]) -> list[str]:
    return [command for command, row in ROWS.items() if isinstance(row, kind)]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with what the documentation supposes to be there."""
    for name in ("conf", "www", "examples"):
        shutil.copytree(HOME / name, tmp_path / name)
    (tmp_path / "wrong.toml").write_text(WRONG)
    (tmp_path / "site.toml").write_text(two_sites())
    (tmp_path / "my.toml").write_text(my_toml().replace("/srv/www", "www"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def two_sites() -> str:
    text = ""
    for number, lines in SITES.items():
        text += "\n" * (number - 1 - text.count("\n")) + lines + "\n"
    return text


def my_toml() -> str:
    """Return the settings that the first page tells one to write."""
    lines = [line for block in blocks(HOME / "docs" / "index.md") if block[0].startswith("[") for line in block]
    assert 'root = "/srv/www"' in lines
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The server that the commands of clients ask."""
    root = tmp_path_factory.mktemp("served")
    for name, octets in FILES.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(octets)
    running = ServerProcess([str(root), "--port", "0"])
    try:
        yield running
        running.assert_clean_end()
    finally:
        running.kill()


def test_every_command_has_a_row() -> None:
    found = dict.fromkeys(command for _, command in all_commands())
    assert len(found) > 80
    pages = {command: page for page, command in all_commands()}
    missing = {command: pages[command] for command in found if how(command) is None}
    assert missing == {}, "say in tests/docs/typed.py how these are tested"
    assert set(ROWS) - set(found) == set(), "no page has these any more"


def test_what_is_to_be_typed() -> None:
    """Comments, answers and texts that are no commands are told from commands."""
    cases = {
        ("$ httpmini serve", "Sharing: 3 files"): ["httpmini serve"],
        ("cd x", "curl -H 'A: #1' \\", "-I URL   # why"): ["cd x", "curl -H 'A: #1' -I URL"],
        ("[server]", "make = 1"): [],
        ("httpmini/", "make.py   a module"): [],
        ("open, lock", "makes nothing"): [],
        ("try/bin/httpmini get", "kill %1"): ["try/bin/httpmini get", "kill %1"],
    }
    assert {block: typed(list(block)) for block in cases} == cases


def test_what_is_run_elsewhere() -> None:
    """The named test exists, and has the named text."""
    for command, row in ROWS.items():
        if isinstance(row, Elsewhere) and row.where:
            assert row.what in (HOME / row.where).read_text("utf-8"), command


@pytest.mark.parametrize("command", of(Runs))
def test_runs(command: str, place: Path, server: ServerProcess) -> None:
    row = ROWS[command]
    assert isinstance(row, Runs)
    if "--merge" in command:
        for name in ("a.json", "b.json"):
            run_command("lint", "--only", "head-body", "--json", name, server.url + "index.html")
    line = re.sub(r"(?<=:)8080\b", str(server.port), command)
    for old, new in row.instead:
        line = line.replace(old, new)
    status, output, errors = run(line)
    assert status == row.status, (output, errors)
    assert row.says in (output + errors).decode()
    assert (place / row.makes).exists()
    if row.makes in FILES:
        assert (place / row.makes).read_bytes() == FILES[row.makes]


def test_what_why_prints(place: Path) -> None:
    """As the page has it, where "..." stands for the rest of a line."""
    (page,) = (block for block in blocks(HOME / "docs/design/why.md") if block[0].startswith("$ httpmini why"))
    _, output, _ = run(page[0].removeprefix("$ "))
    printed = [line.strip() for line in output.decode().splitlines()]
    assert [line.partition("...")[0] for line in page[1:]] == [
        line[: len(said.partition("...")[0])] if "..." in said else line
        for line, said in zip(printed, page[1:], strict=True)
    ]


def run(line: str) -> tuple[int, bytes, bytes]:
    """Run a line as a shell would; httpmini comes from the fork server."""
    words = shlex.split(line)
    if words[0] == "httpmini":
        return run_command(*words[1:])
    tool(words[0], words[0])
    done = subprocess.run(["sh", "-c", line], capture_output=True, timeout=WAIT_S, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("command", of(Serves))
def test_serves(command: str, place: Path) -> None:
    row = ROWS[command]
    assert isinstance(row, Serves)
    words = shlex.split(command.replace("python -m httpmini", "httpmini"))
    program = () if words[0] == "httpmini" else (str(place / words[1]),)
    running = ServerProcess([*words[2:], "--port", "0"], program=program)
    try:
        assert row.banner in running.banner
        if row.is_http:
            assert get(running.port, "/")[0] == 200
        running.assert_clean_end()
    finally:
        running.kill()


def test_targets_of_make() -> None:
    for command in of(Dry):
        row = ROWS[command]
        assert isinstance(row, Dry)
        arguments = [tool("make", "make"), "-n", "--no-print-directory", *shlex.split(command)[1:]]
        done = subprocess.run(arguments, cwd=HOME, capture_output=True, text=True, timeout=WAIT_S, check=False)
        assert done.returncode == 0, done.stderr
        assert row.does in done.stdout, command


@pytest.mark.parametrize("command", of(Collects))
def test_tests_are_there(command: str) -> None:
    arguments = [sys.executable, *shlex.split(command)[1:], "--collect-only", "--quiet", "-p", "no:xdist"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        arguments, cwd=HOME, env=environment, capture_output=True, text=True, timeout=WAIT_S, check=False
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"tests? collected|\d+/\d+ tests", done.stdout), done.stdout
