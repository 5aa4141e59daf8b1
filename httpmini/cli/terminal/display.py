"""From the standard output of a server to a process that draws (``painter.py``), and back."""

from __future__ import annotations

import fcntl
import os
import select
import sys
from contextlib import suppress

import msgspec

from httpmini.cli.terminal.banner import Share

_PIPE_BYTES = 1024 * 1024  # as much as Linux lets everybody have
_END_S = 1.0  # a terminal that takes longer than this for the last words does not get them


class Display:
    """A process that draws what the server writes to its standard output, which is a pipe from now on.

    It is forked before there is anything else in this process, and confined like the server: it reads the names of the
    files that are shared, and nothing else.

    Args:
        share: what is shared.
    """

    def __init__(self, share: Share) -> None:
        sys.stdout.flush()
        source, pipe = _make_wide_pipe()
        ended, self._lives = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(pipe)
            os.close(ended)
            _draw(source, share)
        os.close(source)
        os.close(self._lives)
        self._ended = ended
        self._terminal = os.dup(1)
        os.dup2(pipe, 1)
        os.close(pipe)

    @staticmethod
    def say_ready(urls: tuple[str, ...], status_urls: tuple[str, ...], fingerprint: str, notes: list[str]) -> None:
        """Have it say that clients can connect, and where, and which certificate they see if it is one of our own."""
        ready = {"ready": {"urls": urls, "status": status_urls, "fingerprint": fingerprint, "notes": notes}}
        os.write(1, msgspec.json.encode(ready) + b"\n")

    def end(self) -> None:
        """Give standard output back, and wait for the last words, but not for a terminal that takes none."""
        os.dup2(self._terminal, 1)
        os.close(self._terminal)
        poll = select.poll()
        poll.register(self._ended, select.POLLIN)
        is_ending = bool(poll.poll(_END_S * 1000))
        os.close(self._ended)
        with suppress(ChildProcessError):  # the server may have collected it with its own children
            os.waitpid(self._pid, 0 if is_ending else os.WNOHANG)


def _make_wide_pipe() -> tuple[int, int]:
    """Return a pipe that holds the lines of a few thousand responses: the reader may have to wait for a processor."""
    source, pipe = os.pipe()
    if hasattr(fcntl, "F_SETPIPE_SZ"):  # Linux
        with suppress(OSError):  # a user may have so much of this only
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return source, pipe


def _draw(source: int, share: Share) -> None:
    """Be the process that draws; never return."""
    try:
        terminal = os.dup(1)
        os.dup2(os.open(os.devnull, os.O_RDWR), 1)
        from httpmini.cli.terminal.painter import Painter

        painter = Painter(source, terminal, share)
        _confine(share)
        painter.run()
    finally:
        os._exit(0)


def _confine(share: Share) -> None:
    """Give up all that drawing does not need."""
    from httpmini.cli.terminal import qr
    from httpmini.daemon import sandbox, seccomp

    qr.load()
    if sandbox.enter([sandbox.Opening(share.path, sandbox.READ)]):
        seccomp.install(seccomp.make_filter(seccomp.Permits()))
