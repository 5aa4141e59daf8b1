"""Write the heads of requests and responses. No other module does."""

from __future__ import annotations

from collections.abc import Sequence

from httpmini.protocol import grammar
from httpmini.protocol.dates import format_date
from httpmini.protocol.message import Response
from httpmini.protocol.status import PHRASES

Field = tuple[str, str]


def response_head(response: Response, *, keep_alive: bool, server: str, wall: float) -> bytes:
    """Return the head of ``response``, including the empty line (RFC 1945 §6).

    The version is always HTTP/1.0, because that is what this server conforms to (RFC 9110 §2.5).

    Args:
        response: status and fields.
        keep_alive: whether the connection stays open; the Connection field says so either way.
        server: the value of the Server field; empty for none.
        wall: the time of day, in seconds since the epoch, for Date (RFC 9110 §6.6.1).

    Raises:
        ValueError: a field contains characters that it must not have.
    """
    fields = [("Date", format_date(wall))]
    if server:
        fields.append(("Server", server))
    fields.append(("Connection", "keep-alive" if keep_alive else "close"))
    length = response.content_length
    if length is not None:
        fields.append(("Content-Length", str(length)))
    status_line = f"HTTP/1.0 {response.status} {PHRASES[response.status]}\r\n"
    return status_line.encode("iso-8859-1") + field_block((*fields, *response.headers))


def request_head(method: str, target: str, fields: Sequence[Field]) -> bytes:
    """Return the head of a request, including the empty line (RFC 1945 §5).

    Raises:
        ValueError: a field contains characters that it must not have.
    """
    return request_line(method, target) + field_block(fields)


def request_line(method: str, target: str) -> bytes:
    """Return the first line of a request; a client that sends the same fields again has them already."""
    return f"{method} {target} HTTP/1.0\r\n".encode("iso-8859-1")


def field_block(fields: Sequence[Field]) -> bytes:
    """Return header fields as octets, including the empty line.

    Raises:
        ValueError: a name or value that could forge a line or a field (CR, LF, NUL ...).
    """
    block = "".join([f"{name}: {value}\r\n" for name, value in fields]).encode("iso-8859-1")
    names = "".join([name for name, _ in fields]).encode("iso-8859-1")  # a colon in a name would end it
    if not grammar.is_plain(block, len(fields)) or (fields and not grammar.TOKEN.fullmatch(names)):
        raise ValueError(_explain(fields))
    return block + b"\r\n"


def _explain(fields: Sequence[Field]) -> str:
    """Say what is wrong with one of the fields."""
    for name, value in fields:
        if not grammar.TOKEN.fullmatch(name.encode("iso-8859-1")):
            return f"not a field name: {name!r}"
        if grammar.BAD_VALUE_OCTET.search(value.encode("iso-8859-1")):
            return f"a control character in the value of {name}"  # which may be a password, and is not shown
    return f"malformed header fields: {', '.join(name for name, _ in fields)}"
