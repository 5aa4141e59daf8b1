"""A bug in the server, or no resources left, in any mode: a line is logged, and the server goes on.

One that cannot go on has its last word in the error log.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from httpmini.server.modes import MODES
from tests.conftest import StartServer
from tests.support.processes import WAIT_S, ServerProcess
from tests.support.wire import connect, free_port, get, read_all, read_answer

PROGRAM = """
import sys
sys.path.insert(0, {examples!r})
import echo
from run import TIMEOUTS, main

class Faulty(echo.EchoConnection):
    def on_data(self, data, now):
        if data == b"boom":
            raise RuntimeError("a mistake")
        super().on_data(data, now)

class Service(echo.EchoService):
    def connect(self, peer, now):
        return Faulty(TIMEOUTS, now)

main("faulty", Service(), 0)
"""


def test_a_fault_costs_one_client(tmp_path: Path, mode: str) -> None:
    program = tmp_path / "faulty.py"
    program.write_text(PROGRAM.format(examples=str(Path(__file__).parents[2] / "examples")))
    server = ServerProcess(["--mode", mode, "--max-clients", "2"], program=(str(program),))
    try:
        with connect(server.port) as other:
            other.sendall(b"hello")
            assert other.recv(10) == b"hello"
            for _ in range(5):  # more than there are slots: each is freed
                with connect(server.port) as unlucky:
                    unlucky.sendall(b"boom")
                    try:
                        assert read_all(unlucky) == b""
                    except ConnectionResetError:
                        pytest.fail("nothing was lost, so there is no need for a reset")
            other.sendall(b"again")
            assert other.recv(10) == b"again"
        server.wait_for_line("fault while serving a client: RuntimeError: a mistake ", count=5)
        server.assert_clean_end()
    finally:
        server.kill()


OUTSIDE = """
import sys
sys.path.insert(0, {examples!r})
import echo
from run import TIMEOUTS, main

class Service(echo.EchoService):
    left = 3

    def connect(self, peer, now):
        if self.left:
            self.left -= 1
            raise RuntimeError("a mistake in connect")
        return echo.EchoConnection(TIMEOUTS, now)

    def tick(self):
        raise RuntimeError("a mistake in tick")

main("faulty", Service(), 0)
"""


def test_a_fault_outside_of_a_client_is_contained(tmp_path: Path, mode: str) -> None:
    """In the tick each time, and while clients are accepted: their slots are free again."""
    program = tmp_path / "faulty.py"
    program.write_text(OUTSIDE.format(examples=str(Path(__file__).parents[2] / "examples")))
    tick = MODES[mode].uses_workers  # it ticks before it forks, where a fault ends the start
    text = program.read_text().replace('raise RuntimeError("a mistake in tick")', "pass") if tick else None
    if text:
        program.write_text(text)
    server = ServerProcess(["--mode", mode, "--max-clients", "1"], program=(str(program),))
    try:
        for _ in range(8):  # each worker may fail three times
            with connect(server.port) as sock:
                try:
                    sock.sendall(b"hello")
                    if sock.recv(10) == b"hello":
                        break
                except ConnectionResetError:
                    continue
        else:
            pytest.fail("never served")
        server.wait_for_line("error: fault while accepting a client: RuntimeError: a mistake in connect")
        if not tick:
            server.wait_for_line("error: fault in a tick: RuntimeError: a mistake in tick")
        server.assert_clean_end()
    finally:
        server.kill()


DYING = """
import sys
from httpmini.server.modes import MODES
from httpmini.__main__ import main

def serve(self):
    raise {raised}

