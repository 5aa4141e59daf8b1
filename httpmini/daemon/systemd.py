"""What a service manager is told: sd_notify(3), a datagram for each change at the socket it names.

READY=1 when clients can connect, RELOADING=1 and READY=1 around a reload, STOPPING=1 when a drain begins, STATUS= in
words for ``systemctl status``, WATCHDOG=1 from the main loop as long as that turns.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping
from contextlib import suppress


class ServiceManager:
    """Who has started us, if it wants to hear of us; else nothing is sent.

    Args:
        environ: the environment. What is meant for this process alone is taken out of it.

    Attributes:
        watchdog_s: how often the main loop has to show that it turns, in seconds; None when nobody asks for that.
    """

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        place = environ.pop("NOTIFY_SOCKET", "")
        micros, process = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
        self._sock = _connect(place) if place[:1] in ("/", "@") else None
        meant = self._sock is not None and micros.isdigit() and process in ("", str(os.getpid()))
        self.watchdog_s = max(0.05, int(micros) / 2_000_000) if meant else None  # half of what it waits
        self._next = 0.0

    def ready(self, status: str) -> None:
        """Clients can connect; also after a reload."""
        self._tell("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """Other settings are being read."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """A drain has begun; from a signal handler."""
        self._tell("STOPPING=1", "STATUS=finishing what is being sent")

    def look(self) -> None:
        """The main loop turns."""
        if self.watchdog_s is not None and (now := time.monotonic()) >= self._next:
            self._next = now + self.watchdog_s * 0.9  # a tick that comes a little early counts
            self._tell("WATCHDOG=1")

    def _tell(self, *lines: str) -> None:
        if self._sock is not None:
            with suppress(OSError):  # who does not listen need not be waited for
                self._sock.send("\n".join(lines).encode("utf-8", "replace"))

    def close(self) -> None:
        """Give back the descriptor."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None


def _connect(place: str) -> socket.socket | None:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.setblocking(False)
    try:
        sock.connect("\0" + place[1:] if place.startswith("@") else place)
    except OSError:
        sock.close()
        return None
    return sock
