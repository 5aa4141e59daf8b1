"""Which parts of a file a Range asks for (RFC 9110 §14).

What is not a valid Range for bytes is as good as none: then the whole file is sent. Numbers may have any number of
digits; nothing is made of them but a comparison.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from httpmini.protocol.body import Body, FileSlice, Piece

# RFC 9110 §14.1.1:  ranges-specifier = range-unit "=" range-set; units are compared without regard to case.
_SPECIFIER = re.compile(r"bytes=(?P<set>.*)", re.IGNORECASE | re.DOTALL)
# RFC 9110 §14.1.2:  int-range = first-pos "-" [ last-pos ];  suffix-range = "-" suffix-length
_SPEC = re.compile(r"(?P<first>[0-9]*)-(?P<last>[0-9]*)", re.ASCII)

# More ranges than any honest client asks for; Apache takes 200, nginx has no limit but the head's. With overlapping
# ones a small request could ask for many times the file (RFC 9110 §17.15).
MAX_RANGES = 32
_MAX_DIGITS = 18


class Part(NamedTuple):
    """``length`` bytes beginning at ``offset``; never empty."""

    offset: int
    length: int

    @property
    def end(self) -> int:
        """The offset behind the last byte."""
        return self.offset + self.length


def parse_range(value: str, size: int) -> list[Part] | None:
    """The parts of a file of ``size`` bytes that ``value`` asks for.

    Returns:
        The parts, in the order in which they were asked for, or in that of the file where some overlapped and were
        joined. None: the field does not count, send everything. An empty list: nothing of it can be had (416).
    """
    match = _SPECIFIER.fullmatch(value)
    specs = [spec for spec in (part.strip(" \t") for part in match["set"].split(",")) if spec] if match else []
    if not specs or len(specs) > MAX_RANGES or size == 0:
        return None
    parts: list[Part] = []
    for spec in specs:
        bounds = _SPEC.fullmatch(spec)
        if bounds is None or spec == "-":
            return None
        first, last = _number(bounds["first"]), _number(bounds["last"])
        if first is None:  # the last ... bytes
            first, last = max(0, size - (last or 0)), size - 1
        elif last is None:
            last = size - 1
        elif last < first:
            return None
        if first < size:
            parts.append(Part(first, min(last, size - 1) - first + 1))
    return _join_overlapping(parts)


def _number(digits: str) -> int | None:
    """The number, or one that is larger than any file for more digits than a file's size can have."""
    significant = digits.lstrip("0")
    return None if not digits else int(significant or "0") if len(significant) <= _MAX_DIGITS else 10**_MAX_DIGITS


def _join_overlapping(parts: list[Part]) -> list[Part]:
    joined: list[Part] = []
    for part in sorted(parts):
        if joined and part.offset < joined[-1].end:
            before = joined.pop()
            part = Part(before.offset, max(before.end, part.end) - before.offset)
        joined.append(part)
    return parts if len(joined) == len(parts) else joined


def send_parts(
    fd: int, size: int, parts: list[Part], media_type: str, entity_tag: str
) -> tuple[tuple[tuple[str, str], ...], Body]:
    """The fields and the body of a 206: one part as it is, several as multipart/byteranges (RFC 9110 §14.6, §15.3.7).

    The boundary is made of the tag and the parts, so that the same request gets the same bytes.
    """
    if len(parts) == 1:
        fields = (("Content-Type", media_type), ("Content-Range", _content_range(parts[0], size)))
        return fields, (FileSlice(fd, *parts[0]),)
    import hashlib  # for several parts only: few ask for them

    boundary = hashlib.sha256(f"{entity_tag}{parts}".encode()).hexdigest()[:32]
    body: list[Piece] = []
    for part in parts:
        head = f"--{boundary}\r\nContent-Type: {media_type}\r\nContent-Range: {_content_range(part, size)}\r\n\r\n"
        body += [head.encode(), FileSlice(fd, *part), b"\r\n"]
    body.append(f"--{boundary}--\r\n".encode())
    return (("Content-Type", f"multipart/byteranges; boundary={boundary}"),), tuple(body)


def _content_range(part: Part, size: int) -> str:
    return f"bytes {part.offset}-{part.end - 1}/{size}"
