"""Something of which each address may have one at a time, over all processes."""

from __future__ import annotations

import fcntl
import os
from _thread import allocate_lock

from httpmini.server.limits.address_rules import address_key
from httpmini.server.listeners.peer import LOCAL

_PLACES = 2**62  # of which each address has one: the kernel knows files of this size, whatever is in them


class OneEach:
    """Gives each address one place.

    A place is a byte of an empty anonymous file, taken by a POSIX record lock (fcntl(2)): so the kernel gives it back
    when its process is killed, and there is no table. The kernel's locks belong to processes, so each process has a set
    of its own, too. Without such files (other systems than Linux) processes do not know of each other.

    Clients of a unix socket have no address, and any number of places.
    """

    def __init__(self) -> None:
        self._fd = os.memfd_create("httpmini") if hasattr(os, "memfd_create") else -1
        self._leave_to_child()
        os.register_at_fork(after_in_child=self._leave_to_child)

    def _leave_to_child(self) -> None:
        """Begin with nothing: a child does not inherit the locks of its parent."""
        self._mine: set[int] = set()
        self._lock = allocate_lock()

    def take(self, host: str) -> bool:
        """Take the place of an address; return whether it was free."""
        if host == LOCAL:
            return True
        place = address_key(host) % _PLACES
        with self._lock:
            if place in self._mine or not self._lock_byte(place):
                return False
            self._mine.add(place)
            return True

    def give(self, host: str) -> None:
        """Give back a place that was taken in this process."""
        if host == LOCAL:
            return
        place = address_key(host) % _PLACES
        with self._lock:
            self._mine.discard(place)
            if self._fd >= 0:
                fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, place)

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _lock_byte(self, place: int) -> bool:
        if self._fd < 0:
            return True
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except (BlockingIOError, PermissionError):
            return False
        return True
