"""What a download does to the disk, and what it makes of unexpected answers: by the command and by the API."""

from __future__ import annotations

import errno
import fcntl
import gzip
import hashlib
import os
import random
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import httpmini
from httpmini.client.command.get import get as get_command
from httpmini.client.command.get_options import GetOptions
from httpmini.client.download.draft import Draft
from httpmini.client.download.names import name_from
from httpmini.client.download.part import part_names
from httpmini.client.download.plan import Plan
from httpmini.client.url import parse_url
from httpmini.errors import CannotRun, Corrupt, TooLarge
from httpmini.protocol.message import Headers
from tests.support.one_file import PARTS, OneFile
from tests.support.processes import run_command
from tests.support.progress import EndAfter

SIZE = 2_000_000
CONTENT = random.Random(1).randbytes(SIZE)
OTHER = random.Random(2).randbytes(SIZE)
CUT = 700_000


@pytest.fixture
def server() -> Iterator[OneFile]:
    made = OneFile(CONTENT)
    yield made
    made.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "x"


def download(url: str, path: Path, **more: Any) -> httpmini.client.download.download.Downloaded:  # type: ignore[name-defined]
    quick = httpmini.Retries(times=2, first_s=0.01)
    patient = httpmini.Timeouts(first_byte_s=more.pop("first_byte_s", 60))
    limits = more.pop("limits", None)
    with httpmini.Client(retries=quick, timeouts=patient, limits=limits) as client:
        return httpmini.download(client, url, path, overwrite=True, **more)


def command(url: str, path: Path, *more: str) -> tuple[int, str]:
    status, _, errors = run_command("get", "--retries", "0", "-o", str(path), *more, url)
    assert b"Traceback" not in errors
    return status, errors.decode()


def leave_part(server: OneFile, path: Path, **more: Any) -> bytes:
    """Have a part of the file on disk, and return it."""
    with pytest.raises(KeyboardInterrupt):
        download(server.url, path, progress=EndAfter(CUT, KeyboardInterrupt()), **more)
    server.wait_until_idle()
    server.requests.clear()
    return Path(f"{path}.part").read_bytes()


# What is on the disk.


@pytest.mark.parametrize("second", [CONTENT, OTHER])
def test_the_part_is_tidied_away_and_begun_again_by_another(server: OneFile, path: Path, second: bytes) -> None:
    """The first has its own file, whatever is called x.part by now; the second is cut off, and its part stays."""

    class Interfere(EndAfter):
        def begin(self, name: str, total: int | None, done: int) -> None:
            self.done = False

        def advance(self, count: int) -> None:
            if not self.done:
                self.done = True
                for name in os.listdir(path.parent):
                    os.unlink(path.parent / name)
                leave_part(other, path)

    other = OneFile(second, '"2"')
    try:
        assert download(server.url, path, progress=Interfere(0, KeyboardInterrupt())).size == SIZE
        assert path.read_bytes() == CONTENT
        assert download(other.url, path).resumed_from >= CUT
        assert path.read_bytes() == second
    finally:
        other.close()
    assert os.listdir(path.parent) == ["x"]


