"""A full server still serves: clients that do nothing with their slots leave for those that wait (``limits/crowd.py``).

The crowd comes from one loopback address, the others from another one. The settings allow the crowd ten minutes for
everything, so it is never a timeout that makes room.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from httpmini.lint.cases.site_tree import BIG
from httpmini.server.limits.address_rules import address_key
from httpmini.server.limits.admission import Admission, Slot
from httpmini.server.limits.crowd import CROWDED_S, SILENT_S, STALLED_S, Occupant, choose, overdue, share_of
from httpmini.server.limits.slots import Slots
from httpmini.server.modes import MODES
from tests.conftest import StartServer
from tests.support import crowd
from tests.support.crowd import CROWD, OTHER, ask, connect_from
from tests.support.logs import log_into
from tests.support.processes import ServerProcess, eventually, ports_listened_on
from tests.support.small_site import write_tree
from tests.support.wire import WAIT_S, read_all, read_answer

KEEP = b"GET /ten.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
PATIENT = "[limits]\nidle_s = 600.0\nhead_s = 600.0\nsend_stall_s = 600.0\nlinger_s = 600.0\n"
LONG = 64 * 1024 * 1024  # longer than a test can last at the rate below
SOON_S = 20.0  # a small part of the shortest time above, however full the server is
THIRD = "127.0.0.4"


def settings(mode: str, clients: int, more: str = "") -> str:
    return f'[server]\nmode = "{mode}"\nworkers = 2\nmax_clients = {clients}\n{more}\n{PATIENT}'


def stay(port: int, host: str) -> socket.socket:
    """Return a connection that has had a response."""
    sock = connect_from(port, host)
    sock.sendall(KEEP)
    assert read_answer(sock)[0] == 200
    return sock


@pytest.mark.parametrize("way", crowd.WAYS)
def test_others_are_served_while_a_crowd_keeps_all_slots(start: StartServer, site: Path, mode: str, way: str) -> None:
    server = start(site, config=settings(mode, 256))
    with crowd.Crowd(server.port, way, 256 + 16):
        server.wait_for_line("max_clients reached: 256 clients")
        for _ in range(3):
            answer, took_s = ask(server.port)
            assert answer.endswith(b"\r\n\r\n0123456789")
            assert took_s < SOON_S


def test_the_health_check_of_a_full_status_listener(start: StartServer, site: Path, mode: str) -> None:
    server = start(site, config=settings(mode, 8, '[status]\nlisten = ["127.0.0.1:0"]'))
    port = _status_port(server.pid, server.port)
    for way in ("one-byte", "silent", "idle"):
        with crowd.Crowd(port, way, 8, ("127.0.0.1",)):
            for _ in range(12):
                answer, took_s = ask(port, "127.0.0.1", "/-/health")
                assert answer.endswith(b"ok\n")
                assert took_s < SOON_S


def _status_port(pid: int, other: int) -> int:
    """Return the port that the server listens on beside its first one."""
    [port] = ports_listened_on(pid) - {other}
    return port


def test_who_takes_a_response_is_never_cut_off(start: StartServer, site: Path, mode: str) -> None:
    """Even if it comes from the address that has all the slots, and others wait."""
    server = start(site, config=settings(mode, 8))
    with crowd.Crowd(server.port, "one-byte", 7), connect_from(server.port, CROWD, 65_536) as reader:
        reader.sendall(b"GET /big.bin HTTP/1.0\r\n\r\n")
        received = bytearray()
        for round_ in range(80):
            received += reader.recv(16_384)
            if round_ % 10 == 0:
                assert ask(server.port)[0].endswith(b"\r\n\r\n0123456789")
            select.select([], [], [], 0.02)
        received += read_all(reader)
    assert received.endswith(BIG)


def test_a_reader_that_takes_nothing_leaves_for_one_that_waits(start: StartServer, site: Path, mode: str) -> None:
    server = start(site, config=settings(mode, 2))
    with ExitStack() as stack:
        readers = [stack.enter_context(connect_from(server.port, CROWD, 4096)) for _ in range(2)]
        for reader in readers:
            reader.sendall(b"GET /big.bin HTTP/1.0\r\n\r\n")
        server.wait_for_line("max_clients reached")
        assert ask(server.port)[0].endswith(b"\r\n\r\n0123456789")
        poll = select.poll()
        for reader in readers:
            poll.register(reader, 0)  # a reset is reported in any case
        assert len(poll.poll(WAIT_S * 1000)) == 1, "one was cut off, for one that waited"


def test_nobody_is_cut_off_while_there_are_slots(start: StartServer, site: Path, mode: str) -> None:
    server = start(site, config=settings(mode, 8))
    with connect_from(server.port, CROWD, 65_536) as deaf, stay(server.port, CROWD) as idle:
        deaf.sendall(b"GET /big.bin HTTP/1.0\r\n\r\n")
        for _ in range(20):
            assert ask(server.port)[0].endswith(b"\r\n\r\n0123456789")
            select.select([], [], [], 0.05)
        idle.sendall(KEEP)
        assert read_answer(idle)[2] == b"0123456789"
        assert read_all(deaf).endswith(BIG)


def test_the_longest_idle_leaves_first(start: StartServer, site: Path, mode: str) -> None:
    """The one that waits has no more slots than the address of the idle ones, so those get a moment."""
    server = start(site, config=settings(mode, 3, "workers = 1").replace("workers = 2\n", ""))
    inside = [stay(server.port, "127.0.0.1") for _ in range(3)]
    with connect_from(server.port, "127.0.0.1") as waiting:
        waiting.sendall(KEEP)
        assert read_answer(waiting)[0] == 200
        assert inside[0].recv(1) == b""
        for sock in inside[1:]:
            sock.sendall(KEEP)
            assert read_answer(sock)[0] == 200
    for sock in inside:
        sock.close()


def test_a_head_that_has_to_leave_is_told_so(start: StartServer, site: Path, mode: str) -> None:
    server = start(site, config=settings(mode, 2, "workers = 1").replace("workers = 2\n", ""))
    with connect_from(server.port, CROWD) as first, connect_from(server.port, CROWD) as second:
        first.sendall(b"GET /ten")
        second.sendall(b"GET /ten")
        server.wait_for_line("max_clients reached")
        assert ask(server.port)[0].endswith(b"\r\n\r\n0123456789")
        readable, _, _ = select.select([first, second], [], [], WAIT_S)
        assert read_all(readable[0]).startswith(b"HTTP/1.0 408 ")


def test_a_new_address_is_served_before_the_crowd_that_waits(start: StartServer, site: Path, mode: str) -> None:
    server = start(site, config=settings(mode, 1, "workers = 1").replace("workers = 2\n", ""))
    with stay(server.port, THIRD), ExitStack() as stack:
        waiting = [stack.enter_context(connect_from(server.port, CROWD)) for _ in range(20)]
        late = stack.enter_context(connect_from(server.port, OTHER))
        for sock in [*waiting, late]:
            sock.sendall(b"GET /ten.txt HTTP/1.0\r\n\r\n")
        for sock in [*waiting, late]:
            assert read_all(sock).endswith(b"\r\n\r\n0123456789")
    lines = [server.wait_for_line(r'" 200 10 ', count) for count in range(2, 23)]
    assert lines[0].startswith(OTHER)
    assert sum(line.startswith(CROWD) for line in lines) == 20


CHANGES = [*((mode, mode) for mode in MODES), ("select", "prefork"), ("prefork", "select"), ("forking", "prefork")]


def _change(server: ServerProcess, file: Path, mode: str, clients: int) -> None:
    file.write_text(settings(mode, clients))
    os.kill(server.pid, signal.SIGHUP)
    server.wait_for_line("(?<!not) reloaded: ")


@pytest.mark.parametrize(("old", "new"), CHANGES)
def test_those_who_wait_go_on_waiting_over_a_reload(start: StartServer, tmp_path: Path, old: str, new: str) -> None:
    """More than the lobby has room for; they ask after the reload. Meanwhile one transfer has the only slot."""
    root = write_tree(tmp_path / "www", {"ten.txt": b"0123456789"})
    with (root / "long.bin").open("wb") as sparse:
        sparse.truncate(LONG)
    file = tmp_path / "httpmini.toml"
    file.write_text(settings(old, 1))
    server = start(root, "-c", str(file))
    with ExitStack() as stack:
        reader = stack.enter_context(connect_from(server.port, CROWD, 65_536))
        reader.sendall(b"GET /long.bin HTTP/1.0\r\n\r\n")
        finish = stack.enter_context(_taking(reader))
        waiting = [stack.enter_context(connect_from(server.port, f"127.0.1.{number + 1}")) for number in range(40)]
        for sock in waiting[::2]:
            sock.sendall(b"GET ")
        eventually(lambda: _accepted(server) >= 33, "the lobby is full")
        _change(server, file, new, 1)
        for number, sock in enumerate(waiting):
            sock.sendall(b"GET /ten.txt HTTP/1.0\r\n\r\n"[4 * (number % 2 == 0) :])
        assert finish() > LONG
        for sock in waiting:
            assert read_all(sock).endswith(b"\r\n\r\n0123456789")


@contextmanager
def _taking(sock: socket.socket) -> Iterator[Callable[[], int]]:
    """Take a response at a sane rate, since one that takes nothing makes room; yield what takes the rest at once.

    That returns how many bytes came in all.
    """
    hurry, counts = threading.Event(), [0]

    def take() -> None:
        while data := sock.recv(32 * 1024):
            counts[0] += len(data)
            hurry.wait(0.02)

    def finish() -> int:
        hurry.set()
        thread.join(WAIT_S)
        return counts[0]

    thread = threading.Thread(target=take)
    thread.start()
    try:
        yield finish
    finally:
        finish()


def _accepted(server: ServerProcess) -> int:
    """Return how many connections the processes of a server have."""
    server_end = f"0100007F:{server.port:04X}"
    rows = (row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return sum(row[1] == server_end and row[3] == "01" and row[9] != "0" for row in rows)


@pytest.mark.parametrize(("old", "new"), CHANGES)
def test_clients_of_before_a_reload_make_room_too(
    start: StartServer, site: Path, tmp_path: Path, old: str, new: str
) -> None:
    """Readers that take almost nothing have all the slots; they belong to the mode that has retired."""
    file = tmp_path / "httpmini.toml"
    file.write_text(settings(old, 8))
    server = start(site, "-c", str(file))
    with crowd.Crowd(server.port, "slow-reader", 8):
        server.wait_for_line("max_clients reached: 8 clients")
        _change(server, file, new, 8)
        answer, took_s = ask(server.port)
        assert answer.endswith(b"\r\n\r\n0123456789")
        assert took_s < SOON_S


def test_silent_threads_of_before_a_reload_make_room_too(start: StartServer, site: Path, tmp_path: Path) -> None:
    """In threading mode idle connections stay over a reload; also if processes serve from then on."""
    file = tmp_path / "httpmini.toml"
    file.write_text(settings("threading", 8))
    server = start(site, "-c", str(file))
    with crowd.Crowd(server.port, "idle", 8):
        server.wait_for_line("max_clients reached: 8 clients")
        for mode in ("threading", "prefork"):
            _change(server, file, mode, 8)
            answer, took_s = ask(server.port)
            assert answer.endswith(b"\r\n\r\n0123456789")
            assert took_s < SOON_S


# Who leaves, without sockets.


NOW = 100.0


def _occupant(key: int, quiet_s: float, *, is_sent_to: bool = False, is_leaving: bool = False) -> Occupant:
    return Occupant(key, NOW - quiet_s, NOW - quiet_s + 20.0, is_sent_to, lambda: None, is_leaving)


def _quiet_of(occupants: list[Occupant], waiting: list[int], limit: int = 8) -> list[float]:
    clients = Counter(one.key for one in occupants)
    return [round(NOW - one.quiet_since, 3) for one in choose(occupants, waiting, clients, limit, NOW)]


MUCH, LITTLE = SILENT_S + 1.0, CROWDED_S + 0.1


@pytest.mark.parametrize(
    ("occupants", "waiting", "expected"),
    [
        ([_occupant(7, LITTLE), _occupant(7, LITTLE + 0.1)], [9], [LITTLE + 0.1]),
        ([_occupant(7, 0.01), _occupant(7, 0.02)], [9], []),
        ([_occupant(7, LITTLE), _occupant(7, LITTLE)], [7], []),
        ([_occupant(7, MUCH), _occupant(7, MUCH + 1)], [7], [MUCH + 1]),
        ([_occupant(7, LITTLE), _occupant(8, LITTLE)], [9], []),
        ([_occupant(8, 10.0), _occupant(7, LITTLE), _occupant(7, LITTLE)], [9], [LITTLE]),
        ([_occupant(7, LITTLE), _occupant(7, 9.0, is_sent_to=True)], [9], [LITTLE]),
        ([_occupant(7, 0.1, is_sent_to=True), _occupant(7, 0.2, is_sent_to=True)], [9], [0.2]),
        ([_occupant(7, STALLED_S - 1, is_sent_to=True)], [9], []),
        ([_occupant(7, STALLED_S + 1, is_sent_to=True)], [9], [STALLED_S + 1]),
        ([_occupant(7, MUCH), _occupant(7, MUCH + 1, is_leaving=True)], [9], []),
        ([_occupant(7, MUCH), _occupant(7, MUCH + 1), _occupant(7, MUCH + 2)], [9, 9], [MUCH + 2, MUCH + 1]),
        ([_occupant(0, LITTLE), _occupant(0, LITTLE)], [9], []),
        ([_occupant(0, MUCH)], [9], [MUCH]),
        ([], [9], []),
    ],
)
def test_who_leaves(occupants: list[Occupant], waiting: list[int], expected: list[float]) -> None:
    assert _quiet_of(occupants, waiting) == [round(quiet_s, 3) for quiet_s in expected]


@pytest.mark.parametrize(("active", "longest_s"), [(0, 20.0), (128, 20.0), (192, 12.5), (256, 5.0), (300, 5.0)])
def test_times_shrink_as_the_server_fills(active: int, longest_s: float) -> None:
    early, late = _occupant(7, longest_s - 0.1), _occupant(7, longest_s + 0.1)
    sent_to = _occupant(7, 100.0, is_sent_to=True)
    assert overdue([early, late, sent_to], active, 256, NOW) == [late]


def test_clients_count_while_they_have_their_slots() -> None:
    admission = Admission(Slots(100, log_into([])))
    slots = [admission.admit(host) for host in ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "192.0.2.2"]]
    keys = {host: address_key(host) for host in ["192.0.2.1", "192.0.2.2", "2001:db8::"]}
    counts = admission.slots.crowd.counts()
    assert counts == {keys["192.0.2.1"]: 1, keys["192.0.2.2"]: 2, keys["2001:db8::"]: 2}
    for slot in slots:
        assert isinstance(slot, Slot)
        slot.release()
        slot.release()
    assert not admission.slots.crowd.counts()


@pytest.mark.parametrize(("key", "share"), [(0, 1), (7, 2), (8, 0)])
def test_behind_some_addresses_are_many_people(key: int, share: int) -> None:
    assert share_of(key, {0: 5, 7: 2}) == share
