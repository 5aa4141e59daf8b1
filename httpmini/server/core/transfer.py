"""One read step, one write step, and the blocking pump made of them.

TCP is a pipe of bytes: one send of the peer is not one recv here, and what we send may be taken in part. So a step
moves what can be moved and tells the connection how much that was.

Descriptors, not socket objects: making one for each client costs more than accepting it. ``read`` and ``write`` are
``recv`` and ``send`` without flags; for what needs more there is ``Client.sock``.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import struct
import sys
import termios
import time
from collections.abc import Callable, Collection
from errno import EINVAL, ENOSYS, ENOTSUP

from httpmini.protocol.body import FileSlice
from httpmini.server.core.connection import LOCAL, Connection, Interest, Peer
from httpmini.server.core.shutdown import StopSignal
from httpmini.server.limits.admission import Slot
from httpmini.server.logs.error import Level, Log, describe

RECEIVE_BYTES = 16 * 1024
SEND_BYTES = 2 * 1024 * 1024  # of a file, in one sendfile: the kernel takes what fits into its buffer
COPY_BYTES = 64 * 1024  # of a file that sendfile cannot read
DRAIN_LOOK_S = 0.25
WRITES_PER_TURN = 8  # so that one fast reader does not keep the reactor from the others

OPEN = frozenset({Interest.READ, Interest.WRITE, Interest.PAUSE, Interest.LINGER})
HANG_UP = select.POLLERR  # what poll and epoll report in any case: all that who pauses wants to hear of
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger: on, for 0 seconds
_CORK = getattr(socket, "TCP_CORK", None)  # Linux


class Client:
    """A connected socket, its conversation, and its place.

    Args:
        fd: the socket's descriptor, which belongs to this client from now on; it does not block.
        peer: whose it is.
        connection: what is said on it.
        slot: its place among max_clients, or among those that are being refused; None when another process counts it.

    Attributes:
        has_said_goodbye: whether our half of the connection is shut down.
        is_corked: whether the kernel holds back what is no full segment.
        unacknowledged: how many bytes the kernel held for the peer when it last took no more, or when we last looked.
        step: moves its bytes when it is ready; true when it is certain that it waits for the same as before.
        watched: the events that a reactor waits for on it, as ``poll`` knows them; 0 while it is in none.
    """

    __slots__ = (
        "_sock",
        "connection",
        "fd",
        "has_said_goodbye",
        "is_corked",
        "peer",
        "slot",
        "step",
        "unacknowledged",
        "watched",
    )

    def __init__(self, fd: int, peer: Peer, connection: Connection, slot: Slot | None) -> None:
        self.fd = fd
        self.peer = peer
        self.connection = connection
        self.slot = slot
        self.has_said_goodbye = False
        self.is_corked = False
        self.unacknowledged = 0
        self.watched = 0
        self.step: Callable[[Client, float], bool] = advance
        self._sock: socket.socket | None = None

    @property
    def sock(self) -> socket.socket:
        """The same socket as an object, made when it is first asked for."""
        if self._sock is None:
            self._sock = socket.socket(fileno=self.fd)
        return self._sock

    def describe(self, now: float) -> str:
        """Where it is, in one line: state, bytes, seconds."""
        connection = self.connection
        return (
            f"client {self.peer.host}:{self.peer.port}: {connection.interest.name}, "
            f"{connection.sent_bytes} bytes sent, {now - connection.begun:.1f} s, process {os.getpid()}"
        )

    def release(self) -> None:
        """Give back the slot."""
        if self.slot is not None:
            self.slot.release()

    def close(self) -> None:
        """Give back the slot, then close: who sees the close may come in again at once."""
        try:
            self.release()
            if self.connection.aborted:
                with contextlib.suppress(OSError):  # the peer may be gone already
                    self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        finally:
            self.close_descriptor()

    def hang_up(self) -> None:
        """End the connection also when another process has a copy of the socket."""
        with contextlib.suppress(OSError):  # it has ended
            self.sock.shutdown(socket.SHUT_RDWR)

    def forget(self) -> None:
        """In a child: close its copy of the socket of a client that a thread of the parent serves.

        The thread may have closed it, and something else may have got its number since.
        """
        try:
            sock = socket.socket(fileno=self.fd)
        except OSError:
            return
        try:
            name = sock.getpeername()
            if ((LOCAL, 0) if name == "" else name[:2]) != self.peer[:2]:
                sock.detach()
        except OSError:
            sock.detach()
        sock.close()

    def close_descriptor(self) -> None:
        """Close this process's copy of the socket, and nothing else."""
        if self._sock is not None:
            self._sock.detach()
        try:  # noqa: SIM105  (a context manager costs half as much as the close)
            os.close(self.fd)
        except ConnectionError:  # the peer was gone
            pass


