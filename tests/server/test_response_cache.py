"""Cached responses: bounded in memory, dated, and equal to newly built ones."""

from __future__ import annotations

import gc
import os
import random
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import bcrypt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from httpmini import config
from httpmini.daemon.build_http import build_http
from httpmini.daemon.build_site import build_site
from httpmini.lint.cases import CASES, Case
from httpmini.protocol.body import FileSlice
from httpmini.protocol.dates import format_date
from httpmini.protocol.message import Headers, Request, Response
from httpmini.protocol.reader import HeadLimits, RequestReader
from httpmini.server.core.connection import Interest
from httpmini.server.core.turn import NO_TURN, next_turn
from httpmini.server.http import heads as heads_module
from httpmini.server.http import response_cache as module
from httpmini.server.http.generation import HttpGeneration
from httpmini.server.http.heads import Head, HeadReader
from httpmini.server.http.response_cache import ENTRY_BYTES, CachedResponse, Key, ResponseCache
from httpmini.server.http.service import HttpService
from tests.support.logs import log_into
from tests.support.processes import eventually
from tests.support.sans_io import PEER, answers_to, deliver, do_work
from tests.support.small_site import write_tree
from tests.support.tables import check_all, in_batches
from tests.support.wire import mask_date

PLAIN = b"GET /a.txt HTTP/1.1\r\nHost: h\r\n\r\n"
HEAD = b"HTTP/1.0 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n"


@dataclass
class File:
    """A source that a response is built from."""

    current: bool = True
    looks: int = 0

    def is_current(self, _turn: int) -> bool:
        self.looks += 1
        return self.current


def key(number: int) -> str:
    return f"GET /{number}"


def add(cache: ResponseCache, number: int, size: int = 10, file: File | None = None) -> CachedResponse | None:
    response = Response(200, Headers(), (b"x" * size,), is_current=(file or File()).is_current)
    return cache.add(key(number), response, HEAD, response.body, 0)


def make(max_bytes: int = 2**20) -> ResponseCache:
    return ResponseCache(max_bytes, lambda: 0.0)


def test_the_memory_is_bounded() -> None:
    cache, source = make(64 * 1024), random.Random(1)
    for turn in range(1, 3000):
        cached = add(cache, source.randrange(500), source.randrange(5000))
        assert cached is None or cached.octets, "what was just cached can be sent"
        cache.find(key(source.randrange(500)), turn)
        assert cache.bytes_used <= 64 * 1024
        assert len(cache) * ENTRY_BYTES <= cache.bytes_used
    assert len(cache) > 10, "the cache holds entries"


def test_the_newest_response_is_not_evicted_first() -> None:
    cache = make(3 * (ENTRY_BYTES + len(HEAD) + 10))
    for number in range(3):
        add(cache, number)
        assert cache.find(key(number), next_turn())
    cached = add(cache, 3)
    assert cached is not None
    assert cached.octets.startswith(HEAD)


def test_recently_used_responses_stay() -> None:
    cache = make(20 * (ENTRY_BYTES + 100))
    add(cache, 0)
    for number in range(1, 200):
        assert cache.find(key(0), next_turn()), number
        add(cache, number)
    assert cache.find(key(1), next_turn()) is None


actions = st.lists(
    st.tuples(st.sampled_from(["add", "find", "change"]), st.integers(0, 9), st.integers(0, 6000)), max_size=60
)


@given(actions)
@settings(max_examples=300, deadline=None)
def test_any_sequence_of_operations(happening: list[tuple[str, int, int]]) -> None:
    """The cache stays bounded, and finds only the last response added for a key, if it is current."""
    max_bytes = 8 * ENTRY_BYTES
    cache, files, bodies = make(max_bytes), [File() for _ in range(10)], [b""] * 10
    for turn, (action, number, size) in enumerate(happening, 1):
        if action == "add":
            files[number], bodies[number] = File(), b"%d" % turn + b"x" * size
            response = Response(200, Headers(), (bodies[number],), is_current=files[number].is_current)
            cache.add(key(number), response, HEAD, response.body, 0)
        elif action == "change":
            files[number].current = False
        found = cache.find(key(number), turn)
        assert found is None or (found.octets == HEAD + bodies[number] and files[number].current)
        assert 0 <= cache.bytes_used <= max_bytes
        assert len(cache) * ENTRY_BYTES <= cache.bytes_used


