"""An archive while it is sent: any part of it, made of the plan and of the files as the plan knows them.

Every file is opened when its turn comes, and looked at before the last byte of its content leaves. If it is not the
version that the plan has, the response breaks off. So a response that is complete consists of those versions:

- A file that was written a moment ago could be written again without a trace. It is not read before that is over.
- ``sendfile`` hands the pages of a file to the network, where they change with the file until they have arrived. So it
  is not used for files that were written in the last seconds.
"""

from __future__ import annotations

import os
import time
import zlib
from array import array
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec

from httpmini.protocol.body import BrokenPromise, FileSlice, Promise, ReadyPiece
from httpmini.site.archive.layout import Layout
from httpmini.site.archive.plan import Member, version_of
from httpmini.site.archive.sums import Sums
from httpmini.site.conditional import is_young
from httpmini.site.freshness import SETTLED_S
from httpmini.site.resolve import Fact, File, Resolver
from httpmini.work import ARCHIVES, Work

_PORTION_BYTES = 128 * 1024  # what is made at once, unless the kernel sends it from the file
_LAST_BYTES = 16 * 1024  # of each content that are read, so that the file can be looked at before they leave
_PIECES, _OPENED = 128, 8  # what one call may cost: others want their turn
_SUM_BYTES, _SUM_S = 1024 * 1024, 0.1  # what is summed up in one call, and in one work
_POLL_S, _LONGEST_YOUTH_S = 0.01, 5.0


class Archive(msgspec.Struct, frozen=True, weakref=True, eq=False):
    """An archive that can be sent, to any number of clients.

    Attributes:
        layout: where everything is.
        entity_tag: with its quotes.
        sums: the CRC-32 of each member, as far as it is known, else -1.
    """

    layout: Layout
    entity_tag: str
    sums: array[int]


