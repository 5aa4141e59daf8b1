"""Tags of real files: the same for the same content wherever it is stored, another for any other content."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from httpmini.site.conditional import Validators
from httpmini.site.resolve import File
from httpmini.site.respond import Site
from httpmini.site.versions import WHOLE_BYTES, Versions
from tests.support.processes import eventually
from tests.support.small_site import Answer, ask, load_site, write_tree

LATER = time.time() + 3600  # a clock for which everything was written long ago
LARGE = 5 * WHOLE_BYTES


@contextmanager
def opened(path: Path) -> Iterator[File]:
    fd = os.open(path, os.O_RDONLY)
    try:
        yield File(fd, os.fstat(fd))
    finally:
        os.close(fd)


def look(path: Path, wall: float = LATER, versions: Versions | None = None) -> Validators:
    with opened(path) as file:
        return (versions or Versions()).validators(file, wall)


def tag(path: Path, wall: float = LATER) -> str:
    return look(path, wall).entity_tag


def write(path: Path, content: bytes, modified: float) -> Path:
    path.write_bytes(content)
    os.utime(path, (modified, modified))
    return path


SIZES = {"nothing": 0, "a page": 2000, "the most that is read whole": WHOLE_BYTES, "large": LARGE}
COPIES: dict[str, Callable[[Path, Path], object]] = {
    "copy with its times": shutil.copy2,
    "cp -a": lambda old, new: subprocess.run(["cp", "-a", old, new], check=True),
    "hard link": os.link,
    "renamed": os.rename,
}


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_replicas_have_the_same_tag(tmp_path: Path, size: int, copy: Callable[[Path, Path], object]) -> None:
    original = write(tmp_path / "one", os.urandom(size), 1_000_000_000.123)
    expected = tag(original)
    copy(original, tmp_path / "two")
    assert tag(tmp_path / "two") == expected
    assert not expected.startswith("W/")


@pytest.mark.parametrize("modified", [0, 1, 1_000_000_000, 2_100_000_000])
@pytest.mark.parametrize("place", [0, 0.5, 1])
@pytest.mark.parametrize("size", [1, 2000, WHOLE_BYTES])
def test_a_rebuild_with_the_same_time_and_size_has_another_tag(
    tmp_path: Path, size: int, place: float, modified: float
) -> None:
    content = bytearray(os.urandom(size))
    before = tag(write(tmp_path / "page", bytes(content), modified))
    content[int(place * (size - 1))] ^= 1
    assert tag(write(tmp_path / "page", bytes(content), modified)) != before


def test_the_tag_changes_with_every_rewrite(tmp_path: Path) -> None:
    """Also within one tick of the clock, during which the tag is weak."""
    tags = [tag(write(tmp_path / "page", b"%04d" % number, 1_000_000_000), time.time()) for number in range(200)]
    assert len({each.removeprefix("W/") for each in tags}) == 200
    assert any(each.startswith("W/") for each in tags)


@pytest.mark.parametrize("place", [0, LARGE // 3, LARGE - 1])
def test_a_large_file_is_known_by_its_time_and_samples(tmp_path: Path, place: int) -> None:
    content = bytearray(LARGE)
    before = tag(write(tmp_path / "large", bytes(content), 1_000_000_000))
    assert tag(write(tmp_path / "large", bytes(content), 1_000_000_001)) != before
    content[place] ^= 1
    assert tag(write(tmp_path / "large", bytes(content), 1_000_000_000)) != before


def test_the_inode_is_not_told(tmp_path: Path) -> None:
    page = write(tmp_path / "page", b"content", 1_000_000_000)
    assert f"{page.stat().st_ino:x}" not in tag(page).strip('"').split("-")


def test_a_version_is_read_once(tmp_path: Path) -> None:
    versions = Versions()
    page = write(tmp_path / "page", b"content", 1_000_000_000)
    first = look(page, versions=versions)
    fd = os.open(os.devnull, os.O_RDONLY)  # from which nothing could be read
    try:
        assert versions.validators(File(fd, page.stat()), LATER) == first
    finally:
        os.close(fd)
    assert look(write(page, b"CONTENT", 1_000_000_000), versions=versions) != first


def test_what_is_still_young_is_not_remembered(tmp_path: Path) -> None:
    versions = Versions()
    page = write(tmp_path / "page", b"content", 1_000_000_000)
    assert look(page, page.stat().st_ctime, versions).entity_tag.startswith("W/")
    assert len(versions.known) == 0
    look(page, LATER, versions)
    assert len(versions.known) == 1


def test_few_versions_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("httpmini.site.memory._MAX_REMEMBERED", 3)
    versions = Versions()
    for number in range(10):
        look(write(tmp_path / f"{number}", b"%d" % number, 1_000_000_000), versions=versions)
        assert len(versions.known) <= 3


def test_threads_may_share_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("httpmini.site.memory._MAX_REMEMBERED", 3)
    versions = Versions()
    pages = [write(tmp_path / f"{number}", b"%d" % number, 1_000_000_000) for number in range(20)]
    expected = [tag(page) for page in pages]
    wrong: list[str] = []

    def ask_for_all() -> None:
        for _ in range(20):
            for page, right in zip(pages, expected, strict=True):
                if look(page, versions=versions).entity_tag != right:
                    wrong.append(page.name)

    threads = [threading.Thread(target=ask_for_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(versions.known) <= 3


# What brings another version to the same URL. Everything is as old as can be, and was made in the same second.


def roll_back(www: Path) -> None:
    os.rename(www / "old.html", www / "page.html")


def rebuild(www: Path) -> None:
    """Write another content of the same size with the same time, as reproducible builds do."""
    write(www / "page.html", b"version 3", 1_000_000_000)


def rebuild_without_a_time(www: Path) -> None:
    write(www / "page.html", b"version 3", 1)


def switch_link(www: Path) -> None:
    (www / "next").symlink_to("old.html")
    os.rename(www / "next", www / "linked.html")


def swap_folders(www: Path) -> None:
    os.rename(www / "folder", www / "away")
    os.rename(www / "older", www / "folder")


def drop_the_index(www: Path) -> None:
    (www / "index.html").unlink()


CHANGES: dict[str, tuple[str, Callable[[Path], None]]] = {
    "rollback by mv": ("/page.html", roll_back),
    "rebuild": ("/page.html", rebuild),
    "rebuild without a time": ("/page.html", rebuild_without_a_time),
    "symlink": ("/linked.html", switch_link),
    "folders swapped": ("/folder/page.html", swap_folders),
    "another index": ("/", drop_the_index),
}


@pytest.fixture
def www(tmp_path: Path) -> Path:
    """Return a root in which an older version lies ready for every page, all of them written in one second."""
    new, old = b"version 2", b"version 1"
    files = {"page.html": new, "old.html": old, "folder/page.html": new, "older/page.html": old}
    root = write_tree(tmp_path / "www", {**files, "index.html": new, "index.htm": old})
    (root / "linked.html").symlink_to("page.html")
    while len({int(path.lstat().st_ctime) for path in (tmp_path, *root.rglob("*"))}) > 1:
        for path in root.rglob("*.htm*"):
            modified = 1_000_000_000 if path.read_bytes() == new else 900_000_000
            os.utime(path, (modified, modified), follow_symlinks=False)
        for folder in (tmp_path, root, root / "folder", root / "older"):
            folder.touch()
    return root


@pytest.mark.parametrize("name", CHANGES)
def test_another_version_is_never_not_modified(www: Path, name: str) -> None:
    target, change = CHANGES[name]
    site = load_site(www, '[site]\nindex = ["index.html", "index.htm"]\n')
    made = www.stat().st_ctime
    before = answer_at(site, target, made + 3)
    assert before.body == b"version 2"
    date, entity_tag = before.fields["last-modified"], before.fields["etag"]
    assert answer_at(site, target, made + 3, ("If-Modified-Since", date)).status == 304
    eventually(lambda: time.time() > int(made) + 1.1, "another second has begun, for the kernel too")
    change(www)
    now = time.time() + 3
    for condition in (("If-Modified-Since", date), ("If-None-Match", entity_tag)):
        after = answer_at(site, target, now, condition)
        assert (after.status, after.body[:8]) == (200, b"version "), condition
        assert after.body != before.body
    ranged = answer_at(site, target, now, ("Range", "bytes=8-"), ("If-Range", date))
    assert (ranged.status, len(ranged.body)) == (200, 9)
    assert ("last-modified" in after.fields) == (name != "rebuild without a time")


def answer_at(site: Site, target: str, wall: float, *fields: tuple[str, str]) -> Answer:
    return ask(replace(site, wall=lambda: wall), target, *fields)
