"""A response as a client sees it, read leniently: what is wrong with it is for the checks to say."""

from __future__ import annotations

import re
from dataclasses import dataclass

_STATUS_LINE = re.compile(rb"HTTP/([0-9]+\.[0-9]+) +([0-9]{3})(?: [^\r\n]*)?\r?\n")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_NO_BODY = (204, 304)


@dataclass(frozen=True)
class Answer:
    """One response.

    Attributes:
        head: its bytes up to the empty line, without it; empty if what came has no head (HTTP/0.9).
        status: the status code; 0 without a status line.
        fields: names in lower case with their values, in order.
        body: as many bytes of it as came.
        is_complete: all bytes are there that Content-Length announces; without one, the connection has ended.
    """

    head: bytes
    status: int
    fields: tuple[tuple[str, str], ...]
    body: bytes
    is_complete: bool

    def get(self, name: str) -> str | None:
        """Return the value of the first field with this name (in lower case), or None."""
        return next((value for field, value in self.fields if field == name), None)

    @property
    def keeps(self) -> bool:
        """Whether the server says that the connection goes on (RFC 9112 §9.3, for a request in HTTP/1.0)."""
        options = (self.get("connection") or "").lower()
        return "keep-alive" in options

    def __str__(self) -> str:
        """What came, in a few words."""
        if not self.status:
            return f"{len(self.body):,} bytes without a status line" if self.body else "nothing"
        line = self.head.split(b"\n", 1)[0].decode("iso-8859-1").strip()
        return f'"{line[:60]}"'


NOTHING = Answer(b"", 0, (), b"", False)


def read_answer(data: bytes, *, head_only: bool, ended: bool) -> tuple[Answer, bytes]:
    """Read the first response in ``data``.

    Args:
        data: what came.
        head_only: the request was HEAD, so that no body belongs to the response.
        ended: nothing more will come.

    Returns:
        The response as far as it is there, and the bytes after it.
    """
    line = _STATUS_LINE.match(data)
    end = _HEAD_END.search(data)
    if line is None or end is None:
        return Answer(b"", 0, (), data, ended and bool(data)), b""
    head, rest = data[: end.start()], data[end.end() :]
    fields = tuple(_fields(head[line.end() :]))
    status = int(line[2])
    if head_only or status in _NO_BODY or 100 <= status < 200:
        return Answer(head, status, fields, b"", True), rest
    length = next((value for name, value in fields if name == "content-length"), "")
    if length.isascii() and length.isdigit():
        body = rest[: int(length)]
        return Answer(head, status, fields, body, len(body) == int(length)), rest[int(length) :]
    if any(name == "transfer-encoding" and "chunked" in value.lower() for name, value in fields):
        return _chunked(head, status, fields, rest)
    return Answer(head, status, fields, rest, ended), b""


def _fields(block: bytes) -> list[tuple[str, str]]:
    found = []
    for line in block.splitlines():
        name, colon, value = line.decode("iso-8859-1").partition(":")
        if colon:
            found.append((name.strip().lower(), value.strip()))
    return found


def _chunked(head: bytes, status: int, fields: tuple[tuple[str, str], ...], rest: bytes) -> tuple[Answer, bytes]:
    """Read a chunked body (RFC 9112 §7.1): servers that speak HTTP/1.1 may send one to a 1.1 request."""
    body = b""
    while match := re.match(rb"([0-9A-Fa-f]{1,8})[^\r\n]*\r\n", rest):
        size = int(match[1], 16)
        chunk, rest = rest[match.end() : match.end() + size], rest[match.end() + size + 2 :]
        body += chunk
        if size == 0:
            return Answer(head, status, fields, body, True), rest
    return Answer(head, status, fields, body, False), b""
