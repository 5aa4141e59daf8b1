"""Threads share the cache: one may evict a response, or find it changed, while another checks its file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from httpmini.protocol.message import Headers, Response
from httpmini.server.http.response_cache import ENTRY_BYTES, CachedResponse, ResponseCache

HEAD = b"HTTP/1.0 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n"
BODY = b"0123456789"
ROOM = 2 * (ENTRY_BYTES + len(HEAD) + len(BODY))


@dataclass
class File:
    """A file that runs ``meanwhile`` once while it is checked, when a thread waits for the disk and others go on."""

    meanwhile: Callable[[], object] | None = None
    current: bool = True

    def is_current(self, _turn: int) -> bool:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile:
            meanwhile()
        return self.current


class Shared:
    """A cache with one response, and a clock."""

    def __init__(self) -> None:
        self.wall = 0.0
        self.cache = ResponseCache(ROOM, lambda: self.wall)
        self.file = File()
        assert self.add(0, self.file) is not None
        assert self.find(1)

    def add(self, number: int, file: File) -> CachedResponse | None:
        response = Response(200, Headers(), (BODY,), is_current=file.is_current)
        return self.cache.add(f"GET /{number}", response, HEAD, response.body, 0)

    def find(self, turn: int = 2) -> CachedResponse | None:
        return self.cache.find("GET /0", turn)

    def evict(self) -> None:
        for number in range(1, 6):
            self.add(number, File())


@pytest.mark.parametrize("wall", [0.0, 86_400.0], ids=["same second", "another second"])
def test_evicted_while_it_is_checked(wall: float) -> None:
    shared = Shared()
    shared.file.meanwhile = shared.evict
    shared.wall = wall
    cached = shared.find()
    assert cached is None or cached.octets.endswith(BODY), "a response is whole, or there is none"
    assert shared.cache.bytes_used <= ROOM


def test_two_find_that_it_has_changed() -> None:
    shared = Shared()

    def another_finds_it_first() -> None:
        assert shared.find() is None

    shared.file.meanwhile, shared.file.current = another_finds_it_first, False
    assert shared.find() is None
    assert shared.find(3) is None
    assert (len(shared.cache), shared.cache.bytes_used) == (0, 0)


def test_a_response_can_be_sent_even_if_it_is_evicted_meanwhile() -> None:
    shared = Shared()
    cached = shared.find()
    assert cached is not None
    shared.evict()
    assert cached.octets.endswith(BODY)
    assert shared.find(3) is None, "but it is not found again"


def test_a_turn_belongs_to_one_thread() -> None:
    """One thread's check does not cover a later request in another thread."""
    shared = Shared()
    assert shared.find(7)
    shared.file.current = False
    assert shared.find(8) is None
