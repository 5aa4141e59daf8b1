"""``serve --trace`` and ``httpmini timeline``: what is noted, in every mode, and how it is drawn."""

from __future__ import annotations

import json
import os
import re
import socket
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from httpmini.errors import UsageError
from httpmini.server.core.events import FORMAT, Conversation, End, Event, Kind, Recording, read_recording
from httpmini.server.core.trace import EVENTS, KEPT, ROWS, Trace
from httpmini.server.listeners.peer import Peer
from httpmini.timeline.bars import ANSWER, BACKLOG, OWN, STARTS, WAITS, bar_of
from httpmini.timeline.trace_events import to_trace_events
from tests.conftest import StartServer
from tests.support.processes import ServerProcess, run_command
from tests.support.tools import tool
from tests.support.trace_order import BIG_BYTES, told_by_strace, watch
from tests.support.wire import connect, read_all


def recorded(server: ServerProcess, file: Path) -> Recording:
    """Stop a server; return its trace."""
    assert server.stop() == 0
    return read_recording(file.read_bytes(), str(file))


def kinds(one: Conversation) -> list[Kind]:
    return [event.kind for event in one.single_events]


def test_the_order_is_that_of_strace(mode: str, tmp_path: Path) -> None:
    trace, strace = watch(mode, 12, tmp_path, tool("strace", "strace"))
    assert trace == strace
    assert len(trace) == 12


def test_strace_is_read_over_interruptions() -> None:
    """The events of a child and its parent, whose calls are cut in two."""
    text = """\
7 1.0 accept4(3<TCP:[1]>, {sa_family=AF_INET, sin_port=htons(4711), sin_addr=inet_addr("1.2.3.4")}, [], 0) = 4<TCP:[9]>
8 1.1 read(4<TCP:[9]>,  <unfinished ...>
7 1.2 close(4<TCP:[9]>)                 = 0
8 1.3 <... read resumed>""..., 16384)   = 20
8 1.4 write(4<TCP:[9]>, ""..., 100)     = 100
8 1.5 close(4<TCP:[9]>)                 = 0
"""
    assert told_by_strace(text) == {("1.2.3.4", 4711): ["accepted", "read", "sent", "closed"]}


def test_who_has_closed(site: Path, start: StartServer, tmp_path: Path, mode: str) -> None:
    config = f'[server]\nmode = "{mode}"\n[limits]\nidle_s = 0.5\n'
    server = start(site, "--trace", str(tmp_path / "t"), config=config)
    with connect(server.port) as sock:  # the server: no keep-alive was asked for
        sock.sendall(b"GET /ten.txt HTTP/1.0\r\n\r\n")
        by_server = sock.getsockname()[1]
        assert read_all(sock)
    with connect(server.port) as sock:  # nobody says anything
        by_timeout = sock.getsockname()[1]
        assert read_all(sock) == b""
    with connect(server.port) as sock:
        by_client = sock.getsockname()[1]
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == b""
    found = {one.port: one.events[-1] for one in recorded(server, tmp_path / "t").connections}
    assert {port: (event.kind, event.value) for port, event in found.items()} == {
        by_server: (Kind.CLOSED, End.SERVER),
        by_timeout: (Kind.CLOSED, End.TIMEOUT),
        by_client: (Kind.CLOSED, End.CLIENT),
    }


def test_who_serves(site: Path, start: StartServer, tmp_path: Path, mode: str) -> None:
    """Every process writes into the same trace."""
    server = start(site, "--mode", mode, "--trace", str(tmp_path / "t"))
    for _ in range(2):
        with connect(server.port) as sock:
            sock.sendall(b"GET /ten.txt HTTP/1.0\r\n\r\n")
            assert read_all(sock)
    recording = recorded(server, tmp_path / "t")
    taken = [event.value for one in recording.connections for event in one.events if event.kind is Kind.TAKEN]
    assert recording.total == len(taken) == 2
    assert (server.pid in taken) == (mode in ("iterative", "select"))
    assert len(set(taken)) == 2 or mode != "forking"
    numbers = [event.at for one in recording.connections for event in one.events]
    assert numbers == sorted(numbers)