def test_one_freshness_check_per_turn() -> None:
    cache, file = make(), File()
    add(cache, 0, file=file)
    looks = file.looks
    for turn, expected in ((1, 1), (1, 1), (2, 2), (2, 2), (1, 3), (NO_TURN, 4), (NO_TURN, 5)):
        assert cache.find(key(0), turn)
        assert file.looks - looks == expected


def test_a_stale_response_is_dropped() -> None:
    cache, file = make(), File()
    add(cache, 0, file=file)
    assert cache.find(key(0), 1)
    file.current = False
    assert cache.find(key(0), 2) is None
    assert (len(cache), cache.bytes_used) == (0, 0)
    file.current = True
    assert cache.find(key(0), 3) is None


def test_the_date_is_current() -> None:
    wall = 0.0
    cache = ResponseCache(2**20, lambda: wall)
    add(cache, 0)
    for wall in (0.5, 86_400.0, 86_401.9):
        for turn in (1, 1, 2):  # even if it was checked in this turn
            cached = cache.find(key(0), turn)
            assert cached is not None
            date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(wall)).encode()
            assert cached.octets == HEAD.replace(b"Thu, 01 Jan 1970 00:00:00 GMT", date) + b"x" * 10


def test_what_cannot_be_added(tmp_path: Path) -> None:
    whole = Response(200, is_current=lambda _turn: True)
    assert make().add(key(0), whole, HEAD, (b"x",), 0) is not None
    assert make().add(key(0), Response(200), HEAD, (b"x",), 0) is None, "it has no stamp"
    assert make().add(key(0), whole, HEAD, (b"x" * (module.MAX_BODY_BYTES + 1),), 0) is None
    assert make(0).add(key(0), whole, HEAD, (b"x",), 0) is None
    assert add(make(), 0, file=File(current=False)) is None, "it changed while it was read"
    with (tmp_path / "short").open("w+b") as file:
        file.write(b"abc")
        file.flush()
        slices = (FileSlice(file.fileno(), 0, 4),)
        assert make().add(key(0), whole, HEAD, slices, 0) is None
    folder = os.open(tmp_path, os.O_RDONLY)
    assert make().add(key(0), whole, HEAD, (FileSlice(folder, 0, 4),), 0) is None, "it cannot be read"
    os.close(folder)


# Repeated heads.


def test_heads_are_bounded_and_remembered_the_second_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads_module, "MAX_HEADS", 8)
    reader: HeadReader = told(write_tree(tmp_path / "root", {"a.txt": b""})).service.generation.heads

    def read(octets: bytes) -> Head:
        head = reader.read(octets)
        assert head is not None
        return head

    numbered = [PLAIN.replace(b"a.txt", b"%d" % number) for number in range(20)]
    once = read(numbered[0])
    reader.remember(numbered[0], once)
    assert read(numbered[0]) is not once
    for octets in numbered:
        head = read(octets)
        reader.remember(octets, head)
        reader.remember(octets, head)
        assert read(octets) is head
        assert read(octets).request.line == octets.partition(b"\r\n")[0].decode()
    again = [number for number, octets in enumerate(numbered) if read(octets) is read(octets)]
    assert again == list(range(12, 20)), "the oldest are forgotten"
    long = PLAIN[:-2] + b"X: " + b"x" * heads_module.MAX_HEAD_BYTES + b"\r\n\r\n"
    for _ in range(3):
        reader.remember(long, read(long))
    assert read(long) is not read(long)


