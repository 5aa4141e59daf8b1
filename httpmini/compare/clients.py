"""The clients, and when they connect: those of www/js/arrivals.js, in six tenths of their time.

They are real: each is a thread with a socket. A slow reader has a small buffer and reads a large file little by little,
so the server meets a kernel that takes no more.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import suppress

import msgspec

SCALE = 0.6
IDLE_S = 9 * SCALE  # how long a silent connection is kept
QUICK_FILE, SLOW_FILE = "quick.html", "slow.bin"
QUICK_BYTES, SLOW_BYTES = 20_000, 96 * 1024 * 1024  # the second is far more than the kernels hold
_BUFFER_BYTES = 64 * 1024
PATIENCE_S = 10.0  # after which a client gives up, so that a mode takes 12 s at most


class Arrival(msgspec.Struct, frozen=True):
    """A client to come.

    Attributes:
        name: its name.
        manner: "quick", "slow" or "silent".
        at: when it connects, in seconds since the beginning.
        head_s: how long it takes to send its request; 0 for at once, -1 for never.
        answer_s: how long it takes to read its response; 0 for as fast as it comes.
    """

    name: str
    manner: str
    at: float
    head_s: float = 0.0
    answer_s: float = 0.0


def _quick(name: str, at: float) -> Arrival:
    return Arrival(name, "quick", at * SCALE)


def _reader(name: str, at: float, answer_s: float) -> Arrival:
    return Arrival(name, "slow", at * SCALE, answer_s=answer_s * SCALE)


LOADS: dict[str, tuple[Arrival, ...]] = {
    "connections": (
        _quick("Ana", 0.4),
        Arrival("Spare", "silent", 1.0 * SCALE, head_s=-1),
        _reader("Bruno", 1.4, 6),
        _quick("Chloe", 2.0),
        Arrival("Dario", "slow", 2.6 * SCALE, head_s=4 * SCALE),
        _quick("Elena", 3.2),
        _quick("Farid", 4.2),
        _reader("Greta", 5.5, 3),
        _quick("Hugo", 7.0),
        _quick("Irene", 9.5),
    ),
    "downloads": (
        *(_reader(name, 0.4 + which, 3) for which, name in enumerate(("Bruno", "Greta", "Jonas", "Kira"))),
        *(_quick(name, 1 + which) for which, name in enumerate(("Ana", "Chloe", "Elena", "Farid"))),
    ),
    "crowd": (
        *(_quick(f"Guest {which + 1}", 0.5 + 0.02 * which) for which in range(24)),
        _reader("Bruno", 0.4, 3),
    ),
}


class Visit(msgspec.Struct):
    """What became of a client, as it saw that itself.

    Attributes:
        arrival: the client.
        port: its port; 0 if it did not connect.
        seconds: from its connect to the end of its response; until it gave up if it got none.
        received: how many bytes it got.
        is_refused: whether it got a 503.
    """

    arrival: Arrival
    port: int = 0
    seconds: float = 0.0
    received: int = 0
    is_refused: bool = False


def visit(arrival: Arrival, port: int, begun: float, patience_s: float = PATIENCE_S) -> Visit:
    """Be one client of a server.

    Args:
        arrival: which one.
        port: that of the server.
        begun: the beginning, in monotonic seconds.
        patience_s: how long after it the client gives up.
    """
    seen = Visit(arrival)
    time.sleep(max(0.0, begun + arrival.at - time.monotonic()))
    start, until = time.monotonic(), begun + patience_s
    with suppress(OSError), socket.socket() as sock:
        if arrival.answer_s:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        sock.settimeout(max(0.1, until - start))
        sock.connect(("127.0.0.1", port))
        seen.port = sock.getsockname()[1]
        _ask(sock, arrival)
        _read(sock, seen, until)
    seen.seconds = time.monotonic() - start
    return seen


def _ask(sock: socket.socket, arrival: Arrival) -> None:
    if arrival.head_s < 0:
        return
    file = SLOW_FILE if arrival.answer_s else QUICK_FILE
    octets = f"GET /{file} HTTP/1.0\r\n\r\n".encode()
    pace = _pace(arrival.head_s, len(octets))
    for at in range(len(octets)) if arrival.head_s else ():
        pace(at)
        sock.sendall(octets[at : at + 1])
    if not arrival.head_s:
        sock.sendall(octets)


def _read(sock: socket.socket, seen: Visit, until: float) -> None:
    pace = _pace(seen.arrival.answer_s, SLOW_BYTES)
    while time.monotonic() < until:
        data = sock.recv(_BUFFER_BYTES)
        if not data:
            return
        seen.is_refused = seen.is_refused or (not seen.received and data.startswith(b"HTTP/1.0 503"))
        seen.received += len(data)
        pace(seen.received)


def _pace(seconds: float, total: int) -> Callable[[int], None]:
    """Return a function that waits until so much of ``total`` is due, if all of it takes ``seconds``."""
    start = time.monotonic()
    return lambda done: time.sleep(max(0.0, start + seconds * done / total - time.monotonic())) if seconds else None
