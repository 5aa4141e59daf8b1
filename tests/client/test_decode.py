"""Content codings: decoded completely or not at all, however the bytes are split, and within the limits."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import os
import random
import tracemalloc
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard

from httpmini.client.decode import ACCEPTED, codings_of, decode
from httpmini.client.options import Limits
from httpmini.errors import BrokenResponse, TooLarge, Truncated
from httpmini.protocol.message import Headers

MIB = 1024**2
UNBOUND = Limits(decoded_bytes=None, ratio=10**9)


def raw_deflate(data: bytes, level: int = 9) -> bytes:
    """Without zlib's wrapper, as some servers send it (RFC 9110 §8.4.1.2: note)."""
    packer = zlib.compressobj(level, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


PACKERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "deflate without wrapper": ("deflate", raw_deflate),
    "br": ("br", lambda data: bytes(brotli.compress(data, quality=5))),
    "zstd": ("zstd", zstandard.compress),
}
each_coding = pytest.mark.parametrize(("coding", "pack"), PACKERS.values(), ids=PACKERS)


def undo(pieces: Iterable[bytes], *codings: str, limits: Limits = UNBOUND) -> bytes:
    return b"".join(decode(iter(pieces), list(codings), limits))


def octets(data: bytes) -> list[bytes]:
    return [bytes([octet]) for octet in data]


def test_all_are_asked_for() -> None:
    assert ACCEPTED == "gzip, deflate, br, zstd"


# ---------------------------------------------------------------------------------------------------------------
# Valid data

BODIES = {
    "empty": b"",
    "one octet": b"a",
    "short": b"hello, world",
    "blanks": b" " * 5000,
    "every octet": bytes(range(256)),
    "nothing to pack": random.Random(4).randbytes(5000),
    "looks packed": gzip.compress(b"hello", mtime=0),
}


@each_coding
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_however_it_is_cut(coding: str, pack: Callable[[bytes], bytes], body: bytes) -> None:
    packed = pack(body)
    assert undo([packed], coding) == body
    assert undo(octets(packed), coding) == body
    assert undo([b"", packed, b""], coding) == body
    if len(packed) < 500:
        for at in range(len(packed)):
            assert undo([packed[:at], packed[at:]], coding) == body


@each_coding
def test_more_than_one_piece(coding: str, pack: Callable[[bytes], bytes]) -> None:
    body = random.Random(4).randbytes(50_000) * 20
    packed = pack(body)
    for size in (999, 65_536, len(packed)):
        assert undo([packed[at : at + size] for at in range(0, len(packed), size)], coding) == body


@each_coding
def test_bodies_around_the_size_of_a_piece(coding: str, pack: Callable[[bytes], bytes]) -> None:
    """The last octets come out only after all input has been consumed."""
    for size in range(256 * 1024 - 5, 256 * 1024 + 300, 1 if coding == "deflate" else 60):
        assert undo([pack(b"a" * size)], coding) == b"a" * size, size


@each_coding
def test_pieces_are_bounded(coding: str, pack: Callable[[bytes], bytes]) -> None:
    packed = pack(bytes(20 * MIB))
    pieces = [len(piece) for piece in decode(iter([packed]), [coding], UNBOUND)]
    assert sum(pieces) == 20 * MIB
    assert max(pieces) <= 8 * MIB
    assert min(pieces) > 0


def test_several_members() -> None:
    packed = gzip.compress(b"hel") + gzip.compress(b"") + gzip.compress(b"lo")
    for pieces in ([packed], octets(packed), *([packed[:at], packed[at:]] for at in range(len(packed)))):
        assert undo(pieces, "gzip") == b"hello"


def test_several_frames() -> None:
    skippable = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"  # RFC 8878 §3.1.2
    packed = zstandard.compress(b"hel") + skippable + zstandard.compress(b"") + zstandard.compress(b"lo")
    for pieces in ([packed], octets(packed), *([packed[:at], packed[at:]] for at in range(len(packed)))):
        assert undo(pieces, "zstd") == b"hello"