def test_two_at_once_without_locks(server: OneFile, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without locks the second is refused, and nothing is left to be resumed."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    class Second(EndAfter):
        def begin(self, name: str, total: int | None, done: int) -> None:
            with pytest.raises(CannotRun, match="no locks"):
                download(server.url, path)

        def advance(self, count: int) -> None:
            pass

    monkeypatch.setattr(fcntl, "flock", refuse)
    download(server.url, path, progress=Second(0, KeyboardInterrupt()))
    assert path.read_bytes() == CONTENT
    with pytest.raises(KeyboardInterrupt):
        download(server.url, path, progress=EndAfter(CUT, KeyboardInterrupt()))
    assert os.listdir(path.parent) == ["x"]


FOREIGN: dict[str, Callable[[Path], None]] = {
    "a plan": lambda path: _foreign(path, plan=b'{"teeth": 12}', mode=0o644),
    "a private plan": lambda path: _foreign(path, plan=b'{"teeth": 12}'),
    "an empty plan that others may read": lambda path: _foreign(path, plan=b"", mode=0o644),
    "a part": lambda path: _foreign(path, part=b"mine"),
    "both": lambda path: _foreign(path, part=b"mine", plan=b"[]"),
    "a link": lambda path: os.symlink("elsewhere", f"{path}.part.json"),
    "a pipe": lambda path: os.mkfifo(f"{path}.part.json", 0o600),
}


def _foreign(path: Path, *, part: bytes | None = None, plan: bytes | None = None, mode: int = 0o600) -> None:
    for name, content in (("part", part), ("part.json", plan)):
        if content is not None:
            Path(f"{path}.{name}").write_bytes(content)
            os.chmod(f"{path}.{name}", mode)


def _seen(folder: Path) -> dict[str, object]:
    return {
        name: os.lstat(folder / name).st_ino if not (folder / name).is_file() else (folder / name).read_bytes()
        for name in os.listdir(folder)
    }


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_not_ours_is_not_touched(server: OneFile, path: Path, name: str) -> None:
    FOREIGN[name](path)
    before = _seen(path.parent)
    with pytest.raises(CannotRun, match=r"move it away|cannot read"):
        download(server.url, path)
    assert _seen(path.parent) == before
    assert command("http://127.0.0.1:1/", path)[0] == 1
    assert _seen(path.parent) == before
    assert server.requests == []


@pytest.mark.parametrize("what", ["part", "part.json"])
@pytest.mark.parametrize("how", ["open to others", "linked", "another's"])
def test_a_part_that_a_stranger_may_have_made(server: OneFile, path: Path, what: str, how: str) -> None:
    leave_part(server, path)
    name = f"{path}.{what}"
    if how == "open to others":
        os.chmod(name, 0o666)
    elif how == "linked":
        os.link(name, f"{path}.other")
    elif os.geteuid() == 0:
        os.chown(name, 1234, -1)
    else:
        os.chmod(name, 0o644)
    before = _seen(path.parent)
    with pytest.raises(CannotRun, match="move it away"):
        download(server.url, path)
    assert _seen(path.parent) == before


def test_a_part_is_private(server: OneFile, path: Path) -> None:
    leave_part(server, path)
    assert [stat.S_IMODE(os.stat(f"{path}.{name}").st_mode) for name in ("part", "part.json")] == [0o600, 0o600]


@pytest.mark.parametrize("wrong", ["cut off", "another digest"])
def test_a_regular_file_below_dev(server: OneFile, wrong: str) -> None:
    path = Path(f"/dev/shm/httpmini-test-{os.getpid()}-{threading.get_ident()}")
    path.write_bytes(b"old")
    server.cut = CUT if wrong == "cut off" else None
    try:
        assert command(server.url, path, *(["--sha256", "0" * 64] if wrong != "cut off" else []))[0] in (8, 12)
        assert path.read_bytes() == b"old"
        link = Path(f"{path}.link")
        link.symlink_to(path.name)
        assert command(server.url, link)[0] == 1
        link.unlink()
        assert path.read_bytes() == b"old"
    finally:
        for left in Path("/dev/shm").glob(f"{path.name}*"):
            left.unlink()


@pytest.mark.parametrize("way", ["save", "download", "command", "command with data"])
@pytest.mark.parametrize("kind", ["pipe", "link to a pipe", "device"])
def test_what_is_no_file_is_written_to(server: OneFile, path: Path, way: str, kind: str) -> None:
    server.content = CONTENT[:5000]
    if kind == "device":
        os.symlink("/dev/null", path)
    else:
        pipe = path.with_name("pipe") if kind != "pipe" else path
        os.mkfifo(pipe)
        if pipe != path:
            path.symlink_to("pipe")
    reader = None if kind == "device" else os.open(path, os.O_RDWR | os.O_NONBLOCK)
    before = _seen(path.parent)
    if way == "save":
        with httpmini.Client() as client:
            assert client.fetch(server.url).save(path) == 5000
    elif way == "download":
        assert download(server.url, path).size == 5000
    else:
        more = ["--data", "x"] if way.endswith("data") else []
        assert command(server.url, path, *more) == (0, "")
    if reader is not None:
        assert os.read(reader, 10_000) == server.content
        os.close(reader)
    assert _seen(path.parent) == before


class Counted(EndAfter):
    """Progress that counts."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, int | None, int]] = []
        self.size = 0

    def begin(self, name: str, total: int | None, done: int) -> None:
        self.begun.append((name, total, done))

    def advance(self, count: int) -> None:
        self.size += count


def test_a_device_with_a_rate_and_progress(server: OneFile) -> None:
    progress = Counted()
    done = download(server.url, Path("/dev/null"), rate=100_000_000, progress=progress)
    assert (progress.begun, progress.size, done.size) == ([("null", SIZE, 0)], SIZE, SIZE)


def test_a_device_that_is_full(server: OneFile) -> None:
    with pytest.raises(CannotRun, match=r"^cannot write /dev/full: No space left on device$"):
        download(server.url, Path("/dev/full"))


def test_a_closed_draft_keeps_no_plan(path: Path) -> None:
    """Its descriptor may be another file's when a thread that was left behind comes back."""
    kept: list[Plan] = []
    folder = os.open(path.parent, os.O_RDONLY)
    draft = Draft(os.open(path, os.O_RDWR | os.O_CREAT), folder, "x", str(path), kept.append)
    plan = Plan("http://a/", '"1"', "", 0, [])
    draft.save(plan)
    draft.close()
    draft.save(plan)
    os.close(folder)
    assert kept == [plan]


@pytest.mark.parametrize("way", ["save", "download", "command", "command with data"])
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, None])
def test_the_mode_of_the_file_that_is_replaced(server: OneFile, path: Path, way: str, mode: int | None) -> None:
    if mode is not None:
        path.write_bytes(b"old")
        path.chmod(mode)
    if way == "save":
        with httpmini.Client() as client:
            client.fetch(server.url).save(path)
    elif way == "download":
        download(server.url, path)
    else:
        assert command(server.url, path, *(["--data", "x"] if way.endswith("data") else [])) == (0, "")
    assert path.read_bytes() == CONTENT
    umask = os.umask(0o22)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == (0o666 & ~umask if mode is None else mode)


