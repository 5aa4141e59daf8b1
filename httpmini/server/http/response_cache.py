"""The response cache: whole responses in memory, checked before every use.

Three quarters of what a small response costs is finding out what it is: walking to the file, spelling fields. So:

- A response is cached when the site says how to know, at any later time, that it is still right
  (``Response.is_current``), and when it is small.
- Its key is what it depends on: the site, the method, the path, whether the connection stays open; for a request with
  conditions, also their values.
- Before every use it is checked. A response that is no longer right is dropped.

Nothing is cached that depends on anything but the head and the files that ``is_current`` looks at: no listing, no
refusal, no redirection, nothing protected by a password, no part of a file. (nginx's open_file_cache keeps descriptors
and trusts them for seconds; this one keeps octets and trusts them for one turn.)
"""

from __future__ import annotations

import itertools
import os
from _thread import allocate_lock  # threading's Lock, without what else that would load at the start
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from httpmini.protocol.body import Body, FileSlice, Promise, body_length
from httpmini.protocol.dates import format_date
from httpmini.protocol.message import Response

MAX_BODY_BYTES = 256 * 1024  # larger ones leave by sendfile, which needs no memory
# What a response costs beside its octets, roughly; this also bounds the number of responses.
ENTRY_BYTES = 1024
_DATE = b"Date: "

# Held to change the cache; not to find something, nor to look at files. One for all caches, so that a child process can
# be forked while threads run: nobody holds it then.
_lock = allocate_lock()
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)

Key = str
"""What ``key_of`` returns; for a conditional request, with its validators."""


def key_of(site: str, resource: str, keep_alive: bool) -> Key:
    """Return the key of a request without conditions: one string, because a string remembers its hash.

    Args:
        site: the name of the site, in which there is no blank.
        resource: the method, a blank, and the path without its query.
        keep_alive: whether the connection stays open.
    """
    return f"{resource} {site}" if keep_alive else f"{resource} {site} "


class CachedResponse(msgspec.Struct, eq=False):
    """One response as octets.

    Attributes:
        octets: head and body, with the Date of ``second``.
        second: the time in the head's Date, since the epoch.
        head_bytes: the length of the head.
        status: its status code.
        is_current: whether it is still right; takes the token of a turn.
        number: another one for each cached response; what is remembered about it refers to it by this, not by itself.
        checked_in: the turn in which it was last found to be right.
        was_used: whether it was used since it was last considered for eviction.
    """

    octets: bytes
    second: int
    head_bytes: int
    status: int
    is_current: Callable[[int], bool]
    number: int = msgspec.field(default_factory=itertools.count(1).__next__)
    checked_in: int = 0
    was_used: bool = False

    def set_date(self, second: int) -> None:
        """Let the response have the Date of ``second``."""
        date = format_date(second).encode("ascii")
        octets = self.octets
        at = octets.index(_DATE) + len(_DATE)
        self.octets = b"".join((octets[:at], date, octets[at + len(date) :]))
        self.second = second


class ResponseCache:
    """The cached responses of one generation. When there is no room, those not used for a while are evicted.

    Threads may share it. While one looks at a file others go on, and may evict the very response that it is checking;
    a response that was found may be sent even if it was evicted since.

    Args:
        max_bytes: how much memory the responses may take, roughly; 0 caches nothing.
        wall: the time of day, in seconds since the epoch.

    Attributes:
        bytes_used: how much memory they take.
    """

    def __init__(self, max_bytes: int, wall: Callable[[], float]) -> None:
        self._max_bytes = max_bytes
        self._wall = wall
        self.bytes_used = 0
        self._entries: OrderedDict[Key, CachedResponse] = OrderedDict()
        self._get = self._entries.get  # looking up a method of an OrderedDict costs as much as calling it

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, key: Key, turn: int) -> CachedResponse | None:
        """Return the response for ``key`` if it is still right, with the present Date.

        Args:
            key: what was asked.
            turn: the token of a turn that began after the request had begun to arrive. What was checked in it is not
                checked again; ``NO_TURN`` always checks.
        """
        entry = self._get(key)
        if entry is None:
            return None
        if entry.checked_in == turn and turn:
            return entry
        if not entry.is_current(turn):
            with _lock:
                self._drop(key)
            return None
        entry.was_used = True
        entry.checked_in = turn
        second = int(self._wall())
        if second != entry.second:
            entry.set_date(second)
        return entry

    def add(self, key: Key, response: Response, head: bytes, body: Body, wall: float) -> CachedResponse | None:
        """Cache a response; return None when it must not be cached, cannot be read, or has changed meanwhile.

        Args:
            key: what was asked.
            response: the response.
            head: the head that was spelled for it.
            body: what is to be sent after the head.
            wall: the Date in the head, in seconds since the epoch.
        """
        is_current = response.is_current
        cost = len(head) + body_length(body) + len(key) + ENTRY_BYTES
        if is_current is None or body_length(body) > MAX_BODY_BYTES or cost > self._max_bytes:
            return None
        try:
            octets = _read((head, *body))
        except OSError:  # the disk failed: the caller sends the file, meets that too, and knows what to do then
            return None
        # What was read is what was promised only if nothing has changed meanwhile.
        if octets is None or not is_current(0):
            return None
        entry = CachedResponse(octets, int(wall), len(head), response.status, is_current)
        with _lock:
            self._drop(key)
            self._make_room(cost)
            self._entries[key] = entry
            self.bytes_used += cost
        return entry

    def _make_room(self, cost: int) -> None:
        """Evict the oldest responses; one that was used meanwhile gets a second chance."""
        while self.bytes_used + cost > self._max_bytes:
            key, entry = next(iter(self._entries.items()))
            if entry.was_used:
                entry.was_used = False
                self._entries.move_to_end(key)
            else:
                self._drop(key)

    def _drop(self, key: Key) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.bytes_used -= len(entry.octets) + len(key) + ENTRY_BYTES


def _read(body: Body) -> bytes | None:
    """Return all of ``body``; None when a file has become shorter, or when it is made while it is sent."""
    pieces = [
        os.pread(piece.fd, piece.length, piece.offset) if isinstance(piece, FileSlice) else piece
        for piece in body
        if not isinstance(piece, Promise)
    ]
    whole = b"".join(pieces)
    return whole if len(whole) == body_length(body) else None