def contained(client: Client, log: Log, step: Callable[[Client], None]) -> None:
    """Do ``step`` for ``client``: a fault of ours in it costs this client its connection, and nobody else anything."""
    try:
        step(client)
    except Exception as fault:
        log(f"fault while serving a client: {describe(fault)}", Level.ERROR)
        client.connection.lose(time.monotonic())


def advance(client: Client, now: float) -> bool:
    """Move what can be moved without waiting: one read, then as many writes as the kernel takes (in bounds).

    The connection is not CLOSED.

    Returns:
        Whether it is certain that the client waits for the same as before.
    """
    connection = client.connection
    if not connection.output:
        if _read(client, connection, now):
            return True
    elif connection.interest is Interest.PAUSE:  # nothing is waited for, so what is ready is the connection's end
        connection.lose(now)
        return False
    if len(connection.output) > 1 and not client.is_corked:
        _cork(client, True)
    writes = 0
    while connection.output and writes < WRITES_PER_TURN:
        if not _write(client, connection, now):
            client.unacknowledged = _unacknowledged(client.fd)
            break
        writes += 1
    if client.is_corked and not connection.output:
        _cork(client, False)
    if connection.interest is Interest.LINGER and not client.has_said_goodbye:
        _say_goodbye(client)
    return False


def expire(client: Client, now: float) -> bool:
    """The deadline has passed; but perhaps it is us who are late: what has arrived is taken first.

    And a peer that takes what the kernel holds for it is slow, not gone. The kernel says that there is room again only
    when a good part of its buffer is empty, which takes a slow reader longer than any patience. So ask it how much the
    peer has taken since.
    """
    connection = client.connection
    if connection.interest is Interest.PAUSE:
        connection.resume(now)
        advance(client, now)
        return False
    left = _unacknowledged(client.fd)
    if connection.interest in (Interest.WRITE, Interest.LINGER) and left < client.unacknowledged:
        client.unacknowledged = left
        connection.progress(now)
        return False
    advance(client, now)
    if connection.interest is not Interest.CLOSED and connection.deadline <= now:
        connection.expire(now)
        _advance_if_open(client, now)
    return False


def drain(client: Client, now: float) -> bool:
    """The server is stopping: take what has arrived already, then let the connection come to its end."""
    _advance_if_open(client, now)
    client.connection.drain(now)
    _advance_if_open(client, now)
    return False


def _advance_if_open(client: Client, now: float) -> None:
    if client.connection.interest not in (Interest.CLOSED, Interest.PAUSE):
        advance(client, now)


def pump(
    client: Client,
    signal: StopSignal,
    during: Collection[Interest] = OPEN,
    look: Callable[[], None] = lambda: None,
    longest_wait_s: float | None = None,
) -> None:
    """Move bytes, waiting where there is nothing to move, as long as the connection's interest is in ``during``.

    ``look`` is called after each wait, which takes no longer than ``longest_wait_s``.
    """
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
        else:
            if _wait(client, signal, now, longest_wait_s):
                advance(client, time.monotonic())
            look()


