"""Turn an open file, or what is made of several, into a response: 412, 304, 206, 416 or 200 (RFC 9110 §8, §13, §14)."""

from __future__ import annotations

import msgspec

from httpmini.errors import ProtocolError
from httpmini.protocol.message import Headers, Request, Response
from httpmini.reasons import REASONS
from httpmini.site.conditional import Validators, Verdict, judge, range_applies
from httpmini.site.ranges import Cut, Part, parse_range, send_parts

ACCEPT_RANGES = ("Accept-Ranges", "bytes")
# A cache may store the response, but must revalidate it. Default lifetimes are a common complaint about other servers.
REVALIDATE = ("Cache-Control", "no-cache")
_VARY = ("Vary", "Accept-Encoding")


class Representation(msgspec.Struct, frozen=True):
    """What to send, and how it is described (RFC 9110 §3.2).

    Attributes:
        size: its length in bytes.
        cut: returns parts of it.
        owned_fds: the descriptors that a response with a body takes over.
        media_type: the Content-Type.
        coding: the Content-Encoding; empty for none.
        negotiated: whether another request could have selected another variant.
        validators: what tells this version of it from others.
        more: fields of every response that has it as its content.
    """

    size: int
    cut: Cut
    owned_fds: tuple[int, ...]
    media_type: str
    coding: str
    negotiated: bool
    validators: Validators
    more: tuple[tuple[str, str], ...] = ()

    def respond(self, request: Request, wall: float) -> Response:
        """Respond to a GET or HEAD.

        Args:
            request: has the conditions and ranges.
            wall: the time of day, in seconds since the epoch.

        Returns:
            The response. If its ``owned_fds`` is empty, the caller still owns those of this representation.

        Raises:
            ProtocolError: 412 or 416.
        """
        size, ours = self.size, self.validators
        fields = [*ours.fields, REVALIDATE]
        if self.negotiated:
            fields.append(_VARY)
        verdict = judge(request.headers, ours, wall) if request.is_conditional else Verdict.SEND
        if verdict is Verdict.FAILED:
            raise ProtocolError(REASONS["precondition-failed"])
        if verdict is Verdict.NOT_MODIFIED:  # only the fields that a cache needs (RFC 9110 §15.4.5)
            return Response(304, Headers(fields))
        fields += (ACCEPT_RANGES, *self.more)
        if self.coding:
            fields.append(("Content-Encoding", self.coding))
        parts = self._parts(request, ours, wall) if request.is_conditional else None
        if parts is None:
            fields.append(("Content-Type", self.media_type))
            return Response(200, Headers(fields), (self.cut(0, size),), self.owned_fds)
        if not parts:
            content_range = ("Content-Range", f"bytes */{size}")
            raise ProtocolError(REASONS["range-unsatisfiable"], fields=(content_range, ACCEPT_RANGES))
        more, body = send_parts(self.cut, size, parts, self.media_type, ours.entity_tag)
        return Response(206, Headers((*fields, *more)), body, self.owned_fds)

    def _parts(self, request: Request, ours: Validators, wall: float) -> list[Part] | None:
        """Return the parts that Range selects, or None if it does not apply: it is for GET only (RFC 9110 §14.2)."""
        values = request.headers.all("Range")
        if request.method != "GET" or len(values) != 1:
            return None
        if not range_applies(request.headers, ours, wall, negotiated=self.negotiated):
            return None
        return parse_range(values[0], self.size)