def test_fields_in_a_gzip_head() -> None:
    """RFC 1952 §2.3: extra, name and comment may stand before the data."""
    plain = gzip.compress(b"hello", mtime=0)
    packed = plain[:3] + b"\x1c" + plain[4:10] + b"\x03\x00abc" + b"name\0" + b"comment\0" + plain[10:]
    for pieces in ([packed], octets(packed)):
        assert undo(pieces, "gzip") == b"hello"


@pytest.mark.parametrize("level", range(10))
def test_every_level_of_deflate_without_wrapper(level: int) -> None:
    body = random.Random(level).randbytes(1000) + b"a" * 1000
    assert undo(octets(raw_deflate(body, level)), "deflate") == body


@pytest.mark.parametrize("step", [1, 2, 100])
def test_deflate_without_wrapper_that_begins_like_one(step: int) -> None:
    """Its first octet, a stored block's with odd padding, is the usual one of zlib's wrapper; the second one tells."""
    packed = b"\x78\x05\x00\xfa\xffhello\x03\x00"
    assert undo((packed[at : at + step] for at in range(0, len(packed), step)), "deflate") == b"hello"


@pytest.mark.parametrize("codings", list(itertools.product(PACKERS, PACKERS)), ids="+".join)
def test_two_codings(codings: tuple[str, str]) -> None:
    body = b"hello, world " * 100
    packed = body
    for name in codings:
        packed = PACKERS[name][1](packed)
    names = [PACKERS[name][0] for name in codings]
    assert undo([packed], *names) == body
    assert undo(octets(packed), *names) == body
    with pytest.raises(Truncated):
        undo([packed[:-1]], *names)


# ---------------------------------------------------------------------------------------------------------------
# What a head says


@pytest.mark.parametrize(
    ("values", "codings"),
    [
        ([], []),
        ([""], []),
        (["identity"], []),
        (["gzip"], ["gzip"]),
        (["GZip"], ["gzip"]),
        (["x-gzip"], ["x-gzip"]),
        ([" gzip\t"], ["gzip"]),
        (["deflate, gzip"], ["deflate", "gzip"]),
        (["deflate,gzip"], ["deflate", "gzip"]),
        (["deflate", "gzip"], ["deflate", "gzip"]),
        (["gzip,, identity ,br"], ["gzip", "br"]),
        (["gzip, gzip, gzip, gzip"], ["gzip"] * 4),
        # One is unknown, or there are too many: nothing is decoded, rather than a part of it.
        (["compress"], []),
        (["unheard-of"], []),
        (["gzip, unheard-of"], []),
        (["unheard-of", "gzip"], []),
        (["gzip, gzip, gzip, gzip, gzip"], []),
        (["gzip;q=1"], []),
        (["gzip br"], []),
        (["\xa0gzip"], []),
        (["gzip\x85"], []),
        (["g\xadzip"], []),
    ],
)
def test_codings_of_a_head(values: list[str], codings: list[str]) -> None:
    assert codings_of(Headers(tuple(("Content-Encoding", value) for value in values))) == codings


def test_x_gzip_is_gzip() -> None:
    assert undo([gzip.compress(b"hello")], "x-gzip") == b"hello"


@each_coding
def test_no_body_is_no_body(coding: str, pack: Callable[[bytes], bytes]) -> None:
    """A response without a body may still declare a coding."""
    assert undo([], coding) == b""
    assert undo([b""], coding) == b""
    assert undo([], coding, coding) == b""


# ---------------------------------------------------------------------------------------------------------------
# Invalid data


@each_coding
@pytest.mark.parametrize("bytewise", [False, True])
def test_truncated_at_every_byte(coding: str, pack: Callable[[bytes], bytes], bytewise: bool) -> None:
    packed = pack(b"hello, world, hello, world!")
    for size in range(1, len(packed)):
        pieces = octets(packed[:size]) if bytewise else [packed[:size]]
        with pytest.raises(Truncated, match=f"before the end of its {coding}"):
            undo(pieces, coding)