MODES[{mode!r}].serve = serve
main()
"""
CAUSES = ['RuntimeError("a mistake")', "MemoryError()", 'OSError(24, "Too many open files")']


@pytest.mark.parametrize("raised", CAUSES)
def test_the_last_word_of_a_dying_server_is_in_its_log(site: Path, tmp_path: Path, mode: str, raised: str) -> None:
    program, log = tmp_path / "dying.py", tmp_path / "error.log"
    program.write_text(DYING.format(raised=raised, mode=mode))
    config = tmp_path / "httpmini.toml"
    config.write_text(f'[server]\nmode = "{mode}"\nworkers = 1\n[log]\nerror = "{log}"\n')
    command = [sys.executable, str(program), "serve", str(site), "-c", str(config), "-p", "0"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert ended.returncode == 1
    assert ended.stderr == "httpmini: the main loop fails again and again; the log says where\n"
    said = [line for line in log.read_text().splitlines() if " error: " in line]
    assert "error: fault in the main loop: " + raised.partition("(")[0] in said[0]
    assert said[-1].endswith("error: the server ends: the main loop fails again and again; the log says where")


STOPPED_MEANWHILE = """
import os
import signal
from httpmini.server.core.shutdown import Shutdown
from httpmini.__main__ import main

close = Shutdown.close
rest = [signal.SIGTERM]

def close_and_be_told(self):
    {before}
    if rest:
        os.kill(os.getpid(), rest.pop())
    {after}

Shutdown.close = close_and_be_told
main()
"""


@pytest.mark.parametrize(("before", "after"), [("close(self)", "pass"), ("pass", "close(self)")])
def test_a_stop_while_a_retired_mode_is_forgotten(
    site: Path, tmp_path: Path, mode: str, before: str, after: str
) -> None:
    """Whether its pipes are closed yet or not, the mode that serves is told to stop."""
    program, config = tmp_path / "stopped.py", tmp_path / "httpmini.toml"
    program.write_text(STOPPED_MEANWHILE.format(before=before, after=after))
    config.write_text(f'[server]\nmode = "{mode}"\nworkers = 1\n[site]\nroot = "{site}"\n')
    server = ServerProcess(["serve", "-c", str(config), "-p", "0"], program=(str(program),))
    try:
        server.process.send_signal(signal.SIGHUP)
        assert (server.wait(), server.errors) == (0, "")
        assert not any(" error: " in line for line in server.lines), server.lines
    finally:
        server.kill()


def no_more_descriptors(server: ServerProcess) -> tuple[int, int]:
    """Allow the main process as many descriptors as it has; return what it was allowed."""
    before = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    highest = max(int(fd) for fd in os.listdir(f"/proc/{server.pid}/fd"))
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (highest + 1, before[1]))
    return before


def test_a_probe_at_the_status_door_without_descriptors(start: StartServer, site: Path, mode: str) -> None:
    """It waits; the server lives, and serves it as soon as it can."""
    status = free_port()
    server = start(site, config=f'[server]\nmode = "{mode}"\n[status]\nlisten = ["127.0.0.1:{status}"]\n')
    before = no_more_descriptors(server)
    fill = [connect(status) for _ in range(4)]  # descriptors below the highest one may be free
    for sock in fill:
        sock.sendall(b"GET /-/health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    server.wait_for_line("error: cannot accept at the status listener: Too many open files; its clients wait")
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, before)
    for sock in fill:
        assert read_answer(sock)[2] == b"ok\n"
        sock.close()


def test_a_worker_that_cannot_be_forked_is_forked_later(start: StartServer, site: Path) -> None:
    server = start(site, config='[server]\nmode = "prefork"\nworkers = 1\n')
    before = no_more_descriptors(server)
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (1, before[1]))
    os.kill(server.children()[0], signal.SIGKILL)
    server.wait_for_line("error: cannot begin a worker: Too many open files; trying again later")
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, before)
    assert get(server.port, "/ten.txt")[0] == 200


def test_a_reload_without_descriptors_is_refused(start: StartServer, site: Path, mode: str) -> None:
    server = start(site, config=f'[server]\nmode = "{mode}"\nworkers = 1\n')
    before = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (1, before[1]))
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_line("error: not reloaded: .*Too many open files")
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, before)
    assert get(server.port, "/ten.txt")[0] == 200
