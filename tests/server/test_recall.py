"""Answers that are kept: bounded, dated, and the same as if they were made anew."""

from __future__ import annotations

import os
import random
import time
from dataclasses import dataclass, field
from pathlib import Path

import bcrypt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from httpmini import config
from httpmini.daemon.build import make_service, make_site
from httpmini.protocol.body import FileSlice
from httpmini.protocol.message import Headers, Response
from httpmini.server.core.connection import Interest
from httpmini.server.http import response_cache as module
from httpmini.server.http.connection import HttpService
from httpmini.server.http.response_cache import ENTRY_BYTES, CachedResponse, Known, ResponseCache
from tests.support.logs import log_into
from tests.support.sans_io import PEER, answers_to
from tests.support.small_site import write_tree
from tests.support.wire import mask_date
from tests.wire_cases import CASES, Case

PLAIN = b"GET /a.txt HTTP/1.1\r\nHost: h\r\n\r\n"
HEAD = b"HTTP/1.0 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n"


@dataclass
class File:
    """What an answer is made of."""

    current: bool = True
    looks: int = 0

    def is_current(self, _moment: float) -> bool:
        self.looks += 1
        return self.current


def question(number: int) -> tuple[str, str, str, bool, str]:
    return ("", "GET", f"/{number}", True, "")


def keep(recall: ResponseCache, number: int, size: int = 10, file: File | None = None) -> CachedResponse | None:
    response = Response(200, Headers(), (b"x" * size,), is_current=(file or File()).is_current)
    assert recall.takes(response, response.body)
    return recall.keep(question(number), response, HEAD, response.body, 0)


def known(kept: CachedResponse | None) -> Known:
    assert kept is not None
    return Known(kept, True, False, ('"GET / HTTP/1.0" 200 ', ""), "")


def make(most: int = 2**20) -> ResponseCache:
    return ResponseCache(most, lambda: 0.0)


def test_the_memory_is_bounded() -> None:
    recall, source = make(64 * 1024), random.Random(1)
    for moment in range(3000):
        kept = keep(recall, source.randrange(500), source.randrange(5000))
        assert kept is None or kept.octets, "what was just kept can be sent"
        recall.find(question(source.randrange(500)), float(moment))
        assert recall.bytes_used <= 64 * 1024
        assert len(recall) * ENTRY_BYTES <= recall.bytes_used
    assert len(recall) > 10, "it is used"


def test_what_comes_last_is_not_what_has_to_go() -> None:
    recall = make(3 * (ENTRY_BYTES + len(HEAD) + 10))
    for number in range(3):
        keep(recall, number)
        assert recall.find(question(number), float(number))
    kept = keep(recall, 3)
    assert kept is not None
    assert kept.octets.startswith(HEAD)


def test_what_is_used_stays() -> None:
    recall = make(20 * (ENTRY_BYTES + 100))
    keep(recall, 0)
    for number in range(1, 200):
        assert recall.find(question(0), float(number)), number
        keep(recall, number)
    assert recall.find(question(1), 0.5) is None


def test_heads_are_bounded_and_remembered_the_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_HEADS", 8)
    recall = make()
    entry = known(keep(recall, 0))
    recall.remember_head(b"first", entry)
    assert recall.find_head(b"first", 0.0) is None
    for number in range(20):
        head = b"head %d" % number
        recall.remember_head(head, entry)
        recall.remember_head(head, entry)
        assert recall.find_head(head, 0.0) is entry
    remembered = [number for number in range(20) if recall.find_head(b"head %d" % number, 0.0)]
    assert remembered == list(range(12, 20))
    long = b"x" * (module.MAX_HEAD_BYTES + 1)
    for _ in range(3):
        recall.remember_head(long, entry)
    assert recall.find_head(long, 0.0) is None


def test_heads_of_one_answer_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_HEADS", 8)
    recall = make()
    kept = keep(recall, 0)
    entry = known(kept)
    for number in range(100):
        for _ in range(2):
            recall.remember_head(b"head %d" % number, entry)
    assert kept is not None
    assert len(kept.heads) == 8


actions = st.lists(
    st.tuples(st.sampled_from(["keep", "ask", "change", "repeat"]), st.integers(0, 9), st.integers(0, 6000)),
    max_size=60,
)


