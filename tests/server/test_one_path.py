"""One way from bytes to a response: however a head was read and whatever was cached, the response and its line are
the same.
"""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from httpmini.protocol.body import FileSlice
from httpmini.server.core.connection import Interest
from httpmini.server.core.turn import next_turn
from tests.server.test_response_cache import Told, told
from tests.support.sans_io import PEER, deliver, do_work
from tests.support.small_site import write_tree
from tests.support.wire import mask_date

FORMATS = ("common", "combined", "json")
UNCACHED = "[limits]\nresponse_cache_bytes = 0\n"


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Told, Told]]:
    """For each log format a service with a cache and one without, over the same root."""
    folder = tmp_path_factory.mktemp("one_path")
    root = write_tree(folder / "root", {"a.txt": b"0123456789", "b b.txt": b"", "folder/index.html": b"<p>"})
    log = '[log]\nformat = "{}"\n'
    return {form: (told(root, log.format(form)), told(root, log.format(form) + UNCACHED)) for form in FORMATS}


def exchange(service: Told, pieces: list[bytes]) -> tuple[bytes, list[str]]:
    """Send ``pieces`` on a connection of their own; return the response, and the new log lines."""
    connection = service.service.connect(PEER, 0.0)
    lines, said = len(service.log), b""
    for piece in (*pieces, b""):
        if connection.interest in (Interest.READ, Interest.LINGER):
            deliver(connection, piece, time.monotonic(), next_turn())
        do_work(connection, time.monotonic())
        while connection.output:
            octets = connection.output[0]
            if isinstance(octets, FileSlice):
                octets = os.pread(octets.fd, octets.length, octets.offset)
            assert isinstance(octets, bytes)
            said += octets
            connection.sent(len(octets), time.monotonic())
            do_work(connection, time.monotonic())
    return mask_date(said), [without_time(line) for line in service.log[lines:]]


def without_time(line: str) -> str:
    return re.sub(r'\[[^]]*\]|"time":"[^"]*"|"duration":[0-9.]+', "", line)


values = st.sampled_from(
    [
        "http://x/",
        "http://x/  ",
        "  http://x/",
        "http://u:p@x/",
        "",
        " ",
        'a"b',
        "a\\b",
        "é",
        "Mozilla/5.0 (X11)",
        "x" * 800,
    ]
)
fields = st.one_of(
    st.tuples(st.sampled_from(["Referer", "User-Agent", "referer", "USER-AGENT", "X-Other", "Accept"]), values),
    st.tuples(st.just("Accept-Encoding"), st.sampled_from(["gzip", "identity;q=0", "br, gzip ", ""])),
    st.tuples(st.just("Connection"), st.sampled_from(["keep-alive", "close", "Keep-Alive, x ", " keep-alive", ""])),
    st.tuples(st.just("Range"), st.sampled_from(["bytes=0-1", "bytes=20-", "bytes=0-0,2-3", "nonsense"])),
    st.tuples(
        st.sampled_from(["If-None-Match", "If-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range"]),
        st.sampled_from(["*", '"other"', "Sun, 06 Nov 1994 08:49:37 GMT", "Thu, 01 Jan 2099 00:00:00 GMT", "x"]),
    ),
    st.tuples(st.just("Content-Length"), st.sampled_from(["0", "3", "x"])),
    st.tuples(st.just("Host"), st.sampled_from(["h", "h:80", "other.example", "h h"])),
)
request_lines = st.builds(
    "{} {} HTTP/{}".format,
    st.sampled_from(["GET", "HEAD", "OPTIONS", "POST"]),
    st.sampled_from(["/a.txt", "/a.txt?x=1", "/b%20b.txt", "/folder/", "/folder", "/missing", "http://h/a.txt", "*"]),
    st.sampled_from(["1.0", "1.1"]),
)
heads = st.builds(
    lambda line, pairs: "".join((f"{line}\r\nHost: h\r\n", *(f"{n}: {v}\r\n" for n, v in pairs), "\r\n")).encode(
        "latin-1"
    ),
    request_lines,
    st.lists(fields, max_size=4),
)


@example(b"GET /a.txt HTTP/1.1\r\nHost: h\r\nReferer: http://x/  \r\n\r\n", 20)
@example(b"HEAD /a.txt HTTP/1.1\r\nHost: h\r\nUser-Agent: a  \r\nConnection: keep-alive \r\n\r\n", 20)
@given(heads, st.integers(1, 300))
@settings(max_examples=600, deadline=None)
@pytest.mark.parametrize("form", FORMATS)
def test_all_ways_lead_to_the_same_response_and_line(
    services: dict[str, tuple[Told, Told]], form: str, head: bytes, cut: int
) -> None:
    """Whole (quick parse) or in two pieces (careful parse); built, cached, or never cached."""
    caching, uncached = services[form]
    whole, pieces = [head], [head[: cut % len(head)], head[cut % len(head) :]]
    expected = exchange(uncached, [piece for piece in pieces if piece])
    for service in (caching, uncached):
        for way in (whole, pieces, whole, whole, whole):
            assert exchange(service, [piece for piece in way if piece]) == expected


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", ["Referer", "User-Agent"])
def test_blanks_after_a_value_are_not_part_of_it(services: dict[str, tuple[Told, Told]], form: str, name: str) -> None:
    head = f"GET /a.txt HTTP/1.1\r\nHost: h\r\n{name}: http://x/  \r\n\r\n".encode()
    for service in services[form]:
        for pieces in ([head], [head], [head], [head[:20], head[20:]]):
            [line] = exchange(service, pieces)[1]
            assert '"http://x/"' in line or form == "common"
            assert "http://x/ " not in line


@pytest.mark.parametrize("connection", ["keep-alive", "keep-alive  ", "  keep-alive"])
def test_blanks_around_connection_are_not_part_of_it(services: dict[str, tuple[Told, Told]], connection: str) -> None:
    head = f"GET /a.txt HTTP/1.1\r\nHost: h\r\nConnection: {connection}\r\n\r\n".encode()
    for service in services["common"]:
        for pieces in ([head], [head], [head], [head[:20], head[20:]]):
            assert b"\r\nConnection: keep-alive\r\n" in exchange(service, pieces)[0]


def test_the_duration_is_that_of_its_own_request(tmp_path: Path) -> None:
    """This holds even if two clients get cached responses in the same turn."""
    service = told(write_tree(tmp_path / "root", {"a.txt": b"x"}), '[log]\nformat = "json"\n')
    head = b"GET /a.txt HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n"
    for _ in range(3):
        service.ask(head)
    now, turn = time.monotonic(), next_turn()
    slow, quick = service.service.connect(PEER, now - 100.0), service.service.connect(PEER, now)
    for connection, arrived in ((slow, now - 50.0), (quick, now)):
        deliver(connection, head, arrived, turn)
    for connection in (slow, quick):
        connection.sent(len(connection.output[0]), now)
    first, second = (json.loads(line)["duration"] for line in service.log[-2:])
    assert 50.0 <= first < 100.0
    assert 0.0 <= second < 50.0
