"""JPEG files as cameras write them: an Exif part with a thumbnail in it."""

from __future__ import annotations

import struct


def tiff(
    thumbnail: bytes, order: str, orientation: int = 0, *, offset: int | None = None, length: int | None = None
) -> bytes:
    """Return the TIFF structure of an Exif part: one directory for the picture, one for its thumbnail.

    Args:
        thumbnail: a JPEG file.
        order: "<" or ">", as in ``struct``.
        orientation: of the picture; 0 for none.
        offset: where the thumbnail is said to be, if that is a lie.
        length: how long it is said to be, if that is a lie.
    """
    turned = [(0x0112, 3, struct.pack(order + "HH", orientation, 0))] if orientation else []
    first = _directory([(0x010F, 2, b"Cam\0"), *turned], order, 8)
    at = 8 + len(first)
    begin = at + len(_directory([(0, 4, bytes(4))] * 2, order, 0))
    where = struct.pack(order + "I", begin if offset is None else offset)
    size = struct.pack(order + "I", len(thumbnail) if length is None else length)
    second = _directory([(0x0201, 4, where), (0x0202, 4, size)], order, None)
    magic = b"II*\0" if order == "<" else b"MM\0*"
    return magic + struct.pack(order + "I", 8) + first + second + thumbnail


def _directory(entries: list[tuple[int, int, bytes]], order: str, at: int | None) -> bytes:
    rows = b"".join(struct.pack(order + "HHI", tag, kind, 1) + value for tag, kind, value in entries)
    following = 0 if at is None else at + 2 + len(rows) + 4
    return struct.pack(order + "H", len(entries)) + rows + struct.pack(order + "I", following)


def exif(structure: bytes) -> bytes:
    """Return an Exif segment."""
    data = b"Exif\0\0" + structure
    return b"\xff\xe1" + struct.pack(">H", min(len(data) + 2, 65_535)) + data


def photo(segment: bytes, before: bytes = b"") -> bytes:
    """Return a JPEG file with a segment, after others."""
    return b"\xff\xd8" + before + segment + b"\xff\xda\x00\x02picture\xff\xd9"
