"""Slots are exact across processes, reloads and changes of mode."""

from __future__ import annotations

import os
import signal
import socket
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from httpmini.server.limits.slots import Slots
from tests.conftest import StartServer
from tests.support.logs import log_into
from tests.support.processes import eventually
from tests.support.wire import connect, converse, read_answer

KEEP = b"GET /ten.txt HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n"
steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["take", "give"]), st.integers(0, 3)),
        st.tuples(st.just("resize"), st.integers(1, 8)),
        st.tuples(st.sampled_from(["share", "kill"]), st.integers(1, 3)),
    ),
    max_size=80,
)


@given(st.integers(1, 8), steps)
@settings(max_examples=300, deadline=None)
def test_no_slot_is_lost_or_invented(limit: int, happening: list[tuple[str, int]]) -> None:
    """The main process and three workers, in any order, while the number of slots is changed."""
    slots, held = Slots(limit, log_into([])), [0, 0, 0, 0]
    processes = [0, *(slots.new_process() for _ in range(3))]
    shared = False
    for action, number in happening:
        if action in ("take", "give", "kill") and number and not shared:
            continue  # there are no workers yet
        if shared:
            slots.belong_to(processes[number] if action in ("take", "give") else 0)
        if action == "take":
            taken = slots.take()
            assert taken == (sum(held) < limit), (held, limit)
            held[number] += taken
        elif action == "give" and held[number]:
            slots.give()
            held[number] -= 1
        elif action == "resize":
            slots.resize(number)
            limit = number
        elif action == "share":
            slots.share()
            shared = True
        elif action == "kill":
            slots.give_back(processes[number])
            held[number], processes[number] = 0, slots.new_process()
        assert (slots.active, slots.limit) == (sum(held), limit)
    slots.close()


def test_a_resize_while_threads_take_and_release_slots() -> None:
    slots = Slots(4, log_into([]))
    slots.share()
    inside, most, lock = 0, 0, threading.Lock()
    stop = threading.Event()

    def visit() -> None:
        nonlocal inside, most
        while not stop.is_set():
            if slots.take():
                with lock:
                    inside += 1
                    most = max(most, inside)
                with lock:
                    inside -= 1
                slots.give()

    threads = [threading.Thread(target=visit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(200):
        for limit in (1, 4, 2, 3):
            slots.resize(limit)
    slots.resize(3)
    stop.set()
    for thread in threads:
        thread.join()
    assert (slots.active, most <= 4) == (0, True)
    assert [slots.take() for _ in range(4)] == [True, True, True, False]
    slots.close()


CHANGES = [("select", "prefork"), ("prefork", "select"), ("prefork", "prefork"), ("threading", "prefork")]


@pytest.mark.parametrize(("before", "after"), CHANGES, ids=[f"{before} to {after}" for before, after in CHANGES])
def test_max_clients_counts_clients_of_the_old_mode(
    start: StartServer, site: Path, tmp_path: Path, before: str, after: str
) -> None:
    """Clients that a retired mode is still sending to keep their slots."""
    text = '[server]\nmode = "{}"\nworkers = 2\nmax_clients = {}\noverflow = "refuse"\n'
    server = start(site, config=text.format(before, 3))
    with connect(server.port) as one, connect(server.port) as two:
        for sock in (one, two):
            sock.sendall(KEEP)
            assert read_answer(sock)[0] == 200
            sock.sendall(KEEP[:-2])  # the next request has begun, so a retiring worker waits for it
        (tmp_path / "config-0.toml").write_text(text.format(after, 2))
        os.kill(server.pid, signal.SIGHUP)
        server.wait_for_line("(?<!not) reloaded: ")
        assert converse(server.port, [b"GET / HTTP/1.0\r\n\r\n"]).startswith(b"HTTP/1.0 503 ")
        one.sendall(b"\r\n")
        assert read_answer(one)[0] == 200


@pytest.mark.parametrize("order", [["prefork"] * 5, ["select", "prefork", "forking", "threading", "iterative"]])
def test_max_clients_is_exact_over_many_reloads(
    start: StartServer, site: Path, tmp_path: Path, order: list[str]
) -> None:
    """Each generation has clients that stay: together they are never more than the limit, and never fewer can be."""
    text = '[server]\nmode = "{}"\nworkers = 2\nmax_clients = 3\noverflow = "refuse"\n[limits]\nhead_s = 600.0\n'
    server = start(site, config=text.format(order[0]))
    held: list[socket.socket] = []
    for number, mode in enumerate(order):
        if number:
            (tmp_path / "config-0.toml").write_text(text.format(mode) + f"idle_s = {60 + number}\n")
            os.kill(server.pid, signal.SIGHUP)
            server.wait_for_line("(?<!not) reloaded: ", number)
        if number < 3:
            held.append(connect(server.port))
            held[-1].sendall(KEEP)
            assert read_answer(held[-1])[0] == 200
            held[-1].sendall(KEEP[:-2])  # the next request has begun, so a retiring process waits for it
        if number >= 2:
            assert converse(server.port, [b"GET / HTTP/1.0\r\n\r\n"]).startswith(b"HTTP/1.0 503 ")
    for sock in held:
        sock.sendall(b"\r\n")
        assert read_answer(sock)[0] == 200
        sock.close()
    eventually(lambda: _status(server.port) == 200, "all slots are free again")
    again = [connect(server.port) for _ in range(3)]
    for sock in again:
        sock.sendall(KEEP)
        assert read_answer(sock)[0] == 200
    assert _status(server.port) == 503
    for sock in again:
        sock.close()


def _status(port: int) -> int:
    return int(converse(port, [b"GET /ten.txt HTTP/1.0\r\n\r\n"]).split(b" ")[1])
