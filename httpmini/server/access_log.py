"""One line for each answer, in the Common or the Combined Log Format.

    host ident user [day/month/year:hour:minute:second zone] "request line" status bytes "referer" "user agent"

The line of a refusal says behind that why: its reason (``reasons.py``), the byte of the message at which it went wrong
where there is one, and the RFC section. Programs that read these formats ignore what stands there.

What the client sent is quoted so that no line can be forged: quotes, backslashes and everything that is not printable
ASCII become ``\\xHH``, one for each octet, and so can be read back. Long values are cut, so that a line is one write.
The user name and password that some people write into URLs are left out.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from httpmini.errors import ProtocolError
from httpmini.protocol.dates import MONTHS
from httpmini.protocol.message import Request, Response
from httpmini.server.connection import Peer

Format = Literal["common", "combined"]

# Together with the rest of a line they stay below log_file.MAX_LINE_BYTES, even when every octet is escaped.
_MAX_LINE_OCTETS = 2000
_MAX_FIELD_OCTETS = 700
_MAX_USER_OCTETS = 100

# RFC 3986 §3.2.1: what stands before the last @ of an authority. Passwords have no place in a log.
_USERINFO = re.compile(r"(?P<scheme>(?:^|(?<=[ \t]))[A-Za-z][A-Za-z0-9+.-]*://)[^/?#\s]*@")

_ESCAPES = {code: f"\\x{code:02X}" for code in (*range(0x20), ord('"'), ord("\\"), *range(0x7F, 0x100))}


@dataclass(frozen=True, slots=True)
class Exchange:
    """What happened to one request.

    Attributes:
        peer: who asked.
        line: the request line as it came.
        request: the request; None when it could not be read.
        response: the answer.
        body_bytes: how many bytes of the body the kernel took to send.
        finished: seconds since the epoch.
    """

    peer: Peer
    line: str
    request: Request | None
    response: Response
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
    answer = exchange.response
    date = f"{t.tm_mday:02}/{MONTHS[t.tm_mon - 1]}/{t.tm_year}:{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02} +0000"
    line = _quote(exchange.line, _MAX_LINE_OCTETS)
    user = escape(answer.user, _MAX_USER_OCTETS).replace(" ", "\\x20") or "-"
    size = exchange.body_bytes or "-"
    common = f'{exchange.peer.host} - {user} [{date}] "{line}" {answer.status} {size}'
    why = _explain(answer.error)
    if form == "common":
        return common + why
    fields = exchange.request.headers if exchange.request else None
    referer = _quote((fields and fields.get("Referer")) or "", _MAX_FIELD_OCTETS)
    agent = _quote((fields and fields.get("User-Agent")) or "", _MAX_FIELD_OCTETS)
    return f'{common} "{referer}" "{agent}"{why}'


def _quote(text: str, limit: int) -> str:
    return escape(_USERINFO.sub(r"\g<scheme>", text), limit) or "-"


def _explain(error: ProtocolError | None) -> str:
    if error is None:
        return ""
    section = error.reason.section.replace("§", "")  # a line is ASCII
    where = "" if error.offset is None else f" offset={error.offset}"
    return f' reason={error.reason.token}{where} section="{section}"'


def access_log(form: Format, write: Callable[[str], None]) -> Callable[[Exchange], None]:
    """A function that writes the line of an exchange."""
    return lambda exchange: write(format_exchange(exchange, form))
