"""Content codings, decoded piece by piece with a limit on the decoded size (RFC 9110 §8.4).

gzip and deflate come with Python; br and zstd need their libraries (``pip install httpmini[codings]``).
"""

from __future__ import annotations

import importlib
import importlib.util
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from httpmini.client.options import Limits
from httpmini.errors import BrokenResponse, TooLarge, Truncated
from httpmini.protocol.framing import Data
from httpmini.protocol.message import Headers

_PIECE = 256 * 1024
_FREE_BYTES = 1024**2  # below this size no ratio is suspicious: a page of blanks compresses very well
_MAX_CODINGS = 4
_BLOCK = 4096
_MAX_EXCESS = 8 * 1024**2  # no block of gzip or deflate decodes to more, but one of br or zstd may
# zstd cannot be told to stop after so many bytes of output. But a block of 128 KiB takes at least 4 bytes of input, so
# that each of these small steps decodes to 8 MiB at most.
_ZSTD_STEP = 256
_ZSTD_WINDOW = 8 * 1024**2  # RFC 9659 §3: no content coding needs more


class Decoder(Protocol):
    """Decodes one coding."""

    @property
    def done(self) -> bool:
        """Whether the end of the coded data has been reached."""
        ...

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decode ``data`` into pieces of bounded size."""
        ...


class _Zlib:
    """gzip, with one or more members; or deflate, with the zlib wrapper or, as some servers send it, without."""

    def __init__(self, kind: str) -> None:
        self.done = False
        self._kind = kind
        self._inflate: Any = None
        self._first = b""  # of deflate, until the second octet says whether it is a wrapper

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._kind == "deflate" and self._inflate is None and not self.done:
            self._first = data = self._first + data
            if len(data) < 2:
                return
        full = False  # zlib may hold more output although it has consumed all input
        while data or full:
            if self._inflate is None:
                if self.done and self._kind != "gzip":
                    raise zlib.error("data follows the end")
                self._inflate = zlib.decompressobj(self._window(data))
                self.done = False
            piece = self._inflate.decompress(data, _PIECE)
            yield piece
            data, full = self._inflate.unconsumed_tail, len(piece) == _PIECE
            if self._inflate.eof:
                data, full = self._inflate.unused_data, False
                self._inflate, self.done = None, True

    def _window(self, data: bytes) -> int:
        if self._kind == "gzip":
            return 31
        wrapped = data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
        return 15 if wrapped else -15


class _Brotli:
    def __init__(self) -> None:
        self._brotli: Any = importlib.import_module("brotli").Decompressor()

    @property
    def done(self) -> bool:
        return bool(self._brotli.is_finished())

    def feed(self, data: bytes) -> Iterator[bytes]:
        piece = self._brotli.process(data, output_buffer_limit=_PIECE)
        while piece or not self._brotli.can_accept_more_data():  # false while it holds more output
            yield piece
            piece = self._brotli.process(b"", output_buffer_limit=_PIECE)


class _Zstd:
    """One frame, or several in a row (RFC 8878 §3)."""

    def __init__(self) -> None:
        zstandard: Any = importlib.import_module("zstandard")
        self._zstd = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        self._frame = self._zstd.decompressobj()

    @property
    def done(self) -> bool:
        return bool(self._frame.eof)

    def feed(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _ZSTD_STEP):
            step = data[start : start + _ZSTD_STEP]
            while step:
                if self._frame.eof:
                    self._frame = self._zstd.decompressobj()
                yield self._frame.decompress(step)
                step = self._frame.unused_data if self._frame.eof else b""


_DECODERS: dict[str, Callable[[], Decoder]] = {
    "gzip": lambda: _Zlib("gzip"),
    "x-gzip": lambda: _Zlib("gzip"),
    "deflate": lambda: _Zlib("deflate"),
}
if importlib.util.find_spec("brotli"):
    _DECODERS["br"] = _Brotli
if importlib.util.find_spec("zstandard"):
    _DECODERS["zstd"] = _Zstd

ACCEPTED = ", ".join(coding for coding in ("gzip", "deflate", "br", "zstd") if coding in _DECODERS)
"""The value of Accept-Encoding: the codings that can be decoded here."""


def applied_codings(headers: Headers) -> list[str]:
    """Return the codings of a response, known or not, in the order in which they were applied."""
    names = [coding.strip(" \t").lower() for value in headers.all("Content-Encoding") for coding in value.split(",")]
    return [coding for coding in names if coding not in ("", "identity")]


def is_known(codings: list[str]) -> bool:
    """Whether all of these codings can be decoded here."""
    return len(codings) <= _MAX_CODINGS and all(coding in _DECODERS for coding in codings)


def codings_of(headers: Headers) -> list[str]:
    """Return the codings of a response, in the order in which they were applied.

    Empty if there are none, or if one of them is unknown: the body is then handed out as it came.
    """
    codings = applied_codings(headers)
    return codings if is_known(codings) else []


def decode(pieces: Iterator[Data], codings: list[str], limits: Limits) -> Iterator[bytes]:
    """Decode the pieces of a body.

    Args:
        pieces: as they come from the wire.
        codings: from ``codings_of``.
        limits: on the decoded size and the ratio.

    Raises:
        BrokenResponse: the body is not coded as declared.
        Truncated: the coded data ends early.
        TooLarge: the decoded body exceeds a limit.
    """
    raw = _Blocks(pieces)
    stream: Iterator[bytes] = iter(raw)
    for coding in reversed(codings):
        stream = _bounded(_undo(stream, coding), raw, limits)
    return stream


class _Blocks:
    """The bytes of the wire, cut at the ends of blocks, which lie at the same places however the bytes arrived.

    How much a library has decoded before it notices an error depends on how the data was cut. So what is wrong in the
    same block as an excess is told instead of it; else the error would be a matter of chance.

    Attributes:
        size: how many bytes there were up to now.
        excess: what is raised at the end of the current block.
    """

    def __init__(self, pieces: Iterator[Data]) -> None:
        self._pieces = pieces
        self.size = 0
        self.excess: TooLarge | None = None

    @property
    def end(self) -> int:
        """Where the current block ends."""
        return -(-self.size // _BLOCK) * _BLOCK

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            data, at = bytes(piece), 0
            while at < len(data):
                step = data[at : at + _BLOCK - self.size % _BLOCK]
                at += len(step)
                self.size += len(step)
                yield step
                if self.size == self.end:
                    self._judge()
        self._judge()

    def _judge(self) -> None:
        if self.excess is not None:
            raise self.excess


def _bounded(pieces: Iterator[bytes], raw: _Blocks, limits: Limits) -> Iterator[bytes]:
    """Apply the limits to the output of one coding. Between two codings the data may be huge even if the end is not."""
    size = 0
    for piece in pieces:
        allowed = max(_FREE_BYTES, limits.ratio * raw.end)
        if limits.decoded_bytes is not None:
            allowed = min(allowed, limits.decoded_bytes)
        within = piece[: max(0, allowed - size)]
        size += len(piece)
        if size > allowed:
            raw.excess = raw.excess or _too_large(size, raw, limits)
        if size > allowed + _MAX_EXCESS:
            raise _too_large(size, raw, limits)
        if within:
            yield within


def _too_large(size: int, raw: _Blocks, limits: Limits) -> TooLarge:
    if limits.decoded_bytes is not None and size > limits.decoded_bytes:
        return TooLarge(f"the body decodes to more than {limits.decoded_bytes} bytes")
    return TooLarge(f"{raw.size} bytes decode to at least {size}, over {limits.ratio} times as much")


def _undo(pieces: Iterator[bytes], coding: str) -> Iterator[bytes]:
    decoder = _DECODERS[coding]()
    begun = False
    for piece in pieces:
        begun = begun or bool(piece)
        try:
            yield from decoder.feed(piece)
        except Exception as error:  # each library has its own class
            raise BrokenResponse(f"the body is not {coding}, as declared: {error}", "content-coding") from error
    if begun and not decoder.done:
        raise Truncated(f"the body ended before the end of its {coding} data")
