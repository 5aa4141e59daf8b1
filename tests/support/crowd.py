"""Clients that keep the slots of a server and do nothing with them, as cheaply as they can."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType

from tests.support.wire import WAIT_S

CROWD = "127.0.0.2"
OTHER = "127.0.0.3"

_KEEP = b"GET /ten.txt HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n"
_BIG = b"GET /big.bin HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n"
_ROUND_S = 0.05  # between two looks at all clients


def connect_from(port: int, host: str, receive_buffer: int = 0) -> socket.socket:
    """Connect to 127.0.0.1 from another loopback address."""
    sock = socket.socket()
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(WAIT_S)
    sock.bind((host, 0))
    sock.connect(("127.0.0.1", port))
    return sock


def _silent(port: int, host: str) -> socket.socket:
    return connect_from(port, host)


def _one_byte(port: int, host: str) -> socket.socket:
    sock = connect_from(port, host)
    sock.sendall(b"G")
    return sock


def _idle(port: int, host: str) -> socket.socket:
    """Ask once. The response is not waited for: the server may be full."""
    sock = connect_from(port, host)
    sock.sendall(_KEEP)
    return sock


def _slow_reader(port: int, host: str) -> socket.socket:
    sock = connect_from(port, host, 4096)
    sock.sendall(_BIG)
    return sock


def _deaf_reader(port: int, host: str) -> socket.socket:
    """Ask for something large with a buffer of the usual size, and read nothing."""
    sock = connect_from(port, host)
    sock.sendall(_BIG)
    return sock


WAYS: dict[str, Callable[[int, str], socket.socket]] = {
    "silent": _silent,
    "one-byte": _one_byte,
    "idle": _idle,
    "slow-reader": _slow_reader,
    "deaf-reader": _deaf_reader,
}


class Crowd:
    """Keeps up a number of connections; one that the server ends is replaced. Slow readers read a byte per second.

    Args:
        port: where the server listens.
        way: one of ``WAYS``.
        count: how many connections.
        hosts: where they come from.

    Attributes:
        ended: how many connections the server has ended.
    """

    def __init__(self, port: int, way: str, count: int, hosts: tuple[str, ...] = (CROWD,)) -> None:
        self._port, self._way = port, way
        self._hosts = hosts
        self.ended = 0
        self._stop = threading.Event()
        self._socks = [self._connect(number) for number in range(count)]
        self._thread = threading.Thread(target=self._keep_up)
        self._thread.start()

    def _connect(self, number: int) -> socket.socket:
        sock = WAYS[self._way](self._port, self._hosts[number % len(self._hosts)])
        sock.setblocking(False)
        return sock

    def _keep_up(self) -> None:
        next_read = time.monotonic() + 1.0
        while not self._stop.wait(_ROUND_S):
            reads = time.monotonic() >= next_read
            if reads:
                next_read += 1.0
            for at, sock in enumerate(self._socks):
                if self._has_ended(sock, reads):
                    sock.close()
                    self.ended += 1
                    self._socks[at] = self._connect(at)

    def _has_ended(self, sock: socket.socket, reads: bool) -> bool:
        """Look without taking anything out of the buffer of a reader, but for a byte now and then."""
        is_reader = self._way.endswith("reader")
        if is_reader:
            poll = select.poll()
            poll.register(sock, 0)
            if poll.poll(0):
                return True
            if self._way == "deaf-reader" or not reads:
                return False
        try:
            return not sock.recv(1 if is_reader else 65536)
        except BlockingIOError:
            return False
        except ConnectionError:
            return True

    def __enter__(self) -> Crowd:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
        for sock in self._socks:
            sock.close()


def ask(port: int, host: str = OTHER, target: str = "/ten.txt") -> tuple[bytes, float]:
    """Return a whole response, and how many seconds it took from the connect on."""
    begun = time.monotonic()
    data = b""
    with connect_from(port, host) as sock:
        sock.sendall(f"GET {target} HTTP/1.0\r\n\r\n".encode())
        while piece := sock.recv(65536):
            data += piece
    return data, time.monotonic() - begun
