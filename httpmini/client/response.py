"""An answer whose body is still to come."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import TracebackType

from httpmini.client.decode import codings_of, decode
from httpmini.client.options import Limits
from httpmini.client.transport.exchange import Wire
from httpmini.client.transport.timings import Timings
from httpmini.client.url import Url
from httpmini.errors import BadRedirect, BadStatus, FetchError, TooLarge
from httpmini.files import new_file, write_all
from httpmini.protocol.framing import Data
from httpmini.protocol.message import Headers
from httpmini.protocol.reader import ResponseHead, parse_content_length

REDIRECTS = (301, 302, 303, 307, 308)
"""The statuses whose Location is followed (RFC 9110 §15.4)."""

_DRAIN_BYTES = 64 * 1024  # a new connection costs less than to read more than this
_DRAIN_S = 1.0


class Response:
    """The answer to one request: its head is here, its body comes as you read it.

    Iterate over it for pieces (bytes), or ``read`` it whole, or ``save`` it. A ``with`` closes it. A body that was read
    to its end leaves its connection to the next request; one that was not takes it along.

    Attributes:
        status: the status code.
        reason: the phrase beside it.
        version: of HTTP, as (major, minor).
        headers: the fields; names have no case, duplicates are kept.
        url: where it came from, after redirections, without a password.
        history: the status and the URL of each redirection that was followed.
        timings: how long it took, in seconds.
        raw_head: the head as it came.
        codings: the content codings that are undone while reading.
    """

    def __init__(
        self,
        *,
        method: str,
        url: Url,
        head: ResponseHead,
        raw_head: bytes,
        wire: Wire,
        release: Callable[[Wire], None],
        timings: Timings,
        started: float,
        limits: Limits,
        decoded: bool,
    ) -> None:
        self.status = head.status
        self.reason = head.phrase
        self.version = head.version
        self.headers: Headers = head.headers
        self.url = url.text
        self.history: tuple[tuple[int, str], ...] = ()
        self.timings = timings
        self.raw_head = raw_head
        # A part of what is encoded cannot be decoded (RFC 9110 §14.4: ranges are of the encoded octets).
        decodable = decoded and method != "HEAD" and head.status != 206
        self.codings = codings_of(head.headers) if decodable else []
        self._limits = limits
        self._wire = wire
        self._release: Callable[[Wire], None] | None = release
        self._started = started
        body = wire.receive_body(method, head)
        self._pieces: Iterator[Data] = decode(body, self.codings, limits) if self.codings else body
        self._is_over = False
        if wire.complete:  # there is no body, and nobody need read it
            self._give_back()

    def __enter__(self) -> Response:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def piece_bytes(self) -> int:
        """How much of the body is read from the connection at once."""
        return self._wire.piece_bytes

    @piece_bytes.setter
    def piece_bytes(self, count: int) -> None:
        self._wire.piece_bytes = count

    @property
    def ok(self) -> bool:
        """Whether it is a success (2xx)."""
        return 200 <= self.status < 300

    @property
    def content_length(self) -> int | None:
        """The announced length of the body on the wire, in bytes."""
        return parse_content_length(self.headers)

    @property
    def location(self) -> str | None:
        """The Location field (RFC 9110 §10.2.2).

        Raises:
            BadRedirect: there are several, and they differ: others may follow another one (RFC 9110 §5.3).
        """
        said = set(self.headers.all("Location"))
        if len(said) > 1:
            raise BadRedirect(f"{self.url} redirects to several places: {', '.join(sorted(said))}")
        return said.pop() if said else None

    def __iter__(self) -> Iterator[bytes]:
        """The pieces of the body, decoded.

        Raises:
            Truncated, BrokenResponse, TimedOut, TooLarge: see ``errors.py``.
        """
        for piece in self.views():
            yield bytes(piece)

    def views(self) -> Iterator[Data]:
        """The same pieces without a copy of each: one holds until the next is asked for."""
        if self._is_over:
            raise FetchError(f"{self.url}: its body has been read or given up before; ask for it again")
        try:
            yield from self._pieces
        except Exception:
            if self._release is not None:  # else it is no longer ours
                self._wire.reusable = False
            raise
        finally:
            self.close()

    def read(self, limit: int | None = None) -> bytes:
        """The whole body.

        Args:
            limit: the most bytes that are taken into memory; by default ``Limits.read_bytes``.

        Raises:
            TooLarge: there are more.
            Truncated, BrokenResponse, TimedOut: see ``errors.py``.
        """
        most = self._limits.read_bytes if limit is None else limit
        pieces, size = [], 0
        for piece in self:
            size += len(piece)
            if size > most:
                self._wire.reusable = False
                self.close()
                raise TooLarge(f"{self.url}: more than {most} bytes; iterate over it, or save it to a file")
            pieces.append(piece)
        return b"".join(pieces)

    def save(self, path: str | os.PathLike[str]) -> int:
        """Write the body to a file that gets its name when all of it is there; the number of bytes.

        Raises:
            OSError: the file cannot be written.
            Truncated, BrokenResponse, TimedOut, TooLarge: see ``errors.py``; then there is no file.
        """
        size = 0
        try:
            with new_file(os.path.realpath(os.fsdecode(path))) as fd:
                for piece in self.views():
                    size += len(piece)
                    write_all(fd, piece)
        finally:
            self.close()
        return size

    def raise_for_status(self) -> Response:
        """This answer, if it is a success.

        Raises:
            BadStatus: it is not.
        """
        if not self.ok:
            raise BadStatus(f"{self.url}: {self.status} {self.reason}".rstrip(), self.status)
        return self

    def check_length(self) -> None:
        """Refuse a body that is announced to be longer than the limits allow. (The page of a redirection may be.)

        Raises:
            TooLarge: it is; then this is closed.
        """
        if self._release is not None:  # else there is no body
            try:
                self._wire.check_size(self.content_length or 0)
            except TooLarge:
                self.close()
                raise

    def drain(self) -> None:
        """Close it, but first read a body that is short and comes soon, so that its connection is kept."""
        is_framed = self.content_length is not None or "Transfer-Encoding" in self.headers
        if self._release is not None and is_framed and (self.content_length or 0) <= _DRAIN_BYTES:
            end = time.monotonic() + _DRAIN_S
            self._wire.deadline = end if self._wire.deadline is None else min(end, self._wire.deadline)
            with suppress(FetchError):
                self.read(_DRAIN_BYTES)
        self.close()

    def close(self) -> None:
        """Give the connection back if all of the body was read, else close it."""
        self._is_over = True
        self._give_back()

    def _give_back(self) -> None:
        release, self._release = self._release, None
        if release is not None:
            self.timings.total_s = time.monotonic() - self._started
            release(self._wire)
