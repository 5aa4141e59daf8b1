"""The process that draws: it reads what the server writes into a pipe, and waits for the terminal in its place.

One thread only reads, so that the pipe never fills up: a terminal that is stopped (Ctrl-S), slow or gone keeps this
process waiting and no other. It ends when the server does: with the end of the pipe.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from functools import cached_property
from typing import TYPE_CHECKING, Any

from httpmini.cli.places import Place, place_of
from httpmini.cli.terminal.banner import Share, certificate, fit, headline, places
from httpmini.cli.terminal.count import Count
from httpmini.cli.terminal.qr import qr_lines
from httpmini.cli.terminal.screen import Screen
from httpmini.cli.terminal.transfers import Transfers

if TYPE_CHECKING:
    from httpmini.cli.terminal.rows import Rows

_PACE_S = 0.1  # between two paintings
_REFRESH_S = 0.5  # while there are transfers under way
_COUNT_S = 0.05  # how long the first line waits for the number of files
_LAST_S = 0.5  # how long the last words wait for the terminal
_MOST_LINES = 2000  # that wait for the terminal; the oldest of more are lost
_READ_BYTES = 65536
_OTHER_ROWS = 3  # of a terminal, that transfers under way leave alone
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


class Painter:
    """Draws until the server has ended.

    Args:
        source: the pipe.
        terminal: the terminal.
        share: what is shared.
    """

    def __init__(self, source: int, terminal: int, share: Share) -> None:
        self._source = source
        self._share = share
        self._screen = Screen(terminal, share.look)
        self._transfers = Transfers()
        self._count = Count(share.path)
        self._arrived: deque[str] = deque(maxlen=_MOST_LINES)
        self._lost = 0
        self._news = threading.Event()
        self._ended = threading.Event()
        self._has_begun = self._has_counted = False

    def run(self) -> None:
        """Draw. The process ends with the server, whatever the terminal does."""
        _ignore_signals(self._screen)
        self._count.start()
        threading.Thread(target=self._read, name="reader", daemon=True).start()
        while not self._ended.is_set():
            self._news.wait(self._patience_s)
            self._news.clear()
            self._paint()
            self._ended.wait(_PACE_S)
        self._paint()
        if self._has_begun:
            self._screen.paint(["Stopped."], [])

    @property
    def _patience_s(self) -> float | None:
        return _REFRESH_S if self._transfers.running or not self._has_counted else None

    @cached_property
    def _rows(self) -> Rows:
        """The lines of transfers: with the first of them, since the first line need not wait for the imports."""
        from httpmini.cli.terminal.rows import Rows

        return Rows(self._share.look)

    def _read(self) -> None:
        """Take what the server writes, as fast as it comes."""
        rest = b""
        while data := os.read(self._source, _READ_BYTES):
            *lines, rest = (rest + data).split(b"\n")
            self._lost += max(0, len(self._arrived) + len(lines) - _MOST_LINES)
            self._arrived.extend(line.decode("utf-8", "replace") for line in lines)
            self._news.set()
        last = threading.Timer(_LAST_S, os._exit, (0,))
        last.daemon = True
        last.start()
        self._ended.set()
        self._news.set()

    def _paint(self) -> None:
        width, height = self._screen.size
        lines = self._new_lines(width)
        if self._transfers.ready is not None and not self._has_begun:
            self._has_begun = True
            lines = [*self._first_lines(self._transfers.ready, width), *lines]
        elif self._has_begun and not self._has_counted and self._count.done.is_set():
            self._has_counted = True
            lines.append(f"  {self._count}")
        self._screen.paint(lines, [] if self._ended.is_set() else self._running_rows(width, height))

    def _new_lines(self, width: int) -> list[str]:
        now, wall = time.monotonic(), time.time()
        lines = []
        if self._lost:
            lines.append(f"({self._lost} lines were lost here)")
            self._lost = 0
        while self._arrived:
            line = self._transfers.read(self._arrived.popleft(), now, wall)
            if line is not None:
                lines += self._rows.line(line, width)
        return lines

    def _running_rows(self, width: int, height: int) -> list[str]:
        self._transfers.forget_silent(time.monotonic())
        running = list(self._transfers.running.values())
        most = max(1, height - _OTHER_ROWS)
        rows = [self._rows.running(one, width) for one in running[:most]]
        return [*rows, *([self._rows.more(len(running) - most)] if len(running) > most else [])]

    def _first_lines(self, ready: dict[str, Any], width: int) -> list[str]:
        place = place_of(ready["urls"], self._share.addresses)
        self._has_counted = self._count.done.wait(_COUNT_S)
        known = str(self._count) if self._has_counted else ""
        lines = [headline(self._share, known), *places(self._share, place, width), *certificate(ready["fingerprint"])]
        lines += [f"  {text}" for text in ready["notes"]]
        lines += [f"  {'status':<17} {url}" for url in ready["status"]]
        code, excuse = self._qr(place, width)
        return [*(part for line in (*lines, *excuse) for part in fit(line, width)), *code]

    def _qr(self, place: Place, width: int) -> tuple[list[str], list[str]]:
        """Return the QR code, if one is wanted; and if there is none, why not."""
        wanted = self._share.qr
        if wanted is False or (wanted is None and not place.network):
            return [], []
        if not place.network:
            return [], ["  no QR code: nobody on your network could open it; --lan lets them"]
        code = [f"  {line}" for line in qr_lines(place.network[0], self._share.look, width - 3)]
        return code, [] if code or wanted is None else ["  no QR code: the terminal is too narrow for it"]


def _ignore_signals(screen: Screen) -> None:
    """Leave all that a terminal sends to the server; after a pause (Ctrl-Z, fg) the shell's words are between."""
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCONT, lambda _number, _frame: screen.forget())
