"""One read step, one write step, and the blocking pump made of them.

TCP is a pipe of bytes: one send of the peer is not one recv here, and what we send may be taken in part. So a step
moves what can be moved and tells the connection how much that was.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import struct
import termios
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from errno import EINVAL, ENOSYS, ENOTSUP

from httpmini.protocol.body import FileSlice
from httpmini.server.admission import Slot
from httpmini.server.connection import Connection, Interest, Peer
from httpmini.server.control import Signal
from httpmini.server.error_log import describe

RECEIVE_BYTES = 64 * 1024
SEND_BYTES = 1024 * 1024  # of a file, in one sendfile: the kernel takes what fits into its buffer
COPY_BYTES = 64 * 1024  # of a file that sendfile cannot read
DRAIN_LOOK_S = 0.25
WRITES_PER_TURN = 16  # so that one fast reader does not keep the reactor from the others

OPEN = frozenset({Interest.READ, Interest.WRITE, Interest.LINGER})
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger: on, for 0 seconds
_MSG_MORE = getattr(socket, "MSG_MORE", 0)  # Linux: hold back a short segment, the file follows at once


@dataclass(eq=False, slots=True)
class Client:
    """A socket, its conversation, and its place.

    Attributes:
        sock: does not block.
        peer: whose it is.
        connection: what is said on it.
        slot: its place among max_clients, or among those that are being refused; None when another process counts it.
        has_said_goodbye: whether our half of the connection is shut down.
        unacknowledged: how many bytes the kernel held for the peer when it last took no more, or when we last looked.
    """

    sock: socket.socket
    peer: Peer
    connection: Connection
    slot: Slot | None
    has_said_goodbye: bool = False
    unacknowledged: int = 0

    def close(self) -> None:
        """Give back the slot, then close: who sees the close may come in again at once."""
        try:
            if self.slot is not None:
                self.slot.release()
            if self.connection.aborted:
                with contextlib.suppress(OSError):  # the peer may be gone already
                    self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        finally:
            self.sock.close()


def contained(client: Client, log: Callable[[str], None], step: Callable[[Client], None]) -> None:
    """Do ``step`` for ``client``: a fault of ours in it costs this client its connection, and nobody else anything."""
    try:
        step(client)
    except Exception as fault:
        log(f"fault while serving a client: {describe(fault)}")
        client.connection.lose(time.monotonic())


def advance(client: Client, now: float) -> None:
    """Move what can be moved without waiting: one read, then as many writes as the kernel takes (in bounds)."""
    connection = client.connection
    if connection.interest in (Interest.READ, Interest.LINGER):
        _read(client.sock, connection, now)
    for _ in range(WRITES_PER_TURN):
        if connection.interest is not Interest.WRITE:
            break
        if not _write(client.sock, connection, now):
            client.unacknowledged = _unacknowledged(client.sock)
            break
    if connection.interest is Interest.LINGER and not client.has_said_goodbye:
        _say_goodbye(client)


def expire(client: Client, now: float) -> None:
    """The deadline has passed; but a peer that takes what the kernel holds for it is slow, not gone.

    The kernel says that there is room again only when a good part of its buffer is empty, which takes a slow reader
    longer than any patience. So ask it how much the peer has taken since.
    """
    left = _unacknowledged(client.sock)
    if client.connection.interest in (Interest.WRITE, Interest.LINGER) and left < client.unacknowledged:
        client.unacknowledged = left
        client.connection.progress(now)
    else:
        client.connection.expire(now)
        advance(client, now)


def drain(client: Client, now: float) -> None:
    """The server is stopping: take what has arrived already, then let the connection come to its end."""
    advance(client, now)
    client.connection.drain(now)
    advance(client, now)


def pump(client: Client, signal: Signal, during: Collection[Interest] = OPEN) -> None:
    """Move bytes, waiting where there is nothing to move, as long as the connection's interest is in ``during``."""
    connection = client.connection
    drained = False
    while connection.interest in during:
        now = time.monotonic()
        if signal.draining and not drained:
            drained = True
            drain(client, now)
        elif now >= signal.deadline:
            connection.lose(now)
        elif now >= connection.deadline:
            expire(client, now)
        elif _wait(client, signal, now):
            advance(client, time.monotonic())


def _wait(client: Client, signal: Signal, now: float) -> bool:
    """Whether the socket became ready before the deadline, and before ``signal`` had something to say."""
    poll = select.poll()
    poll.register(client.sock, select.POLLOUT if client.connection.interest is Interest.WRITE else select.POLLIN)
    if not signal.draining:
        poll.register(signal, select.POLLIN)
    wait_s = max(0.0, min(client.connection.deadline, signal.deadline) - now)
    if signal.draining:  # a second signal may bring the end forward
        wait_s = min(wait_s, DRAIN_LOOK_S)
    ready = {fd for fd, _ in poll.poll(wait_s * 1000 + 1)}
    if not signal.draining and signal.fileno() in ready:
        signal.clear(time.monotonic())
    return client.sock.fileno() in ready


def _say_goodbye(client: Client) -> None:
    """End our half and go on to linger; or close at once when nothing can be lost by it.

    That is so when the peer's kernel has acknowledged everything and the peer is not likely to send more. It saves one
    event for each connection that serves one request.
    """
    client.unacknowledged = _unacknowledged(client.sock)
    if not client.connection.expects_more and client.unacknowledged == 0 and _unread(client.sock) == 0:
        client.connection.abandon()
        return
    client.has_said_goodbye = True
    with contextlib.suppress(OSError):  # the peer has ended before us
        client.sock.shutdown(socket.SHUT_WR)


def _unacknowledged(sock: socket.socket) -> int:
    """Bytes that were sent and not acknowledged yet."""
    return _ask_kernel(sock, termios.TIOCOUTQ)


def _unread(sock: socket.socket) -> int:
    """Bytes that were received and not read yet."""
    return _ask_kernel(sock, termios.FIONREAD)


def _ask_kernel(sock: socket.socket, request: int) -> int:
    try:
        return int(struct.unpack("i", fcntl.ioctl(sock, request, b"\0\0\0\0"))[0])
    except OSError:  # not on this system, or the connection is gone
        return 0


def _read(sock: socket.socket, connection: Connection, now: float) -> None:
    try:
        data = sock.recv(RECEIVE_BYTES)
    except BlockingIOError:
        return
    except OSError:
        connection.lose(now)
        return
    connection.receive(data, now)


def _write(sock: socket.socket, connection: Connection, now: float) -> bool:
    """Whether anything went out."""
    piece, position, more = connection.output()
    try:
        if isinstance(piece, FileSlice):
            count = _send_file(sock, piece, position)
        else:
            count = sock.send(memoryview(piece)[position:], _MSG_MORE if more else 0)
    except BlockingIOError:
        return False
    except OSError:
        connection.lose(now)
        return False
    if count == 0:  # the file has shrunk: the announced length cannot be kept, and the peer must see that
        connection.lose(now)
        return False
    connection.sent(count, now)
    return True


def _send_file(sock: socket.socket, piece: FileSlice, position: int) -> int:
    offset, count = piece.offset + position, min(piece.length - position, SEND_BYTES)
    try:
        return os.sendfile(sock.fileno(), piece.fd, offset, count)
    except OSError as error:
        if error.errno not in (EINVAL, ENOSYS, ENOTSUP):  # some file systems cannot (FUSE, /proc)
            raise
    data = os.pread(piece.fd, min(count, COPY_BYTES), offset)
    return sock.send(data) if data else 0
