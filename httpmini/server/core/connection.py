"""What a mode knows of a client: bytes in, pieces out, what is wanted next, and until when.

A Connection has no socket and no clock. Whoever owns the socket asks for ``interest``, moves bytes, and says how many
and at what time. Everything that depends on the protocol is in a subclass (``http_connection.py``;
``examples/`` has two that are not HTTP), everything that does not is here: the queue of output, patience with peers
that do not read, and the lingering close.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum
from typing import Protocol

import msgspec

from httpmini.protocol.body import Piece
from httpmini.server.limits.bandwidth import Throttle
from httpmini.server.listeners.peer import LOCAL, Peer

__all__ = ["LOCAL", "Connection", "Interest", "Peer", "Refusal", "Service", "Timeouts"]


class Interest(Enum):
    """What a connection waits for."""

    READ = "bytes from the peer"
    WRITE = "room to send"
    PAUSE = "its turn to send, by its deadline"
    LINGER = "the peer's end, after ours; what it still sends is thrown away"
    CLOSED = "nothing any more"


class Refusal(Enum):
    """Why a client is turned away before it has said a word."""

    BUSY = "max_clients are being served"
    DENIED = "its address is not allowed"
    CROWDED = "its address has all the places that it may have"
    RESOURCES = "the machine has no process, thread or descriptor for it"


class Timeouts(msgspec.Struct, frozen=True):
    """How long a client is waited for.

    Attributes:
        idle_s: seconds without any byte while nothing is asked or answered.
        send_stall_s: seconds in which a client that is being sent to takes nothing.
        linger_s: seconds that we wait for the peer's end after ours.
        linger_bytes: how much we throw away meanwhile.
    """

    idle_s: float
    send_stall_s: float
    linger_s: float
    linger_bytes: int


class Connection(ABC):
    """One client's conversation, without I/O. Times are seconds of one monotonic clock.

    Attributes:
        patience: how long the peer is waited for.
        begun: when it was made.
        output: the pieces that are to be sent.
        position: how much of the first of them is out.
        sent_bytes: how much has gone out in all.
        expects_more: whether the peer is likely to send more although we have ended.
        deadline: when ``expire`` is to be called unless something happens before. Every byte received or sent winds it
            up again; a subclass that is stricter sets it in ``on_data``.
        throttle: how fast it may send; None is as fast as it can.
        aborted: whether the peer must see that the connection broke (RST), because an answer is incomplete.
    """

    # Slots: with 10,000 clients that wait, each byte of these counts.
    __slots__ = (
        "_lingered_bytes",
        "_peer_ended",
        "_then",
        "aborted",
        "begun",
        "deadline",
        "expects_more",
        "output",
        "position",
        "sent_bytes",
        "throttle",
        "timeouts",
    )

    def __init__(self, timeouts: Timeouts, now: float) -> None:
        self.timeouts = timeouts
        self.begun = now
        self.output: list[Piece] = []
        self.position = 0
        self.sent_bytes = 0
        self._then = Interest.READ  # what follows when the output is out
        self._lingered_bytes = 0
        self._peer_ended = False
        self.deadline = now + timeouts.idle_s
        self.expects_more = True
        self.aborted = False
        self.throttle: Throttle | None = None

    @property
    def interest(self) -> Interest:
        """What to wait for now."""
        if not self.output:
            return self._then
        return Interest.PAUSE if self.throttle is not None and self.throttle.is_waiting else Interest.WRITE

    @property
    def is_ending(self) -> bool:
        """Whether nothing more will be said than what is queued."""
        return self._then is not Interest.READ

    # What the owner of the socket reports.

    def receive(self, data: bytes, now: float) -> None:
        """Bytes have come; ``b""`` is the peer's end of sending. It may still read, so what it asked is answered."""
        if self._then is Interest.LINGER:
            self._lingered_bytes += len(data)
            if not data or self._lingered_bytes > self.timeouts.linger_bytes:
                self.abandon()
        elif data:
            self.deadline = now + self.timeouts.idle_s
            self.on_data(data, now)
        else:
            self._peer_ended = True
            self.on_end(now)

    def find_ready(self, data: bytes, now: float) -> bytes | None:  # noqa: ARG002
        """The answer to ``data``, which has just come, if all of it lies ready; then ``sent_ready`` is called next.

        None says nothing: then ``receive`` finds out.
        """
        return None

    def sent_ready(self, answer: bytes, count: int, now: float) -> bool:
        """``count`` bytes of what ``find_ready`` found have gone out. Whether nothing is left to do but to wait."""
        raise NotImplementedError

    def ask_to_send(self, throttle: Throttle, now: float) -> int:
        """How many bytes of the piece may go out now. When that is none, its ``interest`` is to pause."""
        count, moment = throttle.ask(len(self.output[0]) - self.position, now)
        if moment <= now:
            return count
        self.deadline = moment
        return 0

    def sent(self, count: int, now: float) -> None:
        """``count`` bytes of the piece have gone out."""
        if self.throttle is not None:
            self.throttle.spend(count)
        self.position += count
        self.sent_bytes += count
        self.deadline = now + self.timeouts.send_stall_s
        if self.position == len(self.output[0]):
            del self.output[0]
            self.position = 0
            if not self.output:
                self.on_flushed(now)

    def expire(self, now: float) -> None:
        """The deadline has passed."""
        match self.interest:
            case Interest.WRITE:
                self.lose(now)
            case Interest.READ:
                self.on_timeout(now)
            case Interest.PAUSE:
                self.resume(now)
            case _:
                self.abandon()

    def resume(self, now: float) -> None:
        """It may send again, at once."""
        if self.throttle is not None:
            self.throttle.is_waiting = False
        self.deadline = now + self.timeouts.send_stall_s

    def progress(self, now: float) -> None:
        """The peer has taken bytes that the kernel held for it: it is alive."""
        stalled_s = self.timeouts.linger_s if self.interest is Interest.LINGER else self.timeouts.send_stall_s
        self.deadline = now + stalled_s

    def lose(self, now: float) -> None:
        """The connection is broken, or given up."""
        if self.interest is not Interest.CLOSED:
            self.aborted = bool(self.output)
            self.on_lost(now)
            self.output.clear()
            self._then = Interest.CLOSED

    # What a subclass says.

    def send(self, *pieces: Piece, now: float) -> None:
        """Queue output."""
        self.output.extend(piece for piece in pieces if len(piece))
        self.deadline = now + self.timeouts.send_stall_s

    def end(self, now: float, *, expects_more: bool) -> None:
        """Say nothing more; when the output is out, wait for the peer's end.

        A close while the peer is sending would make the kernels throw away what it has not read yet (RFC 9112 §9.6).

        Args:
            now: the time.
            expects_more: whether the peer is likely to be sending.
        """
        self.expects_more = expects_more
        self._then = Interest.CLOSED if self._peer_ended else Interest.LINGER
        if not self.output:
            self.deadline = now + self.timeouts.linger_s

    def abandon(self) -> None:
        """Wait for nothing more: close when the output is out."""
        self._then = Interest.CLOSED

    # What a subclass does.

    @abstractmethod
    def on_data(self, data: bytes, now: float) -> None:
        """Some bytes of the conversation have come."""

    def on_end(self, now: float) -> None:
        """The peer sends nothing more; by default that ends the conversation."""
        self.end(now, expects_more=False)

    def on_flushed(self, now: float) -> None:
        """All output is out; by default the conversation goes on, or ends if ``end`` was called."""
        self.deadline = now + (self.timeouts.linger_s if self.is_ending else self.timeouts.idle_s)

    def on_timeout(self, now: float) -> None:  # noqa: ARG002
        """The peer was silent for too long; by default that ends the conversation."""
        self.abandon()

    def on_lost(self, now: float) -> None:  # noqa: B027  (nothing to do is a fine default)
        """The connection broke; ``output`` is what could not be sent."""

    def drain(self, now: float) -> None:
        """The server is stopping: finish what is being answered, begin nothing new."""
        if not self.is_ending:
            self.end(now, expects_more=True)


class Service(Protocol):
    """What is spoken on the connections of a server; the modes know no more of it than this."""

    def connect(self, peer: Peer, now: float) -> Connection:
        """A conversation with a client that was let in."""
        ...

    def refuse(self, peer: Peer, refusal: Refusal, now: float, retry_s: float) -> Connection:
        """A short conversation with one that was not: what to say, then goodbye; room is likely in ``retry_s``."""
        ...

    def tick(self) -> None:
        """Do what was put off: write a log that waits, load what is needed later only.

        Called for the first time soon after the start, then a few times a second while there are clients, and when the
        last of them has left.
        """
        ...