def test_long_validators_are_no_key(tmp_path: Path) -> None:
    """A client chooses them, and the cache would keep them."""
    reader: HeadReader = told(write_tree(tmp_path / "root", {"a.txt": b""})).service.generation.heads
    for length, has_key in ((heads_module.MAX_VALIDATORS - 4, True), (heads_module.MAX_VALIDATORS, False)):
        careful = RequestReader(HeadLimits(16_384, 8192, 100))
        careful.feed(b'GET /a.txt HTTP/1.0\r\nIf-None-Match: "' + b"x" * length + b'"\r\n\r\n')
        request = careful.next()
        assert isinstance(request, Request)
        assert (reader.make(request).key is not None) == has_key
    assert heads_module.MAX_VALIDATORS <= heads_module.MAX_HEAD_BYTES


# Cached and uncached responses are the same octets.


@dataclass
class Told:
    """A service and the log lines of its successive clients."""

    service: HttpService[HttpGeneration]
    log: list[str] = field(default_factory=list)
    hits: int = 0  # responses found in the cache

    def ask(self, data: bytes) -> bytes:
        connection = self.service.connect(PEER, 0.0)
        said = b""
        for piece in (data, b""):
            if connection.interest in (Interest.READ, Interest.LINGER):
                with counted_hits(self):
                    deliver(connection, piece, time.monotonic(), next_turn())
            do_work(connection, time.monotonic())
            while connection.output:
                said += (octets := _octets(connection.output[0]))
                connection.sent(len(octets), time.monotonic())
                do_work(connection, time.monotonic())
        return said


@contextmanager
def counted_hits(told: Told) -> Iterator[None]:
    """Count cache hits within the block."""
    cache = told.service.generation.cache
    find = cache.find

    def counting(key: Key, turn: int) -> CachedResponse | None:
        found = find(key, turn)
        told.hits += found is not None
        return found

    cache.find = counting  # type: ignore[method-assign]
    try:
        yield
    finally:
        cache.find = find  # type: ignore[method-assign]


def _octets(piece: object) -> bytes:
    if isinstance(piece, FileSlice):
        return os.pread(piece.fd, piece.length, piece.offset)
    assert isinstance(piece, bytes)
    return piece


WITH_ARCHIVES = "[site]\narchives = true\n"  # as without a config file


def told(root: Path, toml: str = "") -> Told:
    """Return a service to which everything in ``root`` is old enough to be cached."""
    file = root.parent / "cache.toml"
    file.write_text(toml)
    configured = config.load(str(file), config.Flags(root=str(root)))
    site = replace(build_site(configured), wall=lambda: time.time() + 10)
    log: list[str] = []
    return Told(HttpService(build_http(configured, [site], lambda _place: log.append, log_into(log))), log)


@pytest.fixture(scope="module")
def caching(site: Path) -> Told:
    return told(site, WITH_ARCHIVES)


@in_batches("cases", CASES)
def test_cached_responses_are_the_same_octets(cases: Sequence[Case], site: Path, caching: Told) -> None:
    def check_one(case: Case) -> None:
        expected = mask_date(answers_to(site, [case.data]))
        for _ in range(4):
            assert mask_date(caching.ask(case.data)) == expected

    check_all(cases, check_one)


def test_many_responses_to_the_cases_were_cached(site: Path) -> None:
    """Otherwise the test above would compare nothing."""
    service = told(site, WITH_ARCHIVES)
    for _ in range(3):
        for case in CASES:
            service.ask(case.data)
    assert service.hits > 100


