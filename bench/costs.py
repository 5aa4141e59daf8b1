"""What requests cost each mode beside time: system calls, page faults of children, memory of cached responses.

    python -m bench.costs                                    # this checkout
    python -m bench.costs before=../old/.venv/bin/python     # beside another one, in whose environment it is installed

Prints one table as Markdown. Needs strace. Requests come one after another, so nothing is done for several at once:
under load, select and prefork mode need fewer calls for each. These are counts, not times: other load on the machine
hardly changes them.
"""

from __future__ import annotations

import itertools
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from bench.compare import calls, processes, site
from bench.compare.running import Running, started
from bench.compare.servers import BY_NAME, OURS, Place, Server

CONNECTIONS = 300  # and requests
WARM_S = 2.0
_REQUEST = b"GET %b HTTP/1.0\r\nHost: 127.0.0.1\r\nConnection: %b\r\n%b\r\n"
_NUMBERS = itertools.count()

Figures = dict[str, float]
Load = Callable[[Running, int], None]


def installed_in(python: str, server: Server) -> Server:
    """Return the server as it is installed in the environment of an interpreter."""

    def command(place: Place) -> list[str]:
        return [python, "-P", *server.command(place)[1:]]  # -P: not the httpmini of the current folder

    return replace(server, command=command)


def exchange(sock: socket.socket, path: str, connection: bytes, more: bytes = b"") -> None:
    """Send a request and read the response."""
    sock.sendall(_REQUEST % (path.encode(), connection, more))
    data = bytearray()
    while b"\r\n\r\n" not in data:
        data += _received(sock)
    head, _, body = bytes(data).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200 "), head
    left = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]) - len(body)
    while left > 0:
        left -= len(_received(sock))


def _received(sock: socket.socket) -> bytes:
    data = sock.recv(65536)
    assert data, "the connection ended too early"
    return data


def system_calls(place: Path, root: Path, server: Server) -> Iterator[tuple[str, float]]:
    """Yield system calls per request of one mode, for requests one after another."""
    for title, (count, load) in LOADS.items():
        folder = place / f"calls-{server.name}-{title.replace(' ', '-')}"
        with started(server, folder, root) as running:
            _warm_up(running, load, count)
            out = folder / "strace"
            with calls.counting(running, out):
                load(running, count)
        yield f"system calls, {server.name}, {title}", sum(calls.parsed(out.read_text()).values()) / count


def _warm_up(running: Running, load: Load, count: int) -> None:
    """Request everything that will be counted, until the server has imported what it imports in its first second."""
    end = time.monotonic() + WARM_S
    load(running, count)
    while time.monotonic() < end:
        load(running, 10)


def _kept(path: str) -> Load:
    def load(running: Running, count: int) -> None:
        with socket.create_connection(("127.0.0.1", running.port), 30) as sock:
            for _ in range(count):
                exchange(sock, path, b"keep-alive")

    return load


def _connect_often(running: Running, count: int) -> None:
    for _ in range(count):
        with socket.create_connection(("127.0.0.1", running.port), 30) as sock:
            exchange(sock, site.SMALL, b"close")
            while sock.recv(1024):
                pass


def _many_heads(running: Running, count: int) -> None:
    with socket.create_connection(("127.0.0.1", running.port), 30) as sock:
        for number in range(count):
            exchange(sock, f"/many/{number:05}.html", b"keep-alive", b"Cookie: %d\r\n" % next(_NUMBERS))


LOADS: dict[str, tuple[int, Load]] = {
    "1 KiB kept": (CONNECTIONS, _kept(site.SMALL)),
    "1 KiB new": (CONNECTIONS, _connect_often),
    "all heads differ": (CONNECTIONS, _many_heads),
    "100 KiB kept": (CONNECTIONS, _kept(site.MEDIUM)),
}


def page_faults(place: Path, root: Path, server: Server) -> Iterator[tuple[str, float]]:
    """Yield minor page faults per new connection: of the forked children, and of their parent."""
    with started(server, place / f"faults-{server.name}", root) as running:
        _connect_often(running, 20)
        before = _faults(running)
        _connect_often(running, CONNECTIONS)
        after = _faults(running)
    for who, one, other in zip(("parent", "child"), before, after, strict=True):
        yield f"page faults, {server.name}, {who}", (other - one) / CONNECTIONS


def _faults(running: Running) -> tuple[int, int]:
    """Return the faults of the process, and those of its children that were waited for: all but the last few."""
    fields = Path(f"/proc/{running.process.pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[7]), int(fields[8])


def cached_memory(place: Path, root: Path, server: Server) -> Iterator[tuple[str, float]]:
    """Yield resident memory in MB: after the first response, and with ``site.MANY`` responses of 4 KiB requested."""
    with (
        started(server, place / f"memory-{server.name}", root) as running,
        socket.create_connection(("127.0.0.1", running.port), 30) as sock,
    ):
        exchange(sock, site.SMALL, b"keep-alive")
        yield f"memory in MB, {server.name}, one response", running.memory().rss / 1e6
        for _ in range(2):
            for number in range(site.MANY):
                exchange(sock, f"/many/{number:05}.html", b"keep-alive")
        yield f"memory in MB, {server.name}, {site.MANY:,} responses of 4 KiB", running.memory().rss / 1e6


def costs(python: str, place: Path, root: Path) -> Figures:
    """Measure everything that is installed in the environment of an interpreter."""
    modes = {name: installed_in(python, BY_NAME[name]) for name in OURS}
    found: Figures = {}
    plan: list[tuple[Callable[[Path, Path, Server], Iterator[tuple[str, float]]], tuple[str, ...]]] = [
        (system_calls, OURS),
        (page_faults, ("forking",)),
        (cached_memory, ("select",)),
    ]
    for measure, names in plan:
        for name in names:
            for row, figure in measure(place, root, modes[name]):
                found[row] = figure
                print(f"  {row}: {figure:.4g}", file=sys.stderr, flush=True)
    return found


def table(columns: dict[str, Figures]) -> str:
    """Return the figures as Markdown, a column for each checkout."""
    lines = ["| | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
    for row in next(iter(columns.values())):
        lines.append(f"| {row} | " + " | ".join(f"{found[row]:.4g}" for found in columns.values()) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure this checkout, and those that are named; print the table."""
    named = dict(argument.split("=", 1) for argument in sys.argv[1:]) | {"now": sys.executable}
    processes.pin_to(processes.LOAD_CORE)
    with processes.temporary_folder() as folder:
        root = folder / "www"
        root.mkdir()
        site.make(root)
        columns = {}
        for name, python in named.items():
            (folder / name).mkdir()
            columns[name] = costs(str(Path(python).absolute()), folder / name, root)
    print(table(columns))


if __name__ == "__main__":
    main()
