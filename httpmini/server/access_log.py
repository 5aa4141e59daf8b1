"""One line for each answer, in the Common or the Combined Log Format.

    host ident user [day/month/year:hour:minute:second zone] "request line" status bytes "referer" "user agent"

What the client sent is quoted so that no line can be forged: quotes, backslashes and everything that is not printable
ASCII become ``\\xHH``, one for each octet, and so can be read back. Long values are cut, so that a line is one write.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from httpmini.protocol.dates import MONTHS
from httpmini.protocol.message import Request
from httpmini.server.connection import Peer

Format = Literal["common", "combined"]

# Together with the rest of a line they stay below log_file.MAX_LINE_BYTES, even when every octet is escaped.
_MAX_LINE_OCTETS = 2000
_MAX_FIELD_OCTETS = 700

_ESCAPES = {code: f"\\x{code:02X}" for code in (*range(0x20), ord('"'), ord("\\"), *range(0x7F, 0x100))}


@dataclass(frozen=True, slots=True)
class Exchange:
    """What happened to one request.

    Attributes:
        peer: who asked.
        line: the request line as it came.
        request: the request; None when it could not be read.
        status: the status of the answer.
        body_bytes: how many bytes of the body the kernel took to send.
        finished: seconds since the epoch.
    """

    peer: Peer
    line: str
    request: Request | None
    status: int
    body_bytes: int
    finished: float


def escape(text: str, limit: int) -> str:
    """``text``, whose characters are octets, for between two quotes; at most ``limit`` characters long."""
    escaped = text[:limit].translate(_ESCAPES)
    if len(escaped) <= limit and len(text) <= limit:
        return escaped
    cut = escaped[: limit - 3]
    return cut[: cut.rindex("\\")] + "..." if "\\" in cut[-3:] else cut + "..."


def format_exchange(exchange: Exchange, form: Format) -> str:
    """The line for ``exchange``, in UTC."""
    t = time.gmtime(exchange.finished)
    date = f"{t.tm_mday:02}/{MONTHS[t.tm_mon - 1]}/{t.tm_year}:{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02} +0000"
    line = escape(exchange.line, _MAX_LINE_OCTETS) or "-"
    size = exchange.body_bytes or "-"
    common = f'{exchange.peer.host} - - [{date}] "{line}" {exchange.status} {size}'
    if form == "common":
        return common
    fields = exchange.request.headers if exchange.request else None
    referer = escape((fields and fields.get("Referer")) or "-", _MAX_FIELD_OCTETS)
    agent = escape((fields and fields.get("User-Agent")) or "-", _MAX_FIELD_OCTETS)
    return f'{common} "{referer}" "{agent}"'


def access_log(form: Format, write: Callable[[str], None]) -> Callable[[Exchange], None]:
    """A function that writes the line of an exchange."""
    return lambda exchange: write(format_exchange(exchange, form))
