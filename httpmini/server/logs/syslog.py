"""The system's log as a place for lines: syslog, or systemd's journal. Both take datagrams at a unix socket.

| syslog  | ``<30>Nov 25 10:20:28 httpmini[4711]: text``, as syslog(3) sends it (RFC 3164 §4.1) |
| journal | ``FIELD=value`` lines, which keep a line's level, and one line a line, for ``journalctl -t httpmini`` |

Who listens there may be started anew, or be slow: then lines are lost and counted, never waited for.
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

# By these, others can be named: a container has its log elsewhere.
_PLACES = {SYSLOG: ("HTTPMINI_SYSLOG", "/dev/log"), JOURNAL: ("HTTPMINI_JOURNAL", "/run/systemd/journal/socket")}
_NAME = "httpmini"
_DAEMON = 3 << 3  # the facility (RFC 5424 §6.2.1)


class SystemLog:
    """A connected datagram socket.

    Args:
        target: "syslog" or "journal".
        count: told of each line.

    Raises:
        CannotRun: nobody listens there.
    """

    def __init__(self, target: str, count: Callable[[int], None] = lambda _lines: None) -> None:
        variable, place = _PLACES[target]
        self._place = os.environ.get(variable, place)
        self._spell: Callable[[str, Level], bytes] = _spell_syslog if target == SYSLOG else _spell_journal
        self._count = count
        self._lost = 0
        try:
            self._sock = _connect(self._place)
        except OSError as error:
            said = f'log "{target}": cannot write to {self._place}: {error.strerror}; write "stdout" or a file instead'
            raise CannotRun(said) from error

    def write(self, line: str, level: Level = Level.INFO, /) -> None:
        """See ``LogWriter``."""
        self._count(1)
        if self._lost and self._send(f"({self._lost} lines were lost here)", Level.WARNING):
            self._lost = 0
        if self._lost or not self._send(line, level):
            self._lost += 1

    def flush(self) -> None:
        """No line waits."""

    def stop_batching(self) -> None:
        """No line waits."""

    def __del__(self) -> None:
        if hasattr(self, "_sock"):
            self._sock.close()

    def reopen(self) -> None:
        """See ``LogWriter``."""
        try:
            fresh = _connect(self._place)
        except OSError:
            return
        os.dup2(fresh.fileno(), self._sock.fileno(), inheritable=False)
        fresh.close()

    def close(self) -> None:
        """See ``LogWriter``."""
        self._sock.close()

    def _send(self, line: str, level: Level) -> bool:
        datagram = self._spell(line, level)
        for attempt in range(2):
            try:
                self._sock.send(datagram)
            except BlockingIOError:  # whoever listens is behind
                return False
            except OSError:
                if attempt == 0:
                    self.reopen()  # it was started anew
            else:
                return True
        return False


def _connect(place: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.connect(place)
    except OSError:
        sock.close()
        raise
    return sock


def _spell_syslog(line: str, level: Level) -> bytes:
    now = time.localtime()  # of this machine, as its log has it
    date = f"{MONTHS[now.tm_mon - 1]} {now.tm_mday:2} {now.tm_hour:02}:{now.tm_min:02}:{now.tm_sec:02}"
    return f"<{_DAEMON | level}>{date} {_NAME}[{os.getpid()}]: {line}".encode("utf-8", "backslashreplace")


def _spell_journal(line: str, level: Level) -> bytes:
    text = f"MESSAGE={line}\nPRIORITY={int(level)}\nSYSLOG_IDENTIFIER={_NAME}\nSYSLOG_FACILITY={_DAEMON >> 3}\n"
    return text.encode("utf-8", "backslashreplace")
