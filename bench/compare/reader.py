"""A reader of large files that costs next to nothing: the kernel discards the bytes (MSG_TRUNC)."""

from __future__ import annotations

import re
import select
import socket
import time
from dataclasses import dataclass, field

from bench.compare.running import Failed, Running

PIECE = 2**20


@dataclass
class Reading:
    """One connection and its progress in the response.

    Attributes:
        sock: the connection.
        head: the part of the head that has arrived.
        missing: how many bytes of content are still to come; -1 until the head is complete.
        started: when the request was sent, in monotonic seconds.
    """

    sock: socket.socket
    head: bytes = b""
    missing: int = -1
    started: float = field(default_factory=time.monotonic)


def read(running: Running, target: str, size: int, connections: int, seconds: float) -> tuple[int, float]:
    """Request a file again and again on several connections.

    Returns:
        How many bytes of content arrived, and how many seconds that took.
    """
    buffer = bytearray(PIECE)
    poll = select.epoll()
    readings: dict[int, Reading] = {}
    total = 0
    begin = time.monotonic()
    try:
        for _ in range(connections):
            _open(running, target, readings, poll)
        while (now := time.monotonic()) < begin + seconds:
            for number, _ in poll.poll(begin + seconds - now):
                got = _take(readings[number], buffer, size)
                total += max(got, 0)
                if got < 0:
                    readings.pop(number).sock.close()
                    _open(running, target, readings, poll)
        return total, time.monotonic() - begin
    finally:
        for reading in readings.values():
            reading.sock.close()
        poll.close()


def _open(running: Running, target: str, readings: dict[int, Reading], poll: select.epoll) -> None:
    sock = socket.create_connection(("127.0.0.1", running.port), 10)
    host = f"127.0.0.1:{running.port}"
    sock.sendall(f"GET {running.path(target)} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    sock.setblocking(False)
    readings[sock.fileno()] = Reading(sock)
    poll.register(sock.fileno(), select.EPOLLIN)


def _take(reading: Reading, buffer: bytearray, size: int) -> int:
    """Return how many bytes of content arrived; -1 if the response is complete."""
    if reading.missing == 0:
        return -1
    if reading.missing > 0:
        got = reading.sock.recv_into(buffer, min(PIECE, reading.missing), socket.MSG_TRUNC)
        reading.missing -= got
        if not got:
            raise Failed("a response that ends too early")
        return got
    data = reading.sock.recv(65536)
    if not data:
        raise Failed("no response")
    reading.head += data
    head, end, rest = reading.head.partition(b"\r\n\r\n")
    if not end:
        return 0
    length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
    if not re.match(rb"HTTP/1.. 200 ", head) or (length and int(length[1]) != size):
        raise Failed("not the file that was requested")
    reading.missing = size - len(rest)
    return len(rest)
