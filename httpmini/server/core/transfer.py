"""One read step, one write step, and the blocking pump made of them.

TCP is a pipe of bytes: one send of the peer is not one recv here, and what we send may be taken in part. So a step
moves what can be moved and tells the connection how many bytes that was.

Descriptors, not socket objects: making an object for each client costs more than accepting it. ``read`` and ``write``
are ``recv`` and ``send`` without flags; for what needs more there is ``Client.sock``.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import time
from collections.abc import Callable, Collection
from math import inf

from httpmini.server.core.connection import CLOSED, LINGER, PAUSE, READ, WORK, WRITE, Connection, Interest, Service
from httpmini.server.core.kernel import is_settled, send_some, unacknowledged
from httpmini.server.core.shutdown import StopSignal
from httpmini.server.core.turn import next_turn
from httpmini.server.limits.admission import Slot
from httpmini.server.listeners.peer import LOCAL, Peer
from httpmini.server.logs.error import Level, Log, describe

RECEIVE_BYTES = 16 * 1024
SEND_BYTES = 2 * 1024 * 1024  # of a file, in one sendfile: the kernel takes what fits into its buffer
WRITER_LOOK_S = 0.25  # how often a thread or a child finds out how much its client has taken
# How long a client that takes nothing counts as making progress. What it took last buys it more time, up to a bound,
# since a receiver with a large buffer reports its progress in large steps. A client that needs longer takes almost
# nothing, which matters only while others wait for a slot.
PATIENCE_S, PATIENCE_BYTES_PER_S, LONGEST_PATIENCE_S = 0.75, 32 * 1024, 3.0
WRITES_PER_TURN = 8  # so that one fast reader does not keep the reactor from the others

OPEN = frozenset({READ, WRITE, PAUSE, WORK, LINGER})
HANG_UP = select.POLLERR  # reported by poll and epoll in any case: all that a paused client needs to hear of
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger: on, for 0 seconds
_CORK = getattr(socket, "TCP_CORK", None)  # Linux

Step = Callable[["Client", float, int], bool]
"""Moves a client's bytes at a time and in a turn; returns whether it certainly waits for the same as before."""


