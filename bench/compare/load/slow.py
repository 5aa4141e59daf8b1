"""Read a large file slowly over many connections: ``slow.py PORT PATH COUNT``.

Each connection reads a little twice a second. Prints "ready N" when all have their first bytes, and "alive N", the
number that still get bytes, when standard input ends.
"""

from __future__ import annotations

import contextlib
import select
import socket
import sys
import time

PIECE = 8192
PAUSE_S = 0.5


def opened(port: int, path: str) -> socket.socket:
    """Open a connection and request the file."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2 * PIECE)
    sock.settimeout(5)
    sock.connect(("127.0.0.1", port))
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: keep-alive\r\n\r\n".encode())
    return sock


def read(socks: list[socket.socket]) -> int:
    """Read a little from each connection; return how many had data."""
    got = 0
    for sock in socks:
        with contextlib.suppress(OSError):
            got += bool(sock.recv(PIECE))
    return got


def ended() -> bool:
    """Wait for a pause; return whether standard input has ended."""
    return bool(select.select([sys.stdin], [], [], PAUSE_S)[0])


def main() -> None:
    """Open the connections, read slowly, and count those that still get data."""
    port, path, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    socks = []
    error = ""
    try:
        for _ in range(count):
            socks.append(opened(port, path))
        for sock in socks:
            sock.recv(1)
            sock.setblocking(False)
    except OSError as problem:
        error = f" {problem}"
    print(f"ready {0 if error else len(socks)}{error}", flush=True)
    got = 0
    while not ended():
        got = read(socks)
    time.sleep(PAUSE_S)
    print(f"alive {max(got, read(socks))}", flush=True)


if __name__ == "__main__":
    main()
