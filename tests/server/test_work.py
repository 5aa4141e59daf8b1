"""What takes long is done by helper threads while the loop goes on; in every mode nobody waits for somebody else's."""

from __future__ import annotations

import base64
import json
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import bcrypt
import pytest

from httpmini.server.core.connection import Connection, Interest, Timeouts
from httpmini.server.core.reactor import MOST_EVENTS, Reactor
from httpmini.server.core.transfer import Client
from httpmini.server.core.turn import next_turn
from httpmini.server.listeners.peer import Peer
from httpmini.site.guesses import GUESSES
from httpmini.work import Lane, Work
from tests.conftest import StartServer
from tests.support.logs import log_into
from tests.support.processes import eventually
from tests.support.small_site import write_tree
from tests.support.wire import WAIT_S, connect, get, read_answer

TIMEOUTS = Timeouts(idle_s=60.0, send_stall_s=60.0, linger_s=1.0, linger_bytes=1000)


class Waiting(Connection):
    """Has some work done for each word that it hears, and then says what came of it."""

    def __init__(self, work: Callable[[], Work[bytes]]) -> None:
        super().__init__(TIMEOUTS, time.monotonic())
        self.make = work
        self.mine: Work[bytes] | None = None

    def on_data(self, data: bytes, now: float) -> None:
        self.mine = self.make()
        self.wait_for(self.mine)

    def on_work_done(self, now: float) -> None:
        assert self.mine is not None
        self.send(self.mine.result(), now=now)


class Echo(Connection):
    def __init__(self) -> None:
        super().__init__(TIMEOUTS, time.monotonic())

    def on_data(self, data: bytes, now: float) -> None:
        self.send(data, now=now)


