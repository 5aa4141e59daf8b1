"""Processor time per request: each mode, and python -m http.server beside it.

    python bench/processor_time.py [--rounds 3] [--requests 2000]

Prints microseconds of processor time (user and system, children included) that the server spent for each request of a
1 KiB file: over one kept connection, and over a new connection each. The servers take turns; the median of the rounds
is printed. Compare figures of one run only: machines differ, and differ from minute to minute.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

MODES = ("iterative", "forking", "threading", "select")
PEER = "http.server"
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Server:
    """A server process, and what it has spent."""

    def __init__(self, name: str, root: str) -> None:
        ours = ["-m", "httpmini", "serve", root, "-p", "0", "--mode", name]
        theirs = ["-u", "-m", "http.server", "0", "-b", "127.0.0.1", "-d", root]
        self.process = subprocess.Popen(
            [sys.executable, *(theirs if name == PEER else ours)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self.process.stdout is not None
        match = re.search(r":(\d+)/|port (\d+)", self.process.stdout.readline().decode())
        assert match is not None
        self.port = int(match[1] or match[2])
        self.log = subprocess.Popen(["cat"], stdin=self.process.stdout, stdout=subprocess.DEVNULL)
        self.process.stdout.close()

    def spent_us(self) -> float:
        """User and system time so far, its children's included, in microseconds."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return (ticks_of(str(pid)) + sum(ticks_of(child) for child in children)) / TICKS_PER_SECOND * 1e6

    def stop(self) -> None:
        """End it, and the reader of its log."""
        self.process.terminate()
        self.process.wait()
        self.log.wait()


def ticks_of(pid: str) -> int:
    """Clock ticks that a process has used, with those of the children that it has waited for."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:  # it has just ended; its parent has its time now
        return 0
    return sum(int(field) for field in fields[11:15])


def read_answer(sock: socket.socket) -> bool:
    """Read one answer; whether the connection is kept."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += sock.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(re.search(rb"content-length: (\d+)", head, re.IGNORECASE)[1])  # type: ignore[index]
    while len(body) < length:
        body += sock.recv(65536)
    return b"keep-alive" in head.lower()


def measure(server: Server, requests: int, *, kept: bool) -> float:
    """Microseconds per request."""
    option = b"keep-alive" if kept else b"close"
    request = b"GET /file HTTP/1.0\r\nConnection: %b\r\n\r\n" % option
    before = server.spent_us()
    done = 0
    while done < requests:
        with socket.create_connection(("127.0.0.1", server.port)) as sock:
            goes_on = True
            while goes_on and done < requests:
                sock.sendall(request)
                goes_on = read_answer(sock)
                done += 1
            if done == requests:  # while the process of this connection, if it has one, is still there
                spent_us = server.spent_us() - before
    return spent_us / requests


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description="Processor time per request.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=2000)
    options = parser.parse_args()
    found: dict[tuple[str, bool], list[float]] = {}
    with tempfile.TemporaryDirectory() as root:
        (Path(root) / "file").write_bytes(b"x" * 1024)
        servers = {name: Server(name, root) for name in (*MODES, PEER)}
        for _ in range(options.rounds):
            for name, server in servers.items():
                for kept in (True, False):
                    found.setdefault((name, kept), []).append(measure(server, options.requests, kept=kept))
        for server in servers.values():
            server.stop()
    print("microseconds of processor time per request, 1 KiB, median")
    print(f"{'':12}{'kept alive':>12}{'new connection':>16}")
    for name in (*MODES, PEER):
        median_kept, median_new = (statistics.median(found[name, kind]) for kind in (True, False))
        note = "  (keeps none alive)" if name == PEER else ""
        print(f"{name:12}{median_kept:12.0f}{median_new:16.0f}{note}")


if __name__ == "__main__":
    main()
