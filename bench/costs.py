"""What requests cost each mode beside time: system calls, page faults of children, memory of cached responses.

    python -m bench.costs                                    # this checkout
    python -m bench.costs before=../old/.venv/bin/python     # beside another one, in whose environment it is installed

Prints one table as Markdown. Needs wrk and strace. These are counts, not times: other load on the machine hardly
changes them.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from bench.compare import calls, processes, site
from bench.compare.running import Running, started
from bench.compare.servers import BY_NAME, OURS, Place, Server

CONNECTIONS = 300
TITLES = {"1": "1 KiB kept", "2": "1 KiB new", "3": "all heads differ", "4": "100 KiB kept"}
_PAGE = b"GET %b HTTP/1.0\r\nHost: 127.0.0.1\r\nConnection: %b\r\n\r\n"

Figures = dict[str, float]


def installed_in(python: str, server: Server) -> Server:
    """Return the server as it is installed in the environment of an interpreter."""

    def command(place: Place) -> list[str]:
        return [python, "-P", *server.command(place)[1:]]  # -P: not the httpmini of the current folder

    return replace(server, command=command)


def exchange(sock: socket.socket, path: str, connection: bytes) -> None:
    """Send a request and read the response."""
    sock.sendall(_PAGE % (path.encode(), connection))
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
    """Yield system calls per request of one mode under some workloads."""
    for key, title in TITLES.items():
        folder = place / f"calls-{server.name}-{key}"
        with started(server, folder, root) as running:
            counted = calls.of(running, key, folder / "strace")
        yield f"system calls, {server.name}, {title}", counted["total"]


def page_faults(place: Path, root: Path, server: Server) -> Iterator[tuple[str, float]]:
    """Yield minor page faults per new connection: of the forked children, and of their parent."""
    with started(server, place / f"faults-{server.name}", root) as running:
        _connect_often(running, 20)
        before = _faults(running)
        _connect_often(running, CONNECTIONS)
        after = _faults(running)
    for who, one, other in zip(("parent", "child"), before, after, strict=True):
        yield f"page faults, {server.name}, {who}", (other - one) / CONNECTIONS


def _connect_often(running: Running, times: int) -> None:
    for _ in range(times):
        with socket.create_connection(("127.0.0.1", running.port), 30) as sock:
            exchange(sock, site.SMALL, b"close")
            while sock.recv(1024):
                pass


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
            found.update(measure(place, root, modes[name]))
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
