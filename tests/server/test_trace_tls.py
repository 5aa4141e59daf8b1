"""A trace of encrypted connections: the events are those of connections without TLS."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from httpmini.server.core.connection import WRITE, Connection
from httpmini.server.core.counters import Counters
from httpmini.server.core.events import End, Event, Kind, read_recording
from httpmini.server.core.trace import Trace
from httpmini.server.http.traced import TracedService
from httpmini.server.listeners.peer import Tls
from httpmini.server.tls.security import Security
from httpmini.server.tls.service import SecureService
from tests.conftest import StartServer
from tests.support.sans_io import PEER, Conversation
from tests.support.tls import Authority
from tests.support.tls_wire import TlsEnd, unverified
from tests.support.trace_order import BIG_BYTES
from tests.support.wire import connect, read_all

BEGIN = [Kind.ACCEPTED, Kind.SLOT, Kind.TAKEN]
ASKED, ANSWERED = [Kind.FIRST_BYTE, Kind.HEAD], [Kind.FIRST_OUT, Kind.LAST_OUT]
CONFIG = """\
[server]
mode = "{mode}"
listen = ["tls:127.0.0.1:0"]
[limits]
idle_s = 1
[tls]
certificate = "{}"
key = "{}"
"""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return Authority(tmp_path_factory.mktemp("authority")).pair("localhost")


def secure(sock: socket.socket) -> ssl.SSLSocket:
    return unverified().wrap_socket(sock)


def _kept(sock: socket.socket) -> None:
    with secure(sock) as tls:
        for _ in range(2):
            tls.sendall(b"GET /ten.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            said = b""
            while not said.endswith(b"0123456789"):
                piece = tls.recv(65536)
                assert piece
                said += piece
        tls.unwrap()  # a goodbye: what is unread, such as tickets, would make the close a reset


def _in_pieces(sock: socket.socket) -> None:
    with secure(sock) as tls:
        tls.sendall(b"GET /ten.txt HTT")
        tls.sendall(b"P/1.0\r\n\r\n")
        assert _all_of(tls).endswith(b"0123456789")


def _slow(sock: socket.socket) -> None:
    with secure(sock) as tls:
        tls.sendall(b"GET /big.bin HTTP/1.0\r\n\r\n")
        assert len(_all_of(tls)) > BIG_BYTES


def _refused(sock: socket.socket) -> None:
    with secure(sock) as tls:
        tls.sendall(b"GET  HTTP/9.0\r\n\r\n")
        assert b"400" in _all_of(tls)


def _leaves(sock: socket.socket) -> None:
    sock.sendall(b"\x16\x03\x01")
    sock.shutdown(socket.SHUT_WR)
    assert read_all(sock) == b""


def _says_nothing(sock: socket.socket) -> None:
    assert read_all(sock) == b""


def _without_tls(sock: socket.socket) -> None:
    sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
    assert read_all(sock).startswith(b"HTTP/1.0 400")


def _all_of(tls: ssl.SSLSocket) -> bytes:
    return b"".join(iter(lambda: tls.recv(1 << 20), b""))


CLIENTS: dict[str, tuple[Callable[[socket.socket], None], list[Kind], End]] = {
    "kept": (_kept, [*BEGIN, *ASKED, *ANSWERED, *ASKED, *ANSWERED], End.CLIENT),
    "in pieces": (_in_pieces, [*BEGIN, *ASKED, *ANSWERED], End.SERVER),
    "slow": (_slow, [*BEGIN, *ASKED, *ANSWERED], End.SERVER),
    "refused": (_refused, [*BEGIN, *ASKED, *ANSWERED], End.SERVER),
    "leaves in the handshake": (_leaves, BEGIN, End.CLIENT),
    "says nothing": (_says_nothing, BEGIN, End.TIMEOUT),
    "without TLS": (_without_tls, [*BEGIN, *ANSWERED], End.SERVER),
}


def test_the_events(pair: tuple[Path, Path], start: StartServer, tmp_path: Path, mode: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "ten.txt").write_text("0123456789")
    (root / "big.bin").write_bytes(bytes(BIG_BYTES))
    server = start(root, "--trace", str(tmp_path / "t"), config=CONFIG.format(*pair, mode=mode))
    ports = {}
    for name, (converse, _, _) in CLIENTS.items():
        with connect(server.port) as sock:
            ports[sock.getsockname()[1]] = name
            converse(sock)
    assert server.stop() == 0
    recording = read_recording((tmp_path / "t").read_bytes(), "t")
    passing = (Kind.LINGERING, Kind.CLOSED, Kind.BLOCKED, Kind.FILE)  # a file is opened unless the response is cached
    seen = {
        ports[one.port]: ([event.kind for event in one.single_events if event.kind not in passing], one.events[-1])
        for one in recording.connections
    }
    assert {name: kinds for name, (kinds, _) in seen.items()} == {
        name: kinds for name, (_, kinds, _) in CLIENTS.items()
    }
    ends = {name: (last.kind, End(last.value)) for name, (_, last) in seen.items()}
    assert ends == {name: (Kind.CLOSED, end) for name, (_, _, end) in CLIENTS.items()}
    for one in recording.connections:
        times = [event.at for event in one.single_events]
        assert times == sorted(times)


def test_a_reader_that_takes_nothing(pair: tuple[Path, Path], site: Path) -> None:
    """It is blocked twice, which is one event, and ended by the time limit for sending."""
    trace = Trace("select", 1, "queue")
    events = _events_of(_reader(site, pair, trace, rounds=2), trace)
    assert [event.kind for event in events] == [Kind.SLOT, *ASKED, Kind.FILE, Kind.BLOCKED, Kind.CLOSED]
    assert [event.value for event in events[-2:]] == [2, End.TIMEOUT]


def test_a_reader_that_breaks(pair: tuple[Path, Path], site: Path) -> None:
    trace = Trace("select", 1, "queue")
    connection = _reader(site, pair, trace, rounds=0)
    connection.lose(0.0)
    assert _events_of(connection, trace)[-1].value == End.BROKEN


def _reader(site: Path, pair: tuple[Path, Path], trace: Trace, rounds: int) -> Connection:
    """Return the connection of a client that has asked for a file, and whose kernel took nothing ``rounds`` times."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    generation = Conversation(site).service.generation
    security = Security(context, generation.timeouts, 10.0, lambda *_: None)
    service = SecureService(TracedService(generation, Counters(), trace), lambda: security, trace=trace)
    connection = service.connect(PEER._replace(tls=Tls()), 0.0)
    client = TlsEnd(unverified())
    to_server = client.start()
    while to_server:
        connection.receive(to_server, 0.0)
        to_server = b"" if client.is_established else _pass_on(connection, client)
    _pass_on(connection, client)
    connection.receive(client.say(b"GET /big.bin HTTP/1.0\r\n\r\n"), 0.0)
    for _ in range(rounds):
        connection.on_blocked()
    return connection