@given(actions)
@settings(max_examples=300, deadline=None)
def test_whatever_happens(happening: list[tuple[str, int, int]]) -> None:
    """It is bounded, and what is found is the last thing that was kept for that question, and is still right."""
    most = 8 * ENTRY_BYTES
    recall, files, bodies = make(most), [File() for _ in range(10)], [b""] * 10
    for moment, (action, number, size) in enumerate(happening):
        if action == "keep":
            files[number], bodies[number] = File(), b"%d" % moment + b"x" * size
            response = Response(200, Headers(), (bodies[number],), is_current=files[number].is_current)
            recall.keep(question(number), response, HEAD, response.body, 0)
        elif action == "change":
            files[number].current = False
        kept = recall.find(question(number), float(moment))
        if action == "repeat" and kept:
            recall.remember_head(b"%d" % number, known(kept))
        for found in (kept, getattr(recall.find_head(b"%d" % number, float(moment)), "kept", None)):
            assert found is None or (found.octets == HEAD + bodies[number] and files[number].current)
        assert 0 <= recall.bytes_used <= most
        assert len(recall) * ENTRY_BYTES <= recall.bytes_used


def test_one_look_for_each_moment() -> None:
    recall, file = make(), File()
    entry = known(keep(recall, 0, file=file))
    for _ in range(2):
        recall.remember_head(b"head", entry)
    looks = file.looks
    for moment, expected in ((1.0, 1), (1.0, 1), (2.0, 2), (2.0, 2), (1.0, 3)):
        assert recall.find_head(b"head", moment)
        assert recall.find(question(0), moment)
        assert file.looks - looks == expected


def test_what_is_not_right_any_more_is_forgotten() -> None:
    recall, file = make(), File()
    entry = known(keep(recall, 0, file=file))
    for _ in range(2):
        recall.remember_head(b"head", entry)
    assert recall.find_head(b"head", 1.0)
    file.current = False
    assert recall.find_head(b"head", 2.0) is None
    assert recall.find(question(0), 2.0) is None
    assert (len(recall), recall.bytes_used) == (0, 0)
    file.current = True
    assert recall.find_head(b"head", 3.0) is None, "a head does not lead to what was forgotten"


def test_the_date_is_that_of_the_moment() -> None:
    present = 0.0
    recall = ResponseCache(2**20, lambda: present)
    keep(recall, 0)
    for present in (0.5, 86_400.0, 86_401.9):
        kept = recall.find(question(0), present)
        assert kept is not None
        date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(present)).encode()
        assert kept.octets == HEAD.replace(b"Thu, 01 Jan 1970 00:00:00 GMT", date) + b"x" * 10


def test_what_is_not_taken(tmp_path: Path) -> None:
    whole = Response(200, is_current=lambda _moment: True)
    assert not make().takes(Response(200), (b"x",)), "nobody vouches for it"
    assert not make().takes(whole, (b"x" * (module.MAX_BODY_BYTES + 1),))
    assert not make(0).takes(whole, (b"x",))
    assert keep(make(), 0, file=File(current=False)) is None, "it has changed while it was read"
    with (tmp_path / "short").open("w+b") as file:
        file.write(b"abc")
        file.flush()
        slices = (FileSlice(file.fileno(), 0, 4),)
        assert make().keep(question(0), whole, HEAD, slices, 0) is None
    folder = os.open(tmp_path, os.O_RDONLY)
    assert make().keep(question(0), whole, HEAD, (FileSlice(folder, 0, 4),), 0) is None, "it cannot be read"
    os.close(folder)


# The same octets, kept or not.


@dataclass
class Told:
    """What a service has said to one client after the other, each asking as a mode's transfer does."""

    service: HttpService
    ready: int = 0
    log: list[str] = field(default_factory=list)

    def ask(self, data: bytes) -> bytes:
        connection = self.service.connect(PEER, 0.0)
        self.now = time.monotonic()
        said = b""
        for piece in (data, b""):
            if connection.interest in (Interest.READ, Interest.LINGER):
                answer = connection.find_ready(piece, self.now) if piece else None
                if answer is None:
                    connection.receive(piece, self.now)
                else:
                    self.ready += 1
                    connection.sent_ready(answer, len(answer), self.now)
                    said += answer
            while connection.output:
                said += (octets := _octets(connection.output[0]))
                connection.sent(len(octets), self.now)
        return said


