"""Memory is bounded, whatever is sent: each table that a client can fill gets the worst input for it.

There are enough requests that keeping a kilobyte of each would exceed the bound, and enough to fill the cache that is
allowed. They are answered in a child process, without sockets; what its memory grows by is read from the kernel.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest

from tests.support.sans_io import Conversation

REQUESTS = 15_000
TO_FILL_THE_CACHE = 60_000
MAY_GROW_KIB = 12 * 1024  # beyond what the settings allow
CACHE_KIB = 64 * 1024  # limits.response_cache_bytes

_KEEP = b"GET %b HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n%b\r\n"


def _long_conditional_heads(_tag: bytes) -> Iterator[bytes]:
    number = 0
    while True:
        number += 1
        yield _KEEP % (b"/ten.txt", b"If-None-Match: *\r\nX: %016d" % number + b"x" * 15_000 + b"\r\n")


def _short_conditional_heads(_tag: bytes) -> Iterator[bytes]:
    number = 0
    while True:
        number += 1
        yield _KEEP % (b"/ten.txt", b"If-None-Match: *\r\nX: %016d" % number + b"x" * 1_800 + b"\r\n")


def _validators(tag: bytes) -> Iterator[bytes]:
    number = 0
    while True:
        number += 1
        yield _KEEP % (b"/ten.txt", b'If-None-Match: "%0440d", %b\r\n' % (number, tag))


def _heads_that_come_twice(_tag: bytes) -> Iterator[bytes]:
    number = 0
    while True:
        number += 1
        head = _KEEP % (b"/ten.txt?%016d" % number, b"User-Agent: " + b"x" * 1_800 + b"\r\n")
        yield from (head, head)


def _paths(_tag: bytes) -> Iterator[bytes]:
    number = 0
    while True:
        number += 1
        yield _KEEP % (b"/" + b"x" * 1_000 + b"%d" % number, b"")


def _queries(_tag: bytes) -> Iterator[bytes]:
    number = 0
    while True:
        number += 1
        yield _KEEP % (b"/ten.txt?%d" % number + b"x" * 1_000, b"")


def _hosts(_tag: bytes) -> Iterator[bytes]:
    number = 0
    while True:
        number += 1
        yield b"GET /ten.txt HTTP/1.1\r\nHost: %d.%b\r\nConnection: keep-alive\r\n\r\n" % (number, b"x" * 8_000)


def _connections(_tag: bytes) -> Iterator[bytes]:
    number = 0
    while True:
        number += 1
        yield b"GET /ten.txt HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, %d%b\r\n\r\n" % (number, b"x" * 12_000)


def _dates(_tag: bytes) -> Iterator[bytes]:
    number = 0
    while True:
        number += 1
        since = b"If-Modified-Since: Sun, 06 Nov %04d 08:%02d:%02d GMT\r\n" % (
            2000 + number % 25,
            number // 60 % 60,
            number % 60,
        )
        yield _KEEP % (b"/ten.txt", since)


def _users(_tag: bytes) -> Iterator[bytes]:
    number = 0
    while True:
        number += 1
        yield _KEEP % (b"/ten.txt", b"Authorization: Basic %016d" % number + b"eDp4" * 2_000 + b"\r\n")


# How many requests, and what they may fill.
WORST: dict[str, tuple[Callable[[bytes], Iterator[bytes]], int, int]] = {
    "long conditional heads": (_long_conditional_heads, REQUESTS, 0),
    "short conditional heads": (_short_conditional_heads, REQUESTS, 0),
    "validators": (_validators, TO_FILL_THE_CACHE, CACHE_KIB),
    "heads that come twice": (_heads_that_come_twice, 2 * REQUESTS, 0),
    "paths": (_paths, REQUESTS, 0),
    "queries": (_queries, REQUESTS, 0),
    "hosts": (_hosts, REQUESTS, 0),
    "connections": (_connections, REQUESTS, 0),
    "dates": (_dates, REQUESTS, 0),
    "users": (_users, REQUESTS, 0),
}


@pytest.mark.parametrize("what", WORST)
def test_memory_is_bounded(old_site: Path, what: str) -> None:
    make, count, allowed_kib = WORST[what]
    grown_kib = _in_a_child(lambda: _growth_kib(old_site, make, count))
    assert grown_kib < allowed_kib + MAY_GROW_KIB


def _growth_kib(site: Path, make: Callable[[bytes], Iterator[bytes]], count: int) -> int:
    """Return by how much the memory of this process grows while it answers all requests."""
    conversation = Conversation(site)
    conversation.hear(_KEEP % (b"/ten.txt", b""))
    tag = re.search(rb'ETag: ("[^"]*")', conversation.said)
    assert tag is not None
    requests = make(tag[1])
    for request in islice(requests, 100):  # what is loaded at the first request
        _ask(conversation, request)
    before = _memory_kib()
    for request in islice(requests, count):
        _ask(conversation, request)
    return _memory_kib() - before


def _ask(conversation: Conversation, request: bytes) -> None:
    conversation.hear(request)
    assert conversation.said
    conversation.said = b""
    conversation.log.clear()
    if conversation.connection.is_ending:
        conversation.connection = conversation.service.connect(conversation.connection._peer, 0.0)  # type: ignore[attr-defined]


def _memory_kib() -> int:
    match = re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())
    assert match is not None
    return int(match[1])


def _in_a_child(measure: Callable[[], int]) -> int:
    """Return what ``measure`` says in a child process, where nothing else has used memory before."""
    hear, say = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(say, str(measure()).encode())
        finally:
            os._exit(0)
    os.close(say)
    with os.fdopen(hear) as file:
        text = file.read()
    os.waitpid(child, 0)
    return int(text)
