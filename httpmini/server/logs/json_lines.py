"""The access log as JSON: one object for each answer, on a line of its own.

| time | when the last byte was with the kernel: RFC 3339, UTC, milliseconds |
| client, port | the address |
| connection, process | number of the connection among those that the process has accepted; children are the parent's |
| mode | the architecture |
| user | who was let in with a password; not there for anybody |
| duration | seconds from the complete request to the last byte |
| request, method, target, protocol | the request line; the three parts when it could be read |
| status, bytes | of the answer; bytes of its body that the kernel took |
| referer, user_agent | as the client said; not there when it did not |
| reason, section, offset | why it was refused (``reasons.py``), and at which byte of the message |
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import msgspec

from httpmini.errors import ProtocolError
from httpmini.protocol.message import Request
from httpmini.protocol.reader import PlainHead
from httpmini.server.core.connection import Peer
from httpmini.server.http.response_cache import Known
from httpmini.server.logs.access import AccessLog, Around, Exchange, without_userinfo

# Octets of what a client says, escaped. With these a line stays below log_file.MAX_LINE_BYTES.
_MAX_LINE = 1000
_MAX_FIELD = 500
_MAX_USER = 300
_ESCAPED_BYTES = 6  # of one character at most
# JSON leaves these as they are; but some can drive a terminal, and a line is ASCII.
_BEYOND_ASCII = {code: f"\\u{code:04x}" for code in range(0x7F, 0x100)}


class JsonLog(AccessLog):
    """Writes an object for each exchange.

    Args:
        mode: the architecture.
        write: takes a line without its end.
        clock: the monotonic one.
    """

    def __init__(self, mode: str, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__("combined", write)
        self._mode = mode
        self._clock = clock

    def add(self, exchange: Exchange) -> None:
        """See ``AccessLog``."""
        response = exchange.response
        around = _around(exchange.line, exchange.request, response.status, response.error)
        user = f'"user":{_quote(response.user, _MAX_USER)},' if response.user else ""
        beginning = self._begin(exchange.peer, exchange.begun, exchange.finished)
        self._write(beginning + user + self.fill(around, exchange.body_bytes))

    def add_ready(self, peer: Peer, known: Known) -> None:
        """See ``AccessLog``. It was looked for when its request had come."""
        self._write(self._begin(peer, known.kept.looked_at, time.time()) + known.line)

    def add_kept(self, peer: Peer, known: Known, body_bytes: int, begun: float, finished: float) -> None:
        """See ``AccessLog``."""
        self._write(self._begin(peer, begun, finished) + self.fill(known.around, body_bytes))

    def around(self, line: str, request: Request | None, status: int) -> Around:
        """See ``AccessLog``."""
        return _around(line, request, status, None)

    def around_plain(self, head: PlainHead, status: int) -> Around:
        """See ``AccessLog``."""
        return _fields(head.line, head.line.split(" "), status), _said(head.referer, head.user_agent) + "}"

    def fill(self, around: Around, body_bytes: int) -> str:
        """See ``AccessLog``."""
        before, behind = around
        return f"{before}{body_bytes}{behind}"

    def _begin(self, peer: Peer, begun: float, finished: float) -> str:
        whole, part = divmod(int(finished * 1000), 1000)
        return (
            f'{{"time":"{time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))}.{part:03}Z",'
            f'"client":{_quote(peer.host)},"port":{peer.port},"connection":{peer.number},"process":{os.getpid()},'
            f'"mode":"{self._mode}","duration":{max(0.0, self._clock() - begun):.6f},'
        )


def _around(line: str, request: Request | None, status: int, error: ProtocolError | None) -> Around:
    headers = request.headers if request else None
    said = _said(headers.get("Referer"), headers.get("User-Agent")) if headers else ""
    return _fields(line, line.split(" ") if request else [], status), said + _explain(error) + "}"


def _fields(line: str, parts: list[str], status: int) -> str:
    names = zip(("method", "target", "protocol"), parts, strict=False)
    split = "".join(f'"{name}":{_quote(part, _MAX_LINE)},' for name, part in names)
    return f'"request":{_quote(line, _MAX_LINE)},{split}"status":{status},"bytes":'


def _said(referer: str | None, user_agent: str | None) -> str:
    values = {"referer": referer, "user_agent": user_agent}
    return "".join(f',"{name}":{_quote(value, _MAX_FIELD)}' for name, value in values.items() if value)


def _explain(error: ProtocolError | None) -> str:
    if error is None:
        return ""
    where = "" if error.offset is None else f',"offset":{error.offset}'
    section = error.reason.section.replace("§", "")
    return f',"reason":"{error.reason.token}","section":"{section}"{where}'


def _quote(text: str, limit: int = _MAX_LINE) -> str:
    """A JSON string. Characters are octets here; what is not ASCII stands for itself in ISO-8859-1."""
    if "@" in text:
        text = without_userinfo(text)
    for most in (len(text), limit - len('"..."'), limit // _ESCAPED_BYTES - 1):
        quoted = _encode(text if len(text) <= most else text[:most] + "...")
        if len(quoted) <= limit:
            break
    return quoted


def _encode(text: str) -> str:
    return msgspec.json.encode(text).decode().translate(_BEYOND_ASCII)
