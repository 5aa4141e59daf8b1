"""What people see of the lines that a server writes: transfers under way, those that have ended, refusals, messages.

The server writes into a pipe: JSON (``server/logs/json_lines.py``, ``server/http/progress.py``) and dated messages
(``server/logs/error.py``).
"""

from __future__ import annotations

import re
from collections import deque
from enum import Enum
from typing import Any
from urllib.parse import unquote

import msgspec

from httpmini.errors import visible
from httpmini.protocol.status import PHRASES

_RATE_S = 3.0  # the rate is that of the last seconds
_SILENT_S = 3.0  # a transfer of which nothing was heard for this long has ended, and its line was lost
_MESSAGE = re.compile(r"\S+Z (?P<level>error|warning|notice|info): (?P<text>.*)", re.DOTALL)
_LAST_WORDS = "the server ends: "  # which standard error says as well
_ASKING = "credentials-missing"  # how every browser begins


class Kind(Enum):
    """How a line is to be drawn."""

    DONE = "a finished transfer"
    CUT = "a transfer that was cut off"
    REFUSED = "a refusal"
    MESSAGE = "a message of the server"


class Line(msgspec.Struct, frozen=True):
    """A line that stays.

    Attributes:
        kind: how to draw it.
        wall: when it happened.
        client: whose it is; "" for a message.
        name: what was asked for; the text of a message.
        size: how many bytes were sent.
        seconds: how long that took.
        note: what else there is to say.
    """

    kind: Kind
    wall: float
    client: str
    name: str
    size: int = 0
    seconds: float = 0.0
    note: str = ""


class Running(msgspec.Struct):
    """A transfer under way.

    Attributes:
        wall: when it was first heard of.
        client: whose it is.
        name: what was asked for.
        total: how many bytes it has.
        seen: when it had how many bytes, for the last seconds.
    """

    wall: float
    client: str
    name: str
    total: int
    seen: deque[tuple[float, int]] = msgspec.field(default_factory=deque)

    @property
    def sent(self) -> int:
        """How many bytes were sent."""
        return self.seen[-1][1]

    @property
    def rate(self) -> float:
        """Bytes per second, lately; 0 while that is not known."""
        (first, before), (last, sent) = self.seen[0], self.seen[-1]
        return max(0.0, (sent - before) / (last - first)) if last > first else 0.0

    @property
    def left_s(self) -> float | None:
        """Seconds until it is done, if it goes on like this."""
        return (self.total - self.sent) / self.rate if self.rate else None

    def note(self, now: float, sent: int) -> None:
        """Take note of its progress."""
        if self.seen and sent < self.sent:  # another response, for the same
            self.seen.clear()
        self.seen.append((now, sent))
        while self.seen[-1][0] - self.seen[0][0] > _RATE_S:
            self.seen.popleft()


class Transfers:
    """Reads the lines of a server.

    Attributes:
        running: the transfers under way, by address and port of their clients.
        ready: what the server has said about itself when clients could connect; None before.
    """

    def __init__(self) -> None:
        self.running: dict[tuple[str, int], Running] = {}
        self.ready: dict[str, Any] | None = None

    def read(self, text: str, now: float, wall: float) -> Line | None:
        """Take a line of the server.

        Args:
            text: the line, without its end.
            now: monotonic time.
            wall: the time of day.

        Returns:
            What is to stay on the terminal; None for nothing.
        """
        if text.startswith("{"):
            try:
                said = msgspec.json.decode(text)
                return self._read_object(said, now, wall)
            except (ValueError, KeyError, TypeError):  # cut, or not ours
                return None
        return _read_message(text, wall)

    def forget_silent(self, now: float) -> None:
        """Forget transfers of which nothing is heard any more."""
        for key in [key for key, one in self.running.items() if now - one.seen[-1][0] > _SILENT_S]:
            del self.running[key]

    def _read_object(self, said: dict[str, Any], now: float, wall: float) -> Line | None:
        if "ready" in said:
            self.ready = said["ready"]
        elif "sending" in said:
            self._note(said, now, wall)
        else:
            return self._end(said, wall)
        return None

    def _note(self, said: dict[str, Any], now: float, wall: float) -> None:
        key, name, total = (said["client"], said["port"]), name_of(said["sending"]), said["total"]
        one = self.running.get(key)
        if one is None or (one.name, one.total) != (name, total):
            one = self.running[key] = Running(wall, said["client"], name, total)
        one.note(now, said["sent"])

    def _end(self, said: dict[str, Any], wall: float) -> Line | None:
        """Return the line of a response that has ended, if people care."""
        one = self.running.pop((said["client"], said["port"]), None)
        client, status, size, seconds = said["client"], said["status"], said["bytes"], said["duration"]
        name = name_of(said.get("target") or said["request"])
        if status >= 400:
            if said.get("reason") == _ASKING:
                return None
            return Line(Kind.REFUSED, wall, client, name, note=_why(status, said.get("reason", "")))
        if said.get("method") != "GET" or status not in (200, 206):
            return None
        if one is not None and one.name == name and size < one.total:
            return Line(Kind.CUT, wall, client, name, size, seconds, f"{100 * size // one.total} %")
        return Line(Kind.DONE, wall, client, name, size, seconds)


def _why(status: int, reason: str) -> str:
    return "wrong password" if reason == "credentials-wrong" else f"{status} {PHRASES.get(status, '')}".rstrip()


def name_of(target: str) -> str:
    """Return what a request asks for, as people write it: "photos/a b.jpg", or "/" for the top."""
    path = unquote(target.partition("?")[0], "utf-8", "replace")
    return visible(path.strip() if path.strip("/") == "" else path.lstrip("/"))


def _read_message(text: str, wall: float) -> Line | None:
    match = _MESSAGE.fullmatch(text)
    said = match["text"] if match else text
    if said.startswith(_LAST_WORDS) or not said:
        return None
    return Line(Kind.MESSAGE, wall, "", visible(said), note=match["level"] if match else "notice")
