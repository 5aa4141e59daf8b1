"""Every change on the disk that matters to an answer is seen by the next look."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from httpmini.site.freshness import SETTLED_S, PathStamp, PathStamps

NAMES = (b"sub", b"page.html")
TURNS = itertools.count(1)
LATER = time.time() + 3600  # a clock for which everything was written long ago


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "release"
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "page.html").write_bytes(b"0123456789")
    (tmp_path / "www").symlink_to("release")
    return tmp_path / "www"


def look(root: Path, names: tuple[bytes, ...] = NAMES, missing: tuple[bytes, ...] = ()) -> PathStamp | None:
    status = os.stat(os.path.join(os.fsencode(root), *names))
    return PathStamps(os.fsencode(root)).stamp(names, status, LATER, missing)


def rewrite_in_secret(page: Path) -> None:
    """Another content of the same size, with the old modification time: only the change time tells."""
    before = page.stat()
    page.write_bytes(b"9876543210")
    os.utime(page, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace_file(page: Path) -> None:
    (page.parent / "new").write_bytes(b"0123456789")
    os.rename(page.parent / "new", page)


def replace_folder(page: Path) -> None:
    """Another folder, with a hard link of the same file in it."""
    other = page.parents[1] / "other"
    other.mkdir()
    os.link(page, other / "page.html")
    os.rename(page.parent, page.parents[1] / "old")
    os.rename(other, page.parent)


def folder_becomes_a_link(page: Path) -> None:
    """The same file, at the end of a path that is not followed without looking."""
    outside = page.parents[2] / "outside"
    os.rename(page.parent, outside)
    page.parent.symlink_to(outside)


def swap_root(page: Path) -> None:
    release = page.parents[2] / "release-2"
    (release / "sub").mkdir(parents=True)
    (release / "sub" / "page.html").write_bytes(b"0123456789")
    link = page.parents[2] / "link"
    link.symlink_to("release-2")
    os.rename(link, page.parents[1])


def file_becomes_a_link(page: Path) -> None:
    os.rename(page, page.parent / "elsewhere")
    page.symlink_to("elsewhere")


def file_becomes_a_folder(page: Path) -> None:
    page.unlink()
    page.mkdir()


def folder_becomes_a_link_to_a_copy(page: Path) -> None:
    """A link to a folder that has a hard link of the same file: even the inode is right, and the way is not."""
    outside = page.parents[2] / "outside"
    outside.mkdir()
    os.link(page, outside / "page.html")
    os.rename(page.parent, page.parents[1] / "old")
    page.parent.symlink_to(outside)


def file_becomes_a_fifo(page: Path) -> None:
    page.unlink()
    os.mkfifo(page)


def grow_in_secret(page: Path) -> None:
    before = page.stat()
    with page.open("ab") as file:
        file.write(b"a")
    os.utime(page, ns=(before.st_atime_ns, before.st_mtime_ns))


def rename_away_and_back(page: Path) -> None:
    """Another file was there meanwhile; that the old one is back is no proof that nothing was asked of the other."""
    os.rename(page, page.parent / "away")
    os.rename(page.parent / "away", page)


CHANGES: dict[str, Callable[[Path], object]] = {
    "rewritten, same size, date set back": rewrite_in_secret,
    "grown": lambda page: page.write_bytes(b"0123456789a"),
    "grown, date set back": grow_in_secret,
    "truncated": lambda page: os.truncate(page, 9),
    "emptied": lambda page: os.truncate(page, 0),
    "deleted": lambda page: page.unlink(),
    "replaced": replace_file,
    "permissions": lambda page: page.chmod(0o600),
    "group may write": lambda page: page.chmod(page.stat().st_mode | 0o020),
    "became a pipe": file_becomes_a_fifo,
    "renamed, and back": rename_away_and_back,
    "folder became a symlink to a copy": folder_becomes_a_link_to_a_copy,
    "root deleted": lambda page: page.parents[1].unlink(),
    "root renamed": lambda page: os.rename(page.parents[2] / "release", page.parents[2] / "other"),
    "touched": lambda page: os.utime(page),
    "one more link": lambda page: os.link(page, page.parent / "second"),
    "became a symlink": file_becomes_a_link,
    "became a folder": file_becomes_a_folder,
    "folder renamed": lambda page: os.rename(page.parent, page.parents[1] / "other"),
    "folder replaced": replace_folder,
    "folder became a symlink": folder_becomes_a_link,
    "folder's permissions": lambda page: page.parent.chmod(0o700),
    "root swapped": swap_root,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_is_seen(root: Path, change: Callable[[Path], object]) -> None:
    witness = look(root)
    assert witness is not None
    assert witness(next(TURNS))
    (root / "sub" / "beside.html").write_bytes(b"nobody asked for this one")
    assert witness(next(TURNS)), "what does not matter changes nothing"
    change(root / "sub" / "page.html")
    assert not witness(next(TURNS))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_another_owner_is_seen(root: Path) -> None:
    witness = look(root)
    assert witness is not None
    assert witness(next(TURNS))
    os.chown(root / "sub" / "page.html", 1, 1)
    assert not witness(next(TURNS))


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_every_folder_on_the_way_counts(root: Path, depth: int) -> None:
    """It is replaced by a link to where it has gone, so that everything below it is still the same."""
    names = (b"sub", b"b", b"c", b"page.html")
    (root / "sub" / "b" / "c").mkdir(parents=True)
    (root / "sub" / "b" / "c" / "page.html").write_bytes(b"deep")
    witness = look(root, names)
    assert witness is not None
    assert witness(next(TURNS))
    folder = root.joinpath(*map(os.fsdecode, names[:depth]))
    os.rename(folder, root / "elsewhere")
    folder.symlink_to(root / "elsewhere")
    assert not witness(next(TURNS))


def test_a_file_of_the_root_itself(root: Path) -> None:
    (root / "page.html").write_bytes(b"0123456789")
    witness = look(root, (b"page.html",), missing=(b"index.html",))
    assert witness is not None
    assert witness(next(TURNS))
    (root / "index.html").write_bytes(b"")
    assert not witness(next(TURNS))


@pytest.mark.parametrize(
    "names",
    [(b"x" * 300,), (b"sub", b"x" * 300), (b"a" * 200,) * 30, (b"sub", b"sub"), (b"no", b"x")],
)
def test_nobody_vouches_for_what_cannot_be_looked_at(root: Path, names: tuple[bytes, ...]) -> None:
    """Names and paths that the kernel finds too long, or that are not there."""
    status = os.stat(root / "sub" / "page.html")
    assert PathStamps(os.fsencode(root)).stamp(names, status, LATER) is None


def test_a_name_that_comes_first(root: Path) -> None:
    witness = look(root, missing=(b"index.html",))
    assert witness is not None
    assert witness(next(TURNS))
    (root / "sub" / "index.html").symlink_to("nowhere")
    assert not witness(next(TURNS))


@pytest.mark.parametrize("names", [(b"link", b"page.html"), (b"sub", b"link.html")])
def test_nobody_vouches_for_a_path_through_a_symlink(root: Path, names: tuple[bytes, ...]) -> None:
    (root / "link").symlink_to("sub")
    (root / "sub" / "link.html").symlink_to("page.html")
    assert look(root, names) is None


def test_nobody_vouches_for_what_was_written_just_now(root: Path) -> None:
    status = os.stat(root / "sub" / "page.html")
    for age, vouched in ((0.0, False), (SETTLED_S - 0.01, False), (SETTLED_S + 0.01, True)):
        assert (PathStamps(os.fsencode(root)).stamp(NAMES, status, status.st_ctime + age) is not None) == vouched


def test_nobody_vouches_for_another_file_than_was_opened(root: Path) -> None:
    status = os.stat(root / "sub" / "page.html")
    replace_file(root / "sub" / "page.html")
    assert PathStamps(os.fsencode(root)).stamp(NAMES, status, LATER) is None


def test_one_look_at_a_folder_is_enough_for_all_in_one_turn(root: Path) -> None:
    stamps = PathStamps(os.fsencode(root))
    (root / "sub" / "other.html").write_bytes(b"9876543210")
    pages = [root / "sub" / "page.html", root / "sub" / "other.html"]
    first, second = (stamps.stamp((b"sub", os.fsencode(page.name)), os.stat(page), LATER) for page in pages)
    assert first is not None
    assert second is not None
    assert first(1)
    folder_becomes_a_link(pages[0])
    assert second(1), "the folder has been looked at"
    assert not second(2)
    assert not first(2)


def test_a_folder_that_was_replaced_has_a_new_stamp(root: Path) -> None:
    stamps = PathStamps(os.fsencode(root))
    page = root / "sub" / "page.html"
    old = stamps.stamp(NAMES, os.stat(page), LATER)
    assert old is not None
    replace_folder(page)
    new = stamps.stamp(NAMES, os.stat(page), LATER + 1)
    assert new is not None
    assert new(1)
    assert not old(1)


def test_few_folders_are_remembered(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("httpmini.site.freshness._MAX_FOLDERS", 3)
    stamps = PathStamps(os.fsencode(root))
    found = []
    for number in range(10):
        page = root / f"folder{number}" / "page.html"
        page.parent.mkdir()
        page.write_bytes(b"x")
        found.append(stamps.stamp((os.fsencode(page.parent.name), b"page.html"), os.stat(page), LATER))
        assert len(stamps._folders) <= 3
    assert all(stamp is not None and stamp(1) for stamp in found), "what is forgotten can still be looked at"
