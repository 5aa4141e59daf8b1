"""The tree of errors: each class stands for a party at fault, and for an exit status or a response.

    HttpminiError
      UsageError          a wrong command line: exit status 2
        ConfigError       a wrong config file: all its problems at once
      CannotRun           the machine refuses (port taken, no permission): exit status 1
      ProtocolError       the peer sent bytes that are not HTTP, or that are refused; knows its status
      FetchError          the client's errors, distinguished by cause, each with an exit status of its own
        BadUrl 2  NotResolved 3  NotConnected (NoTunnel) 4  TlsFailed 5  TimedOut 6  BrokenResponse 7  Truncated 8
        BadRedirect 9  TooLarge 10  BadStatus 11  Corrupt 12

Any other exception is a bug in httpmini.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from httpmini.reasons import Reason


def visible(text: str) -> str:
    """Return ``text`` for a terminal or a log, with control characters and octets that are not UTF-8 as ``\\xHH``.

    Text from others, such as a target or a file name, may contain escape sequences that control a terminal, or line
    ends that forge a line.
    """
    return "".join(char if char.isprintable() else _escape(ord(char)) for char in text)


def _escape(code: int) -> str:
    if 0xDC80 <= code <= 0xDCFF:  # an octet that is not UTF-8 (PEP 383)
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


class HttpminiError(Exception):
    """The root of the tree. ``str()`` of any of them is a message for the user."""


class UsageError(HttpminiError):
    """A wrong flag or argument. Exit status 2."""


class Problem(msgspec.Struct, frozen=True):
    """One problem with one setting.

    Attributes:
        source: where it was set: the path of a file, or a flag such as ``--mode``.
        key: the dotted name, such as ``server.mode``; empty if the source as a whole is wrong.
        value: the value, as close to how it was written as TOML allows; empty if there is none.
        remedy: what is wrong, and what would be right.
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
    """A config file, or a combination of file and flags, that cannot be used.

    Attributes:
        problems: everything that is wrong, not just the first problem.
    """

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class CannotRun(HttpminiError):
    """The settings are valid, but this machine cannot follow them now. Exit status 1."""


class ProtocolError(HttpminiError):
    """A message that is refused.

    Attributes:
        reason: why: token, status, RFC section and text.
        offset: the byte of the message at which it went wrong, if there is one.
        fields: header fields that the response needs, such as WWW-Authenticate.
    """

    def __init__(self, reason: Reason, offset: int | None = None, fields: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(str(reason) if offset is None else f"{reason}, at byte {offset}")
        self.reason = reason
        self.offset = offset
        self.fields = fields


class FetchError(HttpminiError):
    """The client could not fetch the resource. Each subclass has an exit status of its own."""

    exit_status = 1


class BadUrl(FetchError, UsageError):
    """The URL is malformed, or of a kind that the client does not fetch."""

    exit_status = 2


class NotResolved(FetchError):
    """The host name (or service name) has no address."""

    exit_status = 3


class NotConnected(FetchError):
    """No address of the host accepted the connection, or it was lost before the response began."""

    exit_status = 4


class NoTunnel(NotConnected):
    """A proxy refused to connect to the server.

    Attributes:
        status: the proxy's status code; for most codes, trying again gets the same one.
    """

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


class TlsFailed(FetchError):
    """The connection could not be secured: a wrong certificate, name or version of TLS."""

    exit_status = 5


class TimedOut(FetchError):
    """The server took too long.

    Attributes:
        phase: what the client waited for: "connect", "first byte", "silence" (between two pieces) or "total".
        limit_s: the limit, in seconds.
    """

    exit_status = 6

    def __init__(self, phase: str, limit_s: float, what: str) -> None:
        super().__init__(f"{what} within {limit_s:g} s (the limit for: {phase})")
        self.phase = phase
        self.limit_s = limit_s


class BrokenResponse(FetchError):
    """The response is not HTTP according to RFC 1945 or RFC 9112.

    Attributes:
        rule: the token of the rule that it breaks (``reasons.py``), or empty.
        offset: the byte of the response at which it does so, if there is one.
    """

    exit_status = 7

    def __init__(self, text: str, rule: str = "", offset: int | None = None) -> None:
        super().__init__(text)
        self.rule = rule
        self.offset = offset


class Truncated(FetchError):
    """The response ended too early."""

    exit_status = 8


class BadRedirect(FetchError):
    """Redirected too often, in a loop, or to a URL that the client does not follow."""

    exit_status = 9


class TooLarge(FetchError):
    """The body, its decoded form, or the ratio of the two exceeds the limits."""

    exit_status = 10


class BadStatus(FetchError):
    """The response is complete, and not a success.

    Attributes:
        status: its status code.
    """

    exit_status = 11

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


class Corrupt(FetchError):
    """The response is complete, and wrong: another digest, another length, or a part of another version."""

    exit_status = 12
