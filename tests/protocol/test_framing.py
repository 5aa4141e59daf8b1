"""Where a body ends: three framings, however the bytes are split, and what must not be taken for a chunk."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Iterable

import h11
import pytest

from httpmini.errors import ProtocolError
from httpmini.protocol.framing import Chunked, Counted, Framing, UntilEnd, framing_of
from httpmini.protocol.message import Headers


def feed(framing: Framing, pieces: Iterable[bytes]) -> bytes:
    return b"".join(framing.receive(piece) for piece in pieces)


def octets(data: bytes) -> list[bytes]:
    return [bytes([octet]) for octet in data]


def cuts(data: bytes) -> list[list[bytes]]:
    """Return ``data`` whole, octet by octet, and split in two at every position."""
    return [[data], octets(data), *([data[:at], data[at:]] for at in range(len(data) + 1))]


# ---------------------------------------------------------------------------------------------------------------
# A length


@pytest.mark.parametrize("length", [0, 1, 5])
@pytest.mark.parametrize("behind", [b"", b"x", b"HTTP/1.0 500 No\r\n\r\n"])
def test_so_many_bytes(length: int, behind: bytes) -> None:
    for pieces in cuts(b"hello"[:length] + behind):
        framing = Counted(length)
        assert framing.announced == length
        assert framing.done == (length == 0)
        assert feed(framing, pieces) == b"hello"[:length]
        assert (framing.done, framing.surplus, framing.end()) == (True, behind != b"", "")


@pytest.mark.parametrize("came", range(5))
def test_too_few_bytes(came: int) -> None:
    framing = Counted(5)
    assert feed(framing, octets(b"hello"[:came])) == b"hello"[:came]
    assert (framing.done, framing.surplus, framing.end()) == (False, False, f"after {came} of 5 bytes")


# ---------------------------------------------------------------------------------------------------------------
# The end of the connection


@pytest.mark.parametrize("body", [b"", b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n"])
def test_until_the_end(body: bytes) -> None:
    for pieces in cuts(body):
        framing = UntilEnd()
        assert feed(framing, pieces) == body
        assert not framing.done
        assert (framing.end(), framing.done, framing.surplus, framing.announced) == ("", True, False, 0)


def test_one_end_is_not_the_next_ones() -> None:
    first, second = UntilEnd(), UntilEnd()
    first.end()
    assert (first.done, second.done) == (True, False)


# ---------------------------------------------------------------------------------------------------------------
# Chunks

GOOD: dict[str, tuple[bytes, bytes]] = {
    "one": (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
    "none": (b"0\r\n\r\n", b""),
    "several": (b"3\r\nhel\r\n1\r\nl\r\n1\r\no\r\n0\r\n\r\n", b"hello"),
    "capitals": (b"A\r\nhellohello\r\n0\r\n\r\n", b"hellohello"),
    "small letters": (b"a\r\nhellohello\r\n0\r\n\r\n", b"hellohello"),
    "leading zeros": (b"0005\r\nhello\r\n000\r\n\r\n", b"hello"),
    "sixteen digits": (b"0000000000000005\r\nhello\r\n0\r\n\r\n", b"hello"),
    "an extension": (b'5;a=b;c="d"\r\nhello\r\n0;e\r\n\r\n', b"hello"),
    "an extension behind a blank": (b"5 ; a\r\nhello\r\n0\r\n\r\n", b"hello"),
    "a blank behind the size": (b"5 \t\r\nhello\r\n0  \r\n\r\n", b"hello"),
    "a trailer": (b"5\r\nhello\r\n0\r\nA: b\r\nC: d\r\n\r\n", b"hello"),
    "a trailer that tries to frame": (b"5\r\nhello\r\n0\r\nContent-Length: 3\r\n\r\n", b"hello"),
    "data like framing": (b"7\r\n0\r\n\r\n5\r\r\n2\r\n\r\n\r\n0\r\n\r\n", b"0\r\n\r\n5\r\r\n"),
}
good = pytest.mark.parametrize(("data", "body"), GOOD.values(), ids=GOOD)


@good
@pytest.mark.parametrize("behind", [b"", b"x", b"\r\n", b"HTTP/1.0 500 No\r\n\r\n"])
def test_chunks(data: bytes, body: bytes, behind: bytes) -> None:
    for pieces in cuts(data + behind):
        framing = Chunked()
        assert feed(framing, pieces) == body
        assert (framing.done, framing.surplus, framing.end()) == (True, behind != b"", ""), pieces


@good
def test_chunks_that_stop_too_early(data: bytes, body: bytes) -> None:
    for size in range(len(data)):
        for pieces in ([data[:size]], octets(data[:size])):
            framing = Chunked()
            assert body.startswith(feed(framing, pieces))
            assert (framing.done, framing.surplus, framing.end()) == (False, False, "in the middle of its chunks")


@pytest.mark.parametrize(
    ("data", "body"),
    [pytest.param(*row, id=name) for name, row in GOOD.items() if name != "an extension behind a blank"],
)
def test_h11_reads_the_same_chunks(data: bytes, body: bytes) -> None:
    """h11 confirms the table above. It refuses a space before an extension, which RFC 9112 §7.1.1 allows."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "h")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + data)
    assert isinstance(connection.next_event(), h11.Response)
    read = b""
    while isinstance(event := connection.next_event(), h11.Data):
        read += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert read == body