@pytest.mark.parametrize("length", [200, 241, 242, 250, 255])
def test_long_names(server: OneFile, path: Path, length: int) -> None:
    path = path.with_name("n" * length)
    with pytest.raises(KeyboardInterrupt):
        download(server.url, path, progress=EndAfter(CUT, KeyboardInterrupt()))
    assert sorted(os.listdir(path.parent)) == sorted(part_names(path.name))
    assert download(server.url, path).resumed_from >= CUT
    assert os.listdir(path.parent) == [path.name]


def test_long_names_differ_in_their_parts() -> None:
    names = ["n" * 249 + letter for letter in "ab"]
    parts = {name for each in names for name in part_names(each)}
    assert len(parts) == 4
    assert all(len(name) <= 255 for name in parts)


def test_a_name_that_is_too_long(server: OneFile, path: Path) -> None:
    path = path.with_name("n" * 256)
    with pytest.raises(CannotRun, match="too long"):
        download(server.url, path)
    assert os.listdir(path.parent) == []
    assert server.requests == []


@pytest.mark.parametrize(
    "name", [". .bashrc", ".. .x", " . . .profile", ". . ", "....", ".\u00a0.x", " .x ", ".part.json", ". .part.json"]
)
def test_names_are_cleaned_until_nothing_changes(name: str) -> None:
    for value in (f'attachment; filename="{name}"', f"attachment; filename*=UTF-8''{name.replace(' ', '%20')}"):
        found = name_from(parse_url("http://h/y"), Headers((("Content-Disposition", value),)))
        assert found.strip(" ").lstrip(".") == found != ""
        assert (
            name_from(parse_url("http://h/y"), Headers((("Content-Disposition", f'a; filename="{found}"'),))) == found
        )


