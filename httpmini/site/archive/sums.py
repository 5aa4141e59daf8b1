"""CRC-32 of files, as far as they are known: a bounded table that processes share."""

from __future__ import annotations

import struct
from mmap import mmap
from zlib import crc32

from httpmini.site.archive.plan import VERSION_BYTES

_ROW = struct.Struct(f"<{VERSION_BYTES}sQII")  # version, how many bytes of it are summed up, their CRC-32, a check
_ROWS = 65_536
_PROBES = 4


class Sums:
    """What is known of versions of files. Threads and processes may share it without a lock.

    A row that two of them write at the same time fails its check, and so says nothing.
    """

    def __init__(self) -> None:
        self._table = mmap(-1, _ROW.size * (_ROWS + _PROBES))  # children inherit it; untouched pages cost nothing

    def find(self, version: bytes) -> tuple[int, int]:
        """Return of how many bytes, from the first one on, the CRC-32 is known, and what it is."""
        for at in self._places(version):
            row = self._table[at : at + _ROW.size]
            found, count, checksum, check = _ROW.unpack(row)
            if found == version and check == crc32(row[:-4]):
                return count, checksum
        return 0, 0

    def keep(self, version: bytes, count: int, checksum: int) -> None:
        """Remember the CRC-32 of the first ``count`` bytes; something else may have to be forgotten."""
        row = _ROW.pack(version, count, checksum, 0)[:-4]
        at = self._place_for(version)
        self._table[at : at + _ROW.size] = row + crc32(row).to_bytes(4, "little")

    def _place_for(self, version: bytes) -> int:
        places = self._places(version)
        there = [self._table[at : at + VERSION_BYTES] for at in places]
        for wanted in (version, bytes(VERSION_BYTES)):
            if wanted in there:
                return places[there.index(wanted)]
        return places[version[-1] % _PROBES]

    def _places(self, version: bytes) -> list[int]:
        first = int.from_bytes(version[:4], "little") % _ROWS
        return [_ROW.size * (first + step) for step in range(_PROBES)]
