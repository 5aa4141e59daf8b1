"""A download that is killed between any two calls that change the disk can always be finished by the next one."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import httpmini
from tests.support.one_file import OneFile
from tests.support.progress import EndAfter

SIZE = 300_000
CONTENT = random.Random(1).randbytes(SIZE)
OTHER = random.Random(2).randbytes(SIZE)

# Forks once for each step, so it has no threads, and needs to be started once only. Prints what the second call finds.
KILLED_AT_EACH_STEP = """
import hashlib, itertools, json, os, signal, sys
import httpmini
from tests.support.dying import die_before

url, path, wanted = sys.argv[1:]
kept = {name: open(name, "rb").read() for name in (path + ".part", path + ".part.json")}

def in_child(work):
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1]
    try:
        work()
    finally:
        os._exit(0)

def download(sha256=None):
    with httpmini.Client(retries=httpmini.Retries(1, 0.01)) as client:
        httpmini.download(client, url, path, overwrite=True, sha256=sha256)

for step in itertools.count(1):
    for name, content in kept.items():
        with open(os.open(name, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as file:
            file.write(content)
    if in_child(lambda: (die_before(step), download(wanted or None))) != signal.SIGKILL:
        break
    found = {"step": step, "killed": sorted(os.listdir(os.path.dirname(path)))}
    try:
        download()
        found["finished"] = sorted(os.listdir(os.path.dirname(path)))
        found["sha256"] = hashlib.sha256(open(path, "rb").read()).hexdigest()
        os.unlink(path)
    except httpmini.errors.HttpminiError as error:
        found["error"] = str(error)
    print(json.dumps(found))
"""


def change_the_file(server: OneFile, part: Path) -> None:
    server.content, server.tag = OTHER, '"2"'


def damage_the_part(server: OneFile, part: Path) -> None:
    part.write_bytes(bytes(part.stat().st_size))


def nothing(server: OneFile, part: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("happens", "wanted", "steps"),
    [
        pytest.param(nothing, "", 8, id="resumed"),
        pytest.param(change_the_file, "", 8, id="superseded"),
        pytest.param(damage_the_part, "", 8, id="begun again"),
        pytest.param(nothing, "0" * 64, 3, id="discarded"),
    ],
)
def test_killed_at_each_step(tmp_path: Path, happens: Callable[[OneFile, Path], None], wanted: str, steps: int) -> None:
    path = tmp_path / "x"
    server = OneFile(CONTENT)
    try:
        with httpmini.Client() as client, pytest.raises(KeyboardInterrupt):
            httpmini.download(client, server.url, path, progress=EndAfter(100_000, KeyboardInterrupt()))
        happens(server, Path(f"{path}.part"))
        command = [sys.executable, "-c", KILLED_AT_EACH_STEP, server.url, str(path), wanted]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    finally:
        server.close()
    assert (done.returncode, done.stderr) == (0, "")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) >= steps
    sha256_of_all = hashlib.sha256(server.content).hexdigest()
    assert [one for one in found if one.get("sha256") != sha256_of_all or one["finished"] != ["x"]] == []
