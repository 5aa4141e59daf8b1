"""Answers that are kept, ready to be sent again.

Three quarters of what a small answer costs is finding out what it is: reading the head, walking to the file, spelling
fields. Clients ask for the same things again and again, with heads that are the same octet for octet. So:

- An answer is kept when the site says how to know, at any later time, that it is still right
  (``Response.is_current``), and when it is small.
- It is found by the exact octets of a head; or, when a head is new, by its *question*: the method and the path of a
  request that has no conditions and no ranges, and the site that it is for.
- Before every use it is asked whether it is still right. If not, it is dropped and made anew.

Nothing is kept that depends on anything but the head and the files that ``is_current`` looks at: no listing, no
refusal, no redirection, nothing behind a password, no part of a file.
"""

from __future__ import annotations

import os
from _thread import allocate_lock  # threading's Lock, without what else that would load at the start
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from httpmini.protocol.body import Body, FileSlice, body_length
from httpmini.protocol.dates import format_date
from httpmini.protocol.message import Response

MAX_BODY_BYTES = 256 * 1024  # larger ones leave by sendfile, which needs no memory
MAX_HEADS = 4096
MAX_HEAD_BYTES = 2048
# What an answer costs beside its octets, roughly; also what bounds the number of answers.
ENTRY_BYTES = 1024
_DATE = b"Date: "
_NEVER = -1.0

# Held to change what is kept; not to find something, nor to look at files. One for all, so that a child process can be
# begun while threads are there: nobody holds it then.
_lock = allocate_lock()
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)

Question = tuple[str, str, str, bool, str] | bytes


class CachedResponse(msgspec.Struct, eq=False):
    """One answer as octets.

    Attributes:
        octets: head and body, with the Date of ``second``.
        second: since the epoch.
        head_bytes: the length of the head.
        status: its status code.
        is_current: whether it is still right.
        looked_at: when it was last found to be right, by the monotonic clock.
        was_used: since it was last asked whether it may go.
        heads: those that lead to it.
        is_forgotten: whether it is kept no longer. Who has found it before may still send it.
    """

    octets: bytes
    second: int
    head_bytes: int
    status: int
    is_current: Callable[[float], bool]
    looked_at: float = _NEVER
    was_used: bool = False
    heads: set[bytes] = msgspec.field(default_factory=set)
    is_forgotten: bool = False

    @property
    def body_bytes(self) -> int:
        """The length of what comes behind the head."""
        return len(self.octets) - self.head_bytes

    def set_date(self, second: int) -> None:
        """Let the answer have the Date of ``second``."""
        date = format_date(second).encode("ascii")
        at = self.octets.index(_DATE) + len(_DATE)
        self.octets = b"".join((self.octets[:at], date, self.octets[at + len(date) :]))
        self.second = second


class Known(msgspec.Struct, eq=False):
    """A head whose answer is kept.

    Attributes:
        kept: the answer.
        keep_alive: whether the connection goes on behind it.
        expects_more: whether the client is likely to send more although it does not.
        around: what the access log says before and behind the number of bytes.
        line: the same, when all of it was sent.
        host: that was asked for; "" where that makes no difference.
    """

    kept: CachedResponse
    keep_alive: bool
    expects_more: bool
    around: tuple[str, str]
    line: str
    host: str = ""


