"""Message bodies: bytes, slices of open files, and promises of both.

A slice holds no data: ``sendfile`` copies the file from disk to the socket, and it never passes through Python. (h11
passes opaque objects through in the same way.) A promise is for what is made while it is sent, because it is too large
to be made before: its length is known, its pieces are asked for one after the other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import msgspec

from httpmini.work import Work


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


ReadyPiece = bytes | FileSlice


class BrokenPromise(Exception):
    """What was promised cannot be sent: the response breaks off, and its receiver must see that."""


class Promise(ABC):
    """A part of a body that is made while it is sent."""

    @abstractmethod
    def __len__(self) -> int:
        """Return how many octets it has in all, which never changes."""

    @abstractmethod
    def make(self) -> Sequence[ReadyPiece] | Work[Any]:
        """Return the next pieces, once those before have been sent; none after the last.

        Returns:
            The pieces; or work that has to be done before this is called again.

        Raises:
            BrokenPromise: there will be no more, although some are missing.
        """


Piece = ReadyPiece | Promise
Body = tuple[Piece, ...]


def body_length(body: Body) -> int:
    """Return the number of octets that ``body`` has on the wire."""
    return sum(map(len, body))