class Client:
    """A connected socket, its conversation, and its slot.

    Args:
        fd: the socket's descriptor, which belongs to this client from now on; it does not block.
        peer: the other end.
        connection: the conversation on it.
        slot: its slot among max_clients, or among the clients being refused; None when another process counts it.

    Attributes:
        has_shut_down: whether our half of the connection is shut down.
        is_corked: whether the kernel holds back partial segments.
        unacknowledged: how many bytes the kernel held for the peer when it last took no more, or when we last looked.
        step: moves its bytes when it is ready.
        taken: how many bytes the peer had taken in all when ``note_progress`` last looked; -1 while it is not sent to.
        patient_until: until when it is patiently waited for if it takes nothing more.
        watched: the events that a reactor waits for on it, as ``poll`` knows them; 0 while it is in none.
    """

    __slots__ = (
        "_sock",
        "connection",
        "fd",
        "has_shut_down",
        "is_corked",
        "patient_until",
        "peer",
        "slot",
        "step",
        "taken",
        "unacknowledged",
        "watched",
    )

    def __init__(self, fd: int, peer: Peer, connection: Connection, slot: Slot | None) -> None:
        self.fd = fd
        self.peer = peer
        self.connection = connection
        self.slot = slot
        self.has_shut_down = False
        self.is_corked = False
        self.unacknowledged = 0
        self.taken = -1
        self.patient_until = 0.0
        self.watched = 0
        self.step: Step = advance
        self._sock: socket.socket | None = None

    @property
    def sock(self) -> socket.socket:
        """The socket as an object, made when it is first asked for."""
        if self._sock is None:
            self._sock = socket.socket(fileno=self.fd)
        return self._sock

    def note_progress(self, now: float) -> None:
        """Find out whether the peer takes what it is sent; called now and then while others may want its slot."""
        if self.connection.interest is not WRITE:
            self.taken = -1
            return
        taken = self.connection.sent_bytes - unacknowledged(self.fd)
        if self.taken < 0:  # what its kernel's buffer has room for is no sign of life
            self.patient_until = now + PATIENCE_S
        elif taken > self.taken:
            bought_s = (taken - self.taken) / PATIENCE_BYTES_PER_S
            self.patient_until = now + max(PATIENCE_S, min(bought_s, LONGEST_PATIENCE_S))
        self.taken = taken

    def quiet_since(self, now: float) -> float:
        """Return since when the client does nothing with its slot; the future for one that uses it."""
        match self.connection.interest:
            case Interest.WRITE:
                return self.patient_until if self.taken >= 0 and self.patient_until < now else inf
            case Interest.READ | Interest.LINGER:
                return self.connection.quiet_since
            case _:
                return inf

    def describe(self, now: float) -> str:
        """Say in one line where the client is: state, bytes, seconds."""
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
        """Give back the slot, then close: a client that sees the close may connect again at once."""
        try:
            self.connection.on_closed()
            if self.slot is not None:
                self.slot.release()
            if self.connection.aborted:
                with contextlib.suppress(OSError):  # the peer may be gone already
                    self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        finally:
            self.close_descriptor()

    def hang_up(self, how: int = socket.SHUT_RDWR) -> None:
        """End the connection even if another process has a copy of the socket; or only the stream that we read."""
        with contextlib.suppress(OSError):  # it has ended
            sock = socket.socket(fileno=self.fd)  # an object of its own: another thread may call this
            try:
                sock.shutdown(how)
            finally:
                sock.detach()

    def close_copy(self) -> None:
        """Close a child's copy of the socket of a client that a thread of the parent serves.

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


def welcome(service: Service, fd: int, peer: Peer, slot: Slot, log: Log) -> Client | None:
    """Return the client that was admitted; None when a fault of ours has cost it its connection."""
    try:
        return Client(fd, peer, service.connect(peer, time.monotonic()), slot)
    except Exception as fault:
        slot.release()
        os.close(fd)
        log(f"fault while accepting a client: {describe(fault)}", Level.ERROR)
        return None


def contained(client: Client, log: Log, step: Callable[[Client], None]) -> None:
    """Call ``step``: a fault of ours in it costs this client its connection, and the others nothing."""
    try:
        step(client)
    except Exception as fault:
        log(f"fault while serving a client: {describe(fault)}", Level.ERROR)
        client.connection.lose(time.monotonic())


def advance(client: Client, now: float, turn: int) -> bool:
    """Move what can be moved without waiting: one read, then as many writes as the kernel takes, within bounds.

    The connection is not CLOSED.

    Args:
        client: whose bytes to move.
        now: the time.
        turn: the token of this turn.

    Returns:
        Whether the client certainly waits for the same as before.
    """
    connection = client.connection
    if connection.output:
        _flush(client, connection, now)
        return False
    try:
        data = os.read(client.fd, RECEIVE_BYTES)
    except BlockingIOError:
        return False
    except OSError:
        connection.lose(now)
        return False
    octets = connection.receive(data, now, turn)
    if octets is not None:
        try:
            count = os.write(client.fd, octets)
        except OSError:
            count = 0  # what is wrong is seen when it is tried again
        if count == len(octets):
            connection.sent_at_once(count, now)
            if connection.next_interest is READ:
                return True
        else:
            connection.send_later(octets, count, now)
    if connection.output:
        _flush(client, connection, now)
        return False
    if connection.next_interest is LINGER and not client.has_shut_down:
        _shut_down(client)
    return False


def _flush(client: Client, connection: Connection, now: float) -> None:
    """Send what the kernel takes, within bounds; when all is sent and nothing follows, end our half."""
    if connection.interest is PAUSE:  # no event is waited for, so this one is the connection's end
        connection.lose(now)
        return
    output = connection.output
    if len(output) > 1 and not client.is_corked:
        _cork(client, True)
    writes = 0
    while output and writes < WRITES_PER_TURN and connection.work is None:
        most = SEND_BYTES if connection.throttle is None else connection.ask_to_send(connection.throttle, now)
        piece = output[0]
        try:
            if type(piece) is bytes and not connection.position and len(piece) <= most:  # a whole small response
                count = os.write(client.fd, piece)
            else:
                count = send_some(client.fd, piece, connection.position, most)
        except BlockingIOError:
            client.unacknowledged = unacknowledged(client.fd)
            connection.on_blocked()
            break
        except OSError:
            count = 0
        if count == 0:
            connection.lose(now)
            break
        connection.sent(count, now)
        writes += 1
    if client.is_corked and (not output or connection.work is not None):
        _cork(client, False)
    if connection.next_interest is LINGER and not output and not client.has_shut_down:
        _shut_down(client)


def expire(client: Client, now: float, turn: int) -> bool:
    """React to a deadline that has passed; but perhaps we are late ourselves: what has arrived is taken first.

    A peer that takes what the kernel holds for it is slow, not gone. The kernel says that there is room again only when
    a good part of its buffer is empty, which takes a slow reader longer than any timeout. So ask it how much the peer
    has taken since.
    """
    connection = client.connection
    if connection.interest is PAUSE:
        connection.resume(now)
        advance(client, now, turn)
        return False
    left = unacknowledged(client.fd)
    if connection.interest in (WRITE, LINGER) and left < client.unacknowledged:
        client.unacknowledged = left
        connection.progress(now)
        return False
    advance(client, now, turn)
    if connection.interest is not CLOSED and connection.deadline <= now:
        connection.expire(now)
        _advance_if_open(client, now, turn)
    return False


def go_on(client: Client, now: float, turn: int) -> bool:
    """React to the end of the work that the connection waited for."""
    connection = client.connection
    connection.work_done(now)
    if connection.interest is not WORK and connection.interest is not CLOSED:
        client.step(client, now, turn)
    return False


def drain(client: Client, now: float, turn: int) -> bool:
    """Take what has arrived already, then let the connection come to its end: the server is stopping."""
    _advance_if_open(client, now, turn)
    client.connection.drain(now)
    _advance_if_open(client, now, turn)
    return False


def retire(client: Client, now: float, turn: int) -> bool:
    """Take what has arrived already, then let the connection answer at most the request that it was made for."""
    _advance_if_open(client, now, turn)
    client.connection.retire(now)
    _advance_if_open(client, now, turn)
    return False


def make_way(client: Client, now: float, turn: int) -> bool:
    """End the connection at once for the sake of others: say what there is to say, and wait for nothing."""
    connection = client.connection
    if connection.interest is READ:
        connection.on_timeout(now)
        _advance_if_open(client, now, turn)
    connection.lose(now)
    return False


def _advance_if_open(client: Client, now: float, turn: int) -> None:
    if client.connection.interest not in (CLOSED, PAUSE, WORK):
        advance(client, now, turn)


def pump(
    client: Client,
    signal: StopSignal,
    during: Collection[Interest] = OPEN,
    look: Callable[[], object] = lambda: None,
    longest_wait_s: float | None = None,
) -> None:
    """Move bytes, waiting where there is nothing to move, as long as the connection's interest is in ``during``.

    Args:
        client: whose bytes to move.
        signal: says when to drain, and by when to end.
        during: the interests to serve.
        look: called after each wait; what is true ends the pump.
        longest_wait_s: how long a wait may take; None for as long as the deadlines allow.
    """
    connection = client.connection
    drained = False
    while connection.interest in during:
        now = time.monotonic()
        if now >= signal.deadline:
            make_way(client, now, next_turn())
        elif signal.draining and not drained:
            drained = True
            end = retire if signal.replaced else drain
            end(client, now, next_turn())
        elif connection.work is not None:
            connection.work.run()
            go_on(client, time.monotonic(), next_turn())
            if connection.work is not None:
                _hear(signal)  # work may come in many pieces, and nothing is waited for between them
            if look():
                return
        elif now >= connection.deadline:
            expire(client, now, next_turn())
        else:
            is_ready = _wait(client, signal, now, longest_wait_s)
            now = time.monotonic()
            if is_ready and now < signal.deadline:
                advance(client, now, next_turn())
            client.note_progress(now)
            if look():
                return


def _hear(signal: StopSignal) -> None:
    """Take note of what ``signal`` has to say, without waiting."""
    if signal.may_have_news:
        poll = select.poll()
        poll.register(signal, select.POLLIN)
        if poll.poll(0):
            signal.clear(time.monotonic())


def _wait(client: Client, signal: StopSignal, now: float, longest_s: float | None) -> bool:
    """Return whether the socket became ready before the deadline, and before ``signal`` had something to say."""
    poll = select.poll()
    interest = client.connection.interest
    wanted = select.POLLOUT if interest is WRITE else HANG_UP if interest is PAUSE else select.POLLIN
    poll.register(client.fd, wanted)
    if signal.may_have_news:
        poll.register(signal, select.POLLIN)
    wait_s = max(0.0, min(client.connection.deadline, signal.deadline) - now)
    if longest_s is not None:
        wait_s = min(wait_s, longest_s)
    if interest is WRITE:
        wait_s = min(wait_s, WRITER_LOOK_S)
    ready = {fd for fd, _ in poll.poll(wait_s * 1000 + 1)}
    if signal.fileno() in ready:
        signal.clear(time.monotonic())
    return client.fd in ready


def _shut_down(client: Client) -> None:
    """End our half and go on to linger; or close at once when nothing can be lost by it.

    That is so when the peer is not likely to send more, its kernel has acknowledged everything, and nothing unread from
    it is here. It saves one event for each connection that serves one request.
    """
    if not client.connection.expects_more and is_settled(client.fd):
        client.connection.abandon()
        return
    client.unacknowledged = unacknowledged(client.fd)
    client.has_shut_down = True
    client.connection.on_shut_down()
    with contextlib.suppress(OSError):  # the peer has ended before us
        client.sock.shutdown(socket.SHUT_WR)


def _cork(client: Client, on: bool) -> None:
    """Have only full segments leave, so that a head goes with its file, and the file's pages together.

    A large file arrives in two thirds of the time. What is left leaves when the cork is taken off.
    """
    client.is_corked = on
    if _CORK is not None:
        with contextlib.suppress(OSError):  # not TCP, or gone
            client.sock.setsockopt(socket.IPPROTO_TCP, _CORK, on)
