"""A reader of large files that costs next to nothing: the kernel throws the bytes away (MSG_TRUNC)."""

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
    """One connection and where it is in its answer."""

    sock: socket.socket
    head: bytes = b""
    missing: int = -1  # -1: the head is not complete
    started: float = field(default_factory=time.monotonic)


def read(running: Running, target: str, size: int, connections: int, seconds: float) -> tuple[int, float]:
    """Ask for a file again and again on that many connections; bytes of content, and how long it took."""
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
    """What came of the content, or -1 when there is nothing more to come."""
    if reading.missing == 0:
        return -1
    if reading.missing > 0:
        got = reading.sock.recv_into(buffer, min(PIECE, reading.missing), socket.MSG_TRUNC)
        reading.missing -= got
        if not got:
            raise Failed("an answer that ends too early")
        return got
    data = reading.sock.recv(65536)
    if not data:
        raise Failed("no answer")
    reading.head += data
    head, end, rest = reading.head.partition(b"\r\n\r\n")
    if not end:
        return 0
    length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
    if not re.match(rb"HTTP/1.. 200 ", head) or (length and int(length[1]) != size):
        raise Failed("not the file that was asked for")
    reading.missing = size - len(rest)
    return len(rest)
