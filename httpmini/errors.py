"""One tree of errors: who is at fault, and what becomes of it.

    HttpminiError
      UsageError          the person at the keyboard: exit status 2
        ConfigError       ... in a config file: all its problems at once
      CannotRun           the machine says no (port taken, no permission): exit status 1
      ProtocolError       the peer sent bytes that are not HTTP, or that we refuse; knows its status
      FetchError          the client's errors, told apart by cause: exit status 1, but 2 for BadUrl
        BadUrl  NotResolved  NotConnected  TimedOut  BrokenResponse  Truncated

Everything else that is raised is a fault of httpmini itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from httpmini.reasons import Reason


def visible(text: str) -> str:
    """``text`` for a terminal or a log: control characters and what is not UTF-8 become ``\\xHH`` and the like.

    What others sent or named may hold sequences that drive a terminal, or line ends that forge a line.
    """
    return "".join(char if char.isprintable() else _escape(ord(char)) for char in text)


def _escape(code: int) -> str:
    if 0xDC80 <= code <= 0xDCFF:  # an octet that was not UTF-8 (PEP 383)
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


class HttpminiError(Exception):
    """The root of the tree; ``str()`` of any of them is a sentence fit for a person."""


class UsageError(HttpminiError):
    """A wrong flag or argument. Exit status 2."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a setting.

    Attributes:
        source: where it was said: a file's path, or a flag such as ``--mode``.
        key: the dotted name, such as ``server.mode``; empty when the source as a whole is wrong.
        value: what was said, as the person wrote it (as near as TOML lets us); empty when there is none.
        remedy: what is wrong with it and what would be right.
    """

    source: str
    key: str
    value: str
    remedy: str

    def __str__(self) -> str:
        where = f"{self.source}: " if self.source else ""
        what = " = ".join(part for part in (self.key, self.value) if part)
        return visible(f"{where}{what}{': ' if what else ''}{self.remedy}")


class ConfigError(UsageError):
    """A config file (or the flags on top of it) that cannot be used: every problem, not just the first."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class CannotRun(HttpminiError):
    """The settings are fine, but this machine cannot do it now. Exit status 1."""


class ProtocolError(HttpminiError):
    """A message that is refused.

    Attributes:
        reason: the row of ``reasons.py``: token, status, RFC section.
        offset: the byte of the message at which it went wrong, where one can be named.
        fields: what the answer has to say beside it, such as WWW-Authenticate.
    """

    def __init__(self, reason: Reason, offset: int | None = None, fields: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(str(reason) if offset is None else f"{reason}, at byte {offset}")
        self.reason = reason
        self.offset = offset
        self.fields = fields


class FetchError(HttpminiError):
    """The client could not bring what was asked for. Exit status 1."""


class BadUrl(FetchError, UsageError):
    """The URL is not one that we can ask for. Exit status 2."""


class NotResolved(FetchError):
    """The host name (or service name) has no address."""


class NotConnected(FetchError):
    """No address of the host took the connection, or it was lost before the answer began."""


class TimedOut(FetchError):
    """The server was silent for too long."""


class BrokenResponse(FetchError):
    """The answer is not HTTP as RFC 1945 or RFC 9112 know it."""


class Truncated(FetchError):
    """The answer ended before its announced length."""