def test_a_disk_that_does_not_know_its_room(server: OneFile, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> os.statvfs_result:
        raise OSError(errno.ENOSYS, "Function not implemented")

    warned: list[str] = []
    for answer in (fail, lambda _: os.statvfs_result((4096, 4096, 0, 0, 0, 0, 0, 0, 0, 255))):
        monkeypatch.setattr(os, "fstatvfs", answer)
        download(server.url, path, warn=warned.append)
        assert path.read_bytes() == CONTENT
    assert warned == []
    monkeypatch.setattr(os, "fstatvfs", lambda _: os.statvfs_result((4096, 4096, 9, 0, 0, 0, 0, 0, 0, 255)))
    download(server.url, path, warn=warned.append)
    assert warned == [f"{path}: there may be no room for {SIZE} bytes on this disk"]


def test_no_threads(server: OneFile, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", fail)
        url = server.url
        # The server needs threads too: it gets them by the original method.
        patched.setattr(
            threading.Thread, "start", lambda thread: fail(thread) if "httpmini" in thread.name else START(thread)
        )
        assert download(url.replace("127.0.0.1", "localhost"), path, segments=4).size == SIZE
    assert path.read_bytes() == CONTENT


START = threading.Thread.start


@pytest.mark.parametrize("sync", [True, False])
@pytest.mark.parametrize("way", ["save", "download", "command"])
def test_on_disk_before_it_has_its_name(
    server: OneFile, path: Path, monkeypatch: pytest.MonkeyPatch, sync: bool, way: str
) -> None:
    calls: list[str] = []

    def note(fd: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(fd).st_mode)
        calls.append(f"{'folder' if is_folder else 'file'} {'named' if path.exists() else 'unnamed'}")

    monkeypatch.setattr(os, "fsync", note)
    if way == "save":
        with httpmini.Client() as client:
            client.fetch(server.url).save(path, sync=sync)
    elif way == "download":
        download(server.url, path, sync=sync)
    else:
        assert get_command((server.url,), GetOptions(output=str(path), quiet=True, no_sync=not sync)) == 0
    assert calls == (["file unnamed", "folder named"] if sync else [])


# What a server may answer.


@pytest.mark.parametrize("way", ["download", "command"])
@pytest.mark.parametrize(
    "part", [*PARTS, "ignored", "400 Bad", "403 No", "404 No", "412 No", "416 No", "500 No", "501 No"]
)
def test_a_part_is_resumed_or_fetched_again(server: OneFile, path: Path, part: str, way: str) -> None:
    leave_part(server, path)
    server.part = part
    if way == "command":
        assert command(server.url, path) == (0, "")
    else:
        resumable = part in ("", "large letters", "unknown length", "shorter", "earlier", "the whole")
        assert (download(server.url, path).resumed_from >= CUT) == resumable
    assert path.read_bytes() == CONTENT
    assert os.listdir(path.parent) == ["x"]


@pytest.mark.parametrize("part", ["no Content-Range", "404 No", "ignored"])
def test_the_part_stays_until_the_other_version_is_whole(server: OneFile, path: Path, part: str) -> None:
    before = leave_part(server, path)
    server.part, server.content, server.tag, server.cut = part, OTHER, '"2"', 100_000
    for _ in range(2):
        status, errors = command(server.url, path)
        assert (status, "x.part of another version is kept" in errors) == (8, True)
        assert Path(f"{path}.part").read_bytes() == before
    server.part, server.content, server.tag, server.cut = "", CONTENT, '"1"', None
    assert download(server.url, path).resumed_from >= CUT
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("head", ["silent", "tagless", "403 No", "405 No", "500 No", "204 No"])
def test_head_is_a_help_and_no_condition(server: OneFile, path: Path, head: str) -> None:
    leave_part(server, path)
    server.head = head
    done = download(server.url, path, first_byte_s=0.5 if head == "silent" else 60)
    assert done.resumed_from >= CUT
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("head", ["silent", "500 No"])
def test_no_head_for_the_name(server: OneFile, path: Path, head: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    server.head = head
    options = GetOptions(remote_name=True, quiet=True, first_byte_timeout=0.5 if head == "silent" else 60)
    assert get_command((server.url,), options) == 0
    assert (path.parent / "file").read_bytes() == CONTENT


@pytest.mark.parametrize("part", ["ignored", "403 No", "no Content-Range", "shorter"])
def test_segments_from_a_server_that_does_not_send_them(server: OneFile, path: Path, part: str) -> None:
    server.part = part
    assert download(server.url, path, segments=4).size == SIZE
    assert path.read_bytes() == CONTENT


def test_segments_from_servers_with_tags_of_their_own(server: OneFile, path: Path) -> None:
    class Mirrors(OneFile):
        @property
        def tag(self) -> str:
            return f'"{len(self.requests)}"'

        @tag.setter
        def tag(self, _: str) -> None:
            pass

    mirrors = Mirrors(CONTENT)
    try:
        assert download(mirrors.url, path, segments=4).size == SIZE
    finally:
        mirrors.close()
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("refusal", ["403 Forbidden", "429 Slow down", "503 Later"])
def test_segments_from_a_server_that_takes_one_client(server: OneFile, path: Path, refusal: str) -> None:
    server.most, server.refusal = 1, refusal
    assert download(server.url, path, segments=4).size == SIZE
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(("before", "after"), [(4, 1), (1, 4), (4, 2)])
def test_the_number_of_segments_is_not_fixed_by_the_plan(server: OneFile, path: Path, before: int, after: int) -> None:
    leave_part(server, path, segments=before)
    server.most = after
    assert download(server.url, path, segments=after).resumed_from > 0
    assert path.read_bytes() == CONTENT


def test_a_limit_is_one_on_the_file(server: OneFile, path: Path) -> None:
    before = leave_part(server, path)
    assert command(server.url, path, "--max-size", "1500K")[0] == 10
    with pytest.raises(TooLarge):
        download(server.url, path, limits=httpmini.Limits(body_bytes=1_500_000))
    assert Path(f"{path}.part").read_bytes() == before
    server.content, server.tag = OTHER + CONTENT, '"2"'  # and of a version that has grown meanwhile
    with pytest.raises(TooLarge):
        download(server.url, path, limits=httpmini.Limits(body_bytes=SIZE))
    server.content, server.tag = CONTENT, '"1"'
    assert download(server.url, path, limits=httpmini.Limits(body_bytes=SIZE)).resumed_from >= CUT


@pytest.mark.parametrize("way", ["download", "command"])
def test_a_file_that_is_stored_compressed(server: OneFile, path: Path, way: str) -> None:
    server.content = gzip.compress(CONTENT)
    server.fields.append("Content-Encoding: gzip")
    digest = hashlib.sha256(server.content).hexdigest()
    if way == "command":
        assert command(server.url, path, "--sha256", digest) == (0, "")
    else:
        leave_part(server, path)
        assert download(server.url, path, sha256=digest).resumed_from >= CUT
    assert path.read_bytes() == server.content


def test_a_wrong_digest_leaves_nothing(server: OneFile, path: Path) -> None:
    leave_part(server, path)
    with pytest.raises(Corrupt):
        download(server.url, path, sha256="0" * 64)
    assert os.listdir(path.parent) == []


def test_leftovers_of_a_process_with_the_same_number(server: OneFile, path: Path) -> None:
    """In a container each process is the first: a name made of its number alone would be taken."""
    for name in (f"x.{os.getpid()}.part", "x.1.part"):
        (path.parent / name).write_bytes(b"old")
    assert command(server.url, path, "--compressed") == (0, "")
    assert path.read_bytes() == CONTENT
