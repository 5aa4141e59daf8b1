"""A bug in the server, in any mode: one client loses its connection, one line is logged, and the server goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.processes import ServerProcess
from tests.support.wire import connect, read_all

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