def _pass_on(connection: Connection, client: TlsEnd) -> bytes:
    """Let the client hear what the server has to say; return its answer."""
    answer = b""
    while connection.interest is WRITE:
        piece = connection.output[0]
        assert isinstance(piece, bytes)
        answer += client.hear(piece)
        connection.sent(len(piece), 0.0)
    return answer


def _events_of(connection: Connection, trace: Trace) -> list[Event]:
    """Let the time for sending pass; return the events."""
    if connection.interest is WRITE:
        connection.expire(connection.deadline)
    connection.on_closed()
    (one,) = trace.read().connections
    return one.single_events


def test_clients_that_are_sent_to_https(
    pair: tuple[Path, Path], site: Path, start: StartServer, tmp_path: Path
) -> None:
    config = (
        CONFIG.format(*pair, mode="select").replace('["tls', '["127.0.0.1:0", "tls')
        + 'redirect = true\n[site]\nhosts = ["localhost"]\n'
    )
    server = start(site, "--trace", str(tmp_path / "t"), config=config)
    match = re.search(r"http://127\.0\.0\.1:(\d+)/", server.banner)
    assert match is not None
    with connect(int(match[1])) as sock:
        sock.sendall(b"GET /ten.txt HTTP/1.0\r\nHost: localhost\r\n\r\n")
        assert b"https://localhost" in read_all(sock)
    assert server.stop() == 0
    (one,) = read_recording((tmp_path / "t").read_bytes(), "t").connections
    assert [event.kind for event in one.single_events][: len(BEGIN + ASKED)] == BEGIN + ASKED
