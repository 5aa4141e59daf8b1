"""Start a server, wait until it is ready, query and measure it, and stop it."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.compare import processes
from bench.compare.processes import SERVER_CORE, Group, Memory, pinned
from bench.compare.servers import HERE, Place, Server, environment

START_S = 20.0
SETTLE_S = 0.05  # after the load, for the last close and the last child


class Failed(Exception):
    """A cell has no figures; the message says why."""


@dataclass(frozen=True)
class Response:
    """The response to one request; ``kept`` says whether the server keeps the connection."""

    status: int
    fields: dict[str, str]
    body: bytes
    kept: bool


def free_port() -> int:
    """Return a port that no program listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Running:
    """A running server: its process and all processes below it."""

    def __init__(self, server: Server, place: Place, process: subprocess.Popen[bytes], group: Group | None) -> None:
        self.server = server
        self.place = place
        self.process = process
        self.group = group
        self.port = place.port

    def url(self, target: str) -> str:
        """Return the URL of a target."""
        return f"http://127.0.0.1:{self.port}{self.path(target)}"

    def path(self, target: str) -> str:
        """Return the path of a target on this server."""
        return self.server.prefix + target

    def get(self, target: str, fields: dict[str, str] | None = None) -> Response:
        """Request a target."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", self.path(target), headers={"Connection": "keep-alive", **(fields or {})})
            response = connection.getresponse()
            kept = not response.will_close
            response_fields = {name.lower(): value for name, value in response.getheaders()}
            return Response(response.status, response_fields, response.read(), kept)
        finally:
            connection.close()

    def wait_ready(self) -> None:
        """Wait until the server accepts connections.

        Raises:
            Failed: it has ended, or does not listen in time.
        """
        ends = time.monotonic() + START_S
        while time.monotonic() < ends:
            if self.process.poll() is not None:
                raise Failed(f"ended at once: {self.last_words()}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.005)
        raise Failed(f"does not listen after {START_S:.0f} s")

    def last_words(self) -> str:
        """Return the last line of its output, without the paths of this run."""
        lines = (self.place.folder / "output").read_text(errors="replace").strip().splitlines() or [""]
        return lines[-1].replace(str(self.place.folder), "").replace(str(HERE), "")[:200]

    def processor_ns(self) -> int:
        """Return the processor time that it has used so far."""
        return self.group.processor_ns() if self.group else processes.processor_ns(self.process.pid)

    def settled_ns(self) -> int:
        """Return the processor time that it has used, a moment after the load has ended."""
        time.sleep(SETTLE_S)
        return self.processor_ns()

    def memory(self) -> Memory:
        """Return the memory that it holds now."""
        return processes.memory(self.process.pid)


@contextlib.contextmanager
def started(server: Server, folder: Path, root: Path, *, wait: bool = True) -> Iterator[Running]:
    """Run a server inside a ``with`` block.

    Raises:
        Failed: it cannot be measured here, or does not become ready.
    """
    folder.mkdir()
    place = Place(folder, root, free_port())
    command = pinned(SERVER_CORE, server.command(place))
    group = None
    if server.unreaped:
        try:
            group = Group(f"httpmini-bench-{os.getpid()}-{place.port}")
        except OSError as error:
            raise Failed("needs cgroup v2 and root to be measured") from error
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=HERE,
            env=environment(server, place),
            start_new_session=True,
        )
    try:
        running = Running(server, place, process, group)
        if group is not None:
            group.add(process.pid)
        if wait:
            running.wait_ready()
        yield running
    finally:
        processes.stop(process)
        if group is not None:
            group.remove()
