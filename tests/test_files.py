"""Files that appear complete or not at all."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from httpmini.files import draft, move_to_free_name, new_file, write_all


class Broken(Exception):
    pass


def write_and_fail(fd: int, error: type[BaseException]) -> None:
    write_all(fd, b"new")
    raise error


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_a_file_appears_complete(tmp_path: Path) -> None:
    path = str(tmp_path / "a")
    with new_file(path) as fd:
        write_all(fd, b"one")
        assert not os.path.exists(path)
    assert names(tmp_path) == ["a"]
    assert Path(path).read_bytes() == b"one"


@pytest.mark.parametrize("error", [OSError, Broken, KeyboardInterrupt])
def test_a_failure_leaves_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "a").write_text("old")
    with pytest.raises(error), new_file(str(tmp_path / "a")) as fd:
        write_and_fail(fd, error)
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "old"


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_name_that_is_taken(tmp_path: Path, overwrite: bool) -> None:
    path = tmp_path / "a"
    path.symlink_to("nowhere")
    if overwrite:
        with new_file(str(path)) as fd:
            write_all(fd, b"new")
        assert not path.is_symlink()
        assert path.read_bytes() == b"new"
    else:
        with pytest.raises(FileExistsError), new_file(str(path), overwrite=False) as fd:
            write_all(fd, b"new")
        assert path.is_symlink()
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("leftover", ["file", "symlink"])
def test_a_leftover_is_replaced_and_not_written_through(tmp_path: Path, leftover: str) -> None:
    mine = tmp_path / "mine"
    mine.write_text("precious")
    if leftover == "file":
        (tmp_path / "draft").write_text("a part")
    else:
        (tmp_path / "draft").symlink_to(mine)
    with new_file(str(tmp_path / "a"), name=str(tmp_path / "draft")) as fd:
        write_all(fd, b"new")
    assert names(tmp_path) == ["a", "mine"]
    assert mine.read_text() == "precious"


def test_modes(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        for mode, expected in ((0o666, 0o644), (0o600, 0o600), (0o640, 0o640)):
            for name in ("a", "b"):  # the second file replaces one, whose mode it keeps
                with new_file(str(tmp_path / name), mode=mode):
                    pass
                assert stat.S_IMODE((tmp_path / name).stat().st_mode) == (expected if name == "a" else 0o604)
                (tmp_path / "a").unlink(missing_ok=True)
                (tmp_path / "b").touch()
                (tmp_path / "b").chmod(0o604)
    finally:
        os.umask(before)


def test_on_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def note(name: str, call: Callable[..., None]) -> None:
        monkeypatch.setattr(os, name, lambda *args, **kwargs: calls.append(name) or call(*args, **kwargs))  # type: ignore[func-returns-value]

    note("fsync", os.fsync)
    note("link", os.link)
    note("replace", os.replace)
    for sync in (True, True, False):
        with new_file(str(tmp_path / "a"), sync=sync):
            pass
    assert calls == ["fsync", "link", "fsync", "fsync", "link", "link", "replace", "fsync", "link", "link", "replace"]


@pytest.mark.parametrize("overwrite", [True, False])
def test_relative_to_a_descriptor(tmp_path: Path, overwrite: bool) -> None:
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with new_file(b"a", name=b".draft", overwrite=overwrite, dir_fd=fd) as file:
            write_all(file, memoryview(b"one"))
        with pytest.raises(Broken), new_file(b"b", dir_fd=fd):
            raise Broken
    finally:
        os.close(fd)
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("name", ["x" * 255, "\xe4" * 127, "a", ".hidden"])
def test_names_of_every_length(tmp_path: Path, name: str) -> None:
    with new_file(str(tmp_path / name)) as fd:
        write_all(fd, b"one")
    with new_file(os.fsencode(tmp_path / name)) as fd:
        write_all(fd, b"two")
    assert names(tmp_path) == [name]


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), new_file(str(tmp_path / "no" / "a")):
        pass


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(IsADirectoryError), new_file(str(tmp_path / "a")):
        pass
    assert names(tmp_path) == ["a"]


def test_a_file_system_without_files_that_have_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file then has a temporary name, and another file of that name is neither named nor removed."""
    monkeypatch.delattr(os, "O_TMPFILE")
    for overwrite in (False, True):
        with new_file(str(tmp_path / "a"), overwrite=overwrite) as fd:
            write_all(fd, b"one")
            (temporary,) = set(names(tmp_path)) - {"a"}
            assert stat.S_IMODE((tmp_path / temporary).stat().st_mode) == 0o600
        assert names(tmp_path) == ["a"]
    with new_file(str(tmp_path / "b")) as fd:
        write_all(fd, b"mine")
        (temporary,) = set(names(tmp_path)) - {"a"}
        (tmp_path / temporary).rename(tmp_path / "moved")
        (tmp_path / temporary).write_bytes(b"another's")
    assert (tmp_path / "b").read_bytes() == b"mine"
    assert (tmp_path / temporary).read_bytes() == b"another's"


def test_a_draft_of_anything(tmp_path: Path) -> None:
    with draft(str(tmp_path / "a")) as name:
        os.mkfifo(name)
    assert stat.S_ISFIFO((tmp_path / "a").stat().st_mode)
    assert names(tmp_path) == ["a"]


def test_short_writes_go_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:3]))
    with new_file(str(tmp_path / "a")) as fd:
        write_all(fd, bytes(range(100)))
    assert (tmp_path / "a").read_bytes() == bytes(range(100))


def test_a_file_system_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    source = tmp_path / "source"
    source.write_text("one")
    (tmp_path / "taken").symlink_to("nowhere")
    with pytest.raises(FileExistsError):
        move_to_free_name(str(source), str(tmp_path / "taken"))
    move_to_free_name(str(source), str(tmp_path / "free"))
    assert names(tmp_path) == ["free", "taken"]
    assert (tmp_path / "free").read_text() == "one"
    with pytest.raises(FileNotFoundError):
        move_to_free_name(str(source), str(tmp_path / "other"))
    assert names(tmp_path) == ["free", "taken"]


def test_ctrl_c_without_hard_links_leaves_the_name_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, free = tmp_path / "source", tmp_path / "free"
    source.write_bytes(b"content")

    def no_link(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "link", no_link)
    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        move_to_free_name(str(source), str(free))
    assert os.listdir(tmp_path) == ["source"]
