"""A file that was found becomes an answer: 412, 304, 206, 416 or 200 (RFC 9110 §8, §13, §14)."""

from __future__ import annotations

import msgspec

from httpmini.errors import ProtocolError
from httpmini.protocol.body import FileSlice
from httpmini.protocol.message import Headers, Request, Response
from httpmini.reasons import REASONS
from httpmini.site.conditional import Validators, Verdict, judge, range_counts, validators
from httpmini.site.ranges import Part, parse_range, send_parts
from httpmini.site.resolve import File

ACCEPT_RANGES = ("Accept-Ranges", "bytes")
# A cache may keep it, but asks whether it has changed. Ages by default are what users complain about in others.
REVALIDATE = ("Cache-Control", "no-cache")
_VARY = ("Vary", "Accept-Encoding")


class Representation(msgspec.Struct, frozen=True):
    """What was selected to be sent (RFC 9110 §3.2).

    Attributes:
        file: the open file; its descriptor goes into the answer when that has a body of it.
        media_type: the Content-Type.
        coding: the Content-Encoding; empty for none.
        negotiated: whether another request could have selected another one.
    """

    file: File
    media_type: str
    coding: str
    negotiated: bool

    def answer(self, request: Request, now: float) -> Response:
        """The answer to a GET or HEAD; ``owned_fds`` has the descriptor if it is needed, else it is still the caller's.

        Args:
            request: its conditions and ranges.
            now: seconds since the epoch.

        Raises:
            ProtocolError: 412 or 416.
        """
        fd, size = self.file.fd, self.file.status.st_size
        ours = validators(self.file.status, now)
        fields = [*ours.fields, REVALIDATE]
        if self.negotiated:
            fields.append(_VARY)
        verdict = judge(request.headers, ours, now) if request.is_conditional else Verdict.SEND
        if verdict is Verdict.FAILED:
            raise ProtocolError(REASONS["precondition-failed"])
        if verdict is Verdict.NOT_MODIFIED:  # with the fields that a cache has to know (RFC 9110 §15.4.5), no others
            return Response(304, Headers(fields))
        fields.append(ACCEPT_RANGES)
        if self.coding:
            fields.append(("Content-Encoding", self.coding))
        parts = self._parts(request, ours, now) if request.is_conditional else None
        if parts is None:
            fields.append(("Content-Type", self.media_type))
            return Response(200, Headers(fields), (FileSlice(fd, 0, size),), (fd,))
        if not parts:
            where = ("Content-Range", f"bytes */{size}")
            raise ProtocolError(REASONS["range-unsatisfiable"], fields=(where, ACCEPT_RANGES))
        more, body = send_parts(fd, size, parts, self.media_type, ours.entity_tag)
        return Response(206, Headers((*fields, *more)), body, (fd,))

    def _parts(self, request: Request, ours: Validators, now: float) -> list[Part] | None:
        """What Range asks for; None where it does not count. It is for GET only (RFC 9110 §14.2)."""
        asked = request.headers.all("Range")
        if request.method != "GET" or len(asked) != 1:
            return None
        if not range_counts(request.headers, ours, now, negotiated=self.negotiated):
            return None
        return parse_range(asked[0], self.file.status.st_size)
