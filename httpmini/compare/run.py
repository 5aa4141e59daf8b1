"""One mode after another: start it, send it the clients, stop it, read its trace."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import msgspec
from msgspec.structs import replace

from httpmini.compare.clients import (
    IDLE_S,
    LOADS,
    PATIENCE_S,
    QUICK_BYTES,
    QUICK_FILE,
    SLOW_BYTES,
    SLOW_FILE,
    Visit,
    visit,
)
from httpmini.compare.measures import Measures, Watch, wait_until_idle
from httpmini.errors import CannotRun, HttpminiError, visible
from httpmini.server.core.events import read_recording
from httpmini.timeline.bars import Bar, bars_of

MOST_S = 60.0  # for all of it
_MODE_S = 6.0  # for one mode without its start, as a rule
_LOADING_S = 2.5  # a busy machine is never idle
_SETTINGS = """\
[server]
mode = "{mode}"
listen = ["127.0.0.1:0"]
max_clients = {max_clients}
overflow = "{overflow}"
[site]
root = {root}
[limits]
idle_s = {idle_s}
slice_s = {slice_s}
drain_s = 1.0
[log]
access = "off"
[daemon]
sandbox = "off"
"""


class Wanted(msgspec.Struct, frozen=True):
    """What to compare.

    Attributes:
        load: a name in ``LOADS``.
        max_clients: how many clients each mode serves at the same time.
        overflow: what becomes of others.
        slice_s: how long iterative mode serves a slow client while others wait; 0 for to its end.
        patience_s: when a client gives up, in seconds since the first came; a server has as long to end, and twice as
            long to start.
        most_s: how long all modes may take; those for which there is no time are left out.
    """

    load: str
    max_clients: int
    overflow: Literal["queue", "refuse"]
    slice_s: float = 0.0
    patience_s: float = PATIENCE_S
    most_s: float = MOST_S


class Result(msgspec.Struct, frozen=True):
    """What became of one mode.

    Attributes:
        mode: its name.
        problem: why it could not run; "" if it could.
        bars: one for each client.
        visits: what the clients saw.
        start: when the clients began, in seconds of the trace.
        end: when the last one ended.
        measures: what the server took.
    """

    mode: str
    problem: str = ""
    bars: list[Bar] = []
    visits: list[Visit] = []
    start: float = 0.0
    end: float = 0.0
    measures: Measures = msgspec.field(default_factory=Measures)

    @property
    def waited_s(self) -> float:
        """How long all clients waited for others."""
        return sum(bar.waited_s for bar in self.bars)

    @property
    def longest_s(self) -> float:
        """How long one waited at most."""
        return max((bar.waited_s for bar in self.bars), default=0.0)

    @property
    def refused(self) -> int:
        """How many were refused."""
        return sum(one.is_refused for one in self.visits)


def compare(modes: list[str], wanted: Wanted) -> Iterator[Result]:
    """Yield what became of each mode, as soon as that is known."""
    with tempfile.TemporaryDirectory(prefix="httpmini-compare-") as folder:
        root = Path(folder, "site")
        root.mkdir()
        (root / QUICK_FILE).write_bytes(b"<p>" * (QUICK_BYTES // 3))
        with open(root / SLOW_FILE, "wb") as file:
            file.truncate(SLOW_BYTES)  # a hole: nothing of it is on the disk
        until = time.monotonic() + wanted.most_s - _MODE_S
        for mode in modes:
            if time.monotonic() > until:
                yield Result(mode, problem=f"there was no time left of the {wanted.most_s:g} s for all modes")
                continue
            try:
                yield _run(mode, wanted, Path(folder))
            except HttpminiError as error:
                yield Result(mode, problem=str(error))


def _run(mode: str, wanted: Wanted, folder: Path) -> Result:
    """Run one mode.

    Raises:
        CannotRun: it does not start, or does not end.
    """
    server = _Server(mode, wanted, folder)
    try:
        port = server.wait_until_ready(2 * wanted.patience_s)
        wait_until_idle(server.pid, _LOADING_S)
        watch = Watch(server.pid)
        try:
            wall = time.time()
            visits = _visit_all(wanted, port)
        finally:
            watch.end()
        watch.settle(*server.stop(wanted.patience_s))
    finally:
        server.kill()
    return _result(mode, server.trace, wall, visits, watch.measures)


def _visit_all(wanted: Wanted, port: int) -> list[Visit]:
    begun, arrivals = time.monotonic(), LOADS[wanted.load]
    with ThreadPoolExecutor(len(arrivals)) as clients:
        return list(clients.map(lambda arrival: visit(arrival, port, begun, wanted.patience_s), arrivals))


def _result(mode: str, trace: Path, wall: float, visits: list[Visit], measures: Measures) -> Result:
    recording = read_recording(trace.read_bytes(), str(trace))
    by_port = {one.port: bar for one, bar in zip(recording.connections, bars_of(recording), strict=True)}
    bars = [
        replace(by_port[one.port], name=one.arrival.name, manner=one.arrival.manner)
        for one in visits
        if one.port in by_port
    ]
    end = max((bar.last for bar in bars), default=1.0)
    return Result(mode, "", bars, visits, wall - recording.wall, end, measures)


class _Server:
    """A server in a mode, with a trace.

    Raises:
        CannotRun: it cannot be started.
    """

    def __init__(self, mode: str, wanted: Wanted, folder: Path) -> None:
        self.trace = folder / f"{mode}.json"
        settings = folder / f"{mode}.toml"
        root = msgspec.json.encode(str(folder / "site")).decode()  # a string of JSON is one of TOML
        facts = {"max_clients": wanted.max_clients, "overflow": wanted.overflow, "slice_s": wanted.slice_s}
        settings.write_text(_SETTINGS.format(mode=mode, root=root, idle_s=IDLE_S, **facts))
        arguments = [*_program(), "serve", "-c", str(settings), "--trace", str(self.trace)]
        try:
            self._process = subprocess.Popen(  # noqa: S603  (ourselves)
                arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, process_group=0
            )
        except OSError as error:
            raise CannotRun(f"cannot start: {error.strerror}") from error
        self.pid = self._process.pid
        self._has_ended = False

    def wait_until_ready(self, most_s: float) -> int:
        """Wait until clients can connect, at most ``most_s`` seconds; return the port.

        Raises:
            CannotRun: it has ended, or takes too long.
        """
        output = self._process.stdout
        if output is None:
            raise CannotRun("there is no output")
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            if not selector.select(most_s):
                raise CannotRun(f"it has not begun to serve within {most_s:g} s")
        line = output.readline().decode("utf-8", "replace").strip()
        _, found, rest = line.partition(" at http://127.0.0.1:")
        if not found:
            raise CannotRun(visible(line).removeprefix("httpmini: ") or "it ended without a word")
        return int(rest.partition("/")[0])

    def stop(self, most_s: float) -> tuple[float, int]:
        """Have it end within ``most_s`` seconds.

        Returns:
            Its processor time, and how often the kernel changed to or from one of its processes and threads.

        Raises:
            CannotRun: it does not end.
        """
        os.kill(self.pid, signal.SIGTERM)
        until = time.monotonic() + most_s
        while time.monotonic() < until:
            pid, _, used = os.wait4(self.pid, os.WNOHANG)
            if pid:
                self._has_ended, self._process.returncode = True, 0
                return used.ru_utime + used.ru_stime, used.ru_nvcsw + used.ru_nivcsw
            time.sleep(0.02)
        raise CannotRun(f"it does not end within {most_s:g} s of SIGTERM")

    def kill(self) -> None:
        """End it whatever its state, and everything that it has started."""
        if not self._has_ended and self._process.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def _program() -> list[str]:
    """Return how to run ourselves."""
    return [sys.executable, "-m", "httpmini"]
