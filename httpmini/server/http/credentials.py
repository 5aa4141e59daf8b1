"""Credentials in what a client sends, replaced by as many asterisks, however its octets are cut into pieces."""

from __future__ import annotations

import re

_MOST_LINE_BYTES = 64 * 1024
# A blank before the name or the colon is wrong (RFC 9112 §5.1), and what follows is a password all the same.
_FIELD = re.compile(rb"[ \t]*(?:proxy-)?(?:authorization|cookie)2?[ \t]*:", re.IGNORECASE)
_LINES = re.compile(rb"[^\n]*\n|[^\n]+")
_USERINFO = re.compile(rb"://([^/?#\s]*)@")  # RFC 3986 §3.2.1
_AUTHORITY = re.compile(rb"://([^/?#\s]*)\Z")


class Blanker:
    """Reads a stream line by line; what belongs to no line that is known yet is held back.

    Attributes:
        found: whether there were credentials in what was returned last.
    """

    def __init__(self) -> None:
        self._line = b""  # the beginning of the current line, as far as it was returned
        self._held = b""  # what followed it and was not returned
        self._is_secret = False  # the line before has a secret field, which a folded line continues (RFC 9112 §5.2)
        self.found = False

    @property
    def holds(self) -> bool:
        """Whether octets are held back: they may be the beginning of a user's name and password."""
        return bool(self._held)

    def feed(self, data: bytes) -> bytes:
        """Return what was held back and ``data``, blanked; or nothing, and hold it back."""
        data, self._held = self._held + data, b""
        if _AUTHORITY.search((self._line + data).rpartition(b"\n")[2][:_MOST_LINE_BYTES]):
            self._held = data
            return b""
        return self._blank(data)

    def flush(self) -> bytes:
        """Return what is held back, blanked from ``://`` on."""
        data, self._held = self._held, b""
        authority = _AUTHORITY.search((self._line + data).rpartition(b"\n")[2])
        shown = self._blank(data)
        if authority is None or not authority[1]:
            return shown
        self.found = True
        return shown[: -len(authority[1])] + b"*" * len(authority[1])

    def _blank(self, data: bytes) -> bytes:
        self.found = False
        blanked = []
        for piece in _LINES.findall(data):
            before = len(self._line)
            self._line += piece
            blanked.append(self._blank_line(self._line)[before:])
            if piece.endswith(b"\n"):
                self._is_secret = self._has_secret(self._line)
                self._line = b""
            self._line = self._line[:_MOST_LINE_BYTES]  # enough to know what it is
        return b"".join(blanked)

    def _has_secret(self, line: bytes) -> bool:
        return _FIELD.match(line) is not None or (self._is_secret and line[:1] in (b" ", b"\t"))

    def _blank_line(self, line: bytes) -> bytes:
        end = len(line.rstrip(b"\r\n"))
        field = _FIELD.match(line)
        if field is None and not self._has_secret(line):
            return _USERINFO.sub(self._blank_userinfo, line)
        start = field.end() if field is not None else 0
        return line[:start] + self._asterisks(line[start:end]) + line[end:]

    def _asterisks(self, secret: bytes) -> bytes:
        """Keep the blanks at the beginning: they say where a field is folded."""
        value = secret.lstrip(b" \t")
        self.found = self.found or bool(value)
        return secret[: len(secret) - len(value)] + b"*" * len(value)

    def _blank_userinfo(self, match: re.Match[bytes]) -> bytes:
        self.found = True
        return b"://" + b"*" * len(match[1]) + b"@"
