"""Downloads from servers whose files change, or that ignore If-Range."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from httpmini.client.client import Client
from httpmini.client.download.download import download
from httpmini.client.download.part import Part
from httpmini.client.download.plan import Plan, Segment
from httpmini.client.download.target import Target
from httpmini.client.options import Retries, Timeouts
from httpmini.errors import CannotRun, Corrupt, NotConnected
from httpmini.files import move_to_free_name
from httpmini.protocol.dates import format_date
from tests.support.progress import EndAfter
from tests.support.wire import WAIT_S

SIZE = 3_000_000
OLD = b"a" * SIZE
NEW = b"b" * 100_000 + b"a" * (SIZE - 200_000) + b"c" * 100_000  # its middle is unchanged
HOUR_AGO = format_date(time.time() - 3600)


class Versions:
    """A server of one file, whose behaviour the test sets.

    Attributes:
        content, tag, modified: the file; an empty field is not sent.
        obeys: whether If-Range is obeyed.
        answers: the methods that it supports.
        fields, part_fields: further header fields; the latter only with a part (206).
        changes_at_once: whether each response has another tag.
        silent: whether requests for a range get no response.
    """

    def __init__(self) -> None:
        self.content, self.tag, self.modified = OLD, '"1"', HOUR_AGO
        self.obeys, self.answers = True, ["GET", "HEAD"]
        self.fields: list[tuple[str, str]] = []
        self.part_fields: list[tuple[str, str]] = []
        self.changes_at_once, self.silent = False, False
        self.asked: list[tuple[str, str]] = []  # method, range
        self.over = threading.Event()
        versions = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                versions.answer(self)

            def do_HEAD(self) -> None:
                versions.answer(self)

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/file"

    def close(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, to: BaseHTTPRequestHandler) -> None:
        said = re.fullmatch(r"bytes=(\d+)-(\d*)", to.headers.get("Range") or "")
        self.asked.append((to.command, said[0] if said else ""))
        if to.command not in self.answers:
            to.send_error(405)
            return
        if self.silent and said:
            self.over.wait(30)
            return
        tag = f'"{len(self.asked)}"' if self.changes_at_once else self.tag
        wanted = to.headers.get("If-Range") in (None, tag, self.modified) or not self.obeys
        body = self.content
        if said and wanted:
            first, last = int(said[1]), int(said[2] or SIZE - 1)
            to.send_response(206)
            to.send_header("Content-Range", f"bytes {first}-{last}/{len(body)}")
            body = body[first : last + 1]
            for name, value in self.part_fields:
                to.send_header(name, value)
        else:
            to.send_response(200)
        fields = [("ETag", tag), ("Last-Modified", self.modified), ("Accept-Ranges", "bytes"), *self.fields]
        for name, value in (*fields, ("Content-Length", str(len(body)))):
            if value:
                to.send_header(name, value)
        to.end_headers()
        try:
            if to.command == "GET":
                to.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client needs no more


@pytest.fixture
def server() -> Iterator[Versions]:
    made = Versions()
    yield made
    made.close()


@pytest.fixture
def client() -> Iterator[Client]:
    with Client(retries=Retries(1, 0.01), timeouts=Timeouts(60, 60, 60)) as client:
        yield client


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "file"


@contextmanager
def held(path: Path) -> Iterator[Part]:
    target = Target(str(path))
    try:
        part = Part(target)
        try:
            yield part
        finally:
            part.close()
    finally:
        target.close()


def kept(path: Path) -> Plan | None:
    """The plan that a later call would resume from."""
    with held(path) as part:
        found = part.resume()
        if found is None:
            return None
        found[0].close()
        return found[1]


def interrupt(client: Client, server: Versions, target: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        download(client, server.url, target, progress=EndAfter(SIZE // 2, KeyboardInterrupt()))


def test_a_file_that_is_written_again_within_its_second(server: Versions, client: Client, target: Path) -> None:
    """nginx sends the same strong tag for both versions, and the 64 KiB where they meet are the same."""
    server.modified = format_date(time.time() + 3600)  # the second is not over, however slow this machine is
    interrupt(client, server, target)
    server.content = NEW
    assert download(client, server.url, target).resumed_from == 0
    assert target.read_bytes() == NEW


@pytest.mark.parametrize("segments", [1, 4])
def test_a_date_that_changes_under_a_server_that_ignores_if_range(
    server: Versions, client: Client, target: Path, segments: int
) -> None:
    server.tag, server.obeys, server.answers = "", False, ["GET"]
    interrupt(client, server, target)
    server.content, server.modified = NEW, format_date(time.time() - 1800)
    assert download(client, server.url, target, segments=segments).resumed_from == 0
    assert target.read_bytes() == NEW


def test_no_head_but_a_tag(server: Versions, client: Client, target: Path) -> None:
    """GET is then used to confirm the version: here the file was rewritten in place."""
    server.answers = ["GET"]
    interrupt(client, server, target)

    class Change(EndAfter):
        def advance(self, count: int) -> None:
            server.tag, server.content = '"2"', NEW

    download(client, server.url, target, progress=Change(0, KeyboardInterrupt()))
    assert target.read_bytes() == NEW


def test_one_answer_is_one_version_also_after_a_change(server: Versions, client: Client, target: Path) -> None:
    """A page generated for each request has a new tag each time; it can only be fetched whole."""
    server.changes_at_once = True
    interrupt(client, server, target)
    assert download(client, server.url, target).size == SIZE
    assert target.read_bytes() == OLD


def test_a_digest_is_of_its_own_version_only(server: Versions, client: Client, target: Path) -> None:
    """A part of the new version announces its digest; then the file changes once more."""
    interrupt(client, server, target)
    server.tag, server.obeys = '"2"', False
    server.part_fields = [("Repr-Digest", f"sha-256=:{b64encode(bytes(32)).decode()}:")]
    download(client, server.url, target)
    assert target.read_bytes() == OLD


def test_a_part_of_all_of_it_is_compared_with_the_digest(server: Versions, client: Client, target: Path) -> None:
    """Nothing is left to request; HEAD announces the digest of the whole."""
    interrupt(client, server, target)
    plan = Plan(server.url, server.tag, "", SIZE, [Segment(0, SIZE, 0, 0)])
    with held(target) as part:
        part.discard()
    with held(target) as part:
        draft = part.begin()
        draft.write(plan.segments[0], OLD)
        draft.save(plan)
        draft.close()
    server.answers = ["HEAD"]
    server.fields = [("Repr-Digest", f"sha-256=:{b64encode(bytes(32)).decode()}:")]
    with pytest.raises(Corrupt, match="announced by the server"):
        download(client, server.url, target)
    assert not target.exists()


def test_all_of_it_is_kept_when_the_last_question_fails(server: Versions, client: Client, target: Path) -> None:
    """The plan is saved every two seconds: what came since the last save need not come again."""
    interrupt(client, server, target)

    class Leave(EndAfter):
        def advance(self, count: int) -> None:
            if len(server.asked) == 2:
                server.close()

    with pytest.raises(NotConnected):
        download(client, server.url, target, progress=Leave(0, KeyboardInterrupt()))
    plan = kept(target)
    assert plan is not None
    assert plan.complete


def test_ctrl_c_does_not_wait_for_a_server_that_says_nothing(server: Versions, client: Client, target: Path) -> None:
    """One segment comes, three hang for up to 20 s each; the abandoned threads write nothing more."""
    server.silent = True
    with pytest.raises(KeyboardInterrupt):
        download(client, server.url, target, segments=4, progress=EndAfter(100_000, KeyboardInterrupt()))
    left = [thread for thread in threading.enumerate() if thread.name == "httpmini-segment"]
    assert len(left) == 3
    assert not target.exists()
    plan = kept(target)
    assert plan is not None
    assert plan.segments[0].done >= 100_000
    server.over.set()
    for thread in left:
        thread.join(WAIT_S)


def test_what_is_closed_is_not_written_to(tmp_path: Path) -> None:
    """Its descriptor's number may belong to another file by now."""
    with held(tmp_path / "file") as part:
        draft = part.begin()
        draft.write(Segment(0, 2, 0, 0), b"1")
        number = draft.fd
        draft.close()
        other = os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT)
        try:
            os.dup2(other, number)
            with pytest.raises(CannotRun, match="closed"):
                draft.write(Segment(0, 2, 1, 0), b"2")
            assert os.path.getsize(tmp_path / "other") == 0
        finally:
            os.close(number)
            if other != number:
                os.close(other)