@each_coding
def test_truncated_where_more_than_a_piece_has_come(coding: str, pack: Callable[[bytes], bytes]) -> None:
    packed = pack(random.Random(4).randbytes(MIB))
    for size in (1000, len(packed) // 2, len(packed) - 1):
        with pytest.raises(Truncated):
            undo([packed[:size]], coding)


def test_a_second_member_is_truncated() -> None:
    first, second = gzip.compress(b"hel"), gzip.compress(b"lo")
    for size in range(1, len(second)):
        with pytest.raises(Truncated):
            undo([first + second[:size]], "gzip")
        with pytest.raises(Truncated):
            undo([first, second[:size]], "gzip")


def test_a_second_frame_is_truncated() -> None:
    first, second = zstandard.compress(b"hel"), zstandard.compress(b"lo")
    for size in range(1, len(second)):
        with pytest.raises(Truncated):
            undo([first + second[:size]], "zstd")


@each_coding
@pytest.mark.parametrize("garbage", [b"garbage after the end", b"\r\n\r\n\r\n\r\n\r\n", b"<!-- x -->", bytes(50)])
def test_garbage_behind(coding: str, pack: Callable[[bytes], bytes], garbage: bytes) -> None:
    packed = pack(b"hello")
    for pieces in ([packed + garbage], [packed, garbage], octets(packed + garbage)):
        with pytest.raises(BrokenResponse) as caught:
            undo(pieces, coding)
        assert caught.value.rule == "content-coding"
        assert str(caught.value).isprintable()


@pytest.mark.parametrize(("coding", "pack"), [row for row in PACKERS.values() if row[0] in ("deflate", "br")])
def test_a_coding_that_has_one_stream_has_no_second(coding: str, pack: Callable[[bytes], bytes]) -> None:
    first, second = pack(b"hel"), pack(b"lo")
    for pieces in ([first + second], [first, second], octets(first + second)):
        with pytest.raises(BrokenResponse):
            undo(pieces, coding)


@each_coding
@pytest.mark.parametrize(
    "body",
    [
        b"hello, world, this is not packed",
        b"<html>hello</html>",
        b"\xff" * 50,
        b"HTTP/1.0 200 OK\r\n\r\n" + b"hello" * 10,
        gzip.compress(b"hello", mtime=0)[1:] + bytes(50),
    ],
)
def test_what_is_not_packed_at_all(coding: str, pack: Callable[[bytes], bytes], body: bytes) -> None:
    """It may look like the beginning of valid data, but never like all of it."""
    for pieces in ([body], octets(body)):
        with pytest.raises((BrokenResponse, Truncated)):
            undo(pieces, coding)


def pack_with_checksum(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


@pytest.mark.parametrize(
    ("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("zstd", pack_with_checksum)]
)
def test_a_wrong_bit_is_noticed_or_does_not_matter(coding: str, pack: Callable[[bytes], bytes]) -> None:
    """These have a checksum (zstd optionally); some bits, such as gzip's date, have no effect."""
    body = b"hello, world, hello, world!"
    packed = pack(body)
    noticed = 0
    for bit in range(8 * len(packed)):
        broken = bytearray(packed)
        broken[bit // 8] ^= 1 << bit % 8
        try:
            assert undo([bytes(broken)], coding) == body, bit
        except (BrokenResponse, Truncated):
            noticed += 1
    assert noticed > 4 * len(packed)


# ---------------------------------------------------------------------------------------------------------------
# Bombs


def zlib_bomb(window: int) -> Iterator[bytes]:
    """Endless zeros, compressed to a thousandth, generated on demand."""
    packer = zlib.compressobj(9, zlib.DEFLATED, window)
    zeros = bytes(MIB)
    while True:
        yield packer.compress(zeros) + packer.flush(zlib.Z_SYNC_FLUSH)


def brotli_bomb() -> Iterator[bytes]:
    packer = brotli.Compressor(quality=5)
    zeros = bytes(MIB)
    while True:
        yield packer.process(zeros) + packer.flush()


def zstd_bomb() -> Iterator[bytes]:
    """A head for a window of 8 MiB, and blocks of 128 KiB of one octet each, four octets long (RFC 8878 §3.1.1.2)."""
    yield b"\x28\xb5\x2f\xfd\x00\x68"
    block = ((128 * 1024) << 3 | 1 << 1).to_bytes(3, "little") + b"\0"
    while True:
        yield block * 4096


def gzip_of_empty_members() -> Iterator[bytes]:
    """Decoded once it is a thousand times as large, decoded twice it is empty."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    members = gzip.compress(b"") * 50_000
    while True:
        yield packer.compress(members) + packer.flush(zlib.Z_SYNC_FLUSH)


BOMBS: dict[str, tuple[list[str], Callable[[], Iterator[bytes]]]] = {
    "gzip": (["gzip"], lambda: zlib_bomb(31)),
    "deflate": (["deflate"], lambda: zlib_bomb(15)),
    "deflate without wrapper": (["deflate"], lambda: zlib_bomb(-15)),
    "br": (["br"], brotli_bomb),
    "zstd": (["zstd"], zstd_bomb),
    "empty members": (["gzip", "gzip"], gzip_of_empty_members),
    "empty members, three times": (["gzip", "gzip", "gzip"], lambda: iter([gzip.compress(b"".join(three_times()))])),
}


def three_times() -> Iterator[bytes]:
    return itertools.islice(gzip_of_empty_members(), 4)


def size_until(error: type[Exception], message: str, pieces: Iterator[bytes]) -> int:
    """Return how many bytes come before the error."""
    size = 0

    def count() -> None:
        nonlocal size
        for piece in pieces:
            size += len(piece)

    with pytest.raises(error, match=message):
        count()
    return size


each_bomb = pytest.mark.parametrize(("codings", "bomb"), BOMBS.values(), ids=BOMBS)


@each_bomb
@pytest.mark.parametrize("ratio", [20, 200])
def test_a_bomb_is_bounded_by_its_ratio(codings: list[str], bomb: Callable[[], Iterator[bytes]], ratio: int) -> None:
    came = 0

    def counted() -> Iterator[bytes]:
        nonlocal came
        for piece in itertools.islice(bomb(), 64):
            came += len(piece)
            yield piece

    size = size_until(TooLarge, f"over {ratio} times as much", decode(counted(), codings, Limits(ratio=ratio)))
    assert size <= max(MIB, ratio * came)


@each_bomb
def test_a_bomb_is_bounded_by_its_size(codings: list[str], bomb: Callable[[], Iterator[bytes]]) -> None:
    pieces = decode(itertools.islice(bomb(), 256), codings, Limits(decoded_bytes=3 * MIB, ratio=10**9))
    assert size_until(TooLarge, f"more than {3 * MIB} bytes", pieces) <= 3 * MIB


def memory_of(pid: str = "self") -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


@pytest.mark.parametrize("name", [name for name in BOMBS if "members" not in name])
def test_a_bomb_takes_little_memory(name: str) -> None:
    """100 MiB come out, but Python and the libraries hold only a piece at a time."""
    codings, bomb = BOMBS[name]
    for _ in decode(itertools.islice(bomb(), 2), codings, UNBOUND):
        break  # so that everything is imported before measuring
    before, grown, size = memory_of(), 0, 0
    tracemalloc.start()
    try:
        for piece in decode(bomb(), codings, UNBOUND):
            size += len(piece)
            grown = max(grown, memory_of() - before)
            if size > 100 * MIB:
                break
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 24 * MIB  # 8 MiB of zstd, in its parts and joined; the bomb's own maker; Python counts no more
    assert grown < 64 * MIB


def test_a_window_that_is_too_large_is_refused() -> None:
    """RFC 9659 §3: a window above 8 MiB would cost the decoder too much memory."""
    wide = zstandard.ZstdCompressor(compression_params=zstandard.ZstdCompressionParameters(window_log=27))
    packer = wide.compressobj()
    packed = packer.compress(b"hello") + packer.flush()
    with pytest.raises(BrokenResponse, match="memory"):
        undo([packed], "zstd")


@each_coding
def test_what_is_small_may_pack_well(coding: str, pack: Callable[[bytes], bytes]) -> None:
    """A page of blanks is not a bomb, whatever the ratio."""
    body = b" " * MIB
    assert undo([pack(body)], coding, limits=Limits(ratio=1)) == body


@each_coding
def test_what_is_large_and_honest_is_not_a_bomb(coding: str, pack: Callable[[bytes], bytes]) -> None:
    body = "".join(f"{number:08} a line of a log, much like the one before it\n" for number in range(50_000)).encode()
    assert undo([pack(body)], coding, limits=Limits()) == body


@each_coding
def test_exactly_as_much_as_is_allowed(coding: str, pack: Callable[[bytes], bytes]) -> None:
    packed = pack(b"hello" * 1000)
    assert undo([packed], coding, limits=Limits(decoded_bytes=5000)) == b"hello" * 1000
    with pytest.raises(TooLarge):
        undo([packed], coding, limits=Limits(decoded_bytes=4999))


NOISE = random.Random(5).randbytes(150_000)
SPOILT: dict[str, tuple[Callable[[bytes], bytes], Limits]] = {
    "cut": (lambda packed: packed[:-1], Limits(decoded_bytes=MIB)),
    "its end is wrong": (lambda packed: packed[:-1] + b"\xfe", Limits(decoded_bytes=MIB)),
    "something follows": (lambda packed: packed + b"\xfe" * 3, Limits(decoded_bytes=MIB)),
    "a wrong byte": (lambda packed: packed[:9] + bytes([packed[9] ^ 0x55]) + packed[10:], Limits(decoded_bytes=MIB)),
    "a wrong byte, and the ratio": (lambda packed: packed[:9] + b"\xfe\xfe" + packed[11:], Limits(ratio=20)),
    "whole": (lambda packed: packed, Limits(decoded_bytes=MIB)),
    "exactly as much": (lambda packed: packed, Limits(decoded_bytes=2 * MIB + len(NOISE), ratio=10**9)),
    "the ratio at first only": (lambda packed: packed, Limits(ratio=20)),
}


def outcome(pieces: Iterable[bytes], coding: str, limits: Limits) -> str:
    try:
        return hashlib.sha256(undo(pieces, coding, limits=limits)).hexdigest()
    except (BrokenResponse, TooLarge, Truncated) as error:
        return type(error).__name__


@each_coding
@pytest.mark.parametrize(("spoil", "limits"), SPOILT.values(), ids=SPOILT)
@pytest.mark.parametrize("tail", [b"", NOISE], ids=["a bomb", "a bomb and more"])
def test_how_it_ends_does_not_depend_on_how_it_was_cut(
    coding: str, pack: Callable[[bytes], bytes], tail: bytes, spoil: Callable[[bytes], bytes], limits: Limits
) -> None:
    packed = spoil(pack(bytes(2 * MIB) + tail))
    whole = outcome([packed], coding, limits)
    for step in (1, 7, 1000, 5000):
        pieces = (packed[at : at + step] for at in range(0, len(packed), step))
        assert outcome(pieces, coding, limits) == whole, step


def test_what_is_wrong_in_the_same_block_is_told_instead_of_the_excess() -> None:
    """One block has all of it; with more blocks before the error, nobody reads that far."""
    small = gzip.compress(bytes(2 * MIB))[:-1] + b"\xfe"
    assert outcome([small], "gzip", Limits(decoded_bytes=MIB)) == "BrokenResponse"
    large = gzip.compress(bytes(64 * MIB))[:-1] + b"\xfe"
    assert outcome([large], "gzip", Limits(decoded_bytes=MIB)) == "TooLarge"


def test_errors_on_the_way_stay_what_they_are() -> None:
    """An error from the source of the pieces is not mistaken for a coding error."""

    def pieces() -> Iterator[bytes]:
        yield gzip.compress(b"hello")[:10]
        raise Truncated("the connection broke")

    with pytest.raises(Truncated, match="the connection broke"):
        undo(pieces(), "gzip", "gzip")
