"""Whether a compressed file is a copy of the file next to it, or was forgotten when that was changed.

1. If it is not older, it is a copy.
2. Otherwise its content decides, if it can be read: gzip ends in a checksum of what is in it; br and zstd are decoded
   if their libraries are installed. Copying tools (``cp -r``, ``tar xm``, version control) give every file the time at
   which it happened to be written, so either may come first.
3. Otherwise a difference that tools make does not count: brotli and pigz cut the time that they copy to whole seconds,
   zip and FAT to two.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

from httpmini.site.memory import Identity, Memory, identity_of
from httpmini.site.resolve import File

_SECOND_NS = 1_000_000_000
# Tools that copy the time of a file often convert it to a floating-point number.
_SLACK_NS = 1_000_000
_STEPS_NS = (2 * _SECOND_NS, _SECOND_NS)
_MAX_BYTES = 1024**2  # what is decoded or summed up in less than a few milliseconds
_GZIP_END = 8  # RFC 1952 §2.3.1: CRC-32 and size, four octets each

Decode = Callable[[bytes, int], bytes]
"""Decodes a whole file to at most so many octets and one; raises an error if it cannot."""


class Copies:
    """Tells copies from forgotten files, and remembers the results of comparing their content.

    Args:
        codings: those that will be asked about.
    """

    def __init__(self, codings: Iterable[str] = ()) -> None:
        self._decoders = {coding: decoder for coding in codings if (decoder := _load(coding))}
        self._known = Memory[tuple[Identity, Identity], bool]()

    def is_copy(self, packed: File, plain: File, coding: str) -> bool:
        """Whether ``packed`` has the content of ``plain``, in ``coding``."""
        if packed.status.st_mtime_ns >= plain.status.st_mtime_ns - _SLACK_NS:
            return True
        key = identity_of(packed.status), identity_of(plain.status)
        known = self._known.find(key)
        if known is None:
            same = self._has_same_content(packed, plain, coding)
            known = differs_by_a_step(packed.status, plain.status) if same is None else same
            self._known.keep(key, known)
        return known

    def _has_same_content(self, packed: File, plain: File, coding: str) -> bool | None:
        """Compare the contents; None if that is not possible."""
        size = plain.status.st_size
        if max(size, packed.status.st_size) > _MAX_BYTES:
            return None
        try:
            content = os.pread(plain.fd, size, 0)
            octets = os.pread(packed.fd, packed.status.st_size, 0)
        except OSError:
            return None
        if coding == "gzip" and octets.startswith(b"\x1f\x8b") and len(octets) > _GZIP_END:
            return octets[-_GZIP_END:] == zlib.crc32(content).to_bytes(4, "little") + size.to_bytes(4, "little")
        decode = self._decoders.get(coding)
        try:
            return None if decode is None else decode(octets, size) == content
        except Exception:  # each library has errors of its own; what is no such coding is no proof of anything
            return None


def differs_by_a_step(packed: os.stat_result, plain: os.stat_result) -> bool:
    """Whether ``packed`` is older only because a tool has cut its time to one or two seconds."""
    for step_ns in _STEPS_NS:
        if packed.st_mtime_ns % step_ns == 0:
            return packed.st_mtime_ns >= plain.st_mtime_ns // step_ns * step_ns
    # Both have the time at which they were written: they were copied, one right after the other.
    written = all(abs(status.st_ctime_ns - status.st_mtime_ns) < _SECOND_NS for status in (packed, plain))
    return written and packed.st_mtime_ns >= plain.st_mtime_ns - _STEPS_NS[0]


def _load(coding: str) -> Decode | None:
    """Return the decoder of a coding, if its library is installed."""
    try:
        if coding == "br":
            return _brotli(import_module("brotli"))
        if coding == "zstd":
            return _zstd(import_module("zstandard"))
    except ImportError:
        pass
    return None


def _brotli(library: Any) -> Decode:
    def decode(octets: bytes, size: int) -> bytes:
        decoder = library.Decompressor()
        return bytes(decoder.process(octets, output_buffer_limit=size + 1))  # an old library raises TypeError

    return decode


def _zstd(library: Any) -> Decode:
    def decode(octets: bytes, size: int) -> bytes:
        with library.ZstdDecompressor(max_window_size=8 * 1024**2).stream_reader(octets) as reader:
            return bytes(reader.read(size + 1))

    return decode