def _octets(piece: object) -> bytes:
    if isinstance(piece, FileSlice):
        return os.pread(piece.fd, piece.length, piece.offset)
    assert isinstance(piece, bytes)
    return piece


def told(root: Path, toml: str = "") -> Told:
    """A service for which everything in ``root`` was written long ago."""
    file = root.parent / "recall.toml"
    file.write_text(toml)
    configured = config.load(str(file), config.Flags(root=str(root)))
    site = replace(make_site(configured), now=lambda: time.time() + 10)
    log: list[str] = []
    return Told(make_service(configured, site, log.append, log_into(log)), log=log)


@pytest.fixture(scope="module")
def remembering(site: Path) -> Told:
    return told(site)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name[:60])
def test_kept_answers_are_the_same_octets(case: Case, site: Path, remembering: Told) -> None:
    expected = mask_date(answers_to(site, [case.data]))
    for _ in range(4):
        assert mask_date(remembering.ask(case.data)) == expected


def test_most_answers_of_the_cases_were_ready(site: Path) -> None:
    """Or the test above would compare nothing."""
    service = told(site)
    for _ in range(3):
        for case in CASES:
            service.ask(case.data)
    assert service.ready > 100


@pytest.mark.parametrize(
    ("head", "kept"),
    [
        (b"GET /a.txt HTTP/1.1\r\nHost: h\r\n\r\n", True),
        (b"GET /a.txt?x=1 HTTP/1.1\r\nHost: h\r\n\r\n", True),
        (b"HEAD /a.txt HTTP/1.1\r\nHost: h\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n", True),
        (b"GET /a.txt HTTP/1.1\r\nHost: h\r\nIf-Modified-Since: Sat, 01 Jan 2000 00:00:00 GMT\r\n\r\n", False),
        (b'GET /a.txt HTTP/1.1\r\nHost: h\r\nIf-None-Match: "other"\r\n\r\n', False),
        (b"GET /a.txt HTTP/1.1\r\nHost: h\r\nIf-None-Match: *\r\n\r\n", True),
        (b"GET /a.txt HTTP/1.1\r\nHost: h\r\nRange: bytes=0-1\r\n\r\n", False),
        (b"GET /a.txt HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx", False),
        (b"GET /missing HTTP/1.1\r\nHost: h\r\n\r\n", False),
        (b"GET /folder HTTP/1.1\r\nHost: h\r\n\r\n", False),
        (b"GET /folder/ HTTP/1.1\r\nHost: h\r\n\r\n", False),
        (b"GET /private/b.txt HTTP/1.1\r\nHost: h\r\n\r\n", False),
        (b"GET /private/b.txt HTTP/1.1\r\nHost: h\r\nAuthorization: Basic YWRhOnB3\r\n\r\n", False),
        (b"GET /large.bin HTTP/1.1\r\nHost: h\r\n\r\n", False),
        (b"OPTIONS / HTTP/1.1\r\nHost: h\r\n\r\n", False),
        (b"GET /a.txt\r\n", False),
    ],
)
def test_what_is_kept(tmp_path: Path, head: bytes, kept: bool) -> None:
    files = {"a.txt": b"a", "index.html": b"i", "folder/x": b"", "private/b.txt": b"b"}
    root = write_tree(tmp_path / "root", {**files, "large.bin": b"x" * (module.MAX_BODY_BYTES + 1)})
    (tmp_path / "users").write_bytes(b"ada:" + bcrypt.hashpw(b"pw", bcrypt.gensalt(4)) + b"\n")
    service = told(root, f'[[realms]]\npath = "/private/"\nusers = "{tmp_path / "users"}"\n')
    first = service.ask(head)
    for _ in range(3):
        assert mask_date(service.ask(head)) == mask_date(first)
    assert bool(service.ready) == kept
    assert len(service.log) == 4, "each is one line, kept or not"
    assert len({line.split("] ", 1)[1] for line in service.log}) == 1