class Loop:
    """A reactor, and the other ends of its clients."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.ticks = 0
        self.reactor = Reactor(log_into(self.log), self._tick)
        self.peers: list[socket.socket] = []

    def _tick(self) -> None:
        self.ticks += 1

    def connect(self, connection: Connection, says: bytes = b"") -> socket.socket:
        ours, peer = socket.socketpair()
        ours.setblocking(False)
        peer.setblocking(False)
        self.peers.append(peer)
        peer.sendall(says)
        self.reactor.add(Client(ours.detach(), Peer("", 0), connection, None), time.monotonic(), next_turn())
        return peer

    def turn_until(self, condition: Callable[[], object], what: str) -> None:
        def turned() -> bool:
            self.reactor.turn(0.01)
            return bool(condition())

        eventually(turned, what)

    def hear(self, peer: socket.socket) -> bytes:
        self.turn_until(lambda: select.select([peer], [], [], 0)[0], "an answer")
        return peer.recv(100)

    def close(self) -> None:
        self.reactor.finish(lambda: 0.0)
        self.reactor.close()
        for peer in self.peers:
            peer.close()
        assert self.log == []
        assert not [thread for thread in threading.enumerate() if thread.name == "helper"]


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


def test_the_loop_goes_on(loop: Loop) -> None:
    go, lane = threading.Event(), Lane(1)

    def wait() -> bytes:
        assert go.wait(WAIT_S)
        return b"done"

    waits = loop.connect(Waiting(lambda: Work(lane, wait)), says=b"please")
    other = loop.connect(Echo())
    for word in (b"one", b"two"):
        other.sendall(word)
        assert loop.hear(other) == word
    before = loop.ticks
    loop.turn_until(lambda: loop.ticks > before, "a tick")
    assert select.select([waits], [], [], 0)[0] == []
    go.set()
    assert loop.hear(waits) == b"done"
    waits.sendall(b"again")
    assert loop.hear(waits) == b"done"


def test_many_wait_for_one_work(loop: Loop) -> None:
    done: list[int] = []
    go = threading.Event()

    def wait() -> bytes:
        assert go.wait(WAIT_S)
        done.append(1)
        return b"done"

    work = Work(Lane(1), wait)
    peers = [loop.connect(Waiting(lambda: work), says=b"please") for _ in range(20)]
    go.set()
    assert [loop.hear(peer) for peer in peers] == [b"done"] * 20
    assert done == [1]


@pytest.mark.parametrize("most", [1, 3])
def test_a_lane_bounds_how_many_are_done_at_once(loop: Loop, most: int) -> None:
    lane, lock = Lane(most), threading.Lock()
    now = [0, 0]  # at work, and the most that ever were

    def count() -> bytes:
        with lock:
            now[0] += 1
            now[1] = max(now)
        time.sleep(0.001)
        with lock:
            now[0] -= 1
        return b"done"

    peers = [loop.connect(Waiting(lambda: Work(lane, count)), says=b"please") for _ in range(30)]
    threads = [threading.Thread(target=Work(lane, count).run) for _ in range(5)]  # as threading mode does
    for thread in threads:
        thread.start()
    assert [loop.hear(peer) for peer in peers] == [b"done"] * 30
    for thread in threads:
        thread.join()
    assert now == [0, now[1]]
    assert now[1] <= most


def test_what_work_raises_is_raised_for_all(loop: Loop) -> None:
    def fail() -> bytes:
        raise PermissionError("no")

    work = Work(Lane(1), fail)
    for _ in range(2):
        work.run()
        with pytest.raises(PermissionError, match="no"):
            work.result()


def test_without_threads_the_loop_does_the_work(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    lane = Lane(2)
    peers = [loop.connect(Waiting(lambda: Work(lane, lambda: b"done")), says=b"please") for _ in range(3)]
    assert [loop.hear(peer) for peer in peers] == [b"done"] * 3


def test_a_client_that_is_cut_off_meanwhile() -> None:
    loop, go = Loop(), threading.Event()
    lane = Lane(1)
    connections = [Waiting(lambda: Work(lane, lambda: b"x" if go.wait(WAIT_S) else b"")) for _ in range(3)]
    peers = [loop.connect(connection, says=b"please") for connection in connections]
    loop.reactor.finish(lambda: 0.0)
    assert [connection.interest for connection in connections] == [Interest.CLOSED] * 3
    assert [peer.recv(10) for peer in peers] == [b""] * 3
    go.set()
    loop.close()


def test_a_connection_that_is_lost_stays_lost() -> None:
    connection = Waiting(lambda: Work(Lane(1), lambda: b"done"))
    connection.receive(b"please", 1.0)
    assert (connection.interest, connection.output) == (Interest.WORK, [])
    work = connection.work
    assert work is not None
    connection.lose(2.0)
    work.run()
    connection.work_done(3.0)
    assert (connection.interest, connection.output) == (Interest.CLOSED, [])


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="poll() reports all that are ready")
def test_a_turn_is_bounded(loop: Loop) -> None:
    """However many are ready, deadlines and ticks have their time between two turns."""
    peers = [loop.connect(Echo()) for _ in range(MOST_EVENTS + 50)]
    for peer in peers:
        peer.sendall(b"x")
    loop.reactor.turn(0.0)
    assert len(select.select(peers, [], [], 0)[0]) == MOST_EVENTS
    loop.reactor.turn(0.0)
    assert len(select.select(peers, [], [], 0)[0]) == len(peers)


# In every mode.


def basic(password: str) -> str:
    return "Authorization: Basic " + base64.b64encode(f"ada:{password}".encode()).decode()


def ask(port: int, target: str, *more: str) -> socket.socket:
    sock = connect(port)
    sock.sendall("\r\n".join([f"GET {target} HTTP/1.0", *more, "", ""]).encode())
    return sock


AS_JSON = "Accept: application/json"
REALM = '[[realms]]\npath = "/private"\nusers = "users"\n'


@cache
def hashed(cost: int) -> bytes:
    """Return the hash of "right". One of cost 14 takes a second, so it is made once."""
    return bcrypt.hashpw(b"right", bcrypt.gensalt(cost))


def site_with_realm(tmp_path: Path, cost: int) -> Path:
    (tmp_path / "users").write_bytes(b"ada:" + hashed(cost) + b"\n")
    return write_tree(tmp_path / "www", {"small.txt": b"small", "private/secret.txt": b"secret"})


@pytest.mark.parametrize("password", ["wrong", "right"])
def test_nobody_waits_for_the_hash_of_another(start: StartServer, mode: str, tmp_path: Path, password: str) -> None:
    server = start(site_with_realm(tmp_path, 14), "--mode", mode, config=REALM)
    get(server.port, "/small.txt")
    with ask(server.port, "/private/secret.txt", basic(password)) as guess:
        for _ in range(3):
            assert get(server.port, "/small.txt")[2] == b"small"
        assert select.select([guess], [], [], 0)[0] == [], "a second of hashing was over sooner than three small files"
        status, _, body = read_answer(guess)
    assert (status, body == b"secret") == ((200, True) if password == "right" else (401, False))
    server.wait_for_line(rf'"GET /private/secret.txt HTTP/1.0" {status} ')


def test_the_server_stops_while_hashes_are_computed(start: StartServer, mode: str, tmp_path: Path) -> None:
    """Draining finishes what has begun: it is answered."""
    server = start(site_with_realm(tmp_path, 12), "--mode", mode, config=REALM)
    with ExitStack() as stack:
        guesses = [stack.enter_context(ask(server.port, "/private/", basic("wrong"))) for _ in range(3)]
        guesses[0].shutdown(socket.SHUT_WR)
        guesses[2].shutdown(socket.SHUT_WR)
        get(server.port, "/small.txt")
        server.process.send_signal(signal.SIGTERM)
        assert [read_answer(guess)[0] for guess in guesses] == [401] * 3


def test_guesses_are_slowed_down(start: StartServer, mode: str, tmp_path: Path) -> None:
    server = start(site_with_realm(tmp_path, 4), "--mode", mode, config=REALM)
    begun = time.monotonic()
    answers = [get(server.port, "/private/secret.txt", basic("wrong")) for _ in range(150)]
    lasted_s = time.monotonic() - begun
    statuses = [status for status, _, _ in answers]
    wrong = statuses.count(401)
    burst = int(GUESSES.per_s * GUESSES.burst_s)
    assert statuses[:burst] == [401] * burst
    assert burst <= wrong <= burst + lasted_s * GUESSES.per_s + 1, "all processes count together"
    refused = [fields for status, fields, _ in answers if status == 429]
    assert len(refused) == 150 - wrong
    assert all(1 <= int(fields["retry-after"]) <= 2 for fields in refused)
    assert get(server.port, "/small.txt")[0] == 200
    assert get(server.port, "/private/secret.txt")[0] == 401, "no guess"


@pytest.mark.parametrize("new", ["forking", "select", "threading"])
def test_a_reload_while_work_is_done(start: StartServer, mode: str, tmp_path: Path, new: str) -> None:
    """Another mode takes over, perhaps in forked children: what waits is answered, and what comes."""
    root = many(site_with_realm(tmp_path, 11), 1000)

    def text(mode: str) -> str:
        return f'[server]\nmode = "{mode}"\n{REALM}'

    server = start(root, config=text(mode))
    with ExitStack() as stack:

        def ask_all() -> list[socket.socket]:
            asked = ("/private/", "/many/", "/private/", "/many/")
            return [stack.enter_context(ask(server.port, target, basic("wrong"))) for target in asked]

        waiting = ask_all()
        get(server.port, "/small.txt")
        (tmp_path / "config-0.toml").write_text(text(new))
        server.process.send_signal(signal.SIGHUP)
        waiting += ask_all()
        server.wait_for_line("reloaded: " if new != mode else "reloaded")
        waiting += ask_all()
        assert [read_answer(sock)[0] for sock in waiting] == [401, 200, 401, 200] * 3


def many(root: Path, count: int) -> Path:
    (root / "many").mkdir(parents=True)
    for number in range(count):
        (root / "many" / f"a file with a name of some length {number:05}").touch()
    return root


def test_a_large_listing(start: StartServer, mode: str, tmp_path: Path) -> None:
    server = start(many(tmp_path / "www", 1500), "--mode", mode)
    status, fields, body = get(server.port, "/many/", "Accept: application/json")
    assert status == 200
    assert len(json.loads(body)["entries"]) == 1500
    _, page_fields, page = get(server.port, "/many/")
    assert page.count(b"<li ") == 1000
    assert get(server.port, "/many/?page=2")[2].count(b"<li ") == 500
    assert page_fields["etag"] != fields["etag"], "another form is another representation"
    status, again, nothing = get(server.port, "/many/", f"If-None-Match: {page_fields['etag']}")
    assert (status, again["etag"], nothing) == (304, page_fields["etag"], b"")
    with connect(server.port) as sock:
        sock.sendall(b"HEAD /many/ HTTP/1.0\r\n\r\n")
        head = b"".join(iter(lambda: sock.recv(65536), b""))
    assert f"Content-Length: {len(page)}\r\n".encode() in head
    assert head.endswith(b"\r\n\r\n")
    (tmp_path / "www" / "many" / "another").touch()
    status, _, body = get(server.port, "/many/", "Accept: application/json", f"If-None-Match: {fields['etag']}")
    assert (status, len(json.loads(body)["entries"])) == (200, 1501)


@pytest.mark.parametrize("several", ["select", "threading"])
def test_listings_share_memory(start: StartServer, tmp_path: Path, several: str) -> None:
    """Sixty clients that ask for a listing of 2 MB and read nothing need one copy of it."""
    server = start(many(tmp_path / "www", 15_000), "--mode", several)
    assert len(get(server.port, "/many/", AS_JSON)[2]) > 2_000_000
    before = server.memory_kib()
    with ExitStack() as stack:
        socks = []
        for _ in range(60):
            sock = stack.enter_context(ask(server.port, "/many/", AS_JSON))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            socks.append(sock)
        for sock in socks:
            assert sock.recv(8) == b"HTTP/1.0"
        assert server.memory_kib() - before < 40 * 1024
        server.process.send_signal(signal.SIGQUIT)


def test_helpers_work_in_the_sandbox(start: StartServer, tmp_path: Path) -> None:
    root = many(site_with_realm(tmp_path, 4), 200)
    server = start(root, "--mode", "select", config=REALM + '[daemon]\nsandbox = "auto"\n')
    assert get(server.port, "/private/secret.txt", basic("right"))[2] == b"secret"
    assert get(server.port, "/many/")[2].count(b"<li ") == 200
    eventually(lambda: server.threads() == 1, "the helpers are gone")
