"""A server on a terminal: a pty, and a screen (pyte) that shows what a person would see."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyte

from tests.support.processes import WAIT_S

HOME = Path(__file__).parent.parent.parent
CTRL_C, CTRL_Q, CTRL_S, CTRL_Z = b"\x03", b"\x11", b"\x13", b"\x1a"
ROWS = 50
_FIGURES = (  # what differs from run to run
    (re.compile(r"\b\d\d:\d\d\b"), "HH:MM"),
    (re.compile(r"localhost:\d+|(?<=\d):\d{4,5}/"), lambda found: re.sub(r":\d+", ":PORT", found[0])),
)


class Terminal:
    """``httpmini serve`` in a session of its own, whose terminal we hold.

    Args:
        arguments: of ``httpmini serve``.
        columns: of the terminal.
        environment: variables beside ours.
        folder: the current one.
        wrapper: a command to run it with.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        folder: Path,
        columns: int = 80,
        environment: Mapping[str, str] | None = None,
        wrapper: Sequence[str] = (),
    ) -> None:
        self.screen = pyte.Screen(columns, ROWS)
        self._stream = pyte.ByteStream(self.screen)
        self._news = threading.Condition()
        self.received = b""
        self._master, slave = pty.openpty()
        self._woken, self._wake = os.pipe()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
        variables = {**os.environ, "PYTHONPATH": str(HOME), "HOME": str(folder.parent), "TERM": "xterm", "NO_COLOR": ""}
        self.process = subprocess.Popen(
            [*wrapper, sys.executable, "-X", "dev", "-W", "error", "-m", "httpmini", "serve", *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=folder,
            env={**variables, **(environment or {})},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def text(self) -> str:
        """The screen without empty lines and trailing blanks."""
        with self._news:
            return "\n".join(line.rstrip() for line in self.screen.display if line.strip())

    @property
    def golden(self) -> str:
        """The same without what differs from run to run."""
        text = self.text
        for pattern, figure in _FIGURES:
            text = pattern.sub(figure, text)
        return text

    @property
    def port(self) -> int:
        match = re.search(r"https?://\S+?:(\d+)/", self.text)
        assert match is not None, self.text
        return int(match[1])

    def wait_for(self, pattern: str) -> str:
        """Wait until the screen has a match of ``pattern``; return it."""
        found: list[str] = []

        def is_there() -> bool:
            match = re.search(pattern, self.text)
            found[:] = [match[0]] if match else []
            return bool(match)

        self.wait_until(is_there)
        return found[0]

    def wait_until(self, condition: Callable[[], bool]) -> None:
        with self._news:
            assert self._news.wait_for(condition, WAIT_S), self.text

    def press(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def hang_up(self) -> None:
        """Close our end, as a window does."""
        os.write(self._wake, b"!")  # a descriptor that is being read is not closed
        self._reader.join(WAIT_S)
        self._close()

    def end(self, keys: bytes = CTRL_C) -> int:
        """Press Ctrl-C, and return the exit status."""
        self.press(keys)
        return self.wait()

    def wait(self) -> int:
        status = self.process.wait(WAIT_S)
        self._reader.join(WAIT_S)
        return status

    def kill(self) -> None:
        """Make sure that nothing is left."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(WAIT_S)
        if self._master >= 0:
            self._reader.join(WAIT_S)
            self._close()

    def _close(self) -> None:
        for fd in (self._master, self._wake, self._woken):
            os.close(fd)
        self._master = -1

    def _read(self) -> None:
        while self._woken not in select.select([self._master, self._woken], [], [])[0]:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # all of the other end is closed
                return
            if not data:
                return
            with self._news:
                self.received += data
                self._stream.feed(data)
                self._news.notify_all()
