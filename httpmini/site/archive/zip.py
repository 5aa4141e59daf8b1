"""The zip form (APPNOTE.TXT 6.3): stored, not compressed, and with zip64 where 32 bits are too few.

A head does not say how long its member is, nor its CRC-32: both come after the content, in a data descriptor, and again
in the directory at the end. So the checksum can be made while the content is sent.
"""

from __future__ import annotations

import struct
import time
from typing import ClassVar

from httpmini.site.archive.layout import Layout
from httpmini.site.archive.plan import Member

_HEAD = struct.Struct("<IHHHHHIIIHH")  # §4.3.7
_DESCRIPTOR, _LONG_DESCRIPTOR = struct.Struct("<IIII"), struct.Struct("<IIQQ")  # §4.3.9
_ENTRY = struct.Struct("<IHHHHHHIIIHHHHHII")  # §4.3.12
_END_64, _LOCATOR_64 = struct.Struct("<IQHHIIQQQQ"), struct.Struct("<IIQI")  # §4.3.14, §4.3.15
_END = struct.Struct("<IHHHHIIH")  # §4.3.16
_STORED = 0
_SIZES_FOLLOW, _UTF_8 = 1 << 3, 1 << 11
_PLAIN, _ZIP64 = 20, 45  # the versions of the format that a reader has to know
_BY_UNIX = 3 << 8  # whose permissions are in the upper half of the attributes
_FOLDER = 0x10  # as MS-DOS marks it
_IS_FILE, _IS_FOLDER = 0o100000, 0o040000
_MOST_32, _MOST_16 = 2**32 - 1, 2**16 - 1


class ZipLayout(Layout):
    """A zip archive."""

    form: ClassVar[str] = "zip"
    media_type: ClassVar[str] = "application/zip"
    needs_sums: ClassVar[bool] = True

    def head(self, member: Member) -> bytes:
        """Return the local header of a member."""
        name, flags = self._name(member)
        unknown = 0
        extra = _time(member)
        version = _PLAIN
        if _is_long(member):
            unknown, version = _MOST_32, _ZIP64
            extra = struct.pack("<HHQQ", 1, 16, 0, 0) + extra
        if member.is_folder:
            flags &= ~_SIZES_FOLLOW
        moment = _dos_time(member.modified)
        lengths = (unknown, unknown, len(name), len(extra))
        return _HEAD.pack(0x04034B50, version, flags, _STORED, *moment, 0, *lengths) + name + extra

    def tail(self, member: Member, checksum: int) -> bytes:
        """Return the data descriptor of a member; a folder has none."""
        if member.is_folder:
            return b""
        form = _LONG_DESCRIPTOR if _is_long(member) else _DESCRIPTOR
        return form.pack(0x08074B50, checksum, member.size, member.size)

    def trailer(self, portion: int, checksum: int) -> bytes:
        """Return the entry of a member in the directory, or the end of the directory."""
        if portion == len(self.plan.members):
            return self._end()
        member = self.plan.members[portion]
        return self._entry(member, self.starts[portion], checksum)

    def _entry(self, member: Member, offset: int, checksum: int) -> bytes:
        name, flags = self._name(member)
        if member.is_folder:
            flags &= ~_SIZES_FOLLOW
        wide = _wide(member, offset)
        version = _ZIP64 if wide else _PLAIN
        extra = (struct.pack(f"<HH{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b"") + _time(member)
        size = min(member.size, _MOST_32)
        attributes = ((_IS_FOLDER if member.is_folder else _IS_FILE) | member.mode) << 16
        return (
            _ENTRY.pack(
                *(0x02014B50, _BY_UNIX | version, version, flags, _STORED),
                *(*_dos_time(member.modified), checksum, size, size, len(name), len(extra), 0, 0, 0),
                *(attributes | (_FOLDER if member.is_folder else 0), min(offset, _MOST_32)),
            )
            + name
            + extra
        )

    def _end(self) -> bytes:
        """Return the end of the directory: how long it is and where it begins."""
        count, begin = len(self.plan.members), self.starts[-1]
        size = self.trailer_starts[count] - begin
        comment = self._comment()
        end = _END.pack(
            *(0x06054B50, 0, 0, min(count, _MOST_16), min(count, _MOST_16)),
            *(min(size, _MOST_32), min(begin, _MOST_32), len(comment)),
        )
        return self._end_64(count, size, begin) + end + comment

    def _end_64(self, count: int, size: int, begin: int) -> bytes:
        if count < _MOST_16 and max(size, begin) < _MOST_32:
            return b""
        version = (_BY_UNIX | _ZIP64, _ZIP64)
        record = _END_64.pack(0x06064B50, _END_64.size - 12, *version, 0, 0, count, count, size, begin)
        return record + _LOCATOR_64.pack(0x07064B50, 0, begin + size, 1)

    def _comment(self) -> bytes:
        left_out = self.plan.left_out
        return ("Left out: " + "; ".join(left_out)).encode("utf-8", "replace")[:_MOST_16] if left_out else b""

    def _name(self, member: Member) -> tuple[bytes, int]:
        """Return the path of a member and the flags of its headers.

        A backslash, which is no separator here, would be one where the archive is extracted on Windows.
        """
        name = self.plan.path_of(member).replace(b"\\", b"_")
        try:
            name.decode()
        except UnicodeDecodeError:
            return name, _SIZES_FOLLOW
        return name, _SIZES_FOLLOW | _UTF_8

    def head_bytes(self, member: Member) -> int:
        """Return how long the head of a member is."""
        extra = (20 if _is_long(member) else 0) + len(_time(member))
        return _HEAD.size + len(self.plan.path_of(member)) + extra

    def _tail_bytes(self, member: Member) -> int:
        return 0 if member.is_folder else (_LONG_DESCRIPTOR if _is_long(member) else _DESCRIPTOR).size

    def _measure_trailer(self) -> None:
        at = self.trailer_starts[0]
        for member, offset in zip(self.plan.members, self.starts, strict=False):
            wide = len(_wide(member, offset))
            extra = (4 + 8 * wide if wide else 0) + len(_time(member))
            at += _ENTRY.size + len(self.plan.path_of(member)) + extra
            self.trailer_starts.append(at)
        self.trailer_starts.append(at + len(self._end()))


def _is_long(member: Member) -> bool:
    return member.size >= _MOST_32


def _wide(member: Member, offset: int) -> tuple[int, ...]:
    """Return the numbers of an entry that 32 bits have no room for."""
    sizes = (member.size, member.size) if _is_long(member) else ()
    return (*sizes, offset) if offset >= _MOST_32 else sizes


def _time(member: Member) -> bytes:
    """Return the time as Info-ZIP has it, in seconds and UTC; nothing where 31 bits have no room for it."""
    return struct.pack("<HHBi", 0x5455, 5, 1, member.modified) if member.modified < 2**31 else b""


def _dos_time(modified: int) -> tuple[int, int]:
    """Return time and date as MS-DOS has them (§4.4.6), from 1980 to 2107, in UTC."""
    year, month, day, hour, minute, second = time.gmtime(modified)[:6]
    if not 1980 <= year <= 2107:
        return 0, (min(max(year, 1980), 2107) - 1980) << 9 | 1 << 5 | 1
    return hour << 11 | minute << 5 | second // 2, (year - 1980) << 9 | month << 5 | day
