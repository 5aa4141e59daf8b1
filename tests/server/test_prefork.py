"""Prefork mode: dead workers are replaced, slots are exact across workers, a failed start ends the server."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from httpmini.errors import CannotRun
from httpmini.server.core.connection import Service
from httpmini.server.core.context import Context
from httpmini.server.core.counters import Counters
from httpmini.server.core.processes import ChildProcesses
from httpmini.server.core.reactor import Reactor
from httpmini.server.core.scoreboard import Scoreboard
from httpmini.server.core.shutdown import Shutdown, WakeUpPipe
from httpmini.server.limits.admission import Admission
from httpmini.server.limits.slots import Slots
from httpmini.server.modes.prefork import Prefork
from tests.conftest import StartServer
from tests.support.logs import log_into
from tests.support.processes import ServerProcess, eventually
from tests.support.wire import connect, get, read_answer

KEEP = b"GET /ten.txt HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n"
WORKERS = 3
CONFIG = f'[server]\nmode = "prefork"\nworkers = {WORKERS}\n'


def workers_of(server: ServerProcess) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()]


def test_a_worker_that_died_is_replaced(start: StartServer, site: Path) -> None:
    server = start(site, config=CONFIG)
    before = workers_of(server)
    assert len(before) == WORKERS
    os.kill(before[1], signal.SIGKILL)
    server.wait_for_line(rf"worker 1 \(process {before[1]}\) was killed by SIGKILL; another one begins ")
    eventually(lambda: len(workers_of(server)) == WORKERS, "as many workers as before")
    assert before[1] not in workers_of(server)
    assert get(server.port, "/ten.txt")[0] == 200


def test_the_slots_of_a_dead_worker_are_freed(start: StartServer, site: Path) -> None:
    server = start(site, "--max-clients", "4", config=CONFIG)
    held = [connect(server.port) for _ in range(4)]
    for sock in held:
        sock.sendall(KEEP)
        assert read_answer(sock)[0] == 200
    for pid in workers_of(server):
        os.kill(pid, signal.SIGKILL)
    for sock in held:
        sock.close()
    again = [connect(server.port) for _ in range(4)]
    for sock in again:
        sock.sendall(KEEP)
        assert read_answer(sock)[0] == 200
    with connect(server.port) as one_more:
        one_more.sendall(KEEP)
        again.pop().close()
        assert read_answer(one_more)[0] == 200, "it waits until any slot is free"
    for sock in again:
        sock.close()


def test_slots_are_exact_across_processes() -> None:
    slots = Slots(5, log_into([]))
    slots.share()
    assert [slots.new_process() for _ in range(2)] == [1, 2]
    taken = [slots.take() for _ in range(6)]
    assert (taken, slots.active) == ([True] * 5 + [False], 5)
    pid = os.fork()
    if pid == 0:
        slots.belong_to(1)
        os._exit(int(slots.take()))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, "another process gets none either"
    slots.give()
    pid = os.fork()
    if pid == 0:
        slots.belong_to(2)
        os._exit(0 if slots.take() and not slots.take() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert (slots.active, slots.take()) == (5, False)
    slots.give_back(2)
    assert (slots.active, slots.take(), slots.take()) == (4, True, False)
    slots.close()


class _Nothing:
    def tick(self) -> None:
        """Do nothing."""


class _NotForTheLast(Slots):
    def belong_to(self, process: int) -> None:
        if process == WORKERS:
            raise RuntimeError("no memory")
        super().belong_to(process)


def test_a_worker_that_cannot_start_stops_the_server_with_the_reason() -> None:
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    before = children.read_text()  # may include a browser's driver
    log = log_into([])
    bell, slots = WakeUpPipe(), _NotForTheLast(5, log)
    shutdown, reactor = Shutdown(bell, 1.0), Reactor(log)
    admission = Admission(slots)
    board = Scoreboard(Counters())
    service: Service = _Nothing()  # type: ignore[assignment]
    context = Context([], service, admission, shutdown, reactor, ChildProcesses(log), log, board, WORKERS)
    with pytest.raises(CannotRun, match="worker 2 cannot begin: RuntimeError: no memory"):
        Prefork(context).start()
    assert children.read_text() == before, "no child process is left"
    slots.close()
    shutdown.close()
    reactor.close()
    bell.close()
