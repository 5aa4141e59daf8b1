"""Digests of whole files, for clients that want to check what they got (Repr-Digest, RFC 9530).

A digest is made when a request asks for it, once for each version of a file, and remembered in memory that all
processes share. A small file is read on the spot. A larger one is read in slices, each of which is ``Work``: between
two of them others have their turn.

A digest is never told for another version than the one that was opened. The file is opened again for each slice, and
before and after each the kernel has to say that it is still that version. A file that was changed a moment ago could
change again without a trace, so it has no digest yet.
"""

from __future__ import annotations

import os
from _thread import allocate_lock
from collections.abc import Mapping
from functools import cache
from mmap import mmap
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from httpmini.protocol.message import Headers
from httpmini.site.conditional import is_young
from httpmini.site.memory import Identity, identity_of
from httpmini.site.resolve import Directory, File, Resolver
from httpmini.work import DIGESTS, Steps, Work

if TYPE_CHECKING:
    from hashlib import _Hash

WANT = "Want-Repr-Digest"

# The algorithms of RFC 9530 §5 that are safe, as hashlib calls them; on a tie the first one counts.
ALGORITHMS: Mapping[str, str] = {"sha-256": "sha256", "sha-512": "sha512"}
_WEIGHTS = {str(weight): weight for weight in range(11)}  # RFC 9530 §4: 0 means "not acceptable"

ON_THE_SPOT_BYTES = 1024**2  # as much as is read for an entity tag
SLICE_BYTES = 16 * 1024**2  # some 20 ms
_PIECE_BYTES = 256 * 1024

_SLOTS = 8192
_NAME_BYTES, _DIGEST_BYTES, _CHECK_BYTES = 16, 64, 8
_SLOT_BYTES = 1 + _NAME_BYTES + _DIGEST_BYTES + _CHECK_BYTES

# Held to exchange what is being made. One for all, so that a child process can be forked while threads run.
_lock = allocate_lock()
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


def wanted_algorithm(headers: Headers) -> str:
    """Return the algorithm that Want-Repr-Digest prefers among those known here; empty if it wants none of them.

    A malformed field is ignored, also one that weighs a known algorithm with anything but a whole number up to 10.
    """
    values = headers.all(WANT)
    if not values:
        return ""
    from httpmini.protocol.structured import parse_dictionary  # 2 ms for a field that few clients send

    wanted = parse_dictionary(values) or {}
    try:
        weights = {name: _WEIGHTS[wanted[name]] for name in ALGORITHMS if name in wanted}
    except KeyError:
        return ""
    best = max(weights, key=lambda name: weights[name], default="")
    return best if weights.get(best) else ""


class DigestTable:
    """The digests that are known, in memory that children inherit and share.

    There is no lock: each slot has a checksum, and one that is half written says nothing. If two versions share a slot,
    the later one stays.
    """

    def __init__(self) -> None:
        self._slots = mmap(-1, _SLOTS * _SLOT_BYTES + 1)  # the last octet says whether there is anything in them

    def find(self, identity: Identity, algorithm: str) -> bytes | None:
        """Return the digest of a version; None if it is not known."""
        if not self._slots[-1]:  # nobody has ever asked: a listing does not look for each of its files
            return None
        name = _name(identity, algorithm)
        at = _slot(name)
        slot = self._slots[at : at + _SLOT_BYTES]
        length, said, check = slot[0], slot[1 : 1 + _NAME_BYTES], slot[-_CHECK_BYTES:]
        if said != name or _hash(slot[:-_CHECK_BYTES], _CHECK_BYTES) != check:
            return None
        return slot[1 + _NAME_BYTES :][:length]

    def keep(self, identity: Identity, algorithm: str, digest: bytes) -> None:
        """Remember a digest."""
        name = _name(identity, algorithm)
        at = _slot(name)
        content = bytes((len(digest),)) + name + digest.ljust(_DIGEST_BYTES, b"\0")
        self._slots[at : at + _SLOT_BYTES] = content + _hash(content, _CHECK_BYTES)
        self._slots[-1] = 1


def _name(identity: Identity, algorithm: str) -> bytes:
    return _hash(repr((identity, algorithm)).encode(), _NAME_BYTES)


def _slot(name: bytes) -> int:
    return int.from_bytes(name[:4], "big") % _SLOTS * _SLOT_BYTES


def _hash(data: bytes, size: int) -> bytes:
    from hashlib import blake2b  # the start need not wait for it

    return blake2b(data, digest_size=size).digest()


@cache
def prepare() -> None:
    """Import what digests need: not in a helper thread, whose locks of imports a forked child would wait for."""
    import hashlib

    for name in ALGORITHMS.values():
        hashlib.new(name)


