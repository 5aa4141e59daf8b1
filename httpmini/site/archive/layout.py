"""Where everything is in an archive, whatever its form: a prefix, then each member, then a trailer.

    prefix | head, content, tail | head, content, tail | ... | trailer

Heads, tails and the trailer are made of the plan when they are sent; only their lengths are known before. So no more is
kept of an archive than two numbers for each member.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from bisect import bisect_right
from typing import ClassVar

from httpmini.site.archive.plan import Member, Plan


class Layout(ABC):
    """The layout of one archive.

    Args:
        plan: what is in it.

    Attributes:
        form: the name of the form, which is also the extension of the archive's name.
        media_type: of the archive.
        needs_sums: whether tails and trailer contain the CRC-32 of members.
        plan: the same plan.
        starts: where each member begins, and then the trailer, in bytes.
        trailer_starts: where each portion of the trailer begins, and then the end of the archive.
    """

    form: ClassVar[str]
    media_type: ClassVar[str]
    needs_sums: ClassVar[bool]

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.starts = array("Q", [len(self.prefix())])
        for member in plan.members:
            octets = self.head_bytes(member) + member.size + self._tail_bytes(member)
            self.starts.append(self.starts[-1] + octets)
        self.trailer_starts = array("Q", [self.starts[-1]])
        self._measure_trailer()

    @property
    def size(self) -> int:
        """The length of the archive in bytes."""
        return self.trailer_starts[-1]

    def member_at(self, offset: int) -> int:
        """Return the number of the member that has the byte at ``offset``; -1 in the prefix."""
        return bisect_right(self.starts, offset) - 1

    def portion_at(self, offset: int) -> int:
        """Return the number of the portion of the trailer that has the byte at ``offset``."""
        return bisect_right(self.trailer_starts, offset) - 1

    def prefix(self) -> bytes:
        """Return what comes before the first member."""
        return b""

    @abstractmethod
    def head(self, member: Member) -> bytes:
        """Return what comes before the content of a member."""

    @abstractmethod
    def tail(self, member: Member, checksum: int) -> bytes:
        """Return what comes after the content of a member; ``checksum`` is its CRC-32 if sums are needed."""

    @abstractmethod
    def trailer(self, portion: int, checksum: int) -> bytes:
        """Return a portion of the trailer; ``checksum`` is the CRC-32 of the member with this number, if needed."""

    @abstractmethod
    def head_bytes(self, member: Member) -> int:
        """Return how long the head of a member is."""

    @abstractmethod
    def _tail_bytes(self, member: Member) -> int: ...

    @abstractmethod
    def _measure_trailer(self) -> None: ...
