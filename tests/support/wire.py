"""A client on bare sockets: it decides how its bytes are cut, and reads responses without httpmini's code."""

from __future__ import annotations

import random
import re
import socket
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from errno import ECONNRESET, ENOTCONN, EPIPE

WAIT_S = 60.0
_NOT_EPHEMERAL = 10_000, 32_000  # ip_local_port_range begins at 32768, and elsewhere at 49152

_DATE = re.compile(rb"\r\nDate: [^\r]*\r\n")


def connect(port: int, host: str = "127.0.0.1") -> socket.socket:
    """Connect; every wait on the socket ends after WAIT_S."""
    sock = socket.create_connection((host, port), WAIT_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def free_port(host: str = "127.0.0.1") -> int:
    """Return a TCP port that is free on ``host``; "" means every address, of both families.

    It is none that the kernel gives to others who ask for any port, or to clients: between now and the start of a
    server that is told this one, it would sooner or later be taken.
    """
    family = socket.AF_INET if host else socket.AF_INET6
    while True:
        with suppress(OSError):
            address = (host, random.randrange(*_NOT_EPHEMERAL))
            with socket.create_server(address, family=family, dualstack_ipv6=not host) as sock:
                return int(sock.getsockname()[1])


def accepts(port: int) -> bool:
    """Return whether a process listens on ``port``."""
    with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), WAIT_S):
        return True
    return False


def read_all(sock: socket.socket) -> bytes:
    """Read until the peer ends its side."""
    data = bytearray()
    while chunk := sock.recv(65536):
        data += chunk
    return bytes(data)


def converse(port: int, pieces: Iterable[bytes]) -> bytes:
    """Send the pieces one by one, end our side, and return everything that the server sends.

    A server that refuses the first piece may close before the last one is sent; its response can still be read.

    Raises:
        ConnectionResetError: the server has reset the connection.
    """
    with connect(port) as sock:
        try:
            for piece in pieces:
                sock.sendall(piece)
            sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            if error.errno not in (EPIPE, ECONNRESET, ENOTCONN):
                raise
        return read_all(sock)


def mask_date(answer: bytes) -> bytes:
    """Replace the values of Date fields, so that responses can be compared."""
    return _DATE.sub(b"\r\nDate: *\r\n", answer)


def read_head(sock: socket.socket) -> tuple[bytes, bytes]:
    """Read a head; return it and the part of the body that came with it."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = sock.recv(65536)
        assert chunk, f"the connection ended in the head: {data!r}"
        data += chunk
    head, _, rest = data.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n", rest


def fields(head: bytes) -> dict[str, str]:
    """Return the fields of a head by lower-case name."""
    lines = head.decode("iso-8859-1").split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}


def read_exactly(sock: socket.socket, length: int) -> bytes:
    """Read exactly ``length`` bytes."""
    data = bytearray()
    while len(data) < length:
        chunk = sock.recv(min(65536, length - len(data)))
        assert chunk, f"the connection ended {length - len(data)} bytes too early"
        data += chunk
    return bytes(data)


def read_answer(sock: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Read one response with Content-Length; return status, fields and body. The connection may stay open."""
    head, body = read_head(sock)
    named = fields(head)
    length = int(named.get("content-length", "0"))
    body += read_exactly(sock, length - len(body))
    assert len(body) == length, f"{len(body) - length} bytes too many"
    return int(head.split(b" ", 2)[1]), named, body


@contextmanager
def occupied_slot(port: int) -> Iterator[None]:
    """Keep a slot of a full server by sending requests all the time, the last at the end.

    A silent client would lose it after about two seconds.
    """
    is_over = threading.Event()
    sock = connect(port)

    def ask() -> int:
        sock.sendall(b"GET /ten.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        return read_answer(sock)[0]

    def go_on() -> list[int]:
        statuses = [ask()]
        while not is_over.wait(0.05):
            statuses.append(ask())
        return [*statuses, ask()]

    with sock, ThreadPoolExecutor(1) as thread:
        assert ask() == 200
        asking = thread.submit(go_on)
        try:
            yield
        finally:
            is_over.set()
        assert set(asking.result()) == {200}


def get(port: int, target: str, *more: str) -> tuple[int, dict[str, str], bytes]:
    """Send a GET on a new connection; return status, fields and body of the response."""
    lines = [f"GET {target} HTTP/1.0", *more, "", ""]
    answer = converse(port, ["\r\n".join(lines).encode("iso-8859-1")])
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), fields(head), body
