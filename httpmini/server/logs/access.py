"""The access log: one line for each response, in the Common or the Combined Log Format; ``json_lines.py`` has JSON.

    host ident user [day/month/year:hour:minute:second zone] "request line" status bytes "referer" "user agent"

The line of a refusal ends with the cause: its reason (``reasons.py``), the byte of the message at which it went wrong
where there is one, and the RFC section. Programs that read these formats ignore what stands there.

What the client sent is quoted so that no line can be forged: quotes, backslashes and everything that is not printable
ASCII become ``\\xHH``, one for each octet, and so can be read back. Long values are cut, so that a line is one write.
The user name and password that some people write into URLs are left out.
"""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal

from httpmini.errors import ProtocolError
from httpmini.protocol.dates import MONTHS
from httpmini.protocol.message import Request
from httpmini.protocol.plain import PlainHead
from httpmini.server.listeners.peer import Peer

Format = Literal["common", "combined"]

# Together with the rest of a line they stay below MAX_LINE_BYTES of ``file.py``, even when every octet is escaped.
_MAX_LINE_OCTETS = 2000
_MAX_FIELD_OCTETS = 700
_MAX_USER_OCTETS = 100

# RFC 3986 §3.2.1: what stands before the last @ of an authority. Passwords have no place in a log.
_USERINFO = re.compile(r"(?P<scheme>(?:^|(?<=[ \t]))[A-Za-z][A-Za-z0-9+.-]*://)[^/?#\s]*@")

_ESCAPES = {code: f"\\x{code:02X}" for code in (*range(0x20), ord('"'), ord("\\"), *range(0x7F, 0x100))}


class AccessLog(ABC):
    """Writes a line for each exchange of a request and a response."""

    @abstractmethod
    def describe(
        self,
        line: str,
        request: Request | PlainHead | None,
        status: int,
        body_bytes: int,
        error: ProtocolError | None = None,
    ) -> str:
        """Return what a line says of one request and its response, whenever and to whomever that is sent.

        Args:
            line: the request line as it came.
            request: the request; None when it could not be read.
            status: the status of the response.
            body_bytes: how many bytes of its body were sent.
            error: why the request was refused.
        """

    @abstractmethod
    def write(self, peer: Peer, user: str, description: str, begun: float) -> None:
        """Write the line of an exchange that is over now.

        Args:
            peer: the client.
            user: the name of the authenticated user; "" without one.
            description: of the request and its response.
            begun: when the request was complete, by the monotonic clock.
        """


class TextLog(AccessLog):
    """Writes the Common or the Combined Log Format.

    Args:
        form: which of the two.
        write: takes a line without its end.
        wall: the time of day, in seconds since the epoch.
    """

    def __init__(self, form: Format, write: Callable[[str], None], wall: Callable[[], float] = time.time) -> None:
        self._form = form
        self._write = write
        self._wall = wall
        self._date = -1, ""  # a second, and how it is written; one value, so that threads see both or neither

    def describe(
        self,
        line: str,
        request: Request | PlainHead | None,
        status: int,
        body_bytes: int,
        error: ProtocolError | None = None,
    ) -> str:
        """Return the fields after the date; no bytes are a hyphen."""
        if isinstance(request, PlainHead):  # nothing in it needs quoting
            referer, agent = request.referer or "-", request.user_agent or "-"
        else:
            line = _quote(line, _MAX_LINE_OCTETS)
            referer = _quote((request and request.referer) or "-", _MAX_FIELD_OCTETS)
            agent = _quote((request and request.user_agent) or "-", _MAX_FIELD_OCTETS)
        after = _explain(error) if error else ""
        if self._form == "combined":
            return f'"{line}" {status} {body_bytes or "-"} "{referer}" "{agent}"{after}'
        return f'"{line}" {status} {body_bytes or "-"}{after}'

    def write(self, peer: Peer, user: str, description: str, begun: float) -> None:  # noqa: ARG002
        """Write the line; these formats have no duration."""
        user = escape(user, _MAX_USER_OCTETS).replace(" ", "\\x20") if user else "-"
        now = int(self._wall())
        second, date = self._date
        if now != second:
            date = f" [{format_time(now)}] "
            self._date = now, date
        self._write(f"{peer.host} - {user}{date}{description}")


def format_time(seconds: float) -> str:
    """Return the time as these formats have it, in UTC."""
    t = time.gmtime(seconds)
    return f"{t.tm_mday:02}/{MONTHS[t.tm_mon - 1]}/{t.tm_year}:{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02} +0000"


def _is_plain(text: str, limit: int) -> bool:
    return len(text) <= limit and text.isascii() and text.isprintable() and '"' not in text and "\\" not in text


def escape(text: str, limit: int) -> str:
    """Quote ``text``, whose characters are octets, for between two quotes; at most ``limit`` characters long."""
    if _is_plain(text, limit):
        return text
    escaped = text[:limit].translate(_ESCAPES)
    if len(escaped) <= limit and len(text) <= limit:
        return escaped
    cut = escaped[: limit - 3]
    return cut[: cut.rindex("\\")] + "..." if "\\" in cut[-3:] else cut + "..."


def _quote(text: str, limit: int) -> str:
    """Quote what a client sent, without passwords; almost always it needs no quoting."""
    if _is_plain(text, limit) and "@" not in text:
        return text or "-"
    return escape(without_userinfo(text), limit) or "-"


def without_userinfo(text: str) -> str:
    """Return ``text`` without what stands before an @ in a URL."""
    return _USERINFO.sub(r"\g<scheme>", text) if "@" in text else text


def _explain(error: ProtocolError) -> str:
    section = error.reason.section.replace("§", "")  # a line is ASCII
    where = "" if error.offset is None else f" offset={error.offset}"
    return f' reason={error.reason.token}{where} section="{section}"'