def _wait(client: Client, signal: StopSignal, now: float, longest_s: float | None) -> bool:
    """Whether the socket became ready before the deadline, and before ``signal`` had something to say."""
    poll = select.poll()
    interest = client.connection.interest
    wanted = select.POLLOUT if interest is Interest.WRITE else HANG_UP if interest is Interest.PAUSE else select.POLLIN
    poll.register(client.fd, wanted)
    if not signal.draining:
        poll.register(signal, select.POLLIN)
    wait_s = max(0.0, min(client.connection.deadline, signal.deadline) - now)
    if longest_s is not None:
        wait_s = min(wait_s, longest_s)
    if signal.draining:  # a second signal may bring the end forward
        wait_s = min(wait_s, DRAIN_LOOK_S)
    ready = {fd for fd, _ in poll.poll(wait_s * 1000 + 1)}
    if not signal.draining and signal.fileno() in ready:
        signal.clear(time.monotonic())
    return client.fd in ready


def _say_goodbye(client: Client) -> None:
    """End our half and go on to linger; or close at once when nothing can be lost by it.

    That is so when the peer is not likely to send more, its kernel has acknowledged everything, and nothing unread from
    it is here. It saves one event for each connection that serves one request.
    """
    if not client.connection.expects_more and _is_settled(client.fd):
        client.connection.abandon()
        return
    client.unacknowledged = _unacknowledged(client.fd)
    client.has_said_goodbye = True
    with contextlib.suppress(OSError):  # the peer has ended before us
        client.sock.shutdown(socket.SHUT_WR)


def _is_settled(fd: int) -> bool:
    """Whether the kernel holds nothing for the peer, and nothing from it."""
    return not _unacknowledged(fd) and not _ask_kernel(fd, termios.FIONREAD)


def _unacknowledged(fd: int) -> int:
    """Bytes that were sent and not acknowledged yet."""
    return _ask_kernel(fd, termios.TIOCOUTQ)


def _ask_kernel(fd: int, what: int) -> int:
    """A number of bytes; 0 when this system cannot say, or the connection is gone."""
    answer = bytearray(4)  # one that can be written into makes it two and a half times as fast
    try:
        fcntl.ioctl(fd, what, answer)
    except OSError:
        return 0
    return int.from_bytes(answer, sys.byteorder)


def _read(client: Client, connection: Connection, now: float) -> bool:
    """Take what is there. True when an answer to it lay ready, is sent, and nothing is left to do."""
    try:
        data = os.read(client.fd, RECEIVE_BYTES)
    except BlockingIOError:
        return False
    except OSError:
        connection.lose(now)
        return False
    answer = connection.find_ready(data, now)
    if answer is None:
        connection.receive(data, now)
        return False
    try:
        count = os.write(client.fd, answer)
    except OSError:
        count = 0  # what is wrong is seen when it is tried again
    return connection.sent_ready(answer, count, now)


def _cork(client: Client, on: bool) -> None:
    """Have only full segments leave, so that a head goes with its file, and the file's pages together: a large one
    arrives in two thirds of the time. What is left leaves when that is over.
    """
    client.is_corked = on
    if _CORK is not None:
        with contextlib.suppress(OSError):  # not TCP, or gone
            client.sock.setsockopt(socket.IPPROTO_TCP, _CORK, on)


def _write(client: Client, connection: Connection, now: float) -> bool:
    """Whether anything went out."""
    piece, position = connection.output[0], connection.position
    most = SEND_BYTES
    if connection.throttle is not None:
        most = connection.ask_to_send(connection.throttle, now)
        if not most:
            return False
    try:
        if isinstance(piece, FileSlice):
            count = _send_file(client.fd, piece, position, most)
        else:
            whole = not position and len(piece) <= most
            count = os.write(client.fd, piece if whole else memoryview(piece)[position : position + most])
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


def _send_file(fd: int, piece: FileSlice, position: int, most: int) -> int:
    offset, count = piece.offset + position, min(piece.length - position, most)
    try:
        return os.sendfile(fd, piece.fd, offset, count)
    except OSError as error:
        if error.errno not in (EINVAL, ENOSYS, ENOTSUP):  # some file systems cannot (FUSE, /proc)
            raise
    data = os.pread(piece.fd, min(count, COPY_BYTES), offset)
    return os.write(fd, data) if data else 0
