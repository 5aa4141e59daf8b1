"""A response whose body is still to come."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import TracebackType

from httpmini.client.decode import codings_of, decode
from httpmini.client.digests import announced_sha256, compared
from httpmini.client.download.target import saved_file
from httpmini.client.options import Limits
from httpmini.client.transport.connection import Connection
from httpmini.client.transport.timings import Timings
from httpmini.client.url import Url
from httpmini.errors import BadRedirect, BadStatus, FetchError, TooLarge
from httpmini.files import write_all
from httpmini.protocol.framing import Data
from httpmini.protocol.message import Headers
from httpmini.protocol.reader import ResponseHead, parse_content_length

REDIRECTS = (301, 302, 303, 307, 308)
"""The statuses whose Location is followed (RFC 9110 §15.4)."""

_DRAIN_BYTES = 64 * 1024  # reading more than this costs more than a new connection
_DRAIN_S = 1.0


class Response:
    """The response to one request: the head is here, the body comes as you read it.

    Iterate over it for pieces (bytes), ``read`` it whole, or ``save`` it. A ``with`` block closes it. After a body has
    been read to its end, the connection serves further requests; closing the response earlier closes the connection.

    Attributes:
        status: the status code.
        reason: the reason phrase.
        version: of HTTP, as (major, minor).
        headers: the header fields; names ignore case, duplicates are kept.
        url: where it came from, after redirections, without a password.
        history: the status and the URL of each redirection that was followed.
        timings: the end of each phase, in seconds.
        raw_head: the head as it came, in bytes.
        codings: the content codings that are decoded while reading.
    """

    def __init__(
        self,
        *,
        method: str,
        url: Url,
        head: ResponseHead,
        raw_head: bytes,
        connection: Connection,
        release: Callable[[Connection], None],
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
        # A part of an encoded body cannot be decoded (RFC 9110 §14.4: ranges are of the encoded octets).
        decodable = decoded and method != "HEAD" and head.status != 206
        self.codings = codings_of(head.headers) if decodable else []
        self._limits = limits
        self._connection = connection
        self._release: Callable[[Connection], None] | None = release
        self._started = started
        self._is_whole = method != "HEAD" and head.status == 200
        self._body: Iterator[Data] = connection.receive_body(method, head)
        self._pieces = self._decoded()
        self._is_over = False
        if connection.complete:  # there is no body to read
            self._give_back()

    def __enter__(self) -> Response:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def piece_bytes(self) -> int:
        """How many bytes of the body are read from the connection at once."""
        return self._connection.piece_bytes

    @piece_bytes.setter
    def piece_bytes(self, count: int) -> None:
        self._connection.piece_bytes = count

    @property
    def ok(self) -> bool:
        """Whether the status is a success (2xx)."""
        return 200 <= self.status < 300

    @property
    def content_length(self) -> int | None:
        """The announced length of the body on the wire, in bytes; None if it is not announced.

        A 204 has no body, whatever it announces (RFC 9110 §15.3.5).
        """
        return 0 if self.status == 204 else parse_content_length(self.headers)

    @property
    def location(self) -> str | None:
        """The value of the Location field (RFC 9110 §10.2.2); None if there is none.

        Raises:
            BadRedirect: there are several that differ: other clients may follow another one (RFC 9110 §5.3).
        """
        values = set(self.headers.all("Location"))
        if len(values) > 1:
            raise BadRedirect(f"{self.url} redirects to several URLs: {', '.join(sorted(values))}")
        return values.pop() if values else None

    def __iter__(self) -> Iterator[bytes]:
        """Yield the pieces of the decoded body.

        Raises:
            Truncated, BrokenResponse, TimedOut, TooLarge: see ``errors.py``.
        """
        for piece in self.views():
            yield bytes(piece)

    def views(self) -> Iterator[Data]:
        """Yield the pieces without copying them: each is valid only until the next is requested.

        Raises:
            FetchError: the body has been read already, or the response closed; otherwise as for iteration.
        """
        if self._is_over:
            raise FetchError(f"{self.url}: the body has been read or closed already; fetch it again")
        try:
            yield from self._pieces
        except Exception:
            if self._release is not None:  # else the connection is no longer ours
                self._connection.reusable = False
            raise
        finally:
            self.close()

    def read(self, limit: int | None = None) -> bytes:
        """Return the whole body.

        Args:
            limit: the most bytes to take into memory; by default ``Limits.read_bytes``.

        Raises:
            TooLarge: the body is longer.
            Truncated, BrokenResponse, TimedOut: see ``errors.py``.
        """
        most = self._limits.read_bytes if limit is None else limit
        pieces, size = [], 0
        for piece in self.views():
            size += len(piece)
            if size > most:
                self._connection.reusable = False
                self.close()
                raise TooLarge(f"{self.url}: more than {most} bytes; iterate over the response, or save it to a file")
            pieces.append(bytes(piece))
        return b"".join(pieces)

    def save(self, path: str | os.PathLike[str], *, sync: bool = True) -> int:
        """Write the body to a file that gets its name once it is complete.

        Args:
            path: of the file; an existing one is replaced, through a symlink if it is one, and its mode is kept. A
                pipe, a device or a descriptor (/dev/stdout) is written to directly.
            sync: have the file and its name on disk before returning (fsync).

        Returns:
            The number of bytes.

        Raises:
            OSError: the file cannot be written.
            Truncated, BrokenResponse, TimedOut, TooLarge: see ``errors.py``. No file is left then.
        """
        size = 0
        try:
            with saved_file(os.fsdecode(path), sync=sync) as fd:
                for piece in self.views():
                    size += len(piece)
                    write_all(fd, piece)
        finally:
            self.close()
        return size

    def keep_codings(self) -> None:
        """Have the body come as it is on the wire. To be called before it is read."""
        self.codings, self._pieces = [], self._body

    def check_digest(self) -> None:
        """Have a whole body compared with the digest that the server announces, if it does. To be called before it is
        read; at its end, ``Corrupt`` is raised if it has another one.

        The digest is of the bytes on the wire, before they are decoded (RFC 9530 §3).
        """
        wanted = announced_sha256(self.headers) if self._is_whole else ""
        if wanted:
            self._body = compared(self._body, wanted, self.url)
            self._pieces = self._decoded()

    def _decoded(self) -> Iterator[Data]:
        return decode(self._body, self.codings, self._limits) if self.codings else self._body

    def raise_for_status(self) -> Response:
        """Return this response if it is a success (2xx).

        Raises:
            BadStatus: it is not.
        """
        if not self.ok:
            raise BadStatus(f"{self.url}: {self.status} {self.reason}".rstrip(), self.status)
        return self

    def check_length(self) -> None:
        """Refuse a body whose announced length exceeds the limits. (Not called for the page of a redirection.)

        Raises:
            TooLarge: it does; the response is closed.
        """
        if self._release is not None:  # else there is no body
            try:
                self._connection.check_size(self._connection.announced_bytes)
            except TooLarge:
                self.close()
                raise

    def drain(self) -> None:
        """Close the response, but first read a body that is short and comes soon, so that the connection is kept."""
        is_framed = self.content_length is not None or "Transfer-Encoding" in self.headers
        if self._release is not None and is_framed and (self.content_length or 0) <= _DRAIN_BYTES:
            end = time.monotonic() + _DRAIN_S
            deadline = self._connection.deadline
            self._connection.deadline = end if deadline is None else min(end, deadline)
            with suppress(FetchError):
                self.read(_DRAIN_BYTES)
        self.close()

    def close(self) -> None:
        """Return the connection to the client if the body has been read to its end, else close it."""
        self._is_over = True
        self._give_back()

    def _give_back(self) -> None:
        release, self._release = self._release, None
        if release is not None:
            self.timings.total_s = time.monotonic() - self._started
            release(self._connection)