@pytest.mark.parametrize("what", ["named", "taken away"])
def test_a_part_that_gets_its_name_while_another_opens_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """The other download ends between open and lock: what was opened is its finished file."""
    lock = fcntl.flock
    with ExitStack() as its_end:
        first = its_end.enter_context(held(tmp_path / "file"))
        draft = first.begin()
        its_end.callback(draft.close)
        draft.save(Plan("http://h/", '"1"', "", 4, [Segment(0, 4, 0, 0)]))
        draft.write(Segment(0, 4, 0, 0), b"good")

        def late(fd: int, how: int) -> None:
            monkeypatch.setattr(fcntl, "flock", lock)
            if what == "named":
                first.finish(draft, overwrite=True, sync=True)
            else:
                first.discard()
            its_end.close()
            lock(fd, how)

        monkeypatch.setattr(fcntl, "flock", late)
        with held(tmp_path / "file") as second:
            other = second.begin()
            other.write(Segment(0, 6, 0, 0), b"second")
            assert not (tmp_path / "file").exists() or (tmp_path / "file").read_bytes() == b"good"
            second.finish(other, overwrite=True, sync=True)
            other.close()
    assert (tmp_path / "file").read_bytes() == b"second"
    assert os.listdir(tmp_path) == ["file"]


def test_a_part_that_is_no_file(server: Versions, client: Client, target: Path) -> None:
    os.mkfifo(f"{target}.part")
    with pytest.raises(CannotRun, match="not a regular file"):
        download(client, server.url, target)
    assert os.listdir(target.parent) == ["file.part"]


@pytest.mark.parametrize("link", [os.symlink, os.link])
@pytest.mark.parametrize("name", ["file.part.json", "file.part.new", "file.part"])
def test_nothing_is_written_through_a_link(
    server: Versions, client: Client, target: Path, link: Callable[[str, str], None], name: str
) -> None:
    mine = target.parent / "mine"
    mine.write_text("precious")
    link(str(mine), str(target.parent / name))
    if name == "file.part.new":
        download(client, server.url, target)
        assert sorted(os.listdir(target.parent)) == ["file", "file.part.new", "mine"]
    else:
        with pytest.raises(CannotRun):
            download(client, server.url, target)
        assert sorted(os.listdir(target.parent)) == sorted([name, "mine"])
        assert server.asked == []
    assert mine.read_text() == "precious"


def test_a_disk_without_links(server: Versions, client: Client, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FAT on a memory stick fails like this."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    download(client, server.url, target)
    assert target.read_bytes() == OLD
    assert os.listdir(target.parent) == ["file"]
    (target.parent / "other").symlink_to("nowhere")
    with pytest.raises(FileExistsError):
        move_to_free_name(str(target), str(target.parent / "other"))
    assert target.read_bytes() == OLD
