"""The access log as JSON: one object for each response, on a line of its own.

| time | when the last byte was with the kernel: RFC 3339, UTC, milliseconds |
| client, port | the address |
| connection, process | number of the connection in the process that accepted it; children have the parent's |
| mode | the mode of the server |
| tls, cipher | the version of TLS and the cipher suite; absent without TLS |
| user | the authenticated user; absent without one |
| duration | seconds from the complete request to the last byte |
| request, method, target, protocol | the request line as it came; its parts as they were understood, if they were |
| host | that the request is for, in the target or in Host, as the client sent it; absent when it named none |
| status, bytes | of the response; bytes of its body that the kernel took |
| referer, user_agent | as the client sent them; absent when it did not |
| reason, section, offset | why the request was refused (``reasons.py``), and at which byte of the message |
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import msgspec

from httpmini.errors import ProtocolError
from httpmini.protocol.message import Request
from httpmini.protocol.plain import PlainHead
from httpmini.server.listeners.peer import Peer
from httpmini.server.logs.access import AccessLog, without_userinfo

# Octets of what a client says, escaped. With these a line stays below MAX_LINE_BYTES of ``file.py``.
_MAX_LINE = 1000
_MAX_FIELD = 500
_MAX_USER = 300
_MAX_HOST = 255
_ESCAPED_BYTES = 6  # of one character at most
# JSON leaves these as they are; but some can drive a terminal, and a line is ASCII.
_BEYOND_ASCII = {code: f"\\u{code:04x}" for code in range(0x7F, 0x100)}


class JsonLog(AccessLog):
    """Writes an object for each exchange.

    Args:
        mode: the mode of the server.
        write: takes a line without its end.
        now: the monotonic clock.
        wall: the time of day, in seconds since the epoch.
    """

    def __init__(
        self,
        mode: str,
        write: Callable[[str], None],
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._mode = mode
        self._write = write
        self._now = now
        self._wall = wall

    def describe(
        self,
        line: str,
        request: Request | PlainHead | None,
        status: int,
        body_bytes: int,
        error: ProtocolError | None = None,
    ) -> str:
        """Return the members after the user."""
        after = _fields(request) + _explain(error)
        return f'"request":{quote(line)},{_parts(request)}"status":{status},"bytes":{body_bytes}{after}}}'

    def write(self, peer: Peer, user: str, description: str, begun: float) -> None:
        """Write the object on a line."""
        tls = f'"tls":"{peer.tls.version}","cipher":"{peer.tls.cipher}",' if peer.tls and peer.tls.version else ""
        middle = tls + (f'"user":{quote(user, _MAX_USER)},' if user else "")
        second, millisecond = divmod(int(self._wall() * 1000), 1000)
        self._write(
            f'{{"time":"{time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))}.{millisecond:03}Z",'
            f'"client":{quote(peer.host)},"port":{peer.port},"connection":{peer.number},"process":{os.getpid()},'
            f'"mode":"{self._mode}","duration":{max(0.0, self._now() - begun):.6f},{middle}{description}'
        )


def _parts(request: Request | PlainHead | None) -> str:
    """Return the three parts of the request line as they were understood: there may be several blanks between them."""
    if request is None:
        return ""
    major, minor = request.version
    protocol = f'"protocol":"HTTP/{major}.{minor}",' if major else ""  # a Simple-Request has none
    host = f'"host":{quote(request.host, _MAX_HOST)},' if request.host else ""
    return f'"method":{quote(request.method)},"target":{quote(request.target)},{protocol}{host}'


def _fields(request: Request | PlainHead | None) -> str:
    if request is None:
        return ""
    values = {"referer": request.referer, "user_agent": request.user_agent}
    return "".join(f',"{name}":{quote(value, _MAX_FIELD)}' for name, value in values.items() if value)


def _explain(error: ProtocolError | None) -> str:
    if error is None:
        return ""
    where = "" if error.offset is None else f',"offset":{error.offset}'
    section = error.reason.section.replace("§", "")
    return f',"reason":"{error.reason.token}","section":"{section}"{where}'


def quote(text: str, limit: int = _MAX_LINE) -> str:
    """Return a JSON string of at most ``limit`` bytes. Characters are octets; others than ASCII mean ISO-8859-1."""
    if "@" in text:
        text = without_userinfo(text)
    for most in (len(text), limit - len('"..."'), limit // _ESCAPED_BYTES - 1):
        quoted = _encode(text if len(text) <= most else text[:most] + "...")
        if len(quoted) <= limit:
            break
    return quoted


def _encode(text: str) -> str:
    return msgspec.json.encode(text).decode().translate(_BEYOND_ASCII)