@pytest.mark.parametrize("coding", ["", "gzip", "identity", "gzip;q=0"])
def test_nothing_is_kept_where_variants_are_looked_for(tmp_path: Path, coding: str) -> None:
    root = write_tree(tmp_path / "root", {"a.txt": b"plain", "a.txt.gz": b"packed"})
    service = told(root, '[site]\nprecompressed = ["gzip"]\n')
    fields = f"Accept-Encoding: {coding}\r\n" if coding else ""
    for _ in range(4):
        said = service.ask(f"GET /a.txt HTTP/1.1\r\nHost: h\r\n{fields}\r\n".encode())
        assert said.endswith(b"packed" if coding == "gzip" else b"plain")
    assert service.ready == 0
    (root / "a.txt.gz").unlink()
    assert service.ask(b"GET /a.txt HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\n\r\n").endswith(b"plain")


def test_a_304_is_kept_and_ends_with_the_version_that_it_is_about(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "root", {"a.txt": b"old"})
    os.utime(root / "a.txt", (10**9, 10**9))
    service = told(root)
    tag = next(line for line in service.ask(PLAIN).split(b"\r\n") if line.startswith(b"ETag: ")).removeprefix(b"ETag: ")
    date = b"Sun, 09 Sep 2001 01:46:40 GMT"
    conditions = [b"If-None-Match: " + tag, b"If-None-Match: W/" + tag, b"If-Modified-Since: " + date]
    heads = [PLAIN[:-2] + condition + b"\r\n\r\n" for condition in conditions]
    for _ in range(4):
        assert [service.ask(head)[:13] for head in heads] == [b"HTTP/1.0 304 "] * 3
        assert service.ask(PLAIN).endswith(b"old")
    assert service.ready >= 9
    (root / "a.txt").write_bytes(b"new")
    for head in heads:
        said = service.ask(head)
        assert said.startswith(b"HTTP/1.0 200 ")
        assert said.endswith(b"new")


def test_what_changes_is_answered_anew(tmp_path: Path) -> None:
    """Whatever the way to it: by its octets, by its question, at the end of a head that came in two pieces."""
    root = write_tree(tmp_path / "root", {"a.txt": b"0"})
    service = told(root)
    for number in range(1, 5):
        for head in (PLAIN, PLAIN, PLAIN.replace(b"a.txt", b"a.txt?%d" % number)):
            assert service.ask(head).endswith(b"\r\n\r\n%d" % (number - 1))
        (root / "a.txt").write_bytes(b"%d" % number)
        if number % 2:
            assert service.ask(PLAIN.replace(b"Host", b"X: y\r\nHost")).endswith(b"%d" % number)
        assert answers_in_pieces(service, PLAIN).endswith(b"%d" % number)
    assert service.ready >= 4


def answers_in_pieces(service: Told, head: bytes) -> bytes:
    connection = service.service.connect(PEER, 0.0)
    for piece in (head[:9], head[9:]):
        assert connection.find_ready(piece, time.monotonic()) is None
        connection.receive(piece, time.monotonic())
    said = _octets(connection.output[0])
    connection.sent(len(said), time.monotonic())
    return said


def test_answers_of_one_path_are_not_mixed_up(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "root", {"a.txt": b"body"})
    service = told(root)
    heads = [
        f"{method} /a.txt HTTP/1.{minor}\r\nHost: h\r\nConnection: {connection}\r\n\r\n".encode()
        for method in ("GET", "HEAD")
        for minor in (0, 1)
        for connection in ("keep-alive", "close", "x")
    ]
    forgetful = told(root, "[limits]\nrecall_bytes = 0\n")
    expected = [mask_date(forgetful.ask(head)) for head in heads]
    assert forgetful.ready == 0
    for _ in range(3):
        assert [mask_date(service.ask(head)) for head in heads] == expected


def test_an_answer_that_is_sent_in_part_is_logged_as_such(tmp_path: Path) -> None:
    service = told(write_tree(tmp_path / "root", {"a.txt": b"0123456789"}))
    head = b"GET /a.txt HTTP/1.1\r\nHost: h\r\n\r\n"
    service.ask(head)
    connection = service.service.connect(PEER, 0.0)
    answer = connection.find_ready(head, 1.0)
    assert answer is not None
    assert not connection.sent_ready(answer, len(answer) - 3, 1.0)
    assert connection.interest is Interest.WRITE
    connection.lose(2.0)
    assert connection.aborted
    assert '"GET /a.txt HTTP/1.1" 200 7 ' in service.log[-1]
