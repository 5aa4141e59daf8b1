"""Limits for one client: slots, requests, bytes per second; counted across all processes of a server."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpmini.server.limits.bandwidth import BURST_S, LARGEST_TURN, LocalBucket, SharedBucket, SharedBytes, Throttle
from httpmini.server.limits.per_address import ROWS, AddressRates, AddressSlots
from httpmini.token_bucket import TokenBucket
from tests.conftest import StartServer
from tests.support.processes import ServerProcess, eventually
from tests.support.wire import WAIT_S, connect, fields, read_all, read_answer, read_exactly, read_head

KEEP = b"GET /small.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
LARGE = b"GET /large.bin HTTP/1.0\r\n\r\n"
LARGE_BYTES = 300_000
RATE = 400_000
OTHER = "127.0.0.2"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "small.txt").write_bytes(b"small")
    (folder / "large.bin").write_bytes(os.urandom(LARGE_BYTES))
    return folder


def settings(mode: str, limits: str, more: str = "") -> str:
    return f'[server]\nmode = "{mode}"\nworkers = 2\n[limits]\n{limits}\n{more}'


def connect_from(server: ServerProcess, host: str) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", server.port), WAIT_S, source_address=(host, 0))
    sock.settimeout(WAIT_S)
    return sock


def ask(sock: socket.socket, request: bytes = KEEP) -> tuple[int, dict[str, str], bytes]:
    sock.sendall(request)
    return read_answer(sock)


def refusal(server: ServerProcess, host: str = "127.0.0.1") -> tuple[int, str, str]:
    """Return status, Retry-After and token of the response to another client; the token is "" if it is served."""
    with connect_from(server, host) as sock:
        status, named, body = ask(sock)
    token = re.search(rb"address-\w+", body)
    return status, named.get("retry-after", ""), token[0].decode() if token else ""


def test_slots_of_an_address(start: StartServer, root: Path, mode: str) -> None:
    server = start(root, config=settings(mode, "address_clients = 3"))
    inside = [connect(server.port) for _ in range(3)]
    for sock in inside:
        assert ask(sock)[0] == 200
    for _ in range(4):
        assert refusal(server) == (429, "1", "address-clients")
    assert refusal(server, OTHER) == (200, "", "")
    inside.pop().close()
    eventually(lambda: refusal(server)[0] == 200, "a slot is free again")
    for sock in inside:
        assert ask(sock)[0] == 200, "connected clients are not disturbed"
        sock.close()
    eventually(lambda: refusal(server)[0] == 200, "all slots are free")
    server.wait_for_line('"-" 429 .* reason=address-clients')


@pytest.mark.parametrize("mode", ["prefork", "forking"])
def test_slots_of_killed_processes_are_freed(start: StartServer, root: Path, mode: str) -> None:
    server = start(root, config=settings(mode, "address_clients = 2"))
    inside = [connect(server.port) for _ in range(2)]
    for sock in inside:
        assert ask(sock)[0] == 200
    assert refusal(server)[0] == 429
    for child in server.children():
        os.kill(child, signal.SIGKILL)
    eventually(lambda: refusal(server)[0] == 200, "the slots are free")
    for sock in inside:
        sock.close()


def test_request_rate_of_an_address(start: StartServer, root: Path, mode: str) -> None:
    """Cached responses count too, on several connections and in several processes."""
    server = start(root, config=settings(mode, "address_requests_per_s = 0.02\naddress_burst = 6"))
    with connect(server.port) as one, connect(server.port) as other:
        for sock in (one, other, one, other, one, other):
            assert ask(sock)[0] == 200
        status, named, body = ask(one)
        assert status == 429
        assert b"address-requests" in body
        assert 30 <= int(named["retry-after"]) <= 50, "one token takes 50 s"
    assert refusal(server)[0] == 429
    assert refusal(server, OTHER) == (200, "", "")
    server.wait_for_line('"GET /small.txt HTTP/1.0" 429 .* reason=address-requests')


def test_request_rate_behind_a_proxy(start: StartServer, root: Path, mode: str) -> None:
    """Each client has its own limit; connections of the proxy are not limited."""
    more = '[proxies]\ntrusted = ["127.0.0.1"]'
    limits = "address_requests_per_s = 0.02\naddress_burst = 2\naddress_clients = 1"
    server = start(root, config=settings(mode, limits, more))
    answers = []
    for client in ("192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.2", "192.0.2.2"):
        with connect(server.port) as sock, connect(server.port):
            request = KEEP.replace(b"\r\n\r\n", f"\r\nX-Forwarded-For: {client}\r\n\r\n".encode())
            answers.append(ask(sock, request)[0])
    assert answers == [200, 200, 200, 429, 200, 429]
    assert [refusal(server)[0] for _ in range(5)] == [200] * 5, "requests of the proxy itself"


def test_bandwidth_of_a_connection(start: StartServer, root: Path, mode: str) -> None:
    """The transfer ends no sooner than the bucket allows, and the bytes are correct."""
    server = start(root, config=settings(mode, f"client_bytes_per_s = {RATE}"))
    with connect(server.port) as sock:
        begun = time.monotonic()
        sock.sendall(LARGE)
        assert read_all(sock).endswith((root / "large.bin").read_bytes())
    assert time.monotonic() - begun >= LARGE_BYTES / RATE - BURST_S


def test_bandwidth_of_all_connections(start: StartServer, root: Path, mode: str) -> None:
    server = start(root, config=settings(mode, f"total_bytes_per_s = {RATE}"))
    socks = [connect(server.port) for _ in range(4)]
    begun = time.monotonic()
    for sock in socks:
        sock.sendall(LARGE)
    for sock in socks:
        assert read_all(sock).endswith((root / "large.bin").read_bytes())
        sock.close()
    assert time.monotonic() - begun >= 4 * LARGE_BYTES / RATE - BURST_S


def test_stop_during_a_pause(start: StartServer, root: Path, mode: str) -> None:
    """A throttled transfer gets ``drain_s`` like any other, and is then cut off."""
    server = start(root, config=settings(mode, "client_bytes_per_s = 10000\ndrain_s = 0.2"))
    with connect(server.port) as sock:
        sock.sendall(LARGE)
        head, body = read_head(sock)
        assert server.stop(signal.SIGTERM) == 0
        with pytest.raises(ConnectionResetError):
            read_exactly(sock, int(fields(head)["content-length"]) - len(body))


def test_a_client_disconnects_during_a_pause(start: StartServer, root: Path, mode: str) -> None:
    server = start(root, config=settings(mode, "client_bytes_per_s = 1000"))
    with connect(server.port) as sock:
        sock.sendall(LARGE)
        sock.recv(1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    server.wait_for_line('"GET /large.bin HTTP/1.0" 200 ')


@pytest.mark.parametrize("mode", ["select", "threading", "iterative"])
def test_reload(start: StartServer, root: Path, tmp_path: Path, mode: str) -> None:
    """The next request on an open connection obeys the new limits, if any."""
    server = start(root, config=settings(mode, ""))
    file = tmp_path / "config-0.toml"
    with connect(server.port) as sock:
        assert ask(sock)[0] == ask(sock)[0] == 200
        file.write_text(
            settings(mode, "address_requests_per_s = 0.02\naddress_burst = 1\nclient_bytes_per_s = 10000000")
        )
        os.kill(server.pid, signal.SIGHUP)
        server.wait_for_line("(?<!not) reloaded: ")
        assert ask(sock)[0] == 200
        file.write_text(settings(mode, "client_bytes_per_s = 1000"))
        os.kill(server.pid, signal.SIGHUP)
        server.wait_for_line("(?<!not) reloaded: ", 2)
        assert ask(sock)[0] == 200
        file.write_text(settings(mode, ""))
        os.kill(server.pid, signal.SIGHUP)
        server.wait_for_line("(?<!not) reloaded: ", 3)
        large = LARGE.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n")
        assert len(ask(sock, large)[2]) == LARGE_BYTES, "with the old limit, it would take five minutes"
        file.write_text(settings(mode, "address_requests_per_s = 0.02\naddress_burst = 1"))
        os.kill(server.pid, signal.SIGHUP)
        server.wait_for_line("(?<!not) reloaded: ", 4)
        assert ask(sock)[0] == 429, "the request before the last reloads still counts"


@given(
    rate=st.integers(1000, 10**8),
    asked=st.lists(st.tuples(st.integers(1, 10**6), st.floats(0, 1)), min_size=1, max_size=30),
)
def test_a_bucket_promises_no_more_than_it_has(rate: int, asked: list[tuple[int, float]]) -> None:
    for bucket in (LocalBucket(rate), SharedBucket(rate, SharedBytes())):
        now, begun, promised = 1000.0, 1000.0 - BURST_S, 0
        for count, pause in asked:
            now += pause
            promised += count
            assert bucket.reserve(count, now) >= begun + promised / rate - 1e-6


def test_waiting_connections_take_turns() -> None:
    bucket = SharedBucket(1_000_000, SharedBytes())
    throttles = [Throttle(None, (bucket,), 1_000_000) for _ in range(3)]
    sent, now = [0, 0, 0], 1000.0
    while now < 1010.0:
        now += 0.01
        for at, throttle in enumerate(throttles):
            count, moment = throttle.ask(10**9, now)
            if moment <= now:
                throttle.spend(count)
                sent[at] += count
    assert max(sent) - min(sent) <= LARGEST_TURN
    assert 0.9 * 10_000_000 <= sum(sent) <= 10_500_000


def _addresses(count: int) -> list[str]:
    return [f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}" for number in range(count)]


def test_slots_when_there_are_more_addresses_than_rows() -> None:
    """Every address is counted: a new one gets the row of the one that has been used least recently."""
    slots = AddressSlots()
    held = {host: slots.take(host, 1) for host in _addresses(2 * ROWS)}
    assert None not in held.values(), "each was new"
    assert [slots.take("192.0.2.1", 3) is None for _ in range(40)] == [False] * 3 + [True] * 37
    for place in held.values():
        assert place is not None
        slots.give(place, 1.0)  # many of these rows have another address now
    assert slots.take("192.0.2.1", 3) is None, "its slots are its own"


def test_the_row_that_goes_is_not_that_of_one_who_has_just_come() -> None:
    slots = AddressSlots()
    for host in _addresses(2 * ROWS):
        slots.take(host, 1)
    assert slots.take("192.0.2.1", 1) is not None
    for host in _addresses(2 * ROWS + 1000)[2 * ROWS :]:
        slots.take(host, 1)
    assert slots.take("192.0.2.1", 1) is None


def test_the_row_that_goes_is_not_that_of_one_who_has_spent_all() -> None:
    rates, bucket = AddressRates(lambda: 5.0), TokenBucket(0.01, 300.0)
    assert [rates.take("192.0.2.1", bucket) > 0 for _ in range(4)] == [False] * 3 + [True]
    for host in _addresses(2 * ROWS):
        rates.take(host, bucket)
    assert rates.take("192.0.2.1", bucket) > 0


def test_rates_when_there_are_more_addresses_than_rows() -> None:
    moment = [5.0]
    rates, bucket = AddressRates(lambda: moment[0]), TokenBucket(0.01, 300.0)
    for host in _addresses(2 * ROWS):
        moment[0] += 0.001
        assert rates.take(host, bucket) == 0.0
    assert [rates.take("192.0.2.1", bucket) > 0 for _ in range(40)] == [False] * 3 + [True] * 37


def test_a_killed_process_gives_back_only_rows_that_are_still_its_own() -> None:
    slots = AddressSlots()
    slots.belong_to(1)
    for host in _addresses(2 * ROWS):
        slots.take(host, 1)
    slots.belong_to(2)
    assert [slots.take("192.0.2.1", 3) is None for _ in range(4)] == [False] * 3 + [True]
    slots.give_back(1)
    assert slots.take("192.0.2.1", 3) is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("::1", "192.0.2.1", False),
        ("unix:", "::1", True),
    ],
)
def test_which_addresses_count_as_one(one: str, other: str, *, same: bool) -> None:
    slots = AddressSlots()
    assert slots.take(one, 1) is not None
    assert (slots.take(other, 1) is None) == same


def test_the_wait_for_a_slot_of_an_address() -> None:
    slots = AddressSlots()
    for stayed in (10.0, 20.0, 30.0):
        row = slots.take("192.0.2.1", 2)
        assert row is not None
        slots.give(row, stayed)
    assert slots.retry_s("192.0.2.1", 2) == pytest.approx(10.0)
    assert slots.retry_s("192.0.2.2", 2) == 0.0


def test_tokens_are_refilled_with_time() -> None:
    moment = [5.0]
    rates, bucket = AddressRates(lambda: moment[0]), TokenBucket(2.0, 1.5)
    assert [rates.take("192.0.2.1", bucket) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert rates.take("192.0.2.1", bucket) == pytest.approx(0.5)
    assert rates.take("192.0.2.1", bucket) == pytest.approx(0.5), "a refused request takes no token"
    moment[0] += 0.5
    assert rates.take("192.0.2.1", bucket) == 0.0
    assert rates.take("192.0.2.1", bucket) == pytest.approx(0.5)
    moment[0] += 1000.0
    assert [rates.take("192.0.2.1", bucket) > 0 for _ in range(4)] == [False, False, False, True]


@pytest.mark.parametrize("uptime_s", [0.0, 1.0, 99.0, 1e6])
def test_rates_hold_from_the_first_second_on(uptime_s: float) -> None:
    """The monotonic clock begins at about 0 when the machine starts."""
    rates, bucket = AddressRates(lambda: uptime_s), TokenBucket(1.0, 100.0)
    waits = [rates.take("192.0.2.1", bucket) for _ in range(300)]
    assert waits[0] == 0.0
    assert sum(wait == 0.0 for wait in waits) == 100, "the burst"
