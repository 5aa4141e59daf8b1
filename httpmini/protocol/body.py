"""What is sent: bytes, or the promise of a part of a file.

A promise costs nothing until it is kept: the file goes from the disk to the socket by ``sendfile`` and never
passes through Python. (h11 sends opaque objects through in the same way.)
"""

from __future__ import annotations

import msgspec


class FileSlice(msgspec.Struct, frozen=True):
    """``length`` bytes of the open file ``fd``, beginning at ``offset``; it does not own the descriptor."""

    fd: int
    offset: int
    length: int

    def __len__(self) -> int:
        return self.length


Piece = bytes | FileSlice
Body = tuple[Piece, ...]


def body_length(body: Body) -> int:
    """The number of octets that ``body`` will have on the wire."""
    return sum(map(len, body))