def test_the_refused_are_noted(start: StartServer, tmp_path: Path, mode: str) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "big.bin").write_bytes(bytes(BIG_BYTES))
    arguments = "--mode", mode, "--max-clients", "1", "--overflow", "refuse", "--trace", str(tmp_path / "t")
    server = start(tmp_path / "root", *arguments)
    with connect(server.port) as first:
        first.sendall(b"GET /big.bin HTTP/1.0\r\n\r\n")
        assert first.recv(1)
        with connect(server.port) as second:
            assert read_all(second).startswith(b"HTTP/1.0 503")
        assert len(read_all(first)) > BIG_BYTES
    one, other = (kinds(one) for one in recorded(server, tmp_path / "t").connections)
    assert Kind.SLOT in one
    assert Kind.REFUSED not in one
    assert Kind.SLOT not in other
    assert Kind.REFUSED in other


@pytest.mark.parametrize("traced", [False, True])
def test_without_a_trace_no_call_more(site: Path, start: StartServer, tmp_path: Path, traced: bool) -> None:
    calls = tmp_path / "calls"
    wrapper = (tool("strace", "strace"), "-f", "-o", str(calls), "-e", "trace=getsockopt,getsockname,fcntl")
    more = ("--trace", str(tmp_path / "t")) if traced else ()
    server = start(site, "--mode", "select", *more, wrapper=wrapper)
    before = len(calls.read_text())
    with connect(server.port) as sock:
        for _ in range(5):
            sock.sendall(b"GET /ten.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert sock.recv(65536)
    os.kill(server.children()[0], 15)  # strace does not pass signals on
    assert server.wait() == 0
    assert (calls.read_text().count("getsockopt", before) > 0) == traced


def test_live(site: Path, start: StartServer, tmp_path: Path, mode: str) -> None:
    server = start(site, "--mode", mode, "--status", "--trace", str(tmp_path / "t"))
    match = re.search(r"status at http://127.0.0.1:(\d+)/", server.banner)
    assert match is not None
    with connect(server.port) as sock:
        port = sock.getsockname()[1]
        sock.sendall(b"GET /ten.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert sock.recv(65536)
        pages = []
        for name in (b"timeline", b"status"):
            with connect(int(match[1])) as status:
                status.sendall(b"GET /-/" + name + b" HTTP/1.0\r\n\r\n")
                pages.append(read_all(status))
    assert f"127.0.0.1:{port}".encode() in pages[0]
    assert b"still open" in pages[0]
    assert b'href="timeline"' in pages[1]


def test_no_trace_no_page(site: Path, start: StartServer) -> None:
    server = start(site, config='[status]\non_site = true\nallow = ["127.0.0.1"]\n')
    with connect(server.port) as sock:
        sock.sendall(b"GET /-/timeline HTTP/1.0\r\n\r\n")
        assert read_all(sock).startswith(b"HTTP/1.0 404")


def test_rows_and_events_run_out() -> None:
    """The oldest connections go, and of one connection those in the middle; both is said."""
    trace = Trace("select", 1, "queue")
    first = trace.row_of(Peer("192.0.2.1", 1))
    for which in range(EVENTS + 10):
        first.note(Kind.ASKED, which)
    first.note_blocked()
    first.note_blocked()
    (one,) = trace.read().connections
    assert one.lost == 11
    assert [event.value for event in one.events[:-1]] == [*range(KEPT), *range(KEPT + 11, EVENTS + 10)]
    assert (one.events[-1].kind, one.events[-1].value) == (Kind.BLOCKED, 2)
    for port in range(ROWS):
        last = trace.row_of(Peer("192.0.2.2", port % 65536))
    first.note(Kind.CLOSED)  # goes nowhere
    last.note(Kind.CLOSED, End.CLIENT)
    recording = trace.read()
    assert recording.total == ROWS + 1
    assert [one.number for one in recording.connections] == list(range(2, ROWS + 2))
    assert [one.number for one in recording.connections if one.events] == [ROWS + 1]


@pytest.mark.parametrize("before", [0, 1, 2, 5])
def test_pairs_of_events_are_kept_like_single_ones(before: int) -> None:
    """A response in one step is two events in one write, which may begin at the last place of a row."""
    trace = Trace("select", 1, "queue")
    row = trace.row_of(Peer("192.0.2.1", 1))
    all_of_them = [(Kind.SLOT, which) for which in range(before)]
    for kind, value in all_of_them:
        row.note(kind, value)
    for which in range(2 * EVENTS):
        row.note_answered(row.last, 100 + which, 200 + which)
        all_of_them += [(Kind.ASKED, 100 + which), (Kind.ANSWERED, 200 + which)]
        (one,) = trace.read().connections
        left = len(all_of_them) - EVENTS + KEPT
        kept = all_of_them if one.lost == 0 else all_of_them[:KEPT] + all_of_them[left:]
        assert one.lost == max(0, len(all_of_them) - EVENTS)
        assert [(event.kind, event.value) for event in one.events] == kept
        assert [event.at for event in one.events] == sorted(event.at for event in one.events)


def recording_of(mode: str, *events: tuple[float, Kind, int]) -> Recording:
    one = Conversation(1, "192.0.2.1", 4711, 0, [Event(*event) for event in events])
    return Recording(
        format=FORMAT, mode=mode, max_clients=6, overflow="queue", wall=0, seconds=9, total=1, connections=[one]
    )


BARS = {
    "forking": (
        [(1, Kind.ACCEPTED, 500), (2, Kind.SLOT, 0), (3, Kind.TAKEN, 7), (4, Kind.ASKED, 0), (5, Kind.ANSWERED, 9)],
        [(BACKLOG, 0.5, 2), (STARTS, 2, 3), (OWN, 3, 4), (ANSWER, 4, 5), (OWN, 5, 9)],
    ),
    "iterative": (
        [
            *[(1, Kind.ACCEPTED, 0), (1, Kind.SLOT, 0), (1, Kind.TAKEN, 7), (4, Kind.ASKED, 2000)],
            *[(4, Kind.FIRST_OUT, 1), (5, Kind.BLOCKED, 3), (6, Kind.LAST_OUT, 0), (7, Kind.CLOSED, End.CLIENT)],
        ],
        [(OWN, 1, 2), (WAITS, 2, 4), (ANSWER, 4, 6), (OWN, 6, 7)],
    ),
    "select": ([(1, Kind.ACCEPTED, 0), (3, Kind.REFUSED, 0), (4, Kind.CLOSED, 2)], [(BACKLOG, 1, 3), (OWN, 3, 4)]),
}


@pytest.mark.parametrize("mode", BARS)
def test_bars(mode: str) -> None:
    events, spans = BARS[mode]
    recording = recording_of(mode, *events)
    bar = bar_of(recording.connections[0], recording)
    assert [(span.state, span.start, span.end) for span in bar.spans] == spans
    assert (bar.refused_at == 3) == (mode == "select")


def test_the_command(tmp_path: Path) -> None:
    file = tmp_path / "t.json"
    file.write_bytes(msgspec.json.encode(recording_of("iterative", *BARS["iterative"][0])))
    status, said, errors = run_command("timeline", str(file))
    assert (status, errors) == (0, b"")
    head, line = said.decode().splitlines()[:2]
    assert head == "mode iterative, max_clients 6: 1 connection"
    assert re.fullmatch(r"192\.0\.2\.1:4711  -+!+#+-+", line)
    for name in ("t.html", "p.json"):
        assert run_command("timeline", str(file), "-o", str(tmp_path / name)) == (0, b"", b"")
    assert ": 1 connection." in (tmp_path / "t.html").read_text()
    assert 'class="s-waits"' in (tmp_path / "t.html").read_text()
    drawn = json.loads((tmp_path / "p.json").read_text())["traceEvents"]
    assert [event["dur"] for event in drawn if event["ph"] == "X"] == [1_000_000, 2_000_000, 2_000_000, 1_000_000]


PHASES = {"M", "X", "i"}  # of the Trace Event Format: metadata, complete events, instant events


def assert_trace_events(octets: bytes) -> None:
    """Assert what the Trace Event Format asks of a JSON object, and that the bars of a row do not overlap."""
    whole = json.loads(octets)
    assert whole["displayTimeUnit"] in ("ms", "ns")
    events = whole["traceEvents"]
    for event in events:
        assert isinstance(event["name"], str)
        assert event["ph"] in PHASES
        assert all(type(event[name]) is int and event[name] >= 0 for name in ("ts", "pid", "tid")), event
        assert event["ph"] != "X" or (type(event["dur"]) is int and event["dur"] >= 0), event
        assert event["ph"] != "i" or event["s"] == "t", event
    metadata = [event for event in events if event["ph"] == "M"]
    assert {event["name"] for event in metadata} == {"process_name", "thread_name"}
    assert all(event["args"].keys() == {"name"} and event["args"]["name"] for event in metadata)
    named = [(event["pid"], event["tid"]) for event in metadata if event["name"] == "thread_name"]
    assert len(set(named)) == len(named)
    assert {(event["pid"], event["tid"]) for event in events if event["ph"] != "M"} <= set(named)
    for row in named:
        bars = [event for event in events if (event["pid"], event["tid"]) == row and event["ph"] == "X"]
        assert all(one["ts"] + one["dur"] <= after["ts"] for one, after in pairwise(bars)), bars


def test_what_perfetto_reads(site: Path, start: StartServer, tmp_path: Path) -> None:
    """Of connections of a real server; times are rounded, so bars could overlap by a microsecond."""
    server = start(site, "--mode", "threading", "--trace", str(tmp_path / "t"))
    for which in range(8):
        with connect(server.port) as sock:
            sock.sendall(b"GET /ten.txt HTTP/1.0\r\n\r\n" if which % 2 else b"GET  HTTP/9.0\r\n\r\n")
            assert read_all(sock)
    recording = recorded(server, tmp_path / "t")
    assert_trace_events(to_trace_events(recording))
    for events, _ in BARS.values():
        assert_trace_events(to_trace_events(recording_of("iterative", *events)))
    odd = [Event(one / 3_000_000 + 1, kind) for one, kind in enumerate((*Kind, Kind.CLOSED)) if kind != Kind.REFUSED]
    assert_trace_events(to_trace_events(recording_of("forking", *((one.at, one.kind, 0) for one in odd))))


WRONG = {
    "nothing": (b"", "is not a trace"),
    "another": (b'{"format": "x"}', "is not a trace"),
    "newer": (msgspec.json.encode(recording_of("select")).replace(b"trace-1", b"trace-2"), "of another format"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_trace(name: str) -> None:
    octets, said = WRONG[name]
    with pytest.raises(UsageError, match=said):
        read_recording(octets, "x")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("timeline", "/nowhere"), 1, b"cannot read /nowhere: No such file"),
        (("serve", "--port", "0", "--trace", "/nowhere/t"), 1, b"cannot write the trace /nowhere/t: No such file"),
    ],
)
def test_wrong_use(arguments: tuple[str, ...], status: int, said: bytes) -> None:
    found, _, errors = run_command(*arguments)
    assert (found, said in errors) == (status, True), errors


def test_not_with_recordings(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir(0o700)
    arguments = "--port", "0", "--record", str(tmp_path / "kept"), "--trace", str(tmp_path / "t")
    status, _, errors = run_command("serve", str(tmp_path), *arguments)
    assert (status, b"--trace and log.record" in errors) == (2, True), errors