def size_line(line: bytes) -> bytes:
    """Return a body whose first chunk begins with ``line``, and is correct otherwise."""
    return line + b"\r\nhello\r\n0\r\n\r\n"


LONG = 64 * 1024
HOSTILE: dict[str, bytes] = {
    # What int(text, 16) accepts, or stops at.
    **{
        f"size {line!r}": size_line(line)
        for line in (
            *(b"-5", b"+5", b"-0", b"+0", b"0x5", b"0X5", b"x5", b"5x", b"5h", b"0_5", b"5_0", b"_5", b"5_", b"5.0"),
            *(b" 5", b"\t5", b"5 5", b"5,5", b"5\x005", b"5\x00", b"\x005", b"5\x0b", b"5\x0c", b"5\x85", b"5\xa0"),
            *(b"", b" ", b";", b";a=b", b"g", b"five", b"'5'", b'"5"', b"\xb2", b"0o5", b"$5", b"5L"),
            *("٥".encode(), "５".encode(), "𝟓".encode(), b"\xef\xbb\xbf5", b"5\r", b"\r5", b"5\r;a", b"5;a\rb"),
            *(b"5: a", b"5=a", b"HTTP/1.0 200 OK", b"hello", b"Content-Length: 5"),
            *(b"-1", b"-7fffffff", b"-ffffffffffffffff"),
        )
    },
    # Sizes that do not fit.
    "size of 17 digits": size_line(b"1" + b"0" * 16),
    "size of 17 digits, zeros": size_line(b"0" * 16 + b"5"),
    "size that wraps to 5 in 64 bits": size_line(b"10000000000000005"),
    "size that wraps to 5 in 32 bits, and many zeros": size_line(b"0" * 12 + b"100000005"),
    "size of 1000 digits": size_line(b"f" * 1000),
    "size without end": b"5" * LONG,
    "zeros without end": b"0" * LONG,
    "blanks without end": b"5" + b" " * LONG,
    # Line ends.
    "LF alone": b"5\nhello\n0\n\n",
    "LF behind the size": b"5\nhello\r\n0\r\n\r\n",
    "LF behind an extension": b"5;a\nhello\r\n0\r\n\r\n",
    "LF behind the data": b"5\r\nhello\n0\r\n\r\n",
    "LF behind the last size": b"5\r\nhello\r\n0\n\r\n",
    "LF at the end": b"5\r\nhello\r\n0\r\n\n",
    "LF behind a trailer": b"5\r\nhello\r\n0\r\nA: b\n\r\n",
    "LF CR behind the size": b"5\n\rhello\r\n0\r\n\r\n",
    "CR CR LF behind the size": b"5\r\r\nhello\r\n0\r\n\r\n",
    "CR CR LF behind the data": b"5\r\nhello\r\r\n0\r\n\r\n",
    "nothing behind the data": b"5\r\nhello0\r\n\r\n",
    "other octets behind the data": b"5\r\nhelloXX0\r\n\r\n",
    "blanks behind the data": b"5\r\nhello \r\n0\r\n\r\n",
    "an empty line before the size": b"\r\n5\r\nhello\r\n0\r\n\r\n",
    "an empty line between chunks": b"5\r\nhello\r\n\r\n0\r\n\r\n",
    "size too small": b"4\r\nhello\r\n0\r\n\r\n",
    "size too large": b"6\r\nhello\r\n0\r\n\r\n",
    "size much too small": b"1\r\nhello\r\n0\r\n\r\n",
    "no chunks at all": b"<html>hello</html>\r\n",
    "NUL": b"\0" * LONG,
    # Bounds.
    "extension without end": b"5;" + b"a" * LONG,
    "long extension": size_line(b"5;" + b"a" * LONG),
    "extensions without end": b"5" + b";a=b" * LONG,
    "long last extension": b"5\r\nhello\r\n0;" + b"a" * LONG + b"\r\n\r\n",
    "trailer line without end": b"0\r\nA: " + b"b" * LONG,
    "long trailer line": b"0\r\nA: " + b"b" * LONG + b"\r\n\r\n",
    "trailers without end": b"0\r\n" + b"A: b\r\n" * LONG,
    "many trailers": b"0\r\n" + b"A: b\r\n" * LONG + b"\r\n",
    "trailers of one octet": b"0\r\n" + b"A\r\n" * LONG,
}
hostile = pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)


