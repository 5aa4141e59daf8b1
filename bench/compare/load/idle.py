"""Connections that are kept and silent: ``idle.py PORT PATH COUNT``.

One request on each, then nothing. Says "ready N" when they stand, and "alive N" when its standard input ends. Several
source addresses, because one has only 28,000 ports, and others may use them too.
"""

from __future__ import annotations

import re
import resource
import socket
import sys

PER_ADDRESS = 4000
IP_BIND_ADDRESS_NO_PORT = 24  # choose the port at connect, when the other end is known


def opened(port: int, path: str, number: int) -> socket.socket:
    """A connection on which one request was answered."""
    sock = socket.socket()
    sock.settimeout(5)
    sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    sock.bind((f"127.0.0.{2 + number // PER_ADDRESS}", 0))
    sock.connect(("127.0.0.1", port))
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: keep-alive\r\n\r\n".encode())
    data = b""
    while b"\r\n\r\n" not in data:
        data += received(sock)
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
    missing = (int(length[1]) if length else 0) - len(body)
    while missing > 0:
        missing -= len(received(sock))
    sock.setblocking(False)
    return sock


def received(sock: socket.socket) -> bytes:
    """What is there; an end is an error here."""
    data = sock.recv(65536)
    if not data:
        raise ConnectionError("closed")
    return data


def alive(sock: socket.socket) -> bool:
    """Whether the server still keeps it."""
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return True
    except OSError:
        return False


def main() -> None:
    """Open, wait, count."""
    port, path, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    socks: list[socket.socket] = []
    try:
        for number in range(count):
            socks.append(opened(port, path, number))
    except OSError as error:
        print(f"ready {len(socks)} {error}", flush=True)
    else:
        print(f"ready {len(socks)}", flush=True)
    sys.stdin.read()
    print(f"alive {sum(map(alive, socks))}", flush=True)


if __name__ == "__main__":
    main()
