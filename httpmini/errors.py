"""One tree of errors: who is at fault, and what becomes of it.

    HttpminiError
      UsageError          the person at the keyboard: exit status 2
        ConfigError       ... in a config file: all its problems at once
      CannotRun           the machine says no (port taken, no permission): exit status 1
      ProtocolError       the peer sent bytes that are not HTTP, or that we refuse; knows its status
      FetchError          the client's errors, told apart by cause, each with an exit status of its own
        BadUrl 2  NotResolved 3  NotConnected (NoTunnel) 4  TlsFailed 5  TimedOut 6  BrokenResponse 7  Truncated 8
        BadRedirect 9  TooLarge 10  BadStatus 11  Corrupt 12

Everything else that is raised is a fault of httpmini itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

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


class Problem(msgspec.Struct, frozen=True):
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
    """The client could not bring what was asked for; each kind has an exit status of its own."""

    exit_status = 1


class BadUrl(FetchError, UsageError):
    """The URL is not one that we can ask for."""

    exit_status = 2


class NotResolved(FetchError):
    """The host name (or service name) has no address."""

    exit_status = 3


class NotConnected(FetchError):
    """No address of the host took the connection, or it was lost before the answer began."""

    exit_status = 4


class NoTunnel(NotConnected):
    """A proxy answered, and does not connect to the server.

    Attributes:
        status: what it answered; most of them say the same when they are asked again.
    """

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


class TlsFailed(FetchError):
    """The connection could not be made private: a certificate, a name, a version of TLS."""

    exit_status = 5


class TimedOut(FetchError):
    """The server was silent for too long.

    Attributes:
        phase: what was waited for: "connect", "first byte", "silence" (between two pieces) or "total".
        limit_s: the limit, in seconds.
    """

    exit_status = 6

    def __init__(self, phase: str, limit_s: float, what: str) -> None:
        super().__init__(f"{what} within {limit_s:g} s (the limit for: {phase})")
        self.phase = phase
        self.limit_s = limit_s


class BrokenResponse(FetchError):
    """The answer is not HTTP as RFC 1945 or RFC 9112 know it.

    Attributes:
        rule: the token of the rule that it breaks (``reasons.py``), or empty.
        offset: the byte of the answer at which it does so, where one can be named.
    """

    exit_status = 7

    def __init__(self, text: str, rule: str = "", offset: int | None = None) -> None:
        super().__init__(text)
        self.rule = rule
        self.offset = offset


class Truncated(FetchError):
    """The answer ended before its end."""

    exit_status = 8


class BadRedirect(FetchError):
    """Redirected too often, in a circle, or to where we do not follow."""

    exit_status = 9


class TooLarge(FetchError):
    """More than the limits allow: of the body, of what it decodes to, or of the ratio between the two."""

    exit_status = 10


class BadStatus(FetchError):
    """The answer came, and is not a success.

    Attributes:
        status: its status code.
    """

    exit_status = 11

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


class Corrupt(FetchError):
    """All of it came, and it is not what it should be: a digest, a length, a part of another version."""

    exit_status = 12
