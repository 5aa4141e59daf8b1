"""One line for each answer, in the Common or the Combined Log Format; JSON is in ``json_log.py``.

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
from typing import Literal

import msgspec

from httpmini.errors import ProtocolError
from httpmini.protocol.dates import MONTHS
from httpmini.protocol.message import Request, Response
from httpmini.protocol.reader import PlainHead
from httpmini.server.core.connection import Peer
from httpmini.server.http.response_cache import Known

Format = Literal["common", "combined"]
Around = tuple[str, str]

# Together with the rest of a line they stay below log_file.MAX_LINE_BYTES, even when every octet is escaped.
_MAX_LINE_OCTETS = 2000
_MAX_FIELD_OCTETS = 700
_MAX_USER_OCTETS = 100

# RFC 3986 §3.2.1: what stands before the last @ of an authority. Passwords have no place in a log.
_USERINFO = re.compile(r"(?P<scheme>(?:^|(?<=[ \t]))[A-Za-z][A-Za-z0-9+.-]*://)[^/?#\s]*@")

_ESCAPES = {code: f"\\x{code:02X}" for code in (*range(0x20), ord('"'), ord("\\"), *range(0x7F, 0x100))}


class Exchange(msgspec.Struct, frozen=True):
    """What happened to one request.

    Attributes:
        peer: who asked.
        line: the request line as it came.
        request: the request; None when it could not be read.
        response: the answer.
        body_bytes: how many bytes of the body the kernel took to send.
        begun: when the request was complete, by the monotonic clock.
        finished: seconds since the epoch.
    """

    peer: Peer
    line: str
    request: Request | None
    response: Response
    body_bytes: int
    begun: float
    finished: float


def escape(text: str, limit: int) -> str:
    """``text``, whose characters are octets, for between two quotes; at most ``limit`` characters long."""
    if len(text) <= limit and text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text  # as good as always
    escaped = text[:limit].translate(_ESCAPES)
    if len(escaped) <= limit and len(text) <= limit:
        return escaped
    cut = escaped[: limit - 3]
    return cut[: cut.rindex("\\")] + "..." if "\\" in cut[-3:] else cut + "..."


class AccessLog:
    """Writes a line for each exchange.

    Args:
        form: which fields it has.
        write: takes a line without its end.
    """

    def __init__(self, form: Format, write: Callable[[str], None]) -> None:
        self._form = form
        self._write = write
        self._second, self._host, self._beginning = -1, "", ""

    def add(self, exchange: Exchange) -> None:
        """Write down what has happened."""
        user = escape(exchange.response.user, _MAX_USER_OCTETS).replace(" ", "\\x20") or "-"
        why = _explain(exchange.response.error)
        around = around_size(exchange.line, exchange.request, exchange.response.status, why, self._form)
        rest = self.fill(around, exchange.body_bytes)
        self._write(f"{exchange.peer.host} - {user} [{format_time(exchange.finished)}] {rest}")

    def add_ready(self, peer: Peer, known: Known) -> None:
        """Write down that all of an answer that lay ready was sent."""
        host, second = peer.host, known.kept.second
        if second != self._second or host != self._host:
            self._second, self._host = second, host
            self._beginning = f"{host} - - [{format_time(second)}] "
        self._write(self._beginning + known.line)

    def add_kept(self, peer: Peer, known: Known, body_bytes: int, begun: float, finished: float) -> None:  # noqa: ARG002
        """Write down what became of an answer that was kept; the rest is as in ``Exchange``."""
        self._write(f"{peer.host} - - [{format_time(finished)}] {self.fill(known.around, body_bytes)}")

    def around(self, line: str, request: Request | None, status: int) -> Around:
        """What stands between the date and the size, and behind that, when ``request`` was not refused."""
        return around_size(line, request, status, "", self._form)

    def around_plain(self, head: PlainHead, status: int) -> Around:
        """The same for a head of which everything can be quoted as it is."""
        before = f'"{head.line}" {status} '
        if self._form == "common":
            return before, ""
        return before, f' "{head.referer or "-"}" "{head.user_agent or "-"}"'

    def fill(self, around: Around, body_bytes: int) -> str:
        """The rest of a line, behind the date."""
        before, behind = around
        return f"{before}{body_bytes or '-'}{behind}"


def format_time(seconds: float) -> str:
    """The time as these formats have it, in UTC."""
    t = time.gmtime(seconds)
    return f"{t.tm_mday:02}/{MONTHS[t.tm_mon - 1]}/{t.tm_year}:{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02} +0000"


def around_size(line: str, request: Request | None, status: int, why: str, form: Format) -> Around:
    """What stands between the date and the size of a line, and behind that."""
    before = f'"{_quote(line, _MAX_LINE_OCTETS)}" {status} '
    if form == "common":
        return before, why
    fields = request.headers if request else None
    referer = _quote((fields and fields.get("Referer")) or "", _MAX_FIELD_OCTETS)
    agent = _quote((fields and fields.get("User-Agent")) or "", _MAX_FIELD_OCTETS)
    return before, f' "{referer}" "{agent}"{why}'


def _quote(text: str, limit: int) -> str:
    if "@" not in text:
        return escape(text, limit) or "-"
    return escape(without_userinfo(text), limit) or "-"


def without_userinfo(text: str) -> str:
    """``text`` without what stands before an @ in a URL."""
    return _USERINFO.sub(r"\g<scheme>", text)


def _explain(error: ProtocolError | None) -> str:
    if error is None:
        return ""
    section = error.reason.section.replace("§", "")  # a line is ASCII
    where = "" if error.offset is None else f" offset={error.offset}"
    return f' reason={error.reason.token}{where} section="{section}"'
