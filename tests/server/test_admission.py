"""Admission: slots and address rules."""

from __future__ import annotations

import threading
import time
from ipaddress import ip_network

import pytest

from httpmini.server.limits.address_rules import AddressRules
from httpmini.server.limits.admission import Admission, Overflow, Refusal, Slot
from httpmini.server.limits.slots import Slots
from tests.support.logs import log_into
from tests.support.wire import WAIT_S


def make(
    max_clients: int, overflow: Overflow = "queue", rules: AddressRules | None = None
) -> tuple[Admission, list[str]]:
    lines: list[str] = []
    return Admission(Slots(max_clients, log_into(lines)), overflow, rules or AddressRules()), lines


def take(admission: Admission, count: int = 1) -> list[Slot]:
    slots = []
    for _ in range(count):
        slot = admission.admit("127.0.0.1")
        assert isinstance(slot, Slot)
        slots.append(slot)
    return slots


@pytest.mark.parametrize("max_clients", [1, 2, 7])
@pytest.mark.parametrize("overflow", ["queue", "refuse"])
def test_there_are_exactly_as_many_slots(max_clients: int, overflow: Overflow) -> None:
    admission, _ = make(max_clients, overflow)
    slots = []
    for taken in range(max_clients):
        assert (admission.active, admission.accepting) == (taken, True)
        slots += take(admission)
    assert admission.active == max_clients
    assert admission.accepting == (overflow == "refuse")
    assert admission.admit("127.0.0.1") is Refusal.BUSY
    assert admission.active == max_clients
    slots.pop().release()
    assert admission.accepting
    slots += take(admission)
    assert admission.admit("127.0.0.1") is Refusal.BUSY
    for slot in slots:
        slot.release()
    assert admission.active == 0


def test_a_slot_is_freed_only_once() -> None:
    admission, _ = make(2)
    first, second = take(admission, 2)
    first.release()
    first.release()
    assert admission.active == 1
    second.release()
    assert admission.active == 0


