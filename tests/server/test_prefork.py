"""Prefork mode: dead workers are replaced, slots are exact across workers, a failed start ends the server."""

from __future__ import annotations

import os
import signal
import threading
import time
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
from httpmini.server.core.worker import HEALTHY_S
from httpmini.server.core.workers import FIRST_PAUSE_S
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


def test_a_worker_that_has_lived_or_served_is_replaced_at_once(start: StartServer, site: Path) -> None:
    """However often it is killed, and the others too."""
    server = start(site, config='[server]\nmode = "prefork"\nworkers = 2\n')
    for number in range(6):
        gone = workers_of(server)[number % 2]
        _wait_until_healthy(gone)
        os.kill(gone, signal.SIGKILL)
        server.wait_for_line(rf"\(process {gone}\) was killed by SIGKILL; another one begins at once")
        eventually(lambda: len(workers_of(server)) == 2, "two workers")
        assert get(server.port, "/ten.txt")[0] == 200


def test_when_no_worker_is_left_one_begins_soon(start: StartServer, site: Path) -> None:
    """Even if it has died as soon as it had begun, again and again."""
    server = start(site, config='[server]\nmode = "prefork"\nworkers = 1\n')
    for number in range(6):
        eventually(lambda: workers_of(server) != [], "a worker")
        os.kill(workers_of(server)[0], signal.SIGKILL)
        line = server.wait_for_line("another one begins ", number + 1)
        assert line.endswith(("another one begins at once", f"another one begins in {FIRST_PAUSE_S:g} s"))
    assert get(server.port, "/ten.txt")[0] == 200


def _wait_until_healthy(pid: int) -> None:
    eventually(lambda: _age_s(pid) > HEALTHY_S + 0.1, f"process {pid} has lived for a while")


def _age_s(pid: int) -> float:
    """Return how long ago a process began; 0 when it has ended."""
    try:
        ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except OSError:
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def test_a_fault_of_a_worker_is_in_the_log(site: Path, tmp_path: Path) -> None:
    program = tmp_path / "dying.py"
    program.write_text(
        "from httpmini.server.modes.select import Select\nfrom httpmini.__main__ import main\n"
        "def serve(self):\n    raise RuntimeError('a mistake')\nSelect.serve = serve\nmain()\n"
    )
    config = tmp_path / "httpmini.toml"
    config.write_text('[server]\nmode = "prefork"\nworkers = 1\n')
    server = ServerProcess(["serve", str(site), "-c", str(config), "-p", "0"], program=(str(program),))
    try:
        server.wait_for_line(r"error: process \d+ ends: fault: RuntimeError: a mistake \(")
        server.wait_for_line(r"warning: worker 0 \(process \d+\) has ended with status 1; another one begins in 0.5 s")
        server.assert_clean_end()
    finally:
        server.kill()


STUCK = """
import signal, sys, time
from pathlib import Path
from httpmini.server.core import worker
from httpmini.__main__ import main
ready = worker.become_worker

def become_worker(context, *arguments):
    if Path({flag!r}).exists():
        context.log("worker is stuck")
        time.sleep(600)
    return ready(context, *arguments)

worker.become_worker = become_worker
main()
"""


def test_a_stop_while_the_workers_of_a_reload_cannot_start(site: Path, tmp_path: Path) -> None:
    """The reload is given up, and the server ends as it would have ended before."""
    program, flag, config = tmp_path / "stuck.py", tmp_path / "flag", tmp_path / "httpmini.toml"
    program.write_text(STUCK.format(flag=str(flag)))
    config.write_text('[server]\nmode = "prefork"\nworkers = 1\n[limits]\ndrain_s = 600.0\n')
    server = ServerProcess(["serve", str(site), "-c", str(config), "-p", "0"], program=(str(program),))
    try:
        flag.touch()
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_line("worker is stuck")
        assert get(server.port, "/ten.txt")[0] == 200
        while server.process.poll() is None:  # the first may still be pending: signals of one kind do not queue
            server.process.send_signal(signal.SIGTERM)
            threading.Event().wait(0.05)
        server.wait_for_line("not reloaded: the server was stopped while worker 0 began")
        server.assert_clean_end()
    finally:
        server.kill()


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
