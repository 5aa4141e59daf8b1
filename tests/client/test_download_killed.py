"""A download that is killed between any two calls that change the disk can always be finished by the next one."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

import httpmini
from tests.support.one_file import OneFile
from tests.support.progress import EndAfter

CONTENT = random.Random(1).randbytes(300_000)
OTHER = random.Random(2).randbytes(300_000)

# Runs in a process of its own: it forks for each step, so it must have no threads. How often data is written depends on
# how it arrives, so these calls do not count.
KILLED_AT_EACH_STEP = """
import hashlib, itertools, json, os, signal, sys, traceback
import httpmini
from tests.support.dying import CALLS, die_before

url, path, wanted = sys.argv[1:]
folder = os.path.dirname(path)
kept = {name: open(name, "rb").read() for name in (path + ".part", path + ".part.json") if os.path.exists(name)}
if "nolink" in os.environ.get("DISK", ""):
    def no_link(*args, **more):
        raise FileNotFoundError(2, "No such file or directory")
    os.link = no_link

def in_child(work):
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1]
    try:
        work()
    except httpmini.errors.Corrupt:
        pass
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)

def download(sha256=None):
    with httpmini.Client(retries=httpmini.Retries(1, 0.01)) as client:
        return httpmini.download(client, url, path, overwrite=True, sha256=sha256)

def be_killed(step):
    die_before(step, [name for name in CALLS if name != "pwrite"], lambda name: print(name, end=" ", flush=True))
    download(wanted or None)

for step in itertools.count(1):
    for name in os.listdir(folder):
        os.unlink(os.path.join(folder, name))
    for name, content in kept.items():
        with open(os.open(name, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as file:
            file.write(content)
    status = in_child(lambda: be_killed(step))
    if status != signal.SIGKILL:
        sys.exit(status)
    found = {"step": step, "killed": sorted(os.listdir(folder))}
    try:
        found["status"] = download().status
        found["left"] = [name for name in os.listdir(folder) if not name.startswith(".x.")]
        found["mode"] = os.stat(path).st_mode & 0o777
        found["sha256"] = hashlib.sha256(open(path, "rb").read()).hexdigest()
    except httpmini.errors.HttpminiError as error:
        found["error"] = str(error)
    print(json.dumps(found), flush=True)
"""

KILLED_ONCE = """
import sys
import httpmini
from tests.support.dying import die_before

with httpmini.Client() as client:
    die_before(1, ["fsync"])
    httpmini.download(client, *sys.argv[1:])
"""


class Case(NamedTuple):
    """What happens between the call that leaves a part and the one that is killed.

    Attributes:
        before: the content on the server when the part is left; empty for no part.
        happens: to the server and to the part.
        wanted: the SHA-256 that the killed call requests.
        calls: some of those that it must have been killed before.
        disk: "nolink" for one without hard links.
    """

    before: bytes
    happens: Callable[[OneFile, Path], None]
    wanted: str = ""
    calls: tuple[str, ...] = ()
    disk: str = ""


def change_the_file(server: OneFile, part: Path) -> None:
    server.content, server.tag = OTHER, '"2"'


def damage_the_part(server: OneFile, part: Path) -> None:
    part.write_bytes(bytes(part.stat().st_size))


def nothing(server: OneFile, part: Path) -> None:
    pass


CASES = {
    "new": Case(b"", nothing, calls=("write", "fchmod", "link", "unlink", "fsync")),
    "resumed": Case(CONTENT, nothing, calls=("fchmod", "link", "unlink", "fsync")),
    "superseded": Case(CONTENT, change_the_file, calls=("fchmod", "ftruncate", "unlink", "fsync")),
    "begun again": Case(CONTENT, damage_the_part, calls=("ftruncate", "unlink")),
    "discarded": Case(CONTENT, nothing, "0" * 64, calls=("ftruncate", "unlink")),
    "no links": Case(CONTENT, nothing, calls=("fchmod", "replace", "unlink", "fsync"), disk="nolink"),
    "no links, superseded": Case(CONTENT, change_the_file, calls=("ftruncate", "unlink"), disk="nolink"),
}


@pytest.mark.parametrize("name", CASES)
def test_killed_at_each_step(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    path = tmp_path / "x"
    server = OneFile(CONTENT)
    try:
        if case.before:
            with httpmini.Client() as client, pytest.raises(KeyboardInterrupt):
                httpmini.download(client, server.url, path, progress=EndAfter(100_000, KeyboardInterrupt()))
        case.happens(server, Path(f"{path}.part"))
        command = [sys.executable, "-c", KILLED_AT_EACH_STEP, server.url, str(path), case.wanted]
        environment = {**os.environ, "DISK": case.disk}
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, env=environment)
    finally:
        server.close()
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.partition(" ") for line in done.stdout.splitlines()]
    assert {call for call, _, _ in lines} >= set(case.calls)
    found = [json.loads(text) for _, _, text in lines]
    sha256 = hashlib.sha256(server.content).hexdigest()
    mask = os.umask(0o022)
    os.umask(mask)
    # Without a second name to tell by, the mode is set last.
    modes = {0o666 & ~mask, 0o600} if case.disk == "nolink" else {0o666 & ~mask}
    assert [
        one for one in found if one.get("sha256") != sha256 or one["left"] != ["x"] or one["mode"] not in modes
    ] == []


def test_an_empty_file_that_has_changed_is_requested_again(tmp_path: Path) -> None:
    """Its plan is complete without a byte, and must not be taken for the file."""
    path = tmp_path / "x"
    server = OneFile(b"")
    try:
        command = [sys.executable, "-c", KILLED_ONCE, server.url, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
        assert (done.returncode, done.stderr) == (-signal.SIGKILL, "")
        assert Path(f"{path}.part.json").exists()
        server.content, server.tag = OTHER, '"2"'
        with httpmini.Client() as client:
            assert httpmini.download(client, server.url, path).status == 200
        assert path.read_bytes() == OTHER
    finally:
        server.close()
