"""A browser for the server, opened as soon as clients can connect."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import NoReturn

_MOST_URL_BYTES = 1024


class Browser:
    """A process that waits for a URL and opens it: the server itself may start no program by then.

    It belongs to nobody (its parent ends at once), has no terminal, and says nothing. If there is no browser, or it
    fails, the server goes on all the same.
    """

    def __init__(self) -> None:
        source, self._pipe = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(self._pipe)
            _detach()
            _open(source)
        os.close(source)
        os.waitpid(pid, 0)

    def open(self, url: str) -> None:
        """Have it open ``url``."""
        with suppress(OSError):  # it has been ended
            os.write(self._pipe, url.encode()[:_MOST_URL_BYTES])
        os.close(self._pipe)


def _detach() -> None:
    """Become a process that no terminal and no parent knows."""
    if os.fork():
        os._exit(0)
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)


def _open(source: int) -> NoReturn:
    try:
        url = os.read(source, _MOST_URL_BYTES).decode()
        if url:  # the server can be reached
            import webbrowser

            webbrowser.open(url)
    finally:
        os._exit(0)
