"""The access log as JSON: complete, correct, and one line for each response; in every mode."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from httpmini.protocol.message import Headers, Request, Response
from httpmini.server.listeners.peer import Peer
from httpmini.server.logs.file import MAX_LINE_BYTES
from httpmini.server.logs.json_lines import JsonLog
from tests.conftest import StartServer
from tests.server.test_access_log import Exchange, refusal
from tests.support.wire import connect, converse, read_answer

KEEP = b'GET /ten.txt?x HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\nReferer: http://h/\r\nUser-Agent: a"b\r\n\r\n'
TEXT = st.text(st.characters(max_codepoint=0xFF))


def write(exchange: Exchange) -> str:
    lines: list[str] = []
    exchange.write_to(JsonLog("select", lines.append, lambda: 0.0, lambda: exchange.wall))
    return lines[0]


def entries(lines: list[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines if line.startswith("{")]


@settings(max_examples=300, deadline=None, database=None)
@example("\xff" * 20_000, "\n" * 20_000)
@example("x" * 20_000, '"' * 20_000)
@given(TEXT, TEXT)
def test_a_line_is_json_on_one_line_in_one_write(line: str, field: str) -> None:
    fields = Headers((("Referer", field), ("User-Agent", field)))
    response = refusal("credentials-malformed", 16_384, field)
    peer = Peer("fe80:1111:2222:3333:4444:5555:6666:7777%interface-name0", 65535, 10**12)
    written = write(Exchange(peer, line, Request("GET", "/", headers=fields, line=line), response, 10**18, 1e10))
    assert len(written.encode()) + 1 <= MAX_LINE_BYTES
    assert written.isascii()
    assert written.isprintable()
    found = json.loads(written)
    assert found["section"] == "RFC 7617 2"
    if len(line) < 150 and "@" not in line:
        assert found["request"] == line
    if 0 < len(field) < 48 and "@" not in field:
        assert found["referer"] == found["user_agent"] == found["user"] == field


def test_absent_values_are_left_out() -> None:
    found = json.loads(write(Exchange(Peer("::1", 7, 3), "GET /", None, Response(200), 5, 1709210096.0625)))
    names = {"time", "client", "port", "connection", "process", "mode", "duration", "request", "status", "bytes"}
    assert found.keys() == names
    assert found["time"] == "2024-02-29T12:34:56.062Z"
    assert (found["client"], found["port"], found["connection"], found["bytes"]) == ("::1", 7, 3, 5)


def test_every_response_has_its_object(start: StartServer, old_site: Path, mode: str) -> None:
    """Built and cached responses and refusals are logged."""
    server = start(old_site, "--mode", mode, config='[log]\nformat = "json"\n')
    with connect(server.port) as sock:
        port = sock.getsockname()[1]
        for _ in range(5):
            sock.sendall(KEEP)
            assert read_answer(sock)[2] == b"0123456789"
    converse(server.port, [b"GET /\x01 HTTP/1.0\r\n\r\n"])
    server.wait_for_line('"section"')
    server.wait_for_line('"/ten.txt', count=5)
    found = entries(server.lines)
    answered = [entry for entry in found if entry["status"] == 200]
    assert len(answered) == 5
    for entry in answered:
        assert entry["port"] == port
        assert (entry["method"], entry["target"], entry["protocol"]) == ("GET", "/ten.txt?x", "HTTP/1.1")
        assert entry["request"] == "GET /ten.txt?x HTTP/1.1"
        assert (entry["referer"], entry["user_agent"]) == ("http://h/", 'a"b')
        assert (entry["bytes"], entry["mode"], entry["client"]) == (10, mode, "127.0.0.1")
        assert 0 <= entry["duration"] < 60
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["time"])
    assert len({(entry["connection"], entry["process"]) for entry in answered}) == 1
    [refused] = [entry for entry in found if entry["status"] == 400]
    assert (refused["reason"], refused["offset"], refused["request"]) == ("target-character", 5, "GET /\x01 HTTP/1.0")
    if mode != "prefork":  # there each worker counts its own
        assert refused["connection"] == answered[0]["connection"] + 1


@pytest.mark.parametrize("level", ["error", "warning", "notice"])
def test_levels(start: StartServer, site: Path, level: str) -> None:
    """Reaching a threshold is a warning; leaving it is a notice."""
    server = start(site, config=f'[server]\nmax_clients = 1\n[log]\nlevel = "{level}"\n')
    for _ in range(2):
        with connect(server.port) as sock:
            sock.sendall(KEEP)
            read_answer(sock)
    assert server.stop() == 0
    reached, left = "warning: max_clients reached", "notice: max_clients left"
    said = {words for words in (reached, left) if any(words in line for line in server.lines)}
    assert said == {"error": set(), "warning": {reached}, "notice": {reached, left}}[level]


LINES: dict[bytes, tuple[str, str, str | None]] = {
    b"GET /ten.txt?1 HTTP/1.1": ("GET", "/ten.txt?1", "HTTP/1.1"),
    b"GET  /ten.txt?2 HTTP/1.1": ("GET", "/ten.txt?2", "HTTP/1.1"),
    b"GET\t/ten.txt?3\t \tHTTP/1.1": ("GET", "/ten.txt?3", "HTTP/1.1"),
    b"HEAD   /ten.txt?4  HTTP/1.0  ": ("HEAD", "/ten.txt?4", "HTTP/1.0"),
    b"GET /ten.txt?5 HTTP/01.010": ("GET", "/ten.txt?5", "HTTP/1.1"),
    b"GET  /no.txt?6 HTTP/1.0": ("GET", "/no.txt?6", "HTTP/1.0"),
    b"GET\t/ten.txt?7": ("GET", "/ten.txt?7", None),
    b"OPTIONS \t * HTTP/1.1": ("OPTIONS", "*", "HTTP/1.1"),
    b"GET  http://h/ten.txt?8 HTTP/1.1": ("GET", "http://h/ten.txt?8", "HTTP/1.1"),
}


def test_the_request_line_as_it_was_understood(start: StartServer, site: Path, mode: str) -> None:
    """Also with several blanks or tabs between its parts; "request" is the line as it came."""
    server = start(site, config=f'[server]\nmode = "{mode}"\n[log]\nformat = "json"\n')
    for line in LINES:
        converse(server.port, [line + b"\r\nHost: h\r\nConnection: close\r\n\r\n"])
    server.wait_for_line('"request":', len(LINES))
    found = {entry["request"]: entry for entry in entries(server.lines)}
    for line, (method, target, protocol) in LINES.items():
        entry = found[line.decode()]
        assert (entry["method"], entry["target"], entry.get("protocol")) == (method, target, protocol)
        assert entry.get("host") == (None if protocol is None else "h")
