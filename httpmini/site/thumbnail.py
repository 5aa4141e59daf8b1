"""Small pictures of photos: the thumbnail that a camera has left in the Exif part of a JPEG file.

A JPEG file is a list of segments (ITU-T T.81, annex B); one of them has a TIFF structure (Exif 2.3, §4.5): a list of
directories, of which the first describes the picture, and the second the thumbnail. Nothing in a file is trusted: what
lies outside of the segment is not there, and no offset is followed twice.

    find_thumbnail(start of the file)  ->  a JPEG file, or None
"""

from __future__ import annotations

import struct
from struct import unpack_from

QUERY = "thumb"
"""What asks for the thumbnail of a picture."""

START_BYTES = 64 * 1024
"""How much of a file is looked at; the Exif part comes first, and is not larger."""

MOST_FILE_BYTES = 512 * 1024
"""The largest picture that is sent itself where it has no thumbnail."""

_SEGMENT_HEAD = 4  # 0xFF, the marker, and a length that counts itself
_START, _EXIF, _SCAN, _END = 0xD8, 0xE1, 0xDA, 0xD9
_EXIF_ID = b"Exif\0\0"
_JPEG = b"\xff\xd8\xff"

_ENTRY_BYTES = 12
_MOST_ENTRIES = 256
_ORIENTATION, _OFFSET, _LENGTH = 0x0112, 0x0201, 0x0202
_SHORT, _LONG = 3, 4
_ORIENTATIONS = range(2, 9)  # 1 is upright


def find_thumbnail(start: bytes) -> bytes | None:
    """Return the thumbnail in the first bytes of a JPEG file, turned as the picture is; None if there is none."""
    segment = _exif_of(start)
    if segment is None:
        return None
    try:
        return _thumbnail_of(segment)
    except struct.error:  # it ends before what it announces
        return None


def _exif_of(start: bytes) -> bytes | None:
    """Return the TIFF structure in the first Exif segment."""
    at = 2 if start[:2] == bytes((0xFF, _START)) else len(start)
    while at + _SEGMENT_HEAD <= len(start) and start[at] == 0xFF:
        marker, length = start[at + 1], int.from_bytes(start[at + 2 : at + _SEGMENT_HEAD])
        data = at + _SEGMENT_HEAD
        if marker in (_SCAN, _END) or length < 2:
            return None
        if marker == _EXIF and start.startswith(_EXIF_ID, data):
            return start[data + len(_EXIF_ID) : at + 2 + length]
        at += 2 + length
    return None


def _thumbnail_of(tiff: bytes) -> bytes | None:
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return None
    picture, following = _directory(tiff, unpack_from(order + "I", tiff, 4)[0], order)
    thumbnail, _ = _directory(tiff, following, order)
    offset, length = thumbnail.get(_OFFSET, 0), thumbnail.get(_LENGTH, 0)
    found = tiff[offset : offset + length]
    if len(found) < length or not found.startswith(_JPEG):
        return None
    return _turned(found, picture.get(_ORIENTATION, 1))


def _directory(tiff: bytes, offset: int, order: str) -> tuple[dict[int, int], int]:
    """Return the numbers in a directory by their tags, and the offset of the next directory; 0 for no offset."""
    if not offset:
        return {}, 0
    (count,) = unpack_from(order + "H", tiff, offset)
    values = {}
    for number in range(min(count, _MOST_ENTRIES)):
        at = offset + 2 + number * _ENTRY_BYTES
        tag, kind = unpack_from(order + "HH", tiff, at)
        if kind in (_SHORT, _LONG):
            (values[tag],) = unpack_from(order + ("H" if kind == _SHORT else "I"), tiff, at + 8)
    return values, unpack_from(order + "I", tiff, offset + 2 + count * _ENTRY_BYTES)[0]


def _turned(jpeg: bytes, orientation: int) -> bytes:
    """Return a JPEG file with an Exif part that says how it is to be turned: thumbnails have none of their own."""
    if orientation not in _ORIENTATIONS:
        return jpeg
    entry = b"".join((_ORIENTATION.to_bytes(2), _SHORT.to_bytes(2), (1).to_bytes(4), orientation.to_bytes(2), b"\0\0"))
    tiff = b"".join((b"MM\0*", (8).to_bytes(4), (1).to_bytes(2), entry, bytes(4)))
    data = _EXIF_ID + tiff
    return b"".join((jpeg[:2], bytes((0xFF, _EXIF)), (len(data) + 2).to_bytes(2), data, jpeg[2:]))
