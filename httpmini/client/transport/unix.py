"""A connection to a Unix socket."""

from __future__ import annotations

import errno
import os
import socket
import time

from httpmini.client.transport.timings import Deadline
from httpmini.errors import NotConnected

_RETRY_S = 0.01


def connect_unix(path: str, deadline: Deadline) -> socket.socket:
    """Connect to the socket at ``path``; a path that begins with NUL names an abstract socket.

    Raises:
        NotConnected: nothing listens there, or the path is invalid.
        TimedOut: the listener's backlog stayed full.
    """
    try:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _connect(sock, path, deadline)
        except BaseException:
            sock.close()
            raise
    except (OSError, ValueError) as error:  # ValueError: a NUL, or a path that cannot be encoded
        reason = getattr(error, "strerror", None) or error
        raise NotConnected(f"cannot connect to the socket {path}: {reason}") from error
    return sock


def _connect(sock: socket.socket, path: str, deadline: Deadline) -> None:
    if "\0" in path.removeprefix("\0"):
        raise ValueError("the path contains a NUL")  # the kernel would use what comes before it
    sock.setblocking(False)
    # With a full backlog, connect() fails with EAGAIN at once, and no event tells when there is room again.
    while (number := sock.connect_ex(path)) == errno.EAGAIN:
        time.sleep(min(_RETRY_S, deadline.timeout(f"the socket {path} accepted no connection (its backlog is full)")))
    if number:
        raise OSError(number, os.strerror(number))
