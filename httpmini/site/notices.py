"""What a site has to tell its operator, each thing once, whichever process notices it."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from mmap import mmap

_SLOTS = 16_384


class Notices:
    """Passes on each notice once.

    Processes share a table of one octet for each notice, by a checksum. If two share a slot, only the first is told,
    which is better than a log that is full of them.

    Args:
        write: takes the text of a notice.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._told = mmap(-1, _SLOTS)  # children inherit it

    def tell(self, text: str) -> None:
        """Pass on ``text`` unless it was told before."""
        slot = zlib.crc32(text.encode("utf-8", "surrogateescape")) % _SLOTS
        if not self._told[slot]:
            self._told[slot] = 1
            self._write(text)
