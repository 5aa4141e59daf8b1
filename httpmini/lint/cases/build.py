"""What a wire case is, and short ways to write one."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from httpmini.lint.cases.site_tree import changed, shared_site
from httpmini.protocol.dates import format_date

_CHANGED = changed(shared_site())
LAST_MODIFIED = format_date(_CHANGED)
SECOND_BEFORE = format_date(_CHANGED - 1)
SECOND_AFTER = format_date(_CHANGED + 1)
AS_RFC_850 = time.strftime("%A, %d-%b-%y %H:%M:%S GMT", time.gmtime(_CHANGED))
AS_ASCTIME = time.asctime(time.gmtime(_CHANGED))
HEAD = "HTTP/1.0\r\n\r\n"


@dataclass(frozen=True)
class Expected:
    """What a response must be; ``None`` matches anything."""

    status: int
    body: bytes | None = None
    reason: str = ""
    fields: dict[str, str | None] = field(default_factory=dict)  # None: must not be there
    head_only: bool = False


@dataclass(frozen=True)
class Case:
    """A request and the expected responses in order; ``raw`` is a response without a head (HTTP/0.9)."""

    name: str
    data: bytes
    answers: tuple[Expected, ...] = ()
    raw: bytes | None = None


def case(name: str, data: str | bytes, *answers: Expected, raw: bytes | None = None) -> Case:
    """A request ``data`` and the responses that it must get, in order."""
    return Case(name, data.encode("iso-8859-1") if isinstance(data, str) else data, answers, raw)


def refused(name: str, data: str | bytes, status: int, reason: str) -> Case:
    """A request that must be refused with ``status`` and ``reason``, after which the connection is closed."""
    return case(name, data, Expected(status, reason=reason, fields={"connection": "close"}))


def get(name: str, target: str, body: bytes, **fields: str) -> Case:
    """A GET that must return ``body`` with status 200."""
    return case(f"get {name}", f"GET {target} {HEAD}", Expected(200, body, fields=dict(fields)))


def missing(target: str, status: int = 404, reason: str = "not-found") -> Case:
    """A GET whose ``target`` must not be found."""
    return case(f"not there {target}", f"GET {target} {HEAD}", Expected(status, reason=reason))


def moved(target: str, location: str) -> Case:
    """A GET that must be redirected (301) to ``location``."""
    return case(f"moved {target}", f"GET {target} {HEAD}", Expected(301, fields={"location": location}))


def if_modified_since(name: str, date: str, status: int) -> Case:
    """A conditional GET with ``date``."""
    body = b"0123456789" if status == 200 else b""
    wanted = Expected(status, body, fields={"last-modified": LAST_MODIFIED})
    return case(f"since {name}", f"GET /ten.txt HTTP/1.0\r\nIf-Modified-Since: {date}\r\n\r\n", wanted)


TEN = b"0123456789"


def condition(name: str, line: str, status: int) -> Case:
    """A GET with the field line ``line``, and the status that must follow."""
    body = {200: TEN, 304: b"", 412: None}[status]
    reason = "precondition-failed" if status == 412 else ""
    return case(f"condition: {name}", f"GET /ten.txt HTTP/1.0\r\n{line}\r\n\r\n", Expected(status, body, reason))


def part_of_ten(spec: str, part: tuple[int, int]) -> Case:
    """A range of ten bytes; ``part`` is its first position and its length."""
    first, length = part
    fields: dict[str, str | None] = {
        "content-range": f"bytes {first}-{first + length - 1}/10",
        "content-length": str(length),
        "accept-ranges": "bytes",
        "content-type": "text/plain; charset=utf-8",
        "last-modified": LAST_MODIFIED,
    }
    expected = Expected(206, TEN[first : first + length], fields=fields)
    return case(f"range {spec}", f"GET /ten.txt HTTP/1.0\r\nRange: bytes={spec}\r\n\r\n", expected)


def if_range(name: str, value: str, status: int) -> Case:
    """A range that is wanted only if ``value`` names the current version."""
    expected = Expected(status, TEN[1:4] if status == 206 else TEN)
    head = f"GET /ten.txt HTTP/1.0\r\nRange: bytes=1-3\r\nIf-Range: {value}\r\n\r\n"
    return case(f"if range is {name}", head, expected)


OK = Expected(200, TEN)
OPTIONS = Expected(204, b"", fields={"allow": "GET, HEAD, OPTIONS", "content-length": None})
KEPT = Expected(200, TEN, fields={"connection": "keep-alive", "content-length": "10"})
CLOSED = Expected(200, TEN, fields={"connection": "close", "content-length": "10"})
TOO_LONG_HEAD = "GET /ten.txt HTTP/1.0\r\nX: " + "x" * 16_400 + "\r\n\r\n"


def ask(target: str, connection: str, method: str = "GET", version: str = "1.0") -> str:
    """Return a request with this Connection field."""
    return f"{method} {target} HTTP/{version}\r\nHost: x\r\nConnection: {connection}\r\n\r\n"


KEEP = "keep-alive"


ARABIC_ONE, ARABIC_ZERO, ARABIC_FIVE = (f"{digit}".encode().decode("iso-8859-1") for digit in "\u0661\u0660\u0665")
FULLWIDTH_FIVE = "\uff15".encode().decode("iso-8859-1")


def last(status: int, reason: str = "", *, head_only: bool = False) -> Expected:
    """The last response of a connection."""
    return Expected(status, reason=reason, fields={"connection": "close"}, head_only=head_only)
