"""Message bodies: bytes, or slices of open files.

A slice holds no data: ``sendfile`` copies the file from disk to the socket, and it never passes through Python. (h11
passes opaque objects through in the same way.)
"""

from __future__ import annotations

import msgspec


class FileSlice(msgspec.Struct, frozen=True):
    """A part of an open file. It does not own the descriptor.

    Attributes:
        fd: the descriptor of the file.
        offset: where the part begins, in bytes.
        length: its length in bytes.
    """

    fd: int
    offset: int
    length: int

    def __len__(self) -> int:
        return self.length


Piece = bytes | FileSlice
Body = tuple[Piece, ...]


def body_length(body: Body) -> int:
    """Return the number of octets that ``body`` has on the wire."""
    return sum(map(len, body))
