"""Responses that no server should send, each with the error expected from a fetch and from a download.

One table: the octets, how the connection ends, the error, and the broken rule. Nothing invalid passes for a response,
nothing truncated for a body, and a download leaves no file under its final name.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import itertools
import os
import random
import socket
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import zstandard

import httpmini
from httpmini.client.download.source import OVERLAP_BYTES
from httpmini.errors import (
    BadRedirect,
    BadStatus,
    BrokenResponse,
    CannotRun,
    Corrupt,
    HttpminiError,
    NotConnected,
    TimedOut,
    TooLarge,
    Truncated,
    visible,
)
from httpmini.reasons import REASONS
from tests.conformance.scripted import Converse, End, read_request, script, serving
from tests.support.tables import check_all, in_batches
from tests.support.wire import WAIT_S

MIB = 1024**2
OK = b"HTTP/1.0 200 OK\r\n"
OK_1_1 = b"HTTP/1.1 200 OK\r\n"
COUNTED = b"Content-Length: 5\r\n\r\nhello"
WHOLE = OK + COUNTED
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CHUNKED = OK_1_1 + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"
LIMITS = httpmini.Limits(body_bytes=8 * MIB, decoded_bytes=16 * MIB)
PATIENT = httpmini.Timeouts(connect_s=WAIT_S, first_byte_s=WAIT_S, silence_s=WAIT_S)
SHORT = {  # by the limit that a row is to reach; only a hang reaches the others
    "first byte": httpmini.Timeouts(connect_s=WAIT_S, first_byte_s=0.1, silence_s=WAIT_S),
    "silence": httpmini.Timeouts(connect_s=WAIT_S, first_byte_s=WAIT_S, silence_s=0.1),
}


@dataclass(frozen=True)
class Row:
    """One response.

    Attributes:
        name: for the reader.
        said: what the server sends; pieces may be generated on demand.
        error: what the client must raise.
        rule: the token of the broken rule, or the limit that has expired; empty for other errors.
        end: what the server does afterwards.
        saved: what a download must raise, if it differs.
        stalls: whether the client uses short limits.
    """

    name: str
    said: Callable[[], Iterable[bytes]]
    error: type[HttpminiError]
    rule: str = ""
    end: End = End.CLOSE
    saved: type[HttpminiError] | None = None
    stalls: bool = False

    @property
    def is_wrongly_coded(self) -> bool:
        """Whether only the decoding fails: a download takes the body as it comes."""
        return not self.stalls and b"Content-Encoding:" in next(iter(self.said()), b"")


def row(
    name: str,
    said: bytes | tuple[bytes, ...] | Callable[[], Iterable[bytes]],
    error: type[HttpminiError],
    rule: str = "",
    end: End = End.CLOSE,
    saved: type[HttpminiError] | None = None,
) -> Row:
    if isinstance(said, bytes):
        said = (said,)
    pieces = said
    return Row(name, pieces if callable(pieces) else lambda: pieces, error, rule, end, saved)


def broken(rule: str, *answers: bytes) -> tuple[Row, ...]:
    """Return responses that break one rule."""
    assert rule in REASONS
    return tuple(row(f"{rule}: {said[:60]!r} {len(said)}", said, BrokenResponse, rule) for said in answers)


def endless(first: bytes, again: bytes) -> Callable[[], Iterable[bytes]]:
    """More than a client should read."""
    return lambda: itertools.chain([first], itertools.repeat(again * (65536 // len(again)), 1024))


def packed(coding: str, body: bytes) -> bytes:
    return OK + f"Content-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@cache
def zeros_in_deflate(window: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, window)
    return packer.compress(bytes(64 * MIB)) + packer.flush()


def bomb(name: str, coding: str, pack: Callable[[], bytes]) -> Row:
    return row(name, lambda: (packed(coding, pack()),), TooLarge)


BR_ZEROS = b"\x5b\xff\xff\xff\x03\x00\xe0\x81\x00"  # little more than the head of a brotli stream

NOT_HTTP = broken(
    "not-http",
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"\x15\x03\x01\x00\x02\x02\x46",
    b"220 smtp ready\r\n",
    b"<html>HTTP/0.9</html>\r\n",
    b"hello",
    b"\0" * 1000,
    b"\r\n" + WHOLE,
    b"\n",
    b" " + WHOLE,
    b"http/1.0 200 OK\r\n\r\n",
    b"HTTPS/1.0 200 OK\r\n\r\n",
    b"HTTP 200 OK\r\n\r\n",
    b"ICY 200 OK\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"\xef\xbb\xbf" + WHOLE,
    b"H\0T\0T\0P\0/\0",
    CONTINUE + b"hello",
)
STATUS_LINES = broken(
    "status-line",
    *(
        b"HTTP/1.0" + line + b"\r\n" + COUNTED
        for line in (
            *(b" 2OO OK", b" 20 OK", b" 2000 OK", b" 099 OK", b" 000 OK", b" -200 OK", b" +200 OK", b" 0200 OK"),
            *(b" 2_0 OK", b" 200.0 OK", b" \xb2\xb0\xb0 OK", b" 20\xb9 OK", b"  200 OK", b"\t200 OK", b" 200\tOK"),
            *(b"", b" ", b" OK", b"200 OK", b" 200OK", b" 200 \x1b[31m", b" 200 a\0b", b" 200 a\rb", b" 200 \x7f"),
            *(b" 200 \x1b]0;title\x07", b" \xd9\xa2\xd9\xa0\xd9\xa0 OK"),
        )
    ),
    b"HTTP/1 200 OK\r\n\r\n",
    b"HTTP/1. 200 OK\r\n\r\n",
    b"HTTP/.1 200 OK\r\n\r\n",
    b"HTTP/1.x 200 OK\r\n\r\n",
    b"HTTP/1.10 200 OK\r\n\r\n",
    b"HTTP/11 200 OK\r\n\r\n",
    b"HTTP/+1.0 200 OK\r\n\r\n",
    b"HTTP/1,0 200 OK\r\n\r\n",
    b"HTTP/\xc2\xb9.0 200 OK\r\n\r\n",
    b"HTTP/\r\n\r\n",
)
FIELDS = (
    *broken("field-colon", *(OK + line + b"\r\n" + COUNTED for line in (b"A", b"A b", b"GET / HTTP/1.0 x", b"\xff"))),
    *broken(
        "field-name",
        *(
            OK + line + b"\r\n" + COUNTED
            for line in (
                b": b",
                b"A b: c",
                b"A\0: b",
                b"\xe9: b",
                b"A(: b",
                b'"A": b',
                b"A@: b",
                b"\x1b[31m: b",
                b"A\r: b",
            )
        ),
    ),
    *broken("field-name-space", OK + b"Content-Length : 5\r\n\r\nhello", OK + b"A\t: b\r\n" + COUNTED),
    *broken(
        "field-value",
        *(
            OK + b"A: " + value + b"\r\n" + COUNTED
            for value in (
                b"\0",
                b"b\0",
                b"b\rc",
                b"b\rC: d",
                b"\x1b[31m",
                b"\x1b]0;t\x07",
                b"\x7f",
                b"\x0b",
                b"b\r",
                b"\x08",
            )
        ),
        OK + b"A: b\r\n c\0\r\n" + COUNTED,
        CONTINUE[:-2] + b"A: \0\r\n\r\n" + WHOLE,
    ),
    *broken("field-folded", OK + b" A: b\r\n" + COUNTED, OK + b"\tA: b\r\n" + COUNTED),
    *broken("fields-many", OK + b"A: b\r\n" * 500 + COUNTED, OK + b"A:\r\n" * 5000 + COUNTED),
    *broken(
        "head-long",
        OK + b"A: " + b"b" * 400_000 + b"\r\n" + COUNTED,
        OK + b"A: b\r\n" * 20_000 + COUNTED,
        OK + b"A" * 70_000 + b": b\r\n" + COUNTED,
        b"HTTP/1.0 200 " + b"b" * 70_000 + b"\r\n" + COUNTED,
        OK + b"A: b\r\n" + b" c\r\n" * 20_000 + COUNTED,
    ),
    row("a status line without end", endless(b"HTTP/1.0 200 ", b"b"), BrokenResponse, "head-long"),
    row("a name without end", endless(OK, b"A"), BrokenResponse, "head-long"),
    row("a value without end", endless(OK + b"A: ", b"b"), BrokenResponse, "head-long"),
    row("fields without end", endless(OK, b"A: b\r\n"), BrokenResponse, "head-long"),
    row("folds without end", endless(OK + b"A: b\r\n", b" c\r\n"), BrokenResponse, "head-long"),
    row("blanks without end", endless(OK + b"A:", b" "), BrokenResponse, "head-long"),
    row(
        "junk without end", endless(b"\0", b"\0"), BrokenResponse, "not-http or head-long"
    ),  # depends on how much comes at once
)
LENGTHS = broken(
    "content-length",
    *(
        OK + b"Content-Length: " + value + b"\r\n\r\nhello"
        for value in (
            *(
                b"-5",
                b"+5",
                b"-0",
                b"0x5",
                b"05h",
                b"5.0",
                b"5e0",
                b"5_0",
                b"5 5",
                b"5,5",
                b"5, 5",
                b"5, 6",
                b"5;",
                b"",
            ),
            *(b"five", b"\xb5", b"\xd9\xa5", b"5\xa0", b"9" * 19, b"9" * 5000, b"18446744073709551621", b"NaN", b"'5'"),
            *(b"5\r\nContent-Length: 5", b"5\r\nContent-Length: 6", b"6\r\ncontent-length: 5", b"5\r\n 5"),
        )
    ),
)
CODINGS = broken(
    "answer-coding",
    *(
        OK_1_1 + fields + b"\r\n\r\n" + CHUNKS
        for fields in (
            b"Transfer-Encoding: chunked\r\nContent-Length: 5",
            b"Content-Length: 15\r\nTransfer-Encoding: chunked",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            *(
                b"Transfer-Encoding: " + value
                for value in (
                    *(b"", b"identity", b"gzip", b"gzip, chunked", b"chunked, gzip", b"chunked, chunked", b"xchunked"),
                    *(
                        b"chunked, identity",
                        b"chunked;a=b",
                        b"\xa0chunked",
                        b"chunked\xa0",
                        b"chunked\x85",
                        b"chun\r\n ked",
                    ),
                )
            ),
        )
    ),
)
CHUNKS_BROKEN = broken(
    "chunk",
    *(
        CHUNKED + chunks
        for chunks in (
            *(
                size + b"\r\nhello\r\n0\r\n\r\n"
                for size in (b"-5", b"+5", b"0x5", b"5_", b"_5", b" 5", b"", b"g", b"5,5")
            ),
            *(
                size + b"\r\nhello\r\n0\r\n\r\n"
                for size in (b"\xb5", b"\xd9\xa5", b"5\0", b"10000000000000005", b"5\r", b"5.0")
            ),
            *(b"5\nhello\n0\n\n", b"5\r\nhello\n0\r\n\r\n", b"5\r\nhello\r\n0\n\n", b"5\r\nhello\r\n0\r\nA: b\n\n"),
            *(b"5\r\nhello0\r\n\r\n", b"5\r\nhelloXX0\r\n\r\n", b"4\r\nhello\r\n0\r\n\r\n", b"6\r\nhello\r\n0\r\n\r\n"),
            *(b"\r\n" + CHUNKS, b"hello, this is no chunk\r\n", b"5;" + b"a" * 5000 + b"\r\nhello\r\n0\r\n\r\n"),
            b"5\r\nhello\r\n-1\r\n\r\n",
            CHUNKS[:-2] + b"A: " + b"b" * 20_000 + b"\r\n\r\n",
            CHUNKS[:-2] + b"A: b\r\n" * 5000 + b"\r\n",
        )
    ),
)
UNENDING_CHUNKS = (
    row("an extension without end", endless(CHUNKED + b"5;", b"a"), BrokenResponse, "chunk"),
    row("a size without end", endless(CHUNKED, b"0"), BrokenResponse, "chunk"),
    row("trailers without end", endless(CHUNKED + CHUNKS[:-2], b"A: b\r\n"), BrokenResponse, "chunk"),
    row("a chunk larger than any body", endless(CHUNKED + b"7fffffffffffffff\r\n", b"x"), TooLarge),
    row("chunks without end", endless(CHUNKED, b"400\r\n" + b"x" * 1024 + b"\r\n"), TooLarge),
)
INTERIM = (
    row("100 without end", endless(CONTINUE, CONTINUE), BrokenResponse, "interim"),
    row("101 times 100", CONTINUE * 101 + WHOLE, BrokenResponse, "interim"),
    row("103 without end", endless(b"", b"HTTP/1.1 103 Hints\r\nA: b\r\n\r\n"), BrokenResponse, "interim"),
    row("100 and nothing", CONTINUE, NotConnected),
    row("100 and a half", CONTINUE + CONTINUE[:-1], Truncated),
    row("100 with a body", CONTINUE[:-2] + COUNTED + WHOLE, BrokenResponse, "not-http"),
)
CUT = (
    row("nothing", b"", NotConnected),
    row("a reset and nothing", b"", NotConnected, end=End.RESET),
    row("one octet", b"H", Truncated),
    row("half a head", OK + b"A: b\r\n", Truncated),
    row("half a head, reset", OK + b"A: b\r\n", Truncated, end=End.RESET),
    row("500 of 1000", OK + b"Content-Length: 1000\r\n\r\n" + b"x" * 500, Truncated),
    row("500 of 1000, half closed", OK + b"Content-Length: 1000\r\n\r\n" + b"x" * 500, Truncated, end=End.HALF_CLOSE),
    row("all but the last", WHOLE[:-1], Truncated),
    row("all but the last, reset", WHOLE[:-1], Truncated, end=End.RESET),
    row("a length of exabytes", OK + b"Content-Length: " + b"9" * 18 + b"\r\n\r\nhello", TooLarge),
    row("no length, and a reset", OK + b"\r\nhel", Truncated, end=End.RESET),
    row("no last chunk", CHUNKED + b"5\r\nhello\r\n", Truncated),
    row("no end of the last chunk", CHUNKED + CHUNKS[:-2], Truncated),
    row("a last chunk without a line end", CHUNKED + CHUNKS[:-4], Truncated),
    row("chunks, and a reset", CHUNKED + b"5\r\nhello\r\n", Truncated, end=End.RESET),
    row("half a 404", b"HTTP/1.0 404 No\r\nContent-Length: 5\r\n\r\nhe", Truncated, saved=BadStatus),
    row("a body without end", endless(OK + b"\r\n", b"x"), TooLarge),
    row("a body that is too long", OK + b"Content-Length: 8388609\r\n\r\n", TooLarge),
)
PACKED = (
    row("gzip that is none", packed("gzip", b"hello"), BrokenResponse, "content-coding"),
    row("gzip, cut off", packed("gzip", gzip.compress(b"hello")[:-1]), Truncated),
    row("gzip and more", packed("gzip", gzip.compress(b"hello") + b"more"), BrokenResponse, "content-coding"),
    row(
        "gzip of another content",
        packed("gzip", gzip.compress(b"hello")[:-8] + bytes(8)),
        BrokenResponse,
        "content-coding",
    ),
    row("deflate that is none", packed("deflate", b"\xff" * 9), BrokenResponse, "content-coding"),
    row("br that is none", packed("br", b"\xff" * 99), BrokenResponse, "content-coding"),
    row("br, cut off", packed("br", BR_ZEROS[:2]), Truncated),
    row("zstd that is none", packed("zstd", b"hello, hello"), BrokenResponse, "content-coding"),
    row("zstd, cut off", packed("zstd", zstandard.compress(b"hello")[:-1]), Truncated),
    # Compressed on demand: it takes a second, and other tests should not have to wait for it.
    bomb("a gzip bomb", "gzip", lambda: zeros_in_deflate(31)),
    bomb("a deflate bomb", "deflate", lambda: zeros_in_deflate(15)),
    bomb("a deflate bomb without wrapper", "deflate", lambda: zeros_in_deflate(-15)),
    bomb("a zstd bomb", "zstd", lambda: zstandard.compress(bytes(64 * MIB))),
    bomb("a bomb in a bomb", "gzip, gzip", lambda: gzip.compress(zeros_in_deflate(31))),
    row(
        "a bomb in chunks",
        lambda: (
            CHUNKED[:-2] + b"Content-Encoding: gzip\r\n\r\n%x\r\n" % len(zeros_in_deflate(31)),
            zeros_in_deflate(31),
            b"\r\n0\r\n\r\n",
        ),
        TooLarge,
    ),
    bomb("a bomb that comes to nothing", "gzip, gzip", lambda: gzip.compress(gzip.compress(b"") * 100_000)),
)
REDIRECTIONS = tuple(
    row(
        f"to {location!r}",
        b"HTTP/1.0 302 Found\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n",
        BadRedirect,
    )
    for location in (
        *(b"ftp://h/", b"file:///etc/passwd", b"data:,x", b"javascript:alert(1)", b"gopher://h/", b"about:blank"),
        *(b"http:", b"http:///x", b"//", b"///x", b"http://h:99999/", b"http://h:-1/", b"http://h:x/", b"http://[::1"),
        *(b"http://a b/", b"http://caf\xe9/", b"http://a%0d%0ab/", b"http://a%00/", b"http://\\h/", b"", b"#x", b"."),
    )
)
STALLED = tuple(
    Row(f"stalls: {name}", lambda said=said: (said,), TimedOut, phase, End.OPEN, stalls=True)  # type: ignore[misc]
    for name, said, phase in (
        ("at once", b"", "first byte"),
        ("in the status line", b"HTTP/1.0 2", "silence"),
        ("in a field", OK + b"A: ", "silence"),
        ("before the empty line", OK + b"A: b\r\n", "silence"),
        ("after a 100", CONTINUE, "first byte"),
        ("in a 100", CONTINUE[:-1], "silence"),
        ("before the body", OK + b"Content-Length: 5\r\n\r\n", "silence"),
        ("in the body", WHOLE[:-1], "silence"),
        ("in a body without length", OK + b"\r\nhello", "silence"),
        ("before a chunk", CHUNKED, "silence"),
        ("in a chunk", CHUNKED + b"5\r\nhel", "silence"),
        ("after a chunk", CHUNKED + b"5\r\nhello", "silence"),
        ("before the end", CHUNKED + CHUNKS[:-1], "silence"),
        ("in gzip", packed("gzip", gzip.compress(b"hello"))[:-1], "silence"),
    )
)
TABLE = (
    *NOT_HTTP,
    *STATUS_LINES,
    *FIELDS,
    *LENGTHS,
    *CODINGS,
    *CHUNKS_BROKEN,
    *UNENDING_CHUNKS,
    *INTERIM,
    *CUT,
    *PACKED,
    *REDIRECTIONS,
    *STALLED,
)
every_row = in_batches("cases", TABLE)


def client_for(case: Row | None = None) -> httpmini.Client:
    """A client without retries, and with limits that a test can reach."""
    timeouts = SHORT[case.rule] if case and case.stalls else PATIENT
    return httpmini.Client(limits=LIMITS, timeouts=timeouts, retries=httpmini.Retries(times=0))


def then(*conversations: Converse) -> Converse:
    """Serve one exchange after another, each on a connection of its own."""
    left = iter(conversations)
    return lambda sock: next(left)(sock)


def check(case: Row, error: HttpminiError, expected: type[HttpminiError]) -> None:
    assert type(error) is expected, error
    if isinstance(error, BrokenResponse):
        assert error.rule in case.rule.split(" or ")
        assert error.offset is None or error.offset >= 0
    if isinstance(error, TimedOut):
        assert error.phase == case.rule
    assert str(error)
    assert "\n" not in visible(str(error))


GOOD = script([WHOLE], End.CLOSE)


@every_row
def test_a_fetch(cases: Sequence[Row]) -> None:
    check_all(cases, check_fetch)


def check_fetch(case: Row) -> None:
    """Expect the error, and then a good response to the same client."""
    with serving(then(script(case.said(), case.end), GOOD), clients=2) as url, client_for(case) as client:
        with pytest.raises(HttpminiError) as caught:
            client.fetch(url).read()
        check(case, caught.value, case.error)
        client.timeouts = PATIENT
        assert client.fetch(url).read() == b"hello"


@every_row
def test_a_download(cases: Sequence[Row], tmp_path: Path) -> None:
    folders = map(tmp_path.joinpath, map(str, itertools.count()))
    check_all(cases, lambda case: check_download(case, next(folders)))


def check_download(case: Row, folder: Path) -> None:
    """There is no file under the final name; and a good response completes the download afterwards."""
    folder.mkdir()
    path = folder / "file"
    with serving(then(script(case.said(), case.end), GOOD), clients=2) as url, client_for(case) as client:
        if case.is_wrongly_coded:
            assert httpmini.download(client, url, path).size == path.stat().st_size > 0
            return
        with pytest.raises(HttpminiError) as caught:
            httpmini.download(client, url, path)
        check(case, caught.value, case.saved or case.error)
        assert not path.exists()
        assert set(os.listdir(folder)) <= {"file.part", "file.part.json"}
        client.timeouts = PATIENT
        done = httpmini.download(client, url, path)
    assert path.read_bytes() == b"hello"
    assert done.size == 5
    assert os.listdir(folder) == ["file"]


@pytest.mark.parametrize("case", [case for case in TABLE[::7] if not case.is_wrongly_coded], ids=lambda case: case.name)
def test_a_download_that_is_there_already(case: Row, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with serving(script(case.said(), case.end), clients=1) as url, client_for(case) as client:
        with pytest.raises(CannotRun):
            httpmini.download(client, url, path)
        with pytest.raises(HttpminiError) as caught:
            httpmini.download(client, url, path, overwrite=True)
        check(case, caught.value, case.saved or case.error)
    assert path.read_bytes() == b"old"


def test_each_row_has_a_name_of_its_own() -> None:
    assert len({case.name for case in TABLE}) == len(TABLE)
    assert len(TABLE) > 200


def test_a_client_that_takes_anything_is_found_out() -> None:
    """The rows fail if a good response comes."""
    for case in TABLE[:: len(TABLE) // 10]:
        with (
            serving(GOOD, clients=1) as url,
            client_for(case) as client,
            pytest.raises(pytest.fail.Exception),
            pytest.raises(HttpminiError),
        ):
            client.fetch(url).read()


# ---------------------------------------------------------------------------------------------------------------
# Truncation at every byte

SMALL = {
    "length": WHOLE,
    "chunks": CHUNKED + CHUNKS,
    "chunks and a trailer": CHUNKED + CHUNKS[:-2] + b"A: b\r\n\r\n",
    "gzip": packed("gzip", gzip.compress(b"hello", mtime=0)),
    "gzip in chunks": CHUNKED[:-2]
    + b"Content-Encoding: gzip\r\n\r\n19\r\n"
    + gzip.compress(b"hello", mtime=0)
    + b"\r\n0\r\n\r\n",
    "LF alone": b"HTTP/1.0 200 OK\nContent-Length: 5\n\nhello",
    "100 before it": CONTINUE + WHOLE,
}


def expected_for(octets: bytes, size: int) -> type[HttpminiError]:
    """An empty response is NotConnected; a partial one is Truncated."""
    nothing = size == 0 or octets[:size] == CONTINUE
    return NotConnected if nothing else Truncated


@pytest.mark.parametrize("octets", SMALL.values(), ids=SMALL)
@pytest.mark.parametrize("end", [End.CLOSE, End.RESET])
def test_cut_off_at_every_byte(octets: bytes, end: End) -> None:
    cuts = [script([octets[:size]], end) for size in range(len(octets))]
    with serving(then(*cuts, script([octets], End.CLOSE)), clients=len(cuts) + 1) as url, client_for() as client:
        for size in range(len(cuts)):
            with pytest.raises(HttpminiError) as caught:
                client.fetch(url).read()
            assert type(caught.value) is expected_for(octets, size), size
        assert client.fetch(url).read() == b"hello"


@pytest.mark.parametrize("octets", SMALL.values(), ids=SMALL)
@pytest.mark.parametrize("end", [End.CLOSE, End.RESET])
def test_a_download_cut_off_at_every_byte(octets: bytes, end: End, tmp_path: Path) -> None:
    path = tmp_path / "file"
    cuts = [script([octets[:size]], end) for size in range(len(octets))]
    with serving(then(*cuts, script([octets], End.CLOSE)), clients=len(cuts) + 1) as url, client_for() as client:
        for size in range(len(cuts)):
            with pytest.raises(HttpminiError) as caught:
                httpmini.download(client, url, path)
            assert type(caught.value) is expected_for(octets, size), size
            assert not path.exists()
        httpmini.download(client, url, path)
    content = path.read_bytes()
    assert (gzip.decompress(content) if b"gzip" in octets else content) == b"hello"
    assert os.listdir(tmp_path) == ["file"]


# ---------------------------------------------------------------------------------------------------------------
# Parts that are not the requested rest

LENGTH = 300_000
CAME = 200_000
FROM = CAME - OVERLAP_BYTES
FIRST = random.Random(1).randbytes(LENGTH)
OTHER = random.Random(2).randbytes(LENGTH)
TAG = b'ETag: "first"\r\n'


def whole(content: bytes, fields: bytes = TAG, *, came: int | None = None) -> bytes:
    return OK + fields + b"Content-Length: %d\r\n\r\n" % len(content) + content[:came]


def part(content_range: bytes, body: bytes, fields: bytes = TAG) -> bytes:
    said = b"Content-Range: " + content_range + b"\r\n" if content_range else b""
    return b"HTTP/1.0 206 Part\r\n" + fields + said + b"Content-Length: %d\r\n\r\n" % len(body) + body


RANGE = b"bytes %d-%d/%d" % (FROM, LENGTH - 1, LENGTH)
REST = FIRST[FROM:]

# The second response, and the outcome: an error, or the content of a version.
RESUMED: dict[str, tuple[bytes, type[HttpminiError] | bytes]] = {
    "the rest": (part(RANGE, REST), FIRST),
    "the rest, without a tag": (part(RANGE, REST, b""), FIRST),
    "all of it": (whole(FIRST), FIRST),
    "another version": (whole(OTHER, b'ETag: "other"\r\n'), OTHER),
    "another version, with the same tag": (whole(OTHER), OTHER),
    "a shorter version": (whole(OTHER[:10], b'ETag: "other"\r\n'), OTHER[:10]),
    "nothing any more": (whole(b""), b""),
    "no Content-Range": (part(b"", REST), BrokenResponse),
    "a Content-Range that is none": (part(b"bytes", REST), BrokenResponse),
    "a Content-Range in other units": (part(RANGE.replace(b"bytes", b"lines"), REST), BrokenResponse),
    "a Content-Range with an unknown length": (part(b"bytes %d-%d/*" % (FROM, LENGTH - 1), REST), FIRST),
    "a Content-Range with a sign": (part(b"bytes +%d-%d/%d" % (FROM, LENGTH - 1, LENGTH), REST), BrokenResponse),
    "a Content-Range of a 416": (part(b"bytes */%d" % LENGTH, REST), BrokenResponse),
    "two Content-Ranges in one": (part(RANGE + b", " + RANGE, REST), BrokenResponse),
    "from the beginning": (part(b"bytes 0-%d/%d" % (LENGTH - 1, LENGTH), FIRST), FIRST),
    "from too far on": (part(b"bytes %d-%d/%d" % (CAME, LENGTH - 1, LENGTH), FIRST[CAME:]), FIRST),
    "from one too early": (part(b"bytes %d-%d/%d" % (FROM - 1, LENGTH - 1, LENGTH), FIRST[FROM - 1 :]), FIRST),
    "not to the end": (part(b"bytes %d-%d/%d" % (FROM, CAME, LENGTH), FIRST[FROM : CAME + 1]), BrokenResponse),
    "beyond the end": (part(b"bytes %d-%d/%d" % (FROM, LENGTH, LENGTH), REST + b"x"), BrokenResponse),
    "in bytes written large": (part(RANGE.replace(b"bytes", b"Bytes"), REST), FIRST),
    "several parts": (
        b"HTTP/1.0 206 Part\r\n" + TAG + b"Content-Type: multipart/byteranges; boundary=x\r\n\r\n--x\r\n",
        BrokenResponse,
    ),
    "fewer bytes than its Content-Range says": (part(RANGE, REST[:-1]), Truncated),
    "cut off": (part(RANGE, REST)[:-1], Truncated),
    "from too far on, beyond what is there": (
        part(b"bytes %d-%d/%d" % (CAME + 1, LENGTH - 1, LENGTH), FIRST[CAME + 1 :]),
        BrokenResponse,
    ),
    "in other units, and the rest": (part(RANGE.replace(b"bytes", b"items"), REST), BrokenResponse),
    "204": (b"HTTP/1.0 204 No\r\n\r\n", BadStatus),
    "304": (b"HTTP/1.0 304 Same\r\n\r\n", BadStatus),
    "404": (b"HTTP/1.0 404 No\r\nContent-Length: 0\r\n\r\n", BadStatus),
    "500": (b"HTTP/1.0 500 No\r\nContent-Length: 0\r\n\r\n", BadStatus),
}

# Parts (206) of another version: the download starts over, and a third response has all of it.
BEGUN_ANEW: dict[str, bytes] = {
    "another tag": part(RANGE, REST, b'ETag: "other"\r\n'),
    "another length": part(RANGE.replace(b"/300000", b"/300001").replace(b"299999", b"300000"), REST + b"x"),
    "other bytes": part(RANGE, OTHER[FROM:]),
    "one other byte where they overlap": part(RANGE, bytes([REST[0] ^ 1]) + REST[1:]),
    "the last byte where they overlap": part(RANGE, REST[: OVERLAP_BYTES - 1] + b"\0" + REST[OVERLAP_BYTES:]),
    "416": b"HTTP/1.0 416 No\r\nContent-Range: bytes */10\r\nContent-Length: 0\r\n\r\n",
    "416 of the same length": b"HTTP/1.0 416 No\r\nContent-Range: bytes */300000\r\nContent-Length: 0\r\n\r\n",
}


class Resuming:
    """A server that cuts off its first response, and then sends the others in order."""

    def __init__(self, *answers: bytes) -> None:
        self.requests: list[bytes] = []
        self._answers = iter((whole(FIRST, came=CAME), *answers))
        self._last = answers[-1]

    def __call__(self, sock: socket.socket) -> None:
        request = read_request(sock)
        self.requests.append(request)
        said = next(self._answers, self._last)
        if request.startswith(b"HEAD "):
            last = self._last if self._last.startswith(OK) else whole(FIRST)
            said = last.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        sock.sendall(said)


@pytest.mark.parametrize(("said", "becomes"), RESUMED.values(), ids=RESUMED)
def test_a_download_that_goes_on(said: bytes, becomes: type[HttpminiError] | bytes, tmp_path: Path) -> None:
    """Check that the file is one version, or missing."""
    path = tmp_path / "file"
    again = whole(OTHER) if becomes == OTHER else said
    server = Resuming(said, again)
    with serving(server, clients=10) as url, client_for() as client:
        with pytest.raises(Truncated):
            httpmini.download(client, url, path)
        if isinstance(becomes, bytes):
            httpmini.download(client, url, path)
            assert path.read_bytes() == becomes
        else:
            with pytest.raises(HttpminiError) as caught:
                httpmini.download(client, url, path)
            assert type(caught.value) is becomes
            assert not path.exists()
    asked = server.requests[1].decode()
    assert f"\r\nRange: bytes={FROM}-{LENGTH - 1}\r\n" in asked
    assert '\r\nIf-Range: "first"\r\n' in asked


@pytest.mark.parametrize("said", BEGUN_ANEW.values(), ids=BEGUN_ANEW)
def test_a_download_that_starts_over(said: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    server = Resuming(said, whole(OTHER))
    with serving(server, clients=10) as url, client_for() as client:
        with pytest.raises(Truncated):
            httpmini.download(client, url, path)
        done = httpmini.download(client, url, path)
    assert path.read_bytes() == OTHER
    assert (done.size, done.resumed_from) == (LENGTH, 0)
    assert b"Range:" not in server.requests[2]


def test_a_file_that_changes_every_time(tmp_path: Path) -> None:
    """It is given up in the end, and no file is left."""
    path = tmp_path / "file"

    def always(sock: socket.socket) -> None:
        asked = read_request(sock)
        sock.sendall(part(RANGE, OTHER[FROM:]) if b"Range:" in asked else whole(FIRST, came=CAME))

    retries = httpmini.Retries(times=1, first_s=0.01)
    with (
        serving(always, clients=100) as url,
        httpmini.Client(retries=retries) as client,
        pytest.raises((Corrupt, Truncated)),
    ):
        httpmini.download(client, url, path)
    assert not path.exists()


def test_a_length_for_which_there_is_no_room(tmp_path: Path) -> None:
    """Nothing is reserved. The room on a disk is an estimate: it is a reason to warn, and no more."""
    said = script([OK + b"Content-Length: " + b"9" * 18 + b"\r\n\r\nhello"], End.CLOSE)
    warnings: list[str] = []
    with serving(said, clients=1) as url, httpmini.Client() as client, pytest.raises(Truncated):
        httpmini.download(client, url, tmp_path / "file", warn=warnings.append)
    assert not (tmp_path / "file").exists()
    assert warnings == [f"{tmp_path / 'file'}: there may be no room for {'9' * 18} bytes on this disk"]


@pytest.mark.parametrize("decode", [True, False])
def test_a_download_with_an_unrequested_coding(tmp_path: Path, decode: bool) -> None:
    """The file is what came: a .tar.gz stays one, whatever its fields say, and has the digest that was published."""
    path = tmp_path / "file"
    for number, content in enumerate((b"hello", b"hello" * 10_000, FIRST)):
        coded = gzip.compress(content)
        said = script([packed("gzip", coded)], End.CLOSE)
        digest = hashlib.sha256(coded).hexdigest()
        with serving(said, clients=1) as url, httpmini.Client(decode=decode) as client:
            httpmini.download(client, url, path, overwrite=number > 0, sha256=digest)
        assert path.read_bytes() == coded


GOOD_DIGEST = base64.b64encode(hashlib.sha256(b"hello").digest())


@pytest.mark.parametrize(
    ("said", "right"),
    [
        (b"sha-256=:" + GOOD_DIGEST + b":", True),
        (b"md5=:AAAA:, sha-256=:" + GOOD_DIGEST + b":", True),
        (b"sha-512=:AAAA:", True),  # not checked by this client
        (b"", True),
        (b"sha-256=:" + base64.b64encode(bytes(32)) + b":", False),
        # An invalid digest must neither be trusted nor crash the client.
        *(
            (b"sha-256=:" + digest + b":", None)
            for digest in (b"A", b"AA", b"=", b"====", b"A=A", b"AAAAA", GOOD_DIGEST[:-4], GOOD_DIGEST * 2, b"A" * 9999)
        ),
    ],
)
def test_a_digest_that_the_server_says(said: bytes, right: bool | None, tmp_path: Path) -> None:
    path = tmp_path / "file"
    answer = OK + b"Repr-Digest: " + said + b"\r\n" + COUNTED
    found: HttpminiError | None = None
    with serving(script([answer], End.CLOSE), clients=1) as url, client_for() as client:
        try:
            httpmini.download(client, url, path)
        except HttpminiError as error:
            found = error
    if right is None:
        assert found is None or isinstance(found, Corrupt | BrokenResponse)
    else:
        assert isinstance(found, Corrupt) != right
    assert path.exists() == (found is None)
