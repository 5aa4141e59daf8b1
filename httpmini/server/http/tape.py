"""Recordings as they are written: a file for each connection, bounded in size and number.

Each event is appended by an ``open``, ``write`` and ``close`` of its own. So a tape holds no descriptor, survives a
fork, and is complete up to the moment in which a process is killed. The names of files are numbers; a process takes the
next one that does not exist, and so all processes together keep to the bound.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Literal

from httpmini.recording import MOST_FILE_BYTES, MOST_FILES, SUFFIX, VERSION, Beginning, Event, line_of
from httpmini.server.http.credentials import Blanker
from httpmini.server.logs.error import Level, Log

_NEW = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MORE = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_ESCAPED = 6  # how many bytes of JSON an octet may become: \\u0000
_FOR_LAST_BYTES = 256  # of the file, for the event that says that the rest is missing


class Recorder:
    """Makes a tape for each connection.

    Args:
        folder: where.
        mode: returns the mode of the server.
        log: is told when there is no room for more, once in each process.
    """

    def __init__(self, folder: str, mode: Callable[[], str], log: Log) -> None:
        self._folder = folder
        self._mode = mode
        self._log = log
        self._next = 1
        self._has_failed = False

    def tape(self, now: float) -> Tape | None:
        """Return the tape of a connection that was made just now; None if there can be no more."""
        beginning = line_of(Beginning(VERSION, self._mode(), time.time()))
        while self._next <= MOST_FILES:
            path = os.path.join(self._folder, f"{self._next:04}{SUFFIX}")
            self._next += 1
            try:
                _write(path, _NEW, beginning)
            except FileExistsError:
                continue
            except OSError as error:
                self.fail(f"{path} cannot be written: {error.strerror}")
                return None
            return Tape(self, path, now, len(beginning))
        self.fail(f"{self._folder} has {MOST_FILES} recordings; no more connections are recorded")
        return None

    def fail(self, said: str) -> None:
        """Log why there is no more; the clients are served all the same."""
        if not self._has_failed:
            self._has_failed = True
            self._log(said, Level.WARNING)


class Tape:
    """The recording of one connection.

    Args:
        recorder: where it comes from.
        path: its file.
        begun: when the connection was made.
        used: the bytes of the file so far.

    Attributes:
        response: what the connection has returned to be sent at once.
    """

    def __init__(self, recorder: Recorder, path: str, begun: float, used: int) -> None:
        self._recorder = recorder
        self._path = path
        self._begun = begun
        self._room = MOST_FILE_BYTES - used - _FOR_LAST_BYTES
        self._blanker = Blanker()
        self.response = b""
        self._held: list[tuple[float, int]] = []  # when octets came that are held back, and how many

    def client(self, data: bytes, now: float) -> None:
        """Record what the client has sent; ``b""`` is its end."""
        if self._room < 0:
            return
        if not data:
            self.release()
            self._add("client", b"", now)
            return
        self._held.append((now, len(data)))
        self._add_held(self._blanker.feed(data))

    def server(self, data: bytes, now: float) -> None:
        """Record what was sent to the client."""
        self.release()
        self._add("server", data, now)

    def release(self) -> None:
        """Record what was held back: nothing that would belong to it comes before what is next."""
        if self._held:
            self._add_held(self._blanker.flush())

    def _add_held(self, data: bytes) -> None:
        if not data:
            return
        held, self._held = self._held, []
        for moment, length in held:
            self._add("client", data[:length], moment, blanked=self._blanker.found)
            data = data[length:]

    def _add(self, by: Literal["client", "server"], data: bytes, now: float, *, blanked: bool = False) -> None:
        if self._room < 0:
            return
        at = round(now - self._begun, 6)
        line = line_of(Event(at, by, data.decode("iso-8859-1"), blanked=blanked))
        if len(line) > self._room:
            data = data[: self._room // _MOST_ESCAPED]
            line, self._room = line_of(Event(at, by, data.decode("iso-8859-1"), blanked=blanked, cut=True)), 0
        self._room -= len(line)
        try:
            _write(self._path, _MORE, line)
        except OSError as error:
            self._room = -1
            self._recorder.fail(f"{self._path} cannot be written: {error.strerror}")

    @property
    def room(self) -> int:
        """How many more octets can be of use."""
        return max(0, self._room)


def _write(path: str, flags: int, line: bytes) -> None:
    fd = os.open(path, flags, 0o600)
    try:
        os.write(fd, line)
    finally:
        os.close(fd)