@pytest.mark.parametrize(
    ("head", "cached"),
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
def test_what_is_cached(tmp_path: Path, head: bytes, cached: bool) -> None:
    files = {"a.txt": b"a", "index.html": b"i", "folder/x": b"", "private/b.txt": b"b"}
    root = write_tree(tmp_path / "root", {**files, "large.bin": b"x" * (module.MAX_BODY_BYTES + 1)})
    (tmp_path / "users").write_bytes(b"ada:" + bcrypt.hashpw(b"pw", bcrypt.gensalt(4)) + b"\n")
    service = told(root, f'[[realms]]\npath = "/private/"\nusers = "{tmp_path / "users"}"\n')
    first = service.ask(head)
    for _ in range(3):
        assert mask_date(service.ask(head)) == mask_date(first)
    assert bool(service.hits) == cached
    assert len(service.log) == 4, "each is one line, cached or not"
    assert len({line.split("] ", 1)[1] for line in service.log}) == 1


@pytest.mark.parametrize("coding", ["", "gzip", "identity", "gzip;q=0"])
def test_nothing_is_cached_where_variants_are_enabled(tmp_path: Path, coding: str) -> None:
    root = write_tree(tmp_path / "root", {"a.txt": b"plain", "a.txt.gz": b"packed"})
    service = told(root, '[site]\nprecompressed = ["gzip"]\n')
    fields = f"Accept-Encoding: {coding}\r\n" if coding else ""
    for _ in range(4):
        said = service.ask(f"GET /a.txt HTTP/1.1\r\nHost: h\r\n{fields}\r\n".encode())
        assert said.endswith(b"packed" if coding == "gzip" else b"plain")
    assert service.hits == 0
    (root / "a.txt.gz").unlink()
    assert service.ask(b"GET /a.txt HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\n\r\n").endswith(b"plain")


def test_a_304_is_cached_until_its_file_changes(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "root", {"a.txt": b"old"})
    os.utime(root / "a.txt", (10**9, 10**9))
    service = told(root)
    tag = next(line for line in service.ask(PLAIN).split(b"\r\n") if line.startswith(b"ETag: ")).removeprefix(b"ETag: ")
    date = format_date(int((root / "a.txt").stat().st_ctime)).encode()
    conditions = [b"If-None-Match: " + tag, b"If-None-Match: W/" + tag, b"If-Modified-Since: " + date]
    heads = [PLAIN[:-2] + condition + b"\r\n\r\n" for condition in conditions]
    for _ in range(4):
        assert [service.ask(head)[:13] for head in heads] == [b"HTTP/1.0 304 "] * 3
        assert service.ask(PLAIN).endswith(b"old")
    assert service.hits >= 9
    eventually(lambda: time.time() > (root / "a.txt").stat().st_ctime + 1.1, "a rewrite gets another date")
    (root / "a.txt").write_bytes(b"new")
    for head in heads:
        said = service.ask(head)
        assert said.startswith(b"HTTP/1.0 200 ")
        assert said.endswith(b"new")


def test_a_change_is_seen_by_the_next_request(tmp_path: Path) -> None:
    """This holds if the head is known, new, or split in two."""
    root = write_tree(tmp_path / "root", {"a.txt": b"0"})
    service = told(root)
    for number in range(1, 5):
        for head in (PLAIN, PLAIN, PLAIN.replace(b"a.txt", b"a.txt?%d" % number)):
            assert service.ask(head).endswith(b"\r\n\r\n%d" % (number - 1))
        (root / "a.txt").write_bytes(b"%d" % number)
        if number % 2:
            assert service.ask(PLAIN.replace(b"Host", b"X: y\r\nHost")).endswith(b"%d" % number)
        assert answers_in_pieces(service, PLAIN).endswith(b"%d" % number)
    assert service.hits >= 4


def answers_in_pieces(service: Told, head: bytes) -> bytes:
    connection = service.service.connect(PEER, 0.0)
    for piece in (head[:9], head[9:]):
        deliver(connection, piece, time.monotonic(), next_turn())
    said = _octets(connection.output[0])
    connection.sent(len(said), time.monotonic())
    return said


def test_responses_for_one_path_are_not_mixed_up(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "root", {"a.txt": b"body"})
    service = told(root)
    heads = [
        f"{method} /a.txt HTTP/1.{minor}\r\nHost: h\r\nConnection: {connection}\r\n\r\n".encode()
        for method in ("GET", "HEAD")
        for minor in (0, 1)
        for connection in ("keep-alive", "close", "x")
    ]
    uncached = told(root, "[limits]\nresponse_cache_bytes = 0\n")
    expected = [mask_date(uncached.ask(head)) for head in heads]
    assert uncached.hits == 0
    for _ in range(3):
        assert [mask_date(service.ask(head)) for head in heads] == expected


def test_a_partly_sent_response_is_logged_with_the_bytes_sent(tmp_path: Path) -> None:
    service = told(write_tree(tmp_path / "root", {"a.txt": b"0123456789"}))
    service.ask(PLAIN)
    connection = service.service.connect(PEER, 0.0)
    deliver(connection, PLAIN, 1.0, next_turn())
    assert len(connection.output) == 1
    connection.sent(len(connection.output[0]) - 3, 1.0)
    assert connection.interest is Interest.WRITE
    connection.lose(2.0)
    assert connection.aborted
    assert '"GET /a.txt HTTP/1.1" 200 7 ' in service.log[-1]


def test_heads_keep_no_response_that_was_evicted(tmp_path: Path) -> None:
    names = [f"{number}.bin" for number in range(30)]
    root = write_tree(tmp_path / "root", dict.fromkeys(names, b"x" * 100000))
    service = told(root, "[limits]\nresponse_cache_bytes = 500_000\n")
    heads = [PLAIN.replace(b"a.txt", name.encode()) for name in names]
    for _ in range(3):
        for head in heads:
            assert service.ask(head).endswith(b"x" * 100_000)
    gc.collect()
    alive = [one for one in gc.get_objects() if isinstance(one, CachedResponse)]
    assert 0 < len(service.service.generation.cache) < 10
    mine = [one for one in alive if len(one.octets) > 100_000]
    assert len(mine) == len(service.service.generation.cache)


def test_a_conditional_response_is_found_by_its_question_and_validators(tmp_path: Path) -> None:
    """Not by its octets: heads that differ in other fields share one response. What is in a key is counted."""
    root = write_tree(tmp_path / "root", {"a.txt": b"a"})
    service = told(root, "[limits]\nresponse_cache_bytes = 100_000\n")
    cache = service.service.generation.cache
    for number in range(300):
        fields = b"If-None-Match: *\r\nX: " + b"%d" % number * 300
        assert service.ask(PLAIN[:-2] + fields + b"\r\n\r\n").startswith(b"HTTP/1.0 304 ")
    assert len(cache) == 1
    tag = re.search(rb'ETag: ("[^"]*")', service.ask(PLAIN))
    assert tag is not None
    for number in range(300):
        fields = b'If-None-Match: "%d", ' % number + tag[1]
        assert service.ask(PLAIN[:-2] + fields + b"\r\n\r\n").startswith(b"HTTP/1.0 304 ")
        assert service.ask(PLAIN[:-2] + b'If-None-Match: "%d"\r\n\r\n' % number).startswith(b"HTTP/1.0 200 ")
    assert sum(map(len, cache._entries)) < cache.bytes_used <= 100_000
    count = len(cache)
    for fields in (
        b'If-None-Match: "%b"' % (b"x" * heads_module.MAX_VALIDATORS),
        b"If-None-Match: *\r\nRange: bytes=0-0",
        b"If-None-Match: *\r\nIf-Match: *",
    ):
        service.ask(PLAIN[:-2] + fields + b"\r\n\r\n")
        assert len(cache) == count, "no key"


def test_a_pipelined_request_is_checked_when_it_is_answered(tmp_path: Path) -> None:
    """Its bytes came with those of the request before, in a turn that is long over."""
    root = write_tree(tmp_path / "root", {"a.txt": b"old"})
    service = told(root)
    keep = PLAIN.replace(b"Host", b"Connection: keep-alive\r\nHost")
    for _ in range(3):
        service.ask(keep)
    connection = service.service.connect(PEER, 0.0)
    deliver(connection, keep + keep, 0.0, next_turn())
    assert _octets(connection.output[0]).endswith(b"old")
    (root / "a.txt").write_bytes(b"new")
    connection.sent(len(connection.output[0]), 1.0)
    assert _octets(connection.output[-1]).endswith(b"new")
    connection.lose(2.0)