class Digests:
    """Makes the digests of the files of one site. Threads may share it.

    Args:
        resolver: opens the files.
        max_bytes: the size of the largest file that has one; 0 if none has.
    """

    def __init__(self, resolver: Resolver, max_bytes: int) -> None:
        self._resolver = resolver
        self._max_bytes = max_bytes
        self._table = DigestTable() if max_bytes else None
        self._making: WeakValueDictionary[tuple[int, Identity, str], _Making] = WeakValueDictionary()

    def known(self, status: os.stat_result, algorithm: str = "sha-256") -> bytes | None:
        """Return the digest of the file with this status if it has been made already."""
        return self._table.find(identity_of(status), algorithm) if self._table is not None else None

    def wanted(self, headers: Headers, file: File, wall: float) -> str:
        """Return the algorithm of the digest that a response about this file has; empty if it has none."""
        algorithm = wanted_algorithm(headers) if self._max_bytes else ""
        return "" if file.status.st_size > self._max_bytes or is_young(file.status, wall) else algorithm

    def field(self, headers: Headers, names: tuple[bytes, ...], file: File, wall: float) -> Steps[str]:
        """Return the value of Repr-Digest for a request; empty if there is none.

        Args:
            headers: the fields of the request.
            names: the path of the file that is sent.
            file: the same file, open.
            wall: the time of day, in seconds since the epoch.
        """
        algorithm = self.wanted(headers, file, wall)
        if not algorithm:
            return ""
        digest = self.known(file.status, algorithm) or (yield from self._make(names, file.status, algorithm))
        if digest is None:
            return ""
        from base64 import b64encode  # (prepare.py)

        return f"{algorithm}=:{b64encode(digest).decode()}:"

    def _make(self, names: tuple[bytes, ...], status: os.stat_result, algorithm: str) -> Steps[bytes | None]:
        prepare()
        making = self._find_making(names, status, algorithm)
        if status.st_size <= ON_THE_SPOT_BYTES:
            making.go_on()
        while not making.is_over:
            yield making.next_slice()
        if making.digest is not None and self._table is not None:
            self._table.keep(identity_of(status), algorithm, making.digest)
        return making.digest

    def _find_making(self, names: tuple[bytes, ...], status: os.stat_result, algorithm: str) -> _Making:
        """Return the digest of this version that is being made, for all who want it; nobody else keeps it."""
        key = (os.getpid(), identity_of(status), algorithm)  # a child has not the threads at work
        with _lock:
            making = self._making.get(key)
            if making is None:
                making = self._making[key] = _Making(self._resolver, names, status, algorithm)
            return making


class _Making:
    """A digest that is being made.

    Attributes:
        digest: the digest, when it is over; None if the file has changed, or cannot be read.
        is_over: whether it is.
    """

    def __init__(self, resolver: Resolver, names: tuple[bytes, ...], status: os.stat_result, algorithm: str) -> None:
        import hashlib

        self.digest: bytes | None = None
        self.is_over = False
        self._resolver = resolver
        self._names = names
        self._identity = identity_of(status)
        self._size = status.st_size
        self._hash: _Hash = hashlib.new(ALGORITHMS[algorithm])
        self._done = 0
        self._work: Work[None] | None = None
        self._going_on = allocate_lock()

    def next_slice(self) -> Work[None]:
        """Return the work that comes next: the same for all who wait for it."""
        with _lock:
            if self._work is None:
                self._work = Work(DIGESTS, self.go_on)
            return self._work

    def go_on(self) -> None:
        """Read a slice."""
        with self._going_on:
            if not self.is_over:
                try:
                    self._go_on()
                except OSError:  # whoever sends the file meets that as well, and knows what to do
                    self.is_over = True
        with _lock:
            self._work = None

    def _go_on(self) -> None:
        found = self._resolver.resolve(self._names)
        if not isinstance(found, File | Directory):
            self.is_over = True
            return
        try:
            is_same = self._is_same(found.fd) and self._read(found.fd) and self._is_same(found.fd)
        finally:
            os.close(found.fd)
        if is_same and self._done == self._size:
            self.digest = self._hash.digest()
        self.is_over = not is_same or self._done == self._size

    def _is_same(self, fd: int) -> bool:
        return identity_of(os.fstat(fd)) == self._identity

    def _read(self, fd: int) -> bool:
        """Read a slice; False if the file ends too early."""
        end = min(self._size, self._done + SLICE_BYTES)
        while self._done < end:
            piece = os.pread(fd, min(_PIECE_BYTES, end - self._done), self._done)
            if not piece:
                return False
            self._hash.update(piece)
            self._done += len(piece)
        return True