def test_slots_are_exact_under_threads() -> None:
    clients, threads, rounds = 3, 8, 400
    admission, _ = make(clients)
    together = threading.Barrier(threads)
    counters = threading.Lock()
    inside, most, admitted, refused = 0, 0, 0, 0

    def visit() -> None:
        nonlocal inside, most, admitted, refused
        together.wait(WAIT_S)
        for _ in range(rounds):
            slot = admission.admit("127.0.0.1")
            if isinstance(slot, Refusal):
                with counters:
                    refused += 1
                continue
            with counters:
                inside += 1
                most = max(most, inside)
                admitted += 1
            with counters:
                inside -= 1
            slot.release()

    workers = [threading.Thread(target=visit) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert admission.active == 0
    assert most <= clients
    assert admitted + refused == threads * rounds
    assert len(take(admission, clients)) == clients
    assert admission.admit("127.0.0.1") is Refusal.BUSY


def test_each_crossing_of_the_limit_is_one_log_line() -> None:
    admission, lines = make(20)
    slots = take(admission, 19)
    assert lines == []
    slots += take(admission)
    assert lines == ["max_clients reached: 20 clients; further ones wait in the backlog"]
    for _ in range(5):  # at the limit, over it, below it, at it again: one crossing
        assert admission.admit("127.0.0.1") is Refusal.BUSY
        slots.pop().release()
        slots += take(admission)
    assert len(lines) == 1
    slots.pop().release()
    assert len(lines) == 1
    slots.pop().release()
    assert lines[1:] == ["max_clients left: 18 of 20 clients"]
    for slot in slots[9:]:
        slot.release()
    assert len(lines) == 2
    take(admission, 11)
    assert len(lines) == 3


def test_a_limit_of_one_client_is_crossed_too() -> None:
    admission, lines = make(1, "refuse")
    for _ in range(2):
        take(admission)[0].release()
    reached, left = "max_clients reached: 1 clients; further ones get a refusal", "max_clients left: 0 of 1 clients"
    assert lines == [reached, left, reached, left]


def test_crossings_are_logged_once_each_under_threads() -> None:
    admission, lines = make(4)
    together = threading.Barrier(4)

    def visit() -> None:
        for _ in range(50):
            together.wait(WAIT_S)
            slot = admission.admit("127.0.0.1")
            together.wait(WAIT_S)  # all four are in
            assert isinstance(slot, Slot)
            slot.release()
            together.wait(WAIT_S)  # all four are out

    workers = [threading.Thread(target=visit) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [line.split()[1] for line in lines] == ["reached:", "left:"] * 50


@pytest.mark.parametrize(
    ("allow", "deny", "host", "permitted"),
    [
        ([], [], "127.0.0.1", True),
        ([], [], "::1", True),
        (["127.0.0.1"], [], "127.0.0.1", True),
        (["127.0.0.1"], [], "127.0.0.2", False),
        (["127.0.0.1"], [], "::1", False),
        (["192.168.0.0/16"], [], "192.168.255.255", True),
        (["192.168.0.0/16"], [], "192.169.0.0", False),
        (["10.0.0.0/8", "::1"], [], "::1", True),
        (["10.0.0.0/8", "::1"], [], "10.9.8.7", True),
        (["10.0.0.0/8", "::1"], [], "11.0.0.0", False),
        ([], ["10.0.0.0/8"], "10.0.0.1", False),
        ([], ["10.0.0.0/8"], "9.255.255.255", True),
        ([], ["10.0.0.0/8"], "::1", True),
        (["10.0.0.0/8"], ["10.1.0.0/16"], "10.0.0.1", True),
        (["10.0.0.0/8"], ["10.1.0.0/16"], "10.1.0.1", False),
        (["10.1.0.0/16"], ["10.0.0.0/8"], "10.1.0.1", False),
        ([], ["0.0.0.0/0"], "1.2.3.4", False),
        ([], ["0.0.0.0/0"], "::1", True),
        ([], ["::/0"], "::1", False),
        ([], ["::/0"], "1.2.3.4", True),
        (["2001:db8::/32"], [], "2001:db8:ffff::1", True),
        (["2001:db8::/32"], [], "2001:db9::1", False),
        (["fe80::/10"], [], "fe80::1%eth0", True),
        (["fe80::1"], [], "fe80::1%eth0", True),
        ([], ["fe80::1"], "fe80::1%3", False),
        (["10.0.0.0/8"], [], "::ffff:10.0.0.1", True),
        ([], ["10.0.0.0/8"], "::ffff:10.0.0.1", False),
        ([], ["10.0.0.0/8"], "::ffff:11.0.0.1", True),
        ([], ["10.0.0.0/8"], "::ffff:a00:1", False),
        (["::1"], [], "0:0:0:0:0:0:0:1", True),
    ],
)
def test_allow_and_deny(allow: list[str], deny: list[str], host: str, permitted: bool) -> None:
    rules = AddressRules([ip_network(entry) for entry in allow], [ip_network(entry) for entry in deny])
    assert rules.permits(host) == permitted
    admission, lines = make(1, rules=rules)
    admitted = admission.admit(host)
    if permitted:
        assert isinstance(admitted, Slot)
    else:
        assert admitted is Refusal.DENIED
        assert (admission.active, lines) == (0, [])


def test_a_denied_address_is_denied_even_if_all_slots_are_taken() -> None:
    admission, _ = make(1, rules=AddressRules(deny=[ip_network("10.0.0.0/8")]))
    take(admission)
    assert admission.admit("10.0.0.1") is Refusal.DENIED
    assert admission.admit("127.0.0.1") is Refusal.BUSY


def test_the_wait_for_a_slot_is_estimated() -> None:
    admission, _ = make(2, "refuse")
    begun = time.monotonic()
    slots = take(admission, 2)
    assert 0.0 <= admission.retry_s("127.0.0.1", Refusal.BUSY) <= time.monotonic() - begun
    slots.pop().release()
    assert admission.retry_s("127.0.0.1", Refusal.BUSY) <= time.monotonic() - begun
    assert admission.retry_s("127.0.0.1", Refusal.RESOURCES) == 0.0


def test_the_estimate_ignores_an_earlier_shortage() -> None:
    """Each of two processes that share the slots has seen only a part of it."""
    slots = Slots(2, log_into([]))
    one, other = Admission(slots, "refuse"), Admission(slots, "refuse")
    for slot in take(one, 2):
        slot.release()
    time.sleep(0.3)  # must not be taken for a wait
    begun = time.monotonic()
    taken = take(other, 2)
    taken.pop().release()
    taken += take(other)
    for admission in (one, other):
        assert admission.retry_s("127.0.0.1", Refusal.BUSY) <= time.monotonic() - begun
    for slot in taken:
        slot.release()
