"""Threads share what is kept: one may forget an answer, or find it changed, while another is looking at its file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from httpmini.protocol.message import Headers, Response
from httpmini.server.http.response_cache import ENTRY_BYTES, CachedResponse, Known, ResponseCache

HEAD = b"HTTP/1.0 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n"
BODY = b"0123456789"
ROOM = 2 * (ENTRY_BYTES + len(HEAD) + len(BODY))


@dataclass
class File:
    """Runs ``meanwhile`` once while it is looked at, where a thread waits for the disk and others go on."""

    meanwhile: Callable[[], object] | None = None
    current: bool = True

    def is_current(self, _moment: float) -> bool:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile:
            meanwhile()
        return self.current


class Shared:
    """What is kept, with one answer that two heads lead to, and a clock."""

    def __init__(self) -> None:
        self.present = 0.0
        self.recall = ResponseCache(ROOM, lambda: self.present)
        self.file = File()
        kept = self.keep(0, self.file)
        assert kept is not None
        for head in (b"head", b"head"):
            self.recall.remember_head(head, Known(kept, True, False, ("", ""), ""))
        assert self.recall.find_head(b"head", 1.0)

    def keep(self, number: int, file: File) -> CachedResponse | None:
        response = Response(200, Headers(), (BODY,), is_current=file.is_current)
        return self.recall.keep(("", "GET", f"/{number}", True, ""), response, HEAD, response.body, 0)

    def evict(self) -> None:
        for number in range(1, 6):
            self.keep(number, File())


def by_head(shared: Shared) -> CachedResponse | None:
    known = shared.recall.find_head(b"head", 2.0)
    return known.kept if known else None


def by_question(shared: Shared) -> CachedResponse | None:
    return shared.recall.find(("", "GET", "/0", True, ""), 2.0)


both_ways = pytest.mark.parametrize("find", [by_head, by_question])


@both_ways
@pytest.mark.parametrize("present", [0.0, 86_400.0], ids=["same second", "another second"])
def test_forgotten_while_it_is_looked_at(find: Callable[[Shared], CachedResponse | None], present: float) -> None:
    shared = Shared()
    shared.file.meanwhile = shared.evict
    shared.present = present
    kept = find(shared)
    assert kept is None or kept.octets.endswith(BODY), "an answer is whole, or there is none"
    assert shared.recall.bytes_used <= ROOM


@both_ways
def test_two_find_that_it_has_changed(find: Callable[[Shared], CachedResponse | None]) -> None:
    shared = Shared()

    def another_finds_it_first() -> None:
        assert find(shared) is None

    shared.file.meanwhile, shared.file.current = another_finds_it_first, False
    assert find(shared) is None
    assert by_head(shared) is None
    assert by_question(shared) is None
    assert (len(shared.recall), shared.recall.bytes_used) == (0, 0)


def test_what_was_found_can_be_sent_although_it_is_forgotten_then() -> None:
    shared = Shared()
    kept = by_head(shared)
    assert kept is not None
    shared.evict()
    assert kept.octets.endswith(BODY)
    assert by_head(shared) is None, "but it is not found again"


def test_a_head_of_a_forgotten_answer_is_not_remembered() -> None:
    shared = Shared()
    kept = by_head(shared)
    assert kept is not None
    shared.evict()
    for _ in range(3):
        shared.recall.remember_head(b"late", Known(kept, True, False, ("", ""), ""))
    assert shared.recall.find_head(b"late", 3.0) is None
