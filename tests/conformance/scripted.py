"""A server on a real socket that sends scripted bytes to each client and ends as scripted."""

from __future__ import annotations

import fcntl
import socket
import struct
import sys
import termios
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from errno import ECONNRESET, ENOTCONN, EPIPE

from tests.support.processes import eventually
from tests.support.wire import WAIT_S

Converse = Callable[[socket.socket], None]


class End(Enum):
    """What a server does after it has sent everything."""

    CLOSE = "close both halves"
    HALF_CLOSE = "end our half, and wait for the client's end"
    RESET = "break the connection"
    OPEN = "keep the connection, and wait for the client's end"


def script(said: Iterable[bytes], end: End) -> Converse:
    """Read a request, whatever it asks, say the pieces of ``said``, and end."""

    def converse(sock: socket.socket) -> None:
        read_request(sock)
        for piece in said:
            sock.sendall(piece)
        if end is End.RESET:  # which throws away what is not with the client's kernel yet
            eventually(lambda: unacknowledged(sock) == 0, "everything is with the client's kernel")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif end is not End.CLOSE:
            if end is End.HALF_CLOSE:
                sock.shutdown(socket.SHUT_WR)
            wait_for_end(sock)

    return converse


def unacknowledged(sock: socket.socket) -> int:
    """Return the number of bytes that the peer's kernel has not acknowledged."""
    return int.from_bytes(fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)), sys.byteorder)


def read_request(sock: socket.socket) -> bytes:
    """Read a complete request without a body, so that a close is an end and not a reset."""
    request = b""
    while b"\r\n\r\n" not in request:
        data = sock.recv(65536)
        assert data, f"the client ended in its request: {request!r}"
        request += data
    return request


def wait_for_end(sock: socket.socket) -> None:
    """Wait until the client ends or resets its half."""
    with suppress(ConnectionResetError):
        while sock.recv(65536):
            pass


def has_hung_up(error: BaseException) -> bool:
    """Whether an error says that the client has gone: at shutdown(2) that is ENOTCONN."""
    return isinstance(error, OSError) and error.errno in (EPIPE, ECONNRESET, ENOTCONN)


@contextmanager
def serving(converse: Converse, clients: int) -> Iterator[str]:
    """The URL of a server that has ``clients`` conversations, one after another, each in a socket of its own.

    At the end all its conversations have ended; what went wrong in one (but that the client hung up, which is its
    right) is raised.
    """
    faults: list[BaseException] = []

    def serve() -> None:
        for _ in range(clients):
            try:
                sock, _ = listener.accept()
            except OSError:  # shut down before as many have come
                return
            with sock:
                sock.settimeout(WAIT_S)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                try:
                    converse(sock)
                except BaseException as error:
                    if not has_hung_up(error):
                        faults.append(error)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
            thread.join(WAIT_S)
    if faults:
        raise faults[0]