@hostile
def test_what_is_no_chunk(data: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        Chunked().receive(data)
    assert caught.value.reason.token == "chunk"
    assert caught.value.offset is not None


@hostile
def test_what_is_no_chunk_octet_by_octet(data: bytes) -> None:
    """It is found no later than if it comes whole, at the same octet, and nothing but "hello" has been returned."""
    with pytest.raises(ProtocolError) as whole:
        Chunked().receive(data)
    framing, body = Chunked(), b""

    def receive_all() -> None:
        nonlocal body
        for octet in octets(data):
            body += framing.receive(octet)

    with pytest.raises(ProtocolError) as caught:
        receive_all()
    assert not framing.done
    assert body in (b"", b"h", b"hell", b"hello", b"hello\r")
    assert caught.value.offset is not None
    assert whole.value.offset is not None
    assert caught.value.offset == whole.value.offset


@hostile
@pytest.mark.parametrize("before", [b"", b"5\r\nhello\r\n", b"3;a\r\nabc\r\n2\r\nde\r\n"])
def test_the_byte_at_which_it_went_wrong_is_the_same_at_any_split(data: bytes, before: bytes) -> None:
    data = before + data
    found = set()
    cuts = range(len(data) + 1) if len(data) < 500 else [*range(40), *range(0, len(data), len(data) // 16), len(data)]
    for cut in cuts:
        with pytest.raises(ProtocolError) as caught:
            feed(Chunked(), [data[:cut], data[cut:]])
        found.add(caught.value.offset)
    assert len(found) == 1


def test_the_byte_at_which_it_went_wrong_counts_what_came_before() -> None:
    framing = Chunked()
    with pytest.raises(ProtocolError) as caught:
        feed(framing, [b"5\r\nhello\r\n3\r\nabc", b"\r\n", b"-1\r\nx"])
    assert caught.value.offset == len(b"5\r\nhello\r\n3\r\nabc\r\n")


@pytest.mark.parametrize("beginning", [b"5;", b"0\r\nA: ", b"5", b"0\r\n"])
def test_a_line_without_end_takes_little_memory(beginning: bytes) -> None:
    framing = Chunked()
    piece = b"a" * 64 if beginning != b"0\r\n" else b"A: b\r\n" * 10
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError):
            feed(framing, itertools.chain([beginning], itertools.repeat(piece, 100_000)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 128 * 1024  # of 6 MB that were there to be read


def test_a_chunk_is_not_collected() -> None:
    """However large a chunk claims to be, its bytes are returned as they arrive."""
    framing = Chunked()
    assert framing.receive(b"7fffffffffffffff\r\n") == b""
    piece = b"x" * 65536
    tracemalloc.start()
    try:
        for _ in range(256):
            assert framing.receive(piece) == piece
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1024**2  # of 16 MiB
    assert framing.end() == "in the middle of its chunks"


# ---------------------------------------------------------------------------------------------------------------
# Which of them

CHUNKS = ("Transfer-Encoding", "chunked")
LENGTH = ("Content-Length", "5")


@pytest.mark.parametrize(
    ("method", "status", "fields", "kind"),
    [
        ("GET", 200, [LENGTH], Counted),
        ("GET", 200, [], UntilEnd),
        ("GET", 200, [CHUNKS], Chunked),
        ("GET", 200, [("transfer-encoding", "Chunked")], Chunked),
        ("GET", 200, [("TRANSFER-ENCODING", " chunked\t")], Chunked),
        ("GET", 404, [LENGTH], Counted),
        ("POST", 201, [], UntilEnd),
        ("OPTIONS", 200, [CHUNKS], Chunked),
        # RFC 9112 §6.3: no body, whatever the fields say.
        *(("HEAD", status, fields, Counted) for status in (200, 404) for fields in ([], [LENGTH], [CHUNKS])),
        *(("GET", status, fields, Counted) for status in (101, 204, 304) for fields in ([], [LENGTH], [CHUNKS])),
        ("HEAD", 200, [LENGTH, CHUNKS], Counted),
    ],
)
def test_which_framing(method: str, status: int, fields: list[tuple[str, str]], kind: type[Framing]) -> None:
    framing = framing_of(method, status, Headers(tuple(fields)))
    assert type(framing) is kind
    bodiless = method == "HEAD" or status in (101, 204, 304)
    assert framing.done == bodiless
    assert framing.announced == (5 if kind is Counted and not bodiless else 0)


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize(
    ("fields", "token"),
    [
        ([LENGTH, CHUNKS], "answer-coding"),
        ([CHUNKS, LENGTH], "answer-coding"),
        ([CHUNKS, CHUNKS], "answer-coding"),
        *(
            ([("Transfer-Encoding", value)], "answer-coding")
            for value in (
                *("", "identity", "gzip", "gzip, chunked", "chunked, gzip", "chunked, chunked", "chunked,", ",chunked"),
                *("xchunked", "chunkedx", "chunked;q=1", "chunked\xa0", "\xa0chunked", "chunked\x85", '"chunked"'),
            )
        ),
        ([LENGTH, LENGTH], "content-length"),
        ([LENGTH, ("Content-Length", "6")], "content-length"),
        *(
            ([("Content-Length", value)], "content-length")
            for value in ("", "-5", "+5", "5.0", "0x5", "5_0", "5, 5", "5 5", "five", "\xb2", "9" * 19, "5\xa0")
        ),
    ],
)
def test_framings_that_are_refused(status: int, fields: list[tuple[str, str]], token: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        framing_of("GET", status, Headers(tuple(fields)))
    assert caught.value.reason.token == token
