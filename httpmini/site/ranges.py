"""Range requests: the parts of a file that Range selects (RFC 9110 §14).

An invalid Range, or one in another unit than bytes, is ignored: the whole file is sent. Numbers may have any number of
digits; they are only compared.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from httpmini.protocol.body import Body, Piece
from httpmini.protocol.message import MAX_MEMBERS

# RFC 9110 §14.1.1:  ranges-specifier = range-unit "=" range-set; range units are case-insensitive.
_SPECIFIER = re.compile(r"bytes=(?P<set>.*)", re.IGNORECASE | re.DOTALL)
# RFC 9110 §14.1.2:  int-range = first-pos "-" [ last-pos ];  suffix-range = "-" suffix-length
_SPEC = re.compile(r"(?P<first>[0-9]*)-(?P<last>[0-9]*)", re.ASCII)

# More ranges than any honest client requests. Apache takes 200, nginx as many as the head can hold. A small request
# with many overlapping ranges could fetch many times the size of the file (RFC 9110 §17.15).
MAX_RANGES = 32
_MAX_DIGITS = 18


class Part(NamedTuple):
    """A part of a file: ``length`` bytes beginning at ``offset``. It is never empty."""

    offset: int
    length: int

    @property
    def end(self) -> int:
        """The offset after the last byte."""
        return self.offset + self.length


def parse_range(value: str, size: int) -> list[Part] | None:
    """Return the parts of a file that a Range field selects.

    Args:
        value: the field value.
        size: the size of the file in bytes.

    Returns:
        The parts, in the order of the request; if some overlap they are joined, and all are in the order of the file.
        None if the field is to be ignored. An empty list if the file contains nothing of what it selects (416).
    """
    match = _SPECIFIER.fullmatch(value) if value.count(",") < MAX_MEMBERS else None
    specs = [spec for spec in (part.strip(" \t") for part in match["set"].split(",")) if spec] if match else []
    if not specs or len(specs) > MAX_RANGES or size == 0:
        return None
    parts: list[Part] = []
    for spec in specs:
        bounds = _SPEC.fullmatch(spec)
        if bounds is None or spec == "-":
            return None
        first, last = _number(bounds["first"]), _number(bounds["last"])
        if first is None:  # a suffix: the last bytes of the file
            first, last = max(0, size - (last or 0)), size - 1
        elif last is None:
            last = size - 1
        elif _order(bounds["last"]) < _order(bounds["first"]):
            return None
        if first < size:
            parts.append(Part(first, min(last, size - 1) - first + 1))
    return _join_overlapping(parts)


def _number(digits: str) -> int | None:
    """Return the number, or None if there are no digits. Too many digits give a number larger than any file."""
    significant = digits.lstrip("0")
    return None if not digits else int(significant or "0") if len(significant) <= _MAX_DIGITS else 10**_MAX_DIGITS


def _order(digits: str) -> tuple[int, str]:
    """Return what numbers of any length can be compared by."""
    significant = digits.lstrip("0")
    return len(significant), significant


def _join_overlapping(parts: list[Part]) -> list[Part]:
    joined: list[Part] = []
    for part in sorted(parts):
        if joined and part.offset < joined[-1].end:
            before = joined.pop()
            part = Part(before.offset, max(before.end, part.end) - before.offset)
        joined.append(part)
    return parts if len(joined) == len(parts) else joined


Cut = Callable[[int, int], Piece]
"""Returns the part of a representation that begins at an offset and has a length, both in bytes."""


def send_parts(
    cut: Cut, size: int, parts: list[Part], media_type: str, entity_tag: str
) -> tuple[tuple[tuple[str, str], ...], Body]:
    """Return the fields and the body of a 206 (RFC 9110 §14.6, §15.3.7).

    A single part is sent as it is, several as multipart/byteranges. The boundary is derived from the tag and the parts,
    so that equal requests get equal bytes.
    """
    if len(parts) == 1:
        fields = (("Content-Type", media_type), ("Content-Range", _content_range(parts[0], size)))
        return fields, (cut(*parts[0]),)
    import hashlib  # only for several parts, which few clients request

    boundary = hashlib.sha256(f"{entity_tag}{parts}".encode()).hexdigest()[:32]
    body: list[Piece] = []
    for part in parts:
        head = f"--{boundary}\r\nContent-Type: {media_type}\r\nContent-Range: {_content_range(part, size)}\r\n\r\n"
        body += [head.encode(), cut(*part), b"\r\n"]
    body.append(f"--{boundary}--\r\n".encode())
    return (("Content-Type", f"multipart/byteranges; boundary={boundary}"),), tuple(body)


def _content_range(part: Part, size: int) -> str:
    return f"bytes {part.offset}-{part.end - 1}/{size}"
