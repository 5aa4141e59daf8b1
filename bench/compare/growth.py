"""Workload 11: how the processor time of a request grows with connections, size, entries and fields."""

from __future__ import annotations

import contextlib
import http.client
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from bench.compare import reader, site, wrk
from bench.compare.results import Results
from bench.compare.running import Failed, Running, started
from bench.compare.servers import Server
from bench.compare.workloads import KEPT

KEY, TITLE = "11", "growth: µs of processor per request"
SERVERS = ("select", "nginx-cache")
CONNECTIONS = (1, 10, 100, 1000, 10_000)
SIZES = (0, 2**10, 10 * 2**10, 100 * 2**10, 2**20, 10 * 2**20, 100 * 2**20, 2**30)
ENTRIES = (10, 100, 1000, 10_000, 100_000)
FIELDS = (2, 5, 10, 20, 50, 100)
KINDS = {"connections": CONNECTIONS, "bytes of content": SIZES, "entries of a folder": ENTRIES, "fields": FIELDS}
BY_WRK = 2**20  # wrk requests files up to this size, ``reader`` larger ones
BODY = 1024


def make(root: Path) -> None:
    """Create a file of each size and a folder with each number of entries."""
    (root / "body.html").write_bytes(b"x" * BODY)
    for size in SIZES:
        with (root / f"size-{size}.bin").open("wb") as file:
            file.truncate(size)
        site.into_memory(root / f"size-{size}.bin")
    for count in ENTRIES:
        folder = root / f"list-{count}"
        folder.mkdir()
        for number in range(count):
            (folder / f"entry-{number:06}.txt").touch()


def by_connections(running: Running, count: int) -> float:
    """Measure workload 1 over ``count`` connections; return microseconds for each request."""
    return _wrk(running, "/body.html", count, [KEPT], seconds=4 if count >= 1000 else 1)


def by_size(running: Running, size: int) -> float:
    """Measure files of ``size`` bytes over eight connections; return microseconds for each request."""
    target = f"/size-{size}.bin"
    if size <= BY_WRK:
        return _wrk(running, target, 8, [KEPT])
    before = running.settled_ns()
    got, _ = reader.read(running, target, size, 8, 1.0)
    return (running.settled_ns() - before) / 1000 / (got / size)


def by_entries(running: Running, count: int) -> float:
    """Measure listings of ``count`` entries, one after another; return microseconds for each request."""
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
    before = running.settled_ns()
    begin, done = time.monotonic(), 0
    try:
        while not done or time.monotonic() < begin + 1:
            connection.request("GET", running.path(f"/list-{count}/"), headers={"Connection": "keep-alive"})
            response = connection.getresponse()
            body = response.read()
            if response.status != 200 or body.count(b"entry-") < count:
                raise Failed(f"no listing of {count} entries")
            done += 1
    finally:
        connection.close()
    return (running.settled_ns() - before) / 1000 / done


def by_fields(running: Running, count: int) -> float:
    """Measure workload 1 with ``count`` fields in each head, two of them Host and Connection.

    Returns:
        Microseconds of processor time for each request.
    """
    fields = [KEPT, *(f"X-Field-{number}: what stands in field {number}" for number in range(count - 2))]
    return _wrk(running, "/body.html", 32, fields)


def _wrk(running: Running, target: str, connections: int, fields: list[str], *, seconds: int = 1) -> float:
    before = running.settled_ns()
    done = wrk.run(running.url(target), seconds, connections, fields)
    if not done.requests or done.errors:
        raise Failed(done.errors or "no responses")
    return (running.settled_ns() - before) / 1000 / done.requests


POINTS: dict[str, Callable[[Running, int], float]] = {
    "connections": by_connections,
    "bytes of content": by_size,
    "entries of a folder": by_entries,
    "fields": by_fields,
}


def measure(servers: list[Server], folder: Path, results: Results, say: Callable[[str], None]) -> None:
    """Measure all curves; the servers take turns at each point."""
    root = folder / "growth-www"
    root.mkdir()
    make(root)
    for kind, points in KINDS.items():
        with contextlib.ExitStack() as stack:
            running = []
            for server in servers:
                place = folder / f"growth-{server.name}-{kind.replace(' ', '-')}"
                try:
                    running.append(stack.enter_context(started(server, place, root)))
                except (OSError, Failed) as error:
                    say(f"  {KEY} {server.name}: {error}")
            for point in points:
                for each in running:
                    _point(kind, point, each, results, say)


def _point(kind: str, point: int, running: Running, results: Results, say: Callable[[str], None]) -> None:
    name = running.server.name
    curve = results.curves.setdefault(kind, {}).setdefault(name, [])
    try:
        value = round(POINTS[kind](running, point), 2)
    except (OSError, Failed, http.client.HTTPException, subprocess.SubprocessError) as error:
        say(f"  {KEY} {name:18} {point} {kind}: {error}")
        return
    curve.append([point, value])
    say(f"  {KEY} {name:18} {point} {kind}: {value:.4g}")
