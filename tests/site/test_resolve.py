"""Nothing leaves the root, even if the disk changes meanwhile."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from httpmini.lint.cases.site_tree import SECRET
from httpmini.site.resolve import Directory, Fact, File, Resolver


def _resolver(root: Path, *, hidden: bool = False, symlinks: bool = True) -> Resolver:
    return Resolver(os.fsencode(root), hidden, symlinks)


def _names(path: str) -> tuple[bytes, ...]:
    return tuple(os.fsencode(part) for part in path.split("/") if part)


def _kind(found: File | Directory | Fact) -> str:
    """Return what was found, in one word, and close the descriptors."""
    if isinstance(found, Fact):
        return found.name
    os.close(found.fd)
    return "FILE" if isinstance(found, File) else "DIRECTORY"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("", "DIRECTORY"),
        ("ten.txt", "FILE"),
        ("sub", "DIRECTORY"),
        ("sub/file.txt", "FILE"),
        ("nothing", "MISSING"),
        ("nothing/more", "MISSING"),
        ("ten.txt/more", "MISSING"),
        ("x" * 300, "MISSING"),
        (".hidden", "HIDDEN"),
        (".git/config", "HIDDEN"),
        (".well-known/x", "FILE"),
        ("sub/.well-known/x", "HIDDEN"),
        ("..", "DOTS"),
        ("sub/..", "DOTS"),
        (".", "DOTS"),
        ("fifo", "NOT_REGULAR"),
        ("socket", "NOT_REGULAR"),
        ("fifo/x", "NOT_REGULAR"),
        ("device", "OUTSIDE"),
        ("link-in.txt", "FILE"),
        ("link-in-absolute.txt", "FILE"),
        ("link-around.txt", "FILE"),
        ("link-dir/file.txt", "FILE"),
        ("link-dir-absolute/file.txt", "FILE"),
        ("sub/link-up.txt", "FILE"),
        ("link-out.txt", "OUTSIDE"),
        ("link-out-absolute.txt", "OUTSIDE"),
        ("link-out-chain.txt", "OUTSIDE"),
        ("link-out-dir/secret.txt", "OUTSIDE"),
        ("link-out-dir/www/ten.txt", "FILE"),  # out and in again: only the end counts
        ("link-out-sibling/secret.txt", "OUTSIDE"),
        ("link-system/passwd", "OUTSIDE"),
        ("link-broken.txt", "MISSING"),
        ("link-loop", "MISSING"),
        ("link-loop-a", "MISSING"),
    ],
)
def test_kinds(site: Path, path: str, kind: str) -> None:
    assert _kind(_resolver(site).resolve(_names(path))) == kind


@pytest.mark.parametrize(
    ("path", "kind"),
    [("link-in.txt", "OUTSIDE"), ("link-dir/file.txt", "OUTSIDE"), ("ten.txt", "FILE"), ("sub/file.txt", "FILE")],
)
def test_no_symlink_at_all(site: Path, path: str, kind: str) -> None:
    assert _kind(_resolver(site, symlinks=False).resolve(_names(path))) == kind


@pytest.mark.parametrize(("path", "kind"), [(".hidden", "FILE"), ("..dots", "FILE"), ("..", "DOTS")])
def test_hidden_names_when_they_are_shown(site: Path, path: str, kind: str) -> None:
    assert _kind(_resolver(site, hidden=True).resolve(_names(path))) == kind


def test_a_slash_in_a_name_is_not_a_way_in(site: Path) -> None:
    assert _kind(_resolver(site).resolve((b"sub/file.txt",))) == "MISSING"
    assert _kind(_resolver(site, hidden=True).resolve((b"../secret.txt",))) == "MISSING"


def test_the_root_may_be_a_symlink_and_be_swapped(tmp_path: Path) -> None:
    for release in ("one", "two"):
        (tmp_path / release).mkdir()
        (tmp_path / release / "version.txt").write_text(release)
    current = tmp_path / "current"
    seen = []
    for release in ("one", "two"):
        (tmp_path / "next").symlink_to(release)
        os.replace(tmp_path / "next", current)
        found = _resolver(current).resolve((b"version.txt",))
        assert isinstance(found, File)
        seen.append(os.read(found.fd, 10))
        os.close(found.fd)
    assert seen == [b"one", b"two"]


def test_a_root_that_vanished(tmp_path: Path) -> None:
    assert _kind(_resolver(tmp_path / "gone").resolve((b"x",))) == "MISSING"


def test_the_opened_file_is_what_was_described(site: Path) -> None:
    found = _resolver(site).resolve((b"ten.txt",))
    assert isinstance(found, File)
    assert (found.status.st_size, os.read(found.fd, 100)) == (10, b"0123456789")
    os.close(found.fd)


@pytest.mark.parametrize("victim", ["folder", "file"])
def test_a_symlink_swapped_in_at_the_wrong_moment(tmp_path: Path, victim: str) -> None:
    """Another process replaces a folder (or a file) with a symlink to the secret and back, as fast as it can."""
    root, outside = tmp_path / "www", tmp_path / "outside"
    for folder, content in ((root / "folder", b"open"), (outside, SECRET)):
        folder.mkdir(parents=True)
        (folder / "file.txt").write_bytes(content)
    target = root / "folder" if victim == "folder" else root / "folder" / "file.txt"
    link_to = outside if victim == "folder" else outside / "file.txt"
    child = os.fork()
    if child == 0:
        try:
            while True:
                os.rename(target, tmp_path / "aside")
                os.symlink(link_to, target)
                os.unlink(target)
                os.rename(tmp_path / "aside", target)
        finally:
            os._exit(1)
    resolver = _resolver(root)
    seen: dict[str, int] = {}
    until = time.monotonic() + 60
    try:
        # On a busy machine the other process may not be scheduled for thousands of attempts.
        while (sum(seen.values()) < 20_000 or not {"FILE", "OUTSIDE"} <= set(seen)) and time.monotonic() < until:
            found = resolver.resolve((b"folder", b"file.txt"))
            if isinstance(found, File):
                seen["FILE"] = seen.get("FILE", 0) + 1
                content = os.read(found.fd, 100)
                os.close(found.fd)
                assert content == b"open"
            else:
                kind = _kind(found)
                seen[kind] = seen.get(kind, 0) + 1
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
    # Both were seen, so the race did take place.
    assert {"FILE", "OUTSIDE"} <= set(seen) <= {"FILE", "OUTSIDE", "MISSING"}


def test_the_same_descriptors_after_any_outcome(site: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    threads = [
        threading.Thread(target=lambda: [_kind(_resolver(site).resolve(_names(path))) for path in os.listdir(site)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(os.listdir("/proc/self/fd")) == before
