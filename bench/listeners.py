"""Compare two ways to share a port among workers: one common listener (EPOLLEXCLUSIVE), or one each (SO_REUSEPORT).

    python -m bench.listeners [ROUNDS] [SECONDS]

Two workers in select mode run on one core, wrk on the other. Beside the cost of a response, this shows how evenly
connections are spread, and how many are lost that a worker had not accepted yet when it was killed.
"""

from __future__ import annotations

import os
import signal
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.compare import wrk
from bench.compare.processes import LOAD_CORE, SERVER_CORE, pin_to, processor_ns
from httpmini import config
from httpmini.daemon.build_http import build_http
from httpmini.daemon.build_site import build_site
from httpmini.server.core.context import Context
from httpmini.server.core.counters import Counters
from httpmini.server.core.processes import ChildProcesses
from httpmini.server.core.reactor import Reactor
from httpmini.server.core.scoreboard import Scoreboard
from httpmini.server.core.shutdown import Shutdown, WakeUpPipe
from httpmini.server.http.service import HttpService
from httpmini.server.limits.admission import Admission
from httpmini.server.limits.slots import Slots
from httpmini.server.logs.error import Level, error_log
from httpmini.server.modes.select import Select

WORKERS = 2
KILLED = 100  # connections that wait when a worker is killed
SCHEMES = ("EPOLLEXCLUSIVE", "SO_REUSEPORT")


@dataclass
class Worker:
    """A worker process and its listener."""

    pid: int
    listener: socket.socket

    def cpu_us(self) -> float:
        """Return the processor time used so far, in microseconds."""
        return processor_ns(self.pid) / 1000


def listen(port: int = 0) -> socket.socket:
    """Listen as the server does, with SO_REUSEPORT as well, which does no harm to a single listener."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(1024)
    listener.setblocking(False)
    return listener


def begin(root: Path, scheme: str) -> list[Worker]:
    """Start the workers, each with its own listener or all with the same."""
    first = listen()
    port = first.getsockname()[1]
    own = scheme == "SO_REUSEPORT"
    listeners = [first, *(listen(port) if own else first for _ in range(WORKERS - 1))]
    return [Worker(_fork(partial(_work, root, listener, listeners)), listener) for listener in listeners]


def _fork(run: Callable[[], None]) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            run()
        finally:
            os._exit(0)
    return pid


def _work(root: Path, listener: socket.socket, listeners: list[socket.socket]) -> None:
    pin_to(SERVER_CORE)
    for other in listeners:
        if other is not listener:
            other.close()
    log = error_log(lambda line, _level: print(line), Level.NOTICE)
    settings = config.load(str(root / "httpmini.toml"))
    service = HttpService(build_http(settings, [build_site(settings)], lambda _place: _drop, log))
    admission = Admission(Slots(1000, log))
    shutdown, reactor = Shutdown(WakeUpPipe(), 1.0), Reactor(log, service.tick)
    Select(
        Context([listener], service, admission, shutdown, reactor, ChildProcesses(log), log, Scoreboard(Counters()))
    ).serve()


def _drop(_line: str) -> None:
    """Take a line of the access log, and forget it."""


def end(workers: list[Worker]) -> None:
    """Kill the workers and wait for them."""
    for worker in workers:
        os.kill(worker.pid, signal.SIGKILL)
        os.waitpid(worker.pid, 0)
        worker.listener.close()


def cost(root: Path, scheme: str, seconds: int, field: str) -> tuple[float, float, float]:
    """Measure one scheme.

    Returns:
        Microseconds of processor time for each response, the 99th percentile of the latency in microseconds, and the
        share of the busier worker.
    """
    workers = begin(root, scheme)
    try:
        time.sleep(0.5)
        before = [worker.cpu_us() for worker in workers]
        port = workers[0].listener.getsockname()[1]
        done = wrk.run(f"http://127.0.0.1:{port}/small.bin", seconds, 32, [field])
        spent = [worker.cpu_us() - begun for worker, begun in zip(workers, before, strict=True)]
        return sum(spent) / done.requests, done.p99_us, max(spent) / sum(spent)
    finally:
        end(workers)


def lost(root: Path, scheme: str) -> int:
    """Return how many of the waiting connections are lost when a worker that does not accept is killed."""
    workers = begin(root, scheme)
    try:
        time.sleep(0.5)
        for worker in workers:
            os.kill(worker.pid, signal.SIGSTOP)
        address = workers[0].listener.getsockname()
        clients = [socket.create_connection(address, 5) for _ in range(KILLED)]
        for client in clients:
            client.sendall(b"GET /small.bin HTTP/1.0\r\n\r\n")
        victim = workers[0]
        if scheme == "SO_REUSEPORT":
            victim.listener.close()  # the real master keeps none of these open
        os.kill(victim.pid, signal.SIGKILL)
        os.kill(workers[1].pid, signal.SIGCONT)
        return sum(not _got_response(client) for client in clients)
    finally:
        end(workers)


def _got_response(client: socket.socket) -> bool:
    try:
        return client.recv(16) != b""
    except OSError:
        return False
    finally:
        client.close()


def main() -> None:
    """Measure both schemes and print the figures."""
    rounds, seconds = (int(argument) for argument in (sys.argv[1:] + ["5", "2"][len(sys.argv) - 1 :])[:2])
    pin_to(LOAD_CORE)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "small.bin").write_bytes(bytes(1024))
        os.utime(root / "small.bin", (1e9, 1e9))
        (root / "httpmini.toml").write_text(f'[site]\nroot = "{root}"\n')
        time.sleep(2.1)  # until the file counts as settled, and its responses are cached
        for field in ("Connection: close", "Connection: keep-alive"):
            found: dict[str, list[tuple[float, float, float]]] = {scheme: [] for scheme in SCHEMES}
            for _ in range(rounds):
                for scheme in SCHEMES:
                    found[scheme].append(cost(root, scheme, seconds, field))
            for scheme in SCHEMES:
                cpu, p99, share = (statistics.median(column) for column in zip(*found[scheme], strict=True))
                print(f"{field}, {scheme}: {cpu:.1f} us, p99 {p99:.0f} us, the busier worker {share:.0%}")
        for scheme in SCHEMES:
            print(f"a worker killed, {KILLED} waiting, {scheme}: {lost(root, scheme)} lost")


if __name__ == "__main__":
    main()
