"""A client as a mode sees it: bytes in, pieces out, what it waits for next, and until when.

A Connection has no socket and no clock. The owner of the socket asks for ``interest``, moves bytes, and reports how
many and at what time. Everything that depends on the protocol is in a subclass (``http/connection.py``; ``examples/``
has two that are not HTTP). Everything else is here: the queue of output, timeouts, and the lingering close.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum
from math import inf
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from httpmini.protocol.body import BrokenPromise, Piece, Promise
from httpmini.server.core.turn import NO_TURN
from httpmini.server.limits.admission import Refusal
from httpmini.server.listeners.peer import Peer
from httpmini.work import Work

if TYPE_CHECKING:
    from httpmini.server.limits.bandwidth import Throttle


class Interest(Enum):
    """What a connection waits for."""

    READ = "bytes from the peer"
    WRITE = "room to send"
    PAUSE = "its turn to send, by its deadline"
    WORK = "work that must be done before there is something to send"
    LINGER = "the peer's end, after ours; what it still sends is thrown away"
    CLOSED = "nothing any more"


# To look up a member of an enumeration takes ten times as long as a name of the module, and each event looks up some.
READ, WRITE, PAUSE, WORK, LINGER, CLOSED = Interest


class Timeouts(msgspec.Struct, frozen=True):
    """How long to wait for a client.

    Attributes:
        idle_s: seconds without any byte while nothing is being answered.
        send_stall_s: seconds in which a client that is being sent to takes nothing.
        linger_s: seconds to wait for the peer's end after ours.
        linger_bytes: how many bytes are thrown away meanwhile.
    """

    idle_s: float
    send_stall_s: float
    linger_s: float
    linger_bytes: int


class Sending(msgspec.Struct, frozen=True):
    """A long response on its way.

    Attributes:
        what: what was asked for, as the client wrote it.
        total: the length of its body in bytes.
        sent: how many of these the kernel has taken.
    """

    what: str
    total: int
    sent: int


class Connection(ABC):
    """One client's conversation, without I/O. Times are seconds of one monotonic clock.

    Attributes:
        timeouts: how long to wait for the peer; a subclass may replace them.
        begun: when the connection was made.
        turn: the token of the turn in which the bytes in hand were received (``turn.py``).
        output: the pieces to send; the first of them is no promise, unless work has to be done before it can be kept.
        position: how many bytes of the first piece have been sent.
        next_interest: what to wait for when the output has been sent.
        work: what has to be done while the interest is WORK; then call ``work_done``.
        sent_bytes: how many bytes have been sent in all.
        expects_more: whether the peer is likely to send more although we have ended.
        deadline: when to call ``expire`` unless something happens before. Every byte received or sent extends it; a
            subclass that is stricter sets it in ``on_data``.
        throttle: how fast it may send; None for as fast as possible.
        aborted: whether the peer must see that the connection broke (RST), because a response is incomplete.
    """

    # Slots: with 10,000 idle clients, each byte of these counts.
    __slots__ = (
        "_lingered_bytes",
        "_peer_ended",
        "aborted",
        "begun",
        "deadline",
        "expects_more",
        "next_interest",
        "output",
        "position",
        "sent_bytes",
        "throttle",
        "timeouts",
        "turn",
        "work",
    )

    def __init__(self, timeouts: Timeouts, now: float) -> None:
        self.timeouts = timeouts
        self.begun = now
        self.turn = NO_TURN
        self.output: list[Piece] = []
        self.position = 0
        self.sent_bytes = 0
        self.next_interest: Interest = READ
        self._lingered_bytes = 0
        self._peer_ended = False
        self.deadline = now + timeouts.idle_s
        self.expects_more = True
        self.aborted = False
        self.throttle: Throttle | None = None
        self.work: Work[Any] | None = None

    @property
    def interest(self) -> Interest:
        """What to wait for now."""
        if not self.output:
            return self.next_interest
        if self.work is not None:
            return WORK
        return PAUSE if self.throttle is not None and self.throttle.is_waiting else WRITE

    @property
    def is_ending(self) -> bool:
        """Whether nothing more will be sent than what is queued."""
        return self.next_interest is LINGER or self.next_interest is CLOSED

    @property
    def sending(self) -> Sending | None:
        """The long response that is being sent, for people who watch; None if there is none."""
        return None

    @property
    def quiet_since(self) -> float:
        """While it waits for the peer's bytes or end: since when; derived from the deadline, which costs nothing."""
        return self.deadline - (self.timeouts.linger_s if self.next_interest is LINGER else self.timeouts.idle_s)

    # What the owner of the socket reports.

    def receive(self, data: bytes, now: float, turn: int = NO_TURN) -> bytes | None:
        """Take bytes of the peer; ``b""`` is its end of sending. It may still read, so its requests are answered.

        Args:
            data: what has arrived.
            now: the time.
            turn: the token of the turn in which it arrived.

        Returns:
            All that there is to send, when that is one small piece which is not in ``output``: write it at once, then
            call ``sent_at_once`` if the kernel took all of it, else ``send_later``. None for everything else. (A queue
            for one piece that leaves in the same step costs a twentieth of a small response.)
        """
        self.turn = turn
        if self.next_interest is LINGER:
            self._lingered_bytes += len(data)
            if not data or self._lingered_bytes > self.timeouts.linger_bytes:
                self.abandon()
        elif data:
            self.deadline = now + self.timeouts.idle_s
            self.on_data(data, now)
        else:
            self._peer_ended = True
            self.on_end(now)
        return None

    def ask_to_send(self, throttle: Throttle, now: float) -> int:
        """Return how many bytes of the first piece may be sent now; if none, the interest is to pause."""
        count, moment = throttle.ask(len(self.output[0]) - self.position, now)
        if moment <= now:
            return count
        self.deadline = moment
        return 0

    def sent(self, count: int, now: float) -> None:
        """Note that ``count`` bytes of the first piece have been sent."""
        if self.throttle is not None:
            self.throttle.spend(count)
        self.sent_bytes += count
        self.position += count
        if self.position == len(self.output[0]):
            del self.output[0]
            self.position = 0
            if not self.output:
                self.on_flushed(now)
                return
        self.deadline = now + self.timeouts.send_stall_s
        if not self.position and isinstance(self.output[0], Promise):
            self._keep_promise(now)

    def sent_at_once(self, count: int, now: float) -> None:
        """Note that all ``count`` bytes that ``receive`` returned have been sent."""
        self.sent_bytes += count
        self.on_flushed(now)

    def send_later(self, octets: bytes, count: int, now: float) -> None:
        """Queue what ``receive`` returned; the kernel has taken ``count`` bytes of it."""
        self.send(octets, now=now)
        if count:
            self.sent(count, now)

    def expire(self, now: float) -> None:
        """React to the deadline: it has passed."""
        match self.interest:
            case Interest.WRITE:
                self.lose(now)
            case Interest.READ:
                self.on_timeout(now)
            case Interest.PAUSE:
                self.resume(now)
            case _:
                self.abandon()

    def work_done(self, now: float) -> None:
        """Note that the work is done; the connection may have been lost meanwhile, or need more work now."""
        self.work = None
        if self.output:
            self.deadline = now + self.timeouts.send_stall_s
            self._keep_promise(now)
        elif self.next_interest is WORK:
            self.next_interest = READ
            self.on_work_done(now)

    def resume(self, now: float) -> None:
        """End a pause: it may send again at once."""
        if self.throttle is not None:
            self.throttle.is_waiting = False
        self.deadline = now + self.timeouts.send_stall_s

    def progress(self, now: float) -> None:
        """Note that the peer has taken bytes that the kernel held for it: it is alive."""
        stalled_s = self.timeouts.linger_s if self.interest is LINGER else self.timeouts.send_stall_s
        self.deadline = now + stalled_s

    def lose(self, now: float) -> None:
        """Give up the connection: it is broken, or has timed out."""
        if self.interest is not CLOSED:
            self.aborted = bool(self.output)
            self.on_lost(now)
            self.output.clear()
            self.next_interest = CLOSED

    # What the owner of the socket reports to those who watch: ``http/traced.py``.

    def on_taken(self) -> None:  # noqa: B027
        """React to being served from now on, by this thread of this process."""

    def on_blocked(self) -> None:  # noqa: B027
        """React to a kernel that takes no more for now."""

    def on_shut_down(self) -> None:  # noqa: B027
        """React to the end of our half, after which the peer's is waited for."""

    def on_closed(self) -> None:  # noqa: B027
        """React to the close of the socket, which comes next."""

    # What a subclass says.

    def send(self, *pieces: Piece, now: float) -> None:
        """Queue output."""
        self.output.extend(piece for piece in pieces if len(piece))
        self.deadline = now + self.timeouts.send_stall_s
        if self.output and isinstance(self.output[0], Promise):
            self._keep_promise(now)

    def _keep_promise(self, now: float) -> None:
        """Have a piece that can be sent at the head of the output, where there may be a promise; or wait for work."""
        while self.output:
            promise = self.output[0]
            if not isinstance(promise, Promise):
                return
            try:
                made = promise.make()
            except BrokenPromise:
                self.lose(now)
                return
            if isinstance(made, Work):
                self.work, self.deadline = made, inf
                return
            if made:
                self.output[0:0] = made
            else:
                del self.output[0]
        self.on_flushed(now)

    def wait_for(self, work: Work[Any]) -> None:
        """Wait until ``work`` has been done; there is nothing to send, and until then nothing is read."""
        self.work = work
        self.next_interest = WORK
        self.deadline = inf  # the work is ours, and bounded: the peer is not waited for

    def end(self, now: float, *, expects_more: bool) -> None:
        """Send nothing more than what is queued; then wait for the peer's end.

        A close while the peer is sending would make the kernels throw away what it has not read yet (RFC 9112 §9.6).

        Args:
            now: the time.
            expects_more: whether the peer is likely to be sending.
        """
        self.expects_more = expects_more
        self.next_interest = CLOSED if self._peer_ended else LINGER
        if not self.output:
            self.deadline = now + self.timeouts.linger_s

    def abandon(self) -> None:
        """Wait for nothing more: close when the output has been sent."""
        self.next_interest = CLOSED

    # What a subclass does.

    @abstractmethod
    def on_data(self, data: bytes, now: float) -> None:
        """React to bytes of the conversation."""

    def on_end(self, now: float) -> None:
        """React to the peer's end of sending; by default that ends the conversation."""
        self.end(now, expects_more=False)

    def on_flushed(self, now: float) -> None:
        """React to the last byte of output having been sent; by default wait for more, or end if ``end`` was called."""
        self.deadline = now + (self.timeouts.linger_s if self.is_ending else self.timeouts.idle_s)

    def on_work_done(self, now: float) -> None:  # noqa: B027  (what waits for no work needs none)
        """React to the end of the work that ``wait_for`` named."""

    def on_timeout(self, now: float) -> None:  # noqa: ARG002
        """React to a silence of the peer that was too long; by default that ends the conversation."""
        self.abandon()

    def on_lost(self, now: float) -> None:  # noqa: B027  (nothing to do is a fine default)
        """React to the end of a broken connection; ``output`` is what could not be sent."""

    def drain(self, now: float) -> None:
        """Finish what is being answered and begin nothing new: the server is stopping."""
        if not self.is_ending:
            self.end(now, expects_more=True)

    def retire(self, now: float) -> None:
        """Begin nothing new but what the peer came for: another process serves from now on."""
        if self.sent_bytes:
            self.drain(now)


class Service(Protocol):
    """The protocol that a server speaks; the modes know no more of it than this."""

    def connect(self, peer: Peer, now: float) -> Connection:
        """Return a conversation with a client that was admitted."""
        ...

    def refuse(self, peer: Peer, refusal: Refusal, now: float, retry_s: float) -> Connection:
        """Return a short conversation with a client that was not admitted; there may be room in ``retry_s``."""
        ...

    def tick(self) -> bool | None:
        """Do what was put off: write log lines that wait, load what is needed later only.

        Called for the first time soon after the start, then a few times a second while there are clients, and when the
        last of them has left.

        Returns:
            True to be called again soon, even if nothing happens.
        """
        ...
