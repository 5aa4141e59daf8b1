"""The system log as the destination of a log: syslog, or systemd's journal. Both take datagrams on a Unix socket.

| syslog  | ``<30>Nov 25 10:20:28 httpmini[4711]: text``, as syslog(3) sends it (RFC 3164 §4.1) |
| journal | ``FIELD=value`` lines, which preserve the level of each line; ``journalctl -t httpmini`` shows them |

The log daemon may restart or be slow. Lines are lost and counted then; nothing waits for it.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable

from httpmini.errors import CannotRun
from httpmini.protocol.dates import MONTHS
from httpmini.server.logs.error import Level

SYSLOG = "syslog"
JOURNAL = "journal"

# An environment variable overrides each path: a container may have its log elsewhere.
_SOCKETS = {SYSLOG: ("HTTPMINI_SYSLOG", "/dev/log"), JOURNAL: ("HTTPMINI_JOURNAL", "/run/systemd/journal/socket")}
_NAME = "httpmini"
_DAEMON = 3 << 3  # the facility (RFC 5424 §6.2.1)


class SystemLog:
    """A log in syslog or in the journal.

    Args:
        target: "syslog" or "journal".
        count: called with 1 for each line.

    Raises:
        CannotRun: no log daemon listens on the socket.
    """

    def __init__(self, target: str, count: Callable[[int], None] = lambda _lines: None) -> None:
        variable, path = _SOCKETS[target]
        self._path = os.environ.get(variable, path)
        self._spell: Callable[[str, Level], bytes] = _spell_syslog if target == SYSLOG else _spell_journal
        self._count = count
        self._lost = 0
        self.trouble = ""  # a log daemon that is away shows in the number of lost lines
        try:
            self._sock = _connect(self._path)
        except OSError as error:
            said = f'log "{target}": cannot write to {self._path}: {error.strerror}; write "stdout" or a file instead'
            raise CannotRun(said) from error

    def write(self, line: str, level: Level = Level.INFO, /) -> None:
        """Send ``line`` as one datagram. If that fails, the line is lost, and counted."""
        self._count(1)
        if self._lost and self._send(f"({self._lost} lines were lost here)", Level.WARNING):
            self._lost = 0
        if self._lost or not self._send(line, level):
            self._lost += 1

    def flush(self) -> None:
        """Do nothing: no line ever waits."""

    def stop_batching(self) -> None:
        """No line waits."""

    def __del__(self) -> None:
        if hasattr(self, "_sock"):
            self._sock.close()

    def reopen(self) -> None:
        """Connect again, for example to a log daemon that has restarted; keep the old socket if that fails."""
        try:
            fresh = _connect(self._path)
        except OSError:
            return
        os.dup2(fresh.fileno(), self._sock.fileno(), inheritable=False)
        fresh.close()

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()

    def _send(self, line: str, level: Level) -> bool:
        datagram = self._spell(line, level)
        for attempt in range(2):
            try:
                self._sock.send(datagram)
            except BlockingIOError:  # the log daemon is too slow
                return False
            except OSError:
                if attempt == 0:
                    self.reopen()  # the log daemon has restarted
            else:
                return True
        return False


def _connect(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.connect(path)
    except OSError:
        sock.close()
        raise
    return sock


def _spell_syslog(line: str, level: Level) -> bytes:
    now = time.localtime()  # local time, as syslog(3) uses it
    date = f"{MONTHS[now.tm_mon - 1]} {now.tm_mday:2} {now.tm_hour:02}:{now.tm_min:02}:{now.tm_sec:02}"
    return f"<{_DAEMON | level}>{date} {_NAME}[{os.getpid()}]: {line}".encode("utf-8", "backslashreplace")


def _spell_journal(line: str, level: Level) -> bytes:
    text = f"MESSAGE={line}\nPRIORITY={int(level)}\nSYSLOG_IDENTIFIER={_NAME}\nSYSLOG_FACILITY={_DAEMON >> 3}\n"
    return text.encode("utf-8", "backslashreplace")
