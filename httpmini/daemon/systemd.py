"""Notifications for a service manager: one datagram for each change of state, on the socket it names (sd_notify(3)).

READY=1 when clients can connect, RELOADING=1 and READY=1 around a reload, STOPPING=1 when a drain begins, STATUS= for
``systemctl status``, and WATCHDOG=1 from the main loop as long as that runs.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping
from contextlib import suppress


class ServiceManager:
    """The service manager that started this process. If there is none, or it wants no notifications, none are sent.

    Args:
        environ: the environment. The variables of the service manager are removed from it: they are meant for this
            process alone.

    Attributes:
        watchdog_s: seconds between two signs of life from the main loop; None without a watchdog.
    """

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        path = environ.pop("NOTIFY_SOCKET", "")
        micros, process = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
        self._sock = _connect(path) if path[:1] in ("/", "@") else None
        is_number = micros.isascii() and micros.isdecimal() and len(micros) < 20
        meant = self._sock is not None and is_number and process in ("", str(os.getpid()))
        # Half of the timeout, as sd_watchdog_enabled(3) recommends; 0 is none.
        self.watchdog_s = max(0.05, int(micros) / 2_000_000) if meant and int(micros) else None
        self._next = 0.0

    def ready(self, status: str) -> None:
        """Say that clients can connect; also at the end of a reload."""
        self._tell("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """Say that a reload has begun."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """Say that a drain has begun. Signal handlers may call this."""
        self._tell("STOPPING=1", "STATUS=finishing what is being sent")

    def look(self) -> None:
        """Send a sign of life if one is due. The main loop calls this in every turn."""
        if self.watchdog_s is not None and (now := time.monotonic()) >= self._next:
            self._next = now + self.watchdog_s * 0.9  # a turn that comes a little early counts
            self._tell("WATCHDOG=1")

    def _tell(self, *lines: str) -> None:
        if self._sock is not None:
            with suppress(OSError):  # if the service manager does not listen, go on
                self._sock.send("\n".join(lines).encode("utf-8", "replace"))

    def close(self) -> None:
        """Close the socket."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None


def _connect(path: str) -> socket.socket | None:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.setblocking(False)
    try:
        sock.connect("\0" + path[1:] if path.startswith("@") else path)  # "@" stands for an abstract name
    except OSError:
        sock.close()
        return None
    return sock
