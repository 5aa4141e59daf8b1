"""TLS around a connection, without sockets: what goes through, what is bounded, and how it ends."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from httpmini.lint.cases import CASES, Case
from httpmini.protocol.body import BrokenPromise, Promise
from httpmini.server.core.connection import Connection, Interest
from httpmini.server.limits.bandwidth import LocalBucket, Throttle
from httpmini.server.listeners.peer import Peer, Tls
from httpmini.server.logs.error import Level
from httpmini.server.tls.connection import TlsConnection
from httpmini.server.tls.security import Security, make_context
from httpmini.server.tls.service import SecureService
from tests.support.answers import check
from tests.support.sans_io import PEER, Conversation, answers_to
from tests.support.tls import Authority
from tests.support.tls_wire import TlsEnd, unverified
from tests.support.wire import mask_date

KEEP = b"GET /ten.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
RECORDS_BYTES = 66 * 1024  # 64 KiB, and what is added to each record of 16


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    made = make_context()
    made.load_cert_chain(*Authority(tmp_path_factory.mktemp("authority")).pair("example.org"))
    return made


class Talk:
    """A client and a server with TLS between them; the octets on the way can be cut anywhere.

    Attributes:
        client: the client's end.
        connection: the server's.
        now: the time.
        most: the longest that was ever queued at once.
    """

    def __init__(self, root: Path, context: ssl.SSLContext, client: ssl.SSLContext | None = None) -> None:
        self.http = Conversation(root)
        self.notes: list[str] = []
        limits = self.http.limits
        security = Security(context, self.http.service.generation.timeouts, limits.head_s, self._note)
        service = SecureService(self.http.service, lambda: security, self.http.service.refuse_plain)
        self.now = 0.0
        self.most = 0
        self.answers = b""
        self.peer = PEER._replace(tls=Tls())
        self.connection: Connection = service.connect(self.peer, self.now)
        self.client = TlsEnd(client or unverified())

    def _note(self, text: str, _level: Level = Level.NOTICE, /) -> None:
        self.notes.append(text)

    def shake_hands(self) -> Talk:
        self.deliver(self.client.start())
        assert self.client.is_established
        return self

    def deliver(self, records: bytes, step: int = 0) -> None:
        """Pass records to the server, ``step`` octets at a time, and all of its answers to the client."""
        pieces = [records[at : at + step] for at in range(0, len(records), step)] if step else [records]
        while pieces:
            self.answers = b""
            if self.connection.interest in (Interest.READ, Interest.LINGER):
                octets = self.connection.receive(pieces.pop(0), self.now)
                if octets is not None:
                    self._hear(octets)
                    self.connection.sent_at_once(len(octets), self.now)
                self.flush()
            elif self.connection.interest is Interest.CLOSED:
                return
            if self.answers:
                pieces.insert(0, self.answers)

    def flush(self, most: int = 1 << 30) -> None:
        """Let the client hear what the server has to say, ``most`` octets at a time."""
        while self.connection.interest in (Interest.WRITE, Interest.WORK):
            if self.connection.work is not None:
                self.connection.work.run()
                self.connection.work_done(self.now)
                continue
            self.most = max(self.most, sum(map(len, self.connection.output)))
            piece = self.connection.output[0]
            assert isinstance(piece, bytes)
            some = piece[self.connection.position :][:most]
            self._hear(some)
            self.connection.sent(len(some), self.now)

    def drop(self) -> None:
        """Take what the server has to say without hearing it."""
        while self.connection.interest is Interest.WRITE:
            self.connection.sent(len(self.connection.output[0]) - self.connection.position, self.now)

    def _hear(self, records: bytes) -> None:
        self.most = max(self.most, len(records))
        self.answers += self.client.hear(records)

    def end(self) -> None:
        """Let the client say goodbye and end its stream."""
        self.deliver(self.client.end())
        self.deliver(b"")


@pytest.fixture
def talk(site: Path, secured: ssl.SSLContext) -> Talk:
    return Talk(site, secured)


@pytest.fixture(scope="module")
def truth(site: Path) -> dict[str, bytes]:
    return {case.name: mask_date(answers_to(site, [case.data])) for case in CASES}


def test_every_wire_case_gets_the_same_bytes(site: Path, secured: ssl.SSLContext, truth: dict[str, bytes]) -> None:
    for case in CASES:
        talk = Talk(site, secured).shake_hands()
        talk.deliver(talk.client.say(case.data))
        talk.end()
        said = bytes(talk.client.said)
        assert mask_date(said) == truth[case.name], case.name
        check(case, said)
        assert talk.client.was_ended, f"{case.name}: no goodbye"
        assert talk.connection.interest is Interest.CLOSED, case.name
        assert talk.most <= RECORDS_BYTES, case.name


@pytest.mark.parametrize(
    "case", [case for case in CASES if len(case.data) < 100][::60], ids=lambda case: case.name[:60]
)
def test_records_cut_anywhere(case: Case, site: Path, secured: ssl.SSLContext, truth: dict[str, bytes]) -> None:
    """Octet by octet, the handshake included; and each octet of the request in a record of its own."""
    whole = Talk(site, secured)
    whole.deliver(whole.client.start(), 1)
    whole.deliver(whole.client.say(case.data), 1)
    whole.end()
    assert mask_date(bytes(whole.client.said)) == truth[case.name]
    single = Talk(site, secured).shake_hands()
    single.deliver(b"".join(single.client.say(case.data[at : at + 1]) for at in range(len(case.data))))
    single.end()
    assert mask_date(bytes(single.client.said)) == truth[case.name]


@pytest.mark.parametrize("most", [1, 1000, 1 << 20])
def test_a_large_file_leaves_in_batches(talk: Talk, site: Path, most: int) -> None:
    """Memory is bounded, and the connection inside hears of octets when the kernel has them."""
    talk.shake_hands()
    path = max((one for one in site.iterdir() if one.is_file()), key=lambda one: one.stat().st_size)
    if most == 1:
        path = site / "ten.txt"
    talk.connection.receive(talk.client.say(f"GET /{path.name} HTTP/1.0\r\n\r\n".encode()), 0.0)
    talk.flush(most)
    assert bytes(talk.client.said).endswith(path.read_bytes())
    assert talk.client.was_ended
    assert talk.most <= RECORDS_BYTES


def test_pipelined_requests_in_one_record(talk: Talk) -> None:
    talk.shake_hands()
    talk.deliver(talk.client.say(KEEP * 5))
    assert talk.client.said.count(b"HTTP/1.0 200 OK") == 5
    assert talk.connection.interest is Interest.READ
    assert len(talk.http.log) == 5


def test_a_kept_connection(talk: Talk) -> None:
    talk.shake_hands()
    for number in range(1, 20):
        talk.deliver(talk.client.say(KEEP))
        assert talk.client.said.count(b"HTTP/1.0 200 OK") == number
    talk.end()
    assert talk.client.was_ended
    assert talk.connection.interest is Interest.CLOSED


def test_the_kernel_takes_only_a_part(talk: Talk) -> None:
    talk.shake_hands()
    for _ in range(3):
        octets = talk.connection.receive(talk.client.say(KEEP), 0.0)
        if octets is not None:
            talk.client.hear(octets[:7])
            talk.connection.send_later(octets, 7, 0.0)
            assert talk.connection.interest is Interest.WRITE
        talk.flush(100)
    assert talk.client.said.count(b"HTTP/1.0 200 OK") == 3


def test_a_client_that_ends_without_a_goodbye_gets_its_response(talk: Talk) -> None:
    talk.shake_hands()
    talk.deliver(talk.client.say(b"GET /ten.txt HTTP/1.0\r\n"))
    talk.deliver(b"")
    assert b" 400 " in talk.client.said
    assert b"head-incomplete" in talk.client.said


def test_a_goodbye_without_the_end_of_the_stream(talk: Talk) -> None:
    talk.shake_hands()
    talk.deliver(talk.client.say(KEEP))
    talk.deliver(talk.client.end())
    assert talk.client.was_ended
    assert talk.connection.interest in (Interest.CLOSED, Interest.LINGER)


def test_a_silent_connection_is_closed_with_a_goodbye(talk: Talk) -> None:
    talk.shake_hands()
    talk.now = talk.connection.deadline
    talk.connection.expire(talk.now)
    talk.flush()
    assert talk.client.was_ended
    assert talk.client.said == b""
    assert talk.connection.interest is Interest.CLOSED


def test_half_a_hello_is_ended(talk: Talk) -> None:
    """Octets one by one do not extend the time of the handshake."""
    hello = talk.client.start()
    head_s = talk.http.limits.head_s
    for step in range(10):
        talk.now = step * head_s / 10
        talk.deliver(hello[step : step + 1])
        assert talk.connection.deadline == head_s
    talk.connection.expire(head_s)
    assert talk.connection.interest is Interest.CLOSED
    assert talk.notes == [f"192.0.2.1:4711 sent no whole TLS handshake within {head_s:.1f} s"]


def test_the_handshake_counts_as_a_part_of_the_first_head(talk: Talk) -> None:
    head_s = talk.http.limits.head_s
    hello = talk.client.start()
    talk.deliver(hello[:10])
    talk.now = 8.0
    talk.deliver(hello[10:])
    assert talk.client.is_established
    talk.now = 9.0
    talk.deliver(talk.client.say(b"GET / "))
    assert talk.connection.deadline == 9.0 + head_s - 8.0
    talk.now = talk.connection.deadline
    talk.connection.expire(talk.now)
    talk.flush()
    assert b" 408 " in talk.client.said


def test_without_tls_at_a_tls_port(talk: Talk) -> None:
    octets = talk.connection.receive(b"GET / HTTP/1.0\r\n\r\n", 0.0)
    assert octets is None
    said = b""
    while talk.connection.interest is Interest.WRITE:
        piece = talk.connection.output[0]
        assert isinstance(piece, bytes)
        said += piece
        talk.connection.sent(len(piece), 0.0)
    assert said.startswith(b"HTTP/1.0 400 ")
    assert b"plain-on-tls" in said
    assert b"https://" in said
    assert talk.connection.interest is Interest.LINGER
    assert "reason=plain-on-tls" in talk.http.log[0]


@pytest.mark.parametrize(
    "junk",
    [
        b"\0" * 100,
        b"\x16\x03\x01\xff\xff" + b"\1" * 16000,  # longer than a record may be
        b"\x80\x2e\1\0\2\0\x15\0\0\0\x10",  # SSL 2
        b"\x05\x01\x00",  # SOCKS
        b"\x16\x03\x01\0\4\2\0\0\0",  # a ServerHello
        b"\x17\x03\x03\0\x10" + b"x" * 16,  # data before any handshake
        b"\x15\x03\x03\0\2\2\x28",  # an alert
    ],
    ids=lambda junk: junk[:6].hex(),
)
def test_what_is_no_tls_is_ended_at_once(talk: Talk, junk: bytes) -> None:
    talk.connection.receive(junk, 0.0)
    if talk.connection.interest is Interest.READ:  # it could be the beginning of something
        talk.connection.receive(b"", 0.0)
    talk.drop()  # an alert
    assert talk.connection.interest is Interest.CLOSED
    assert len(talk.notes) == 1
    assert talk.http.log == []


@pytest.mark.parametrize("place", [3, 7, 30])
def test_records_that_were_changed_on_the_way(talk: Talk, place: int) -> None:
    talk.shake_hands()
    records = bytearray(talk.client.say(KEEP))
    records[place] ^= 1
    talk.connection.receive(bytes(records), 0.0)
    talk.drop()
    if talk.connection.interest is Interest.READ:  # a longer record: its end has not come
        talk.connection.receive(b"x" * 20000, 0.0)
        talk.drop()
    assert talk.connection.interest is Interest.CLOSED
    assert talk.client.said == b""
    assert "TLS failed: " in talk.notes[0]


def test_a_response_that_is_cut_off(talk: Talk, site: Path) -> None:
    """Its client sees that it broke, and the log has what the kernel took."""
    path = max((one for one in site.iterdir() if one.is_file()), key=lambda one: one.stat().st_size)
    talk.shake_hands()
    talk.connection.receive(talk.client.say(f"GET /{path.name} HTTP/1.0\r\n\r\n".encode()), 0.0)
    talk.connection.sent(len(talk.connection.output[0]), 0.0)
    talk.connection.lose(1.0)
    assert talk.connection.aborted
    assert talk.connection.interest is Interest.CLOSED
    sent = int(talk.http.log[0].split(" 200 ")[1].split(" ")[0])
    assert 0 < sent < path.stat().st_size


def test_a_file_that_shrinks(talk: Talk, tmp_path: Path, secured: ssl.SSLContext) -> None:
    root = tmp_path / "www"
    root.mkdir()
    file = root / "f.bin"
    file.write_bytes(os.urandom(1_000_000))
    shrinking = Talk(root, secured).shake_hands()
    shrinking.connection.receive(shrinking.client.say(b"GET /f.bin HTTP/1.0\r\n\r\n"), 0.0)
    os.truncate(file, 100_000)
    shrinking.flush()
    assert shrinking.connection.interest is Interest.CLOSED
    assert shrinking.connection.aborted
    assert not shrinking.client.was_ended


def test_a_rate_holds_for_plain_octets(talk: Talk, site: Path) -> None:
    talk.shake_hands()
    path = max((one for one in site.iterdir() if one.is_file()), key=lambda one: one.stat().st_size)
    generation = talk.http.service.generation

    class Limits:
        def throttle(self, _before: Throttle | None) -> Throttle:
            return Throttle(self, (LocalBucket(100_000),), 100_000)

        def wait_s(self, _address: str) -> float:
            return 0.0

    talk.http.service.generation = replace(generation, client_limits=Limits())
    talk.connection.receive(talk.client.say(f"GET /{path.name} HTTP/1.0\r\n\r\n".encode()), 0.0)
    paused = 0
    while talk.connection.interest is not Interest.LINGER:
        talk.flush()
        if talk.connection.interest is Interest.PAUSE:
            paused += 1
            talk.now = talk.connection.deadline
            talk.connection.resume(talk.now)
    size = path.stat().st_size
    assert bytes(talk.client.said).endswith(path.read_bytes())
    assert talk.now >= (size - 100_000) / 100_000
    assert paused > 0


def test_draining(talk: Talk) -> None:
    """A handshake is given up; a connection between two requests says goodbye; a request that came is answered."""
    talk.deliver(talk.client.start()[:20])
    talk.connection.drain(0.0)
    assert talk.connection.interest is Interest.CLOSED


def test_draining_between_requests(talk: Talk) -> None:
    talk.shake_hands()
    talk.deliver(talk.client.say(KEEP))
    talk.connection.drain(0.0)
    talk.flush()
    assert talk.client.was_ended
    assert talk.connection.interest is Interest.CLOSED


def test_who_has_not_asked_yet_may_ask_once_after_a_reload(talk: Talk) -> None:
    hello = talk.client.start()
    talk.deliver(hello[:20])
    talk.connection.retire(0.0)
    talk.deliver(hello[20:])
    talk.deliver(talk.client.say(KEEP))
    assert b" 200 OK" in talk.client.said
    assert b"Connection: close" in talk.client.said or talk.client.was_ended


def test_what_the_log_says_of_tls(talk: Talk) -> None:
    talk.shake_hands()
    assert isinstance(talk.connection, TlsConnection)
    inner = talk.connection._inner
    assert inner is not None
    assert inner._peer == Peer("192.0.2.1", 4711, 0, Tls("TLSv1.3", "TLS_AES_256_GCM_SHA384"))  # type: ignore[attr-defined]


@pytest.mark.parametrize("offered", [["h2", "http/1.1"], ["http/1.0"], ["h2"], []])
def test_alpn(site: Path, secured: ssl.SSLContext, offered: list[str]) -> None:
    client = unverified()
    if offered:
        client.set_alpn_protocols(offered)
    talk = Talk(site, secured, client).shake_hands()
    ours = [name for name in offered if name.startswith("http/")]
    assert talk.client.tls.selected_alpn_protocol() == (ours[0] if ours else None)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_versions_are_refused(site: Path, secured: ssl.SSLContext) -> None:
    client = unverified()
    client.set_ciphers("ALL:@SECLEVEL=0")
    client.minimum_version, client.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    talk = Talk(site, secured, client)
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        talk.deliver(talk.client.start())


def test_other_protocols_inside(secured: ssl.SSLContext) -> None:
    """Nothing of it is about HTTP."""

    class Echo(Connection):
        def on_data(self, data: bytes, now: float) -> None:
            self.send(data, now=now)

    http = Conversation(Path(__file__).parent)
    security = Security(secured, http.service.generation.timeouts, 5.0, lambda _text, _level=Level.NOTICE, /: None)

    class EchoService:
        def connect(self, _peer: Peer, now: float) -> Connection:
            return Echo(security.timeouts, now)

        def refuse(self, peer: Peer, _refusal: object, now: float, _retry_s: float) -> Connection:
            return self.connect(peer, now)

        def tick(self) -> None:
            pass

    connection = SecureService(EchoService(), lambda: security).connect(PEER._replace(tls=Tls()), 0.0)
    end = TlsEnd(unverified())
    to_server = end.start()
    sent = os.urandom(300_000)
    rest: Iterator[bytes] = iter([sent[at : at + 16000] for at in range(0, len(sent), 16000)])
    while True:
        if to_server:
            assert connection.receive(to_server, 0.0) is None
            to_server = b""
        while connection.interest is Interest.WRITE:
            piece = connection.output[0]
            assert isinstance(piece, bytes)
            to_server += end.hear(piece)
            connection.sent(len(piece), 0.0)
        if end.is_established and not to_server:
            chunk = next(rest, None)
            if chunk is None:
                break
            to_server = end.say(chunk)
    assert bytes(end.said) == sent
    plain = SecureService(EchoService(), lambda: security).connect(PEER._replace(tls=Tls()), 0.0)
    plain.receive(b"hello", 0.0)
    assert plain.interest is Interest.CLOSED


class Promised(Promise):
    """Keeps so many pieces, and then breaks."""

    def __init__(self, kept: int) -> None:
        self._left = kept

    def __len__(self) -> int:
        return 1_000_000

    def make(self) -> list[bytes]:
        if not self._left:
            raise BrokenPromise
        self._left -= 1
        return [b"x" * 100_000]


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_a_promise_that_is_broken(secured: ssl.SSLContext, kept: int) -> None:
    """The client sees that the response broke: there is no goodbye, and a reset."""

    class Promising(Connection):
        def on_data(self, data: bytes, now: float) -> None:
            self.end(now, expects_more=False)
            self.send(data, Promised(kept), now=now)

    http = Conversation(Path(__file__).parent)
    security = Security(secured, http.service.generation.timeouts, 5.0, lambda _text, _level=Level.NOTICE, /: None)
    connection = TlsConnection(
        security, PEER._replace(tls=Tls()), lambda _peer, now: Promising(security.timeouts, now), None, 0.0
    )
    end = TlsEnd(unverified())
    to_server = end.start()
    while connection.interest is not Interest.CLOSED:
        if to_server:
            assert connection.receive(to_server, 0.0) is None
        to_server = b""
        while connection.interest is Interest.WRITE:
            piece = connection.output[0]
            assert isinstance(piece, bytes)
            to_server += end.hear(piece)
            connection.sent(len(piece), 0.0)
        if end.is_established and not to_server and not end.said:
            to_server = end.say(b"hello")
    assert len(end.said) == len(b"hello") + kept * 100_000
    assert not end.was_ended
    assert connection.aborted
