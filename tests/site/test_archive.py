"""A folder as one file: what is in it, and that every reader of zip and tar can read it."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.support.small_site import Answer, ask, load_site, write_tree
from tests.support.tools import tool

ON = "[site]\narchives = true\n"
FORMS = ("zip", "tar")
FILES = {
    "photos/a.jpg": b"first",
    "photos/empty.txt": b"",
    "photos/sub/b.bin": bytes(range(256)) * 1200,
    "photos/sub/grüße/ü.txt": b"umlaut",
    "photos/sub/" + "long" * 40 + ".txt": b"a long name",
    "photos/run.sh": b"#!/bin/sh\n",
    "elsewhere.txt": b"not in the folder",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = write_tree(tmp_path / "www", FILES)
    (root / "photos" / "run.sh").chmod(0o777)
    return root


def contents(form: str, octets: bytes) -> dict[str, bytes | None]:
    """Return what Python's own readers find: the content of each file by its path, None for folders."""
    if form == "zip":
        with zipfile.ZipFile(io.BytesIO(octets)) as opened:
            assert opened.testzip() is None
            return {name: None if name.endswith("/") else opened.read(name) for name in opened.namelist()}
    found: dict[str, bytes | None] = {}
    with tarfile.open(fileobj=io.BytesIO(octets), mode="r:") as tar:
        for info in tar:
            file = tar.extractfile(info)
            found[info.name if file else info.name + "/"] = file.read() if file else None
    return found


def fetch(root: Path, target: str, *fields: tuple[str, str], toml: str = ON, method: str = "GET") -> Answer:
    return ask(load_site(root, toml), target, *fields, method=method)


@pytest.mark.parametrize("form", FORMS)
def test_it_contains_the_folder(root: Path, form: str) -> None:
    answer = fetch(root, f"/photos/?{form}")
    assert answer.status == 200
    expected = {name: content for name, content in FILES.items() if name.startswith("photos/")}
    found = contents(form, answer.body)
    assert {name: content for name, content in found.items() if content is not None} == expected
    assert {name for name, content in found.items() if content is None} == {
        "photos/",
        "photos/sub/",
        "photos/sub/grüße/",
    }
