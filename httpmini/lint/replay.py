"""A recorded connection, sent again to a server, and how its answers differ from the recorded ones."""

from __future__ import annotations

import contextlib
import hashlib
import re
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from httpmini.errors import CannotRun
from httpmini.lint.answer import Answer, read_answer
from httpmini.recording import Recording

MOST_PAUSE_S = 5.0  # between two pieces that the client sends
MOST_S = 60.0  # for all of it
_WAIT_S = 10.0  # for more of the answers; and longer where that took longer when they were recorded
_WAIT_FOR_NOTHING_S = 1.0
_MOST_BYTES = 16 << 20
_EMPTY_LINES = re.compile(rb"[\r\n]*")
_HEAD_END = re.compile(rb"\n\r?\n")


@dataclass(frozen=True)
class Exchange:
    """A request with its recorded answer and the one that came now; None: there is none."""

    line: str
    recorded: Answer | None
    now: Answer | None

    @property
    def status(self) -> str:
        """The status that came now, or what came in its place."""
        return _status(self.now)

    def differences(self, *, cut: bool) -> Iterator[str]:
        """Yield what differs, a line each.

        Args:
            cut: the end of the recorded body may be missing.
        """
        if self.recorded is None or self.now is None:
            yield f"{_status(self.now)}; recorded: {_status(self.recorded)}"
            return
        if self.now.status != self.recorded.status:
            yield f"status {_status(self.now)}; recorded: {_status(self.recorded)}"
        yield from _fields(self.recorded, self.now)
        yield from _bodies(self.recorded, self.now, cut)


class Player:
    """Sends a recording.

    Args:
        recording: what.
        address: host and port of the server.
        most_pause_s: no pause is longer.
    """

    def __init__(self, recording: Recording, address: tuple[str, int], most_pause_s: float = MOST_PAUSE_S) -> None:
        self._recording = recording
        self._address = address
        self._most_pause_s = min(most_pause_s, MOST_PAUSE_S)
        self._methods = methods_of(request_lines(recording.said("client")))
        self._came = bytearray()
        self._news = threading.Condition()
        self._ended = False

    def play(self) -> list[Exchange]:
        """Send it all, and return what came back.

        Raises:
            CannotRun: there is no server.
        """
        recorded = split(self._recording.said("server"), self._methods, ended=True)
        try:
            sock = socket.create_connection(self._address, _WAIT_S)
        except OSError as error:
            host, port = self._address
            raise CannotRun(f"{host}:{port}: no connection: {error.strerror or error}") from error
        with sock:
            reader = threading.Thread(target=self._read, args=(sock,), daemon=True)
            reader.start()
            with contextlib.suppress(OSError):  # it may end before it has heard everything, and have said why
                self._send(sock)
            self._wait_for_rest(len(recorded))
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            reader.join()
        now = split(bytes(self._came), self._methods, ended=True)
        return _exchanges(request_lines(self._recording.said("client")), recorded, now)

    def _read(self, sock: socket.socket) -> None:
        sock.settimeout(MOST_S)
        data = b"-"
        while data and len(self._came) < _MOST_BYTES:
            try:
                data = sock.recv(1 << 18)
            except OSError:
                data = b""
            with self._news:
                self._came += data
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def _send(self, sock: socket.socket) -> None:
        """Send piece by piece; where the server had spoken in between, wait until it has begun to."""
        until, before, had, answered = time.monotonic() + MOST_S, 0.0, 0, False
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for event in self._recording.events:
            if event.by == "server":
                answered = True
                continue
            if answered:
                self._wait_for_more_than(had, _WAIT_S)
            self._pause(min(event.at - before, until - time.monotonic()))
            before, had, answered = event.at, len(self._came), False
            if event.data:
                sock.sendall(event.data)
            elif not event.cut:
                sock.shutdown(socket.SHUT_WR)

    def _wait_for_rest(self, count: int) -> None:
        """Wait until as many answers are here as were recorded, or the server ends, or nothing comes for a while."""
        until, had = time.monotonic() + MOST_S, -1
        wait_s = _WAIT_S + self._longest_s if count else _WAIT_FOR_NOTHING_S
        while had < len(self._came) and time.monotonic() < until and not self._ended:
            had = len(self._came)
            found = split(bytes(self._came), self._methods, ended=False)
            if count and len(found) >= count and all(answer.is_complete for answer in found):
                return
            self._wait_for_more_than(had, min(wait_s, until - time.monotonic()))

    @property
    def _longest_s(self) -> float:
        """How long the client has waited at most when this was recorded."""
        moments = [event.at for event in self._recording.events]
        return max((after - before for before, after in pairwise(moments)), default=0.0)

    def _pause(self, seconds: float) -> None:
        """Do as the client did: nothing; unless the server has ended."""
        with self._news:
            self._news.wait_for(lambda: self._ended, max(0.0, min(seconds, self._most_pause_s)))

    def _wait_for_more_than(self, had: int, most_s: float) -> None:
        """Wait until more than ``had`` octets have come, or the server has ended."""
        with self._news:
            self._news.wait_for(lambda: self._ended or len(self._came) > had, max(0.0, most_s))


def request_lines(data: bytes) -> list[str]:
    """Return the first line of each request; after one without a version, nothing is read."""
    lines, at = [], 0
    while match := _EMPTY_LINES.match(data, at):
        at = match.end()
        end = data.find(b"\n", at)
        line = data[at : end if end >= 0 else len(data)].strip()
        if line:
            lines.append(line.decode("iso-8859-1"))
        head = _HEAD_END.search(data, at)
        if b" HTTP/" not in line or head is None:
            break
        at = head.end()
    return lines


def methods_of(lines: Sequence[str]) -> list[str]:
    """Return the method of each request line; GET for a line without a version (RFC 1945 §5)."""
    return [line.split(" ")[0] if " HTTP/" in line else "GET" for line in lines]


def split(data: bytes, methods: Sequence[str], *, ended: bool) -> list[Answer]:
    """Return the answers in ``data``, to requests with these methods."""
    found: list[Answer] = []
    while data:
        head_only = len(found) < len(methods) and methods[len(found)] == "HEAD"
        answer, data = read_answer(data, head_only=head_only, ended=ended)
        found.append(answer)
    return found


def _exchanges(lines: list[str], recorded: list[Answer], now: list[Answer]) -> list[Exchange]:
    def at(found: list[Answer], number: int) -> Answer | None:
        return found[number] if number < len(found) else None

    count = max(len(recorded), len(now))
    return [
        Exchange(lines[number] if number < len(lines) else "", at(recorded, number), at(now, number))
        for number in range(count)
    ]


def _status(answer: Answer | None) -> str:
    if answer is None:
        return "no answer"
    return str(answer.status) if answer.status else "an answer without a status line"


def _fields(recorded: Answer, now: Answer) -> Iterator[str]:
    """Compare all fields but Date, those of one name together."""
    for name in dict.fromkeys(name for name, _ in (*recorded.fields, *now.fields)):
        before, after = (", ".join(value for key, value in one.fields if key == name) for one in (recorded, now))
        if name != "date" and before != after:
            yield f"{name}: {after or '(none)'}; recorded: {before or '(none)'}"


def _bodies(recorded: Answer, now: Answer, cut: bool) -> Iterator[str]:
    came = now.body[: len(recorded.body)] if cut else now.body
    if came != recorded.body:
        yield f"body {digest(came)}; recorded: {digest(recorded.body)}"


def digest(body: bytes) -> str:
    """Say how long a body is, and the beginning of its digest."""
    return f"{len(body):,} bytes, sha-256 {hashlib.sha256(body).hexdigest()[:16]}"