class Reader:
    """Reads an archive for one response, from one open file at a time.

    Args:
        archive: the archive.
        resolver: opens its files.
        known: the checksums that all processes know.
        wall: returns the time of day, in seconds since the epoch.
        tell: takes a line about a file that has changed.
        release: called when the response has come to its end.
    """

    def __init__(
        self,
        archive: Archive,
        resolver: Resolver,
        known: Sums,
        wall: Callable[[], float],
        tell: Callable[[str], None],
        release: Callable[[], None],
    ) -> None:
        self._archive = archive
        self._layout, self._plan = archive.layout, archive.layout.plan
        self._resolver = resolver
        self._known = known
        self._wall = wall
        self._tell = tell
        self._release: Callable[[], None] | None = release
        self._number = -1  # of the member that is open
        self._file: File | None = None
        self._summed = (0, 0)  # of how many of its bytes the CRC-32 is known, and what it is
        self.opened = 0

    def piece(self, at: int, end: int) -> ReadyPiece | Work[Any]:
        """Return what begins at an offset of the archive and does not go beyond ``end``, or what has to be done first.

        A slice of a file is valid until the next call.

        Raises:
            BrokenPromise: a file is not as the plan has it.
        """
        layout, number = self._layout, self._layout.member_at(at)
        made: ReadyPiece | Work[Any]
        if number < 0:
            made = layout.prefix()[at:]
        elif number < len(self._plan.members):
            made = self._piece_of_member(number, at - layout.starts[number], end - at)
        else:
            made = self._piece_of_trailer(at)
        return made[: end - at] if isinstance(made, bytes) else made

    def close_file(self) -> None:
        """Close the open file, and remember what is known of it."""
        file, self._file, number, self._number = self._file, None, self._number, -1
        if file is None:
            return
        member = self._plan.members[number]
        is_same = version_of(os.fstat(file.fd)) == member.version
        os.close(file.fd)
        if not is_same:
            self._tell(self._about(member, "has changed"))
        elif self._layout.needs_sums and self._summed[0]:
            self._known.keep(member.version, *self._summed)

    def close(self) -> None:
        """End the response, whether all of it has been sent or not."""
        self.close_file()
        release, self._release = self._release, None
        if release is not None:
            release()

    def _piece_of_member(self, number: int, at: int, most: int) -> ReadyPiece | Work[Any]:
        member = self._plan.members[number]
        head_bytes = self._layout.head_bytes(member)
        if at < head_bytes:
            work = None if member.size or member.is_folder else self._check_empty(number)
            return work or self._layout.head(member)[at:]
        at -= head_bytes
        if at < member.size:
            file = self._open(number)
            return file if isinstance(file, Work) else self._content(number, file, at, min(member.size - at, most))
        checksum = self._sum(number, number + 1)
        if isinstance(checksum, Work):
            return checksum
        return self._layout.tail(member, checksum)[at - member.size :]

    def _piece_of_trailer(self, at: int) -> bytes | Work[Any]:
        portion, count = self._layout.portion_at(at), len(self._plan.members)
        checksum = self._sum(portion, count) if portion < count else 0
        if isinstance(checksum, Work):
            return checksum
        return self._layout.trailer(portion, checksum)[at - self._layout.trailer_starts[portion] :]

    # Files.

    def _open(self, number: int) -> File | Work[Any]:
        """Return the file of a member, or what has to be done before it may be read."""
        if self._file is not None and self._number == number:
            return self._file
        self.close_file()
        self.opened += 1
        member = self._plan.members[number]
        file = self._find(member)
        if is_young(file.status, self._wall()):
            os.close(file.fd)
            return Work(ARCHIVES, partial(_grow_old, file.status, self._wall))
        self._number, self._file = number, file
        self._summed = self._known.find(member.version) if self._layout.needs_sums else (0, 0)
        return file

    def _find(self, member: Member) -> File:
        """Open the file of a member.

        Raises:
            BrokenPromise: it is not the version of the plan.
        """
        found = self._resolver.resolve(self._plan.names_of(member))
        if isinstance(found, File) and version_of(found.status) == member.version:
            return found
        if isinstance(found, Fact):
            raise self._broken(member, f"cannot be opened any more ({found.value})")
        os.close(found.fd)
        raise self._broken(member, "has changed")

    def _check_empty(self, number: int) -> Work[Any] | None:
        """Look at a file that is empty: it may not be any more."""
        found = self._open(number)
        self.close_file()
        return found if isinstance(found, Work) else None

    def _content(self, number: int, file: File, at: int, left: int) -> ReadyPiece:
        """Return some of the content of the open file, of which the response has ``left`` bytes from ``at`` on."""
        if left > _LAST_BYTES and self._may_be_sent_from_file(number, file):
            return FileSlice(file.fd, at, left - _LAST_BYTES)
        member, count = self._plan.members[number], min(left, _PORTION_BYTES)
        data = self._read(member, file, at, count)
        if len(data) < count:
            raise self._changed(member, "has become shorter")
        if count == left and version_of(os.fstat(file.fd)) != member.version:
            raise self._changed(member, "has changed")
        if self._layout.needs_sums and self._summed[0] == at:
            self._summed = (at + count, zlib.crc32(data, self._summed[1]))
            if at + count == member.size:
                self._archive.sums[number] = self._summed[1]
        return data

    def _read(self, member: Member, file: File, at: int, count: int) -> bytes:
        try:
            return os.pread(file.fd, count, at)
        except OSError as error:
            raise self._broken(member, f"cannot be read ({error.strerror})") from error

    def _changed(self, member: Member, what: str) -> BrokenPromise:
        """Return what to raise when the open file has changed, and close it."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file.fd)
        return self._broken(member, what)

    def _may_be_sent_from_file(self, number: int, file: File) -> bool:
        if self._layout.needs_sums and self._known_sum(number) < 0:
            return False
        return self._wall() - file.status.st_ctime > SETTLED_S

    def _broken(self, member: Member, what: str) -> BrokenPromise:
        """Return what to raise when a file is not as the plan has it; the log names it."""
        self._tell(self._about(member, what))
        return BrokenPromise(what)

    def _about(self, member: Member, what: str) -> str:
        path = "/" + "/".join(name.decode("utf-8", "backslashreplace") for name in self._plan.names_of(member))
        return f"{path!r} {what} while it was sent in an archive; its client's connection was reset"

    # Checksums.

    def _known_sum(self, number: int) -> int:
        """Return the CRC-32 of a member; -1 if it is not known."""
        sums, member = self._archive.sums, self._plan.members[number]
        if sums[number] < 0:
            count, checksum = self._known.find(member.version) if member.size else (0, 0)
            if count == member.size:
                sums[number] = checksum
        return sums[number]

    def _sum(self, first: int, end: int) -> int | Work[Any]:
        """Return the CRC-32 of the member ``first``, or what has to be done: then those up to ``end`` are next."""
        if not self._layout.needs_sums:
            return 0
        checksum = self._known_sum(first)
        if checksum >= 0:
            return checksum
        self.close_file()
        checksum = self._known_sum(first)
        return checksum if checksum >= 0 else Work(ARCHIVES, partial(self._sum_up, first, end))

    def _sum_up(self, first: int, end: int) -> None:
        """Sum up files for a while, in any thread, with descriptors of its own: the response may end meanwhile."""
        until = time.monotonic() + _SUM_S
        for number in range(first, end):
            if self._known_sum(number) >= 0:
                continue
            member = self._plan.members[number]
            file = self._find(member)
            try:
                _grow_old(file.status, self._wall)
                self._sum_file(number, file, until)
                if version_of(os.fstat(file.fd)) != member.version:
                    raise self._broken(member, "has changed")
            finally:
                os.close(file.fd)
            if time.monotonic() > until:
                return

    def _sum_file(self, number: int, file: File, until: float) -> None:
        """Sum up a file, or go on with it, until that moment or its end."""
        member = self._plan.members[number]
        count, checksum = self._known.find(member.version)
        while count < member.size:
            data = self._read(member, file, count, min(_SUM_BYTES, member.size - count))
            if not data:
                raise self._broken(member, "has become shorter")
            count, checksum = count + len(data), zlib.crc32(data, checksum)
            if time.monotonic() > until:
                break
        self._known.keep(member.version, count, checksum)
        if count == member.size:
            self._archive.sums[number] = checksum


class Part(Promise):
    """A part of an archive.

    Args:
        reader: reads it.
        offset: where the part begins, in bytes.
        length: its length in bytes.
    """

    def __init__(self, reader: Reader, offset: int, length: int) -> None:
        self._reader = reader
        self._at, self._end = offset, offset + length
        self._length = length
        self._work: Work[Any] | None = None

    def __len__(self) -> int:
        return self._length

    def make(self) -> Sequence[ReadyPiece] | Work[Any]:
        """Return the next pieces (``Promise.make``)."""
        if self._work is not None:
            self._work.result()
            self._work = None
        made: list[bytes] = []
        before, first = self._reader.opened, self._at
        while self._at < self._end and self._at - first < _PORTION_BYTES:
            if len(made) == _PIECES or self._reader.opened - before > _OPENED:
                break
            piece = self._reader.piece(self._at, self._end)
            if isinstance(piece, Work):
                if made:
                    break
                self._work = piece
                return piece
            self._at += len(piece)
            if isinstance(piece, FileSlice):
                return (b"".join(made), piece) if made else (piece,)
            made.append(piece)
        if made:
            return (b"".join(made),)
        self._reader.close_file()
        return ()


def _grow_old(status: os.stat_result, wall: Callable[[], float]) -> None:
    """Wait until a file cannot be written without a trace any more; some milliseconds, or two seconds (FAT)."""
    end = time.monotonic() + _LONGEST_YOUTH_S
    while is_young(status, wall()) and time.monotonic() < end:
        time.sleep(_POLL_S)
