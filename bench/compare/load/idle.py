"""Hold many idle connections open: ``idle.py PORT PATH COUNT``.

Each connection sends one request and then nothing. Prints "ready N" when all are open, and "alive N" when standard
input ends. Uses several source addresses, because one has only 28,000 ports, and other programs may be using them too.
"""

from __future__ import annotations

import re
import resource
import socket
import sys

PER_ADDRESS = 4000
IP_BIND_ADDRESS_NO_PORT = 24  # choose the port at connect(), when the other end is known


def opened(port: int, path: str, number: int) -> socket.socket:
    """Open a connection, and read the response to one request on it."""
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
    """Return the next bytes. The end of the connection is an error here."""
    data = sock.recv(65536)
    if not data:
        raise ConnectionError("closed")
    return data


def alive(sock: socket.socket) -> bool:
    """Return whether the server still keeps the connection open."""
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return True
    except OSError:
        return False


def main() -> None:
    """Open the connections, wait, and count those that are left."""
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
