"""Folders and files that have more names than the one that is protected."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import bcrypt
import pytest

from httpmini.site.names import begins_with_dot, fold
from tests.conftest import StartServer
from tests.support.small_site import ask, load_site, write_tree
from tests.support.wire import converse

REALM = '[[realms]]\npath = "/private"\nusers = "users"\n[[realms]]\npath = "/private/inner"\nusers = "others"\n'
FILES = {"private/s.txt": b"secret", "private/inner/t.txt": b"inner", ".git/config": b"hidden", "open.txt": b"open"}
# A bind mount gives a folder a second name with the same device and inode, as DOS names do on NTFS and FAT.
SECOND_NAMES = """
cd "$1" && shift && mkdir PRIVAT~1 GIT~1 private/INNER~1 && mount --bind private/inner private/INNER~1 &&
mount --rbind private PRIVAT~1 && mount --bind .git GIT~1 && exec "$@"
"""
ADA, BOB = (base64.b64encode(user + b":x").decode() for user in (b"ada", b"bob"))


def make(tmp_path: Path) -> Path:
    for name, user in (("users", b"ada:"), ("others", b"bob:")):
        (tmp_path / name).write_bytes(user + bcrypt.hashpw(b"x", bcrypt.gensalt(4)))
    return write_tree(tmp_path / "www", FILES)


def test_a_second_name_of_a_folder(start: StartServer, tmp_path: Path, mode: str) -> None:
    root = make(tmp_path)
    wrapper = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", SECOND_NAMES, "sh", str(root))
    server = start(root, "--mode", mode, config=REALM, wrapper=wrapper)

    def status_of(target: str, credentials: str = "") -> int:
        field = f"Authorization: Basic {credentials}\r\n" if credentials else ""
        return int(converse(server.port, [f"GET {target} HTTP/1.0\r\n{field}\r\n".encode()]).split()[1])

    for folder, right, wrong in (("/PRIVAT~1", ADA, BOB), ("/private", ADA, BOB)):
        for target in (f"{folder}/s.txt", f"{folder}/"):
            told = [status_of(target, credentials) for credentials in ("", right, "", wrong, right)]
            assert told == [401, 200, 401, 401, 200], target
    for target in ("/private/INNER~1/t.txt", "/PRIVAT~1/INNER~1/t.txt", "/PRIVAT~1/inner/t.txt"):
        assert status_of(target) == 401, target
    assert (status_of("/private/INNER~1/t.txt", ADA), status_of("/PRIVAT~1/INNER~1/t.txt", BOB)) == (401, 200)
    assert [status_of(target) for target in ("/GIT~1/config", "/GIT~1/", "/git~1", "/open.txt")] == [404, 404, 404, 200]


def test_a_second_name_of_a_hidden_file(tmp_path: Path) -> None:
    """As a hard link, here; a name of another kind is its owner's decision."""
    root = write_tree(tmp_path / "www", {".secret.txt": b"hidden", "other~1.txt": b"other", "sub/.x": b"x"})
    for name in ("SECRET~1.TXT", "published.txt", "sub/X~1"):
        os.link(root / ("sub/.x" if name.startswith("sub") else ".secret.txt"), root / name)
    statuses = {"/SECRET~1.TXT": 404, "/%53ECRET%7e1.TXT": 404, "/sub/X~1": 404, "/other~1.txt": 200}
    site = load_site(root, "")
    assert {target: ask(site, target).status for target in statuses} == statuses
    assert ask(site, "/published.txt").status == 200
    assert ask(load_site(root, "[site]\nhidden = true\n"), "/SECRET~1.TXT").status == 200


@pytest.mark.parametrize(
    "name",
    [
        "pri\u00advate",
        "\u200bprivate",
        "PRI\u034fVATE\ufe0f",
        "\ufeffprivate",
        "priv\u2060ate\U000e0001",
        "Private",
    ],
)
def test_code_points_that_are_not_seen(tmp_path: Path, name: str) -> None:
    """Casefolded ext4 drops them: the folder asked for is the realm."""
    site = load_site(make(tmp_path), REALM)
    target = "/" + "".join(f"%{octet:02x}" for octet in name.encode())
    assert ask(site, target + "/s.txt").status == 401
    assert fold(name.encode()) == "private"


def test_names_that_no_file_system_has() -> None:
    """Their combining characters are not put in order, which takes four times as long for twice as many."""
    reversed_marks = "\u0301\u0323"  # the other way round in normal forms
    assert fold(("a" + reversed_marks * 190).encode()) != "a" + reversed_marks * 190  # 761 bytes
    assert fold(("a" + reversed_marks * 192).encode()) == "a" + reversed_marks * 192  # 769 bytes


@pytest.mark.parametrize(
    ("name", "begins"),
    [(".git", True), ("\u00ad.git", True), ("\u200b\ufeff.git", True), ("\u00e9.git", False), ("git", False)],
)
def test_a_dot_behind_what_is_not_seen(tmp_path: Path, name: str, begins: bool) -> None:
    assert begins_with_dot(name.encode()) is begins
    root = write_tree(tmp_path / "www", {f"{name}/config": b"x"})
    target = "/" + "".join(f"%{octet:02x}" for octet in name.encode()) + "/config"
    assert ask(load_site(root, ""), target).status == (404 if begins else 200)