class ResponseCache:
    """What is kept. When there is no more room, what has not been used for a while is forgotten.

    Threads may share it. While one looks at a file, others go on, and may forget the very answer that it is about.

    Args:
        most_bytes: how much memory the answers may take, roughly; 0 keeps nothing.
        now: the present, in seconds since the epoch.

    Attributes:
        bytes_used: how much they take.
    """

    def __init__(self, most_bytes: int, now: Callable[[], float]) -> None:
        self._most_bytes = most_bytes
        self._now = now
        self.bytes_used = 0
        self._known: OrderedDict[bytes, Known] = OrderedDict()
        self._kept: OrderedDict[Question, CachedResponse] = OrderedDict()
        self._seen: set[int] = set()  # hashes of heads

    def __len__(self) -> int:
        return len(self._kept)

    def find_head(self, head: bytes, now: float) -> Known | None:
        """What is known of these exact octets, when their answer is still right.

        Args:
            head: a request head.
            now: a moment after it had begun to come, by the monotonic clock. What has been looked at then is not looked
                at twice: a reactor has one such moment for all that was there before its turn.
        """
        known = self._known.get(head)
        if known is None:
            return None
        kept = known.kept
        if kept.looked_at != now:
            if not self._refresh(kept, now):
                self._known.pop(head, None)
                kept.heads.discard(head)
                return None
            kept.looked_at = now
        return known

    def find(self, question: Question, now: float) -> CachedResponse | None:
        """The answer to a question, when it is still right; ``now`` as for ``find_head``."""
        kept = self._kept.get(question)
        if kept is None:
            return None
        if kept.looked_at != now:
            if not self._refresh(kept, now):
                with _lock:
                    self._forget(question)
                return None
            kept.looked_at = now
        return kept

    def _refresh(self, kept: CachedResponse, moment: float) -> bool:
        """Whether ``kept`` is still right; then its Date is too."""
        if not kept.is_current(moment):
            return False
        kept.was_used = True
        second = int(self._now())
        if second != kept.second:
            kept.set_date(second)
        return True

    def takes(self, response: Response, body: Body) -> bool:
        """Whether an answer may be kept: it can be known to be right later, and is small."""
        return response.is_current is not None and body_length(body) <= min(self._most_bytes, MAX_BODY_BYTES)

    def keep(
        self, question: Question, response: Response, head: bytes, body: Body, now: float
    ) -> CachedResponse | None:
        """Keep an answer that ``takes`` takes; None when it cannot be read, or has changed meanwhile.

        Args:
            question: what was asked.
            response: the answer.
            head: the head that was spelled for it.
            body: what is to be sent behind it.
            now: the Date in the head, in seconds since the epoch.
        """
        try:
            octets = _read((head, *body))
        except OSError:  # the disk failed: who sends it will see that too, and knows what to do then
            return None
        # What was read is what was promised only if nothing has changed meanwhile.
        if octets is None or response.is_current is None or not response.is_current(now):
            return None
        cost = len(octets) + ENTRY_BYTES
        if cost > self._most_bytes:
            return None
        kept = CachedResponse(octets, int(now), len(head), response.status, response.is_current)
        with _lock:
            self._forget(question)
            self._make_room(cost)
            self._kept[question] = kept
            self.bytes_used += cost
        return kept

    def remember_head(self, head: bytes, known: Known) -> None:
        """Find ``known`` by these octets from now on, if they come for the second time: most clients repeat theirs,
        but there are heads that never come again. The oldest ones are forgotten.
        """
        trace = hash(head)
        if trace not in self._seen:
            if len(self._seen) >= MAX_HEADS:
                self._seen.clear()
            self._seen.add(trace)
        elif len(head) <= MAX_HEAD_BYTES:
            with _lock:
                if known.kept.is_forgotten:
                    return
                self._known[head] = known
                known.kept.heads.add(head)
                if len(self._known) > MAX_HEADS:
                    oldest, its = self._known.popitem(last=False)
                    its.kept.heads.discard(oldest)

    def _make_room(self, cost: int) -> None:
        """Forget the oldest answers; one that was used meanwhile gets a second chance."""
        while self.bytes_used + cost > self._most_bytes:
            question, kept = next(iter(self._kept.items()))
            if kept.was_used:
                kept.was_used = False
                self._kept.move_to_end(question)
            else:
                self._forget(question)

    def _forget(self, question: Question) -> None:
        kept = self._kept.pop(question, None)
        if kept is not None:
            self.bytes_used -= len(kept.octets) + ENTRY_BYTES
            kept.is_forgotten = True
            for head in tuple(kept.heads):  # find_head may take one away meanwhile
                self._known.pop(head, None)


def _read(body: Body) -> bytes | None:
    """All of ``body`` in memory; None when a file has become shorter."""
    pieces = [
        os.pread(piece.fd, piece.length, piece.offset) if isinstance(piece, FileSlice) else piece for piece in body
    ]
    whole = b"".join(pieces)
    return whole if len(whole) == body_length(body) else None
