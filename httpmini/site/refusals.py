"""Refusals and redirections drawn: the pages that say why there is nothing else to send."""

from __future__ import annotations

import os
from collections.abc import Mapping

import msgspec

from httpmini.errors import ProtocolError
from httpmini.protocol.body import FileSlice
from httpmini.protocol.message import Headers, Response
from httpmini.protocol.status import PHRASES
from httpmini.site import pages
from httpmini.site.media_types import MediaTypes
from httpmini.site.resolve import Directory, File, Resolver

HTML = ("Content-Type", "text/html; charset=utf-8")

# One who guesses passwords has to connect anew for each guess, and so to wait behind the others.
_LAST = {"credentials-wrong"}


class ErrorPages(msgspec.Struct, frozen=True):
    """How refusals look.

    Attributes:
        resolver: the folder that pages of the site's own are taken from.
        own: names of such a page by status ("404") or class of them ("5xx"); the status wins.
        media_types: for their Content-Type.
    """

    resolver: Resolver
    own: Mapping[str, tuple[bytes, ...]]
    media_types: MediaTypes

    def draw(self, error: ProtocolError) -> Response:
        """The answer that says ``error``: with the site's own page, or ours when there is none (any more)."""
        status = error.reason.status
        is_last = error.reason.token in _LAST
        own = self.own.get(str(status)) or self.own.get(f"{status // 100}xx")
        found = self.resolver.resolve(own) if own else None
        if own and isinstance(found, File):
            fields = Headers((("Content-Type", self.media_types.of(own[-1])), *error.fields))
            return Response(
                status, fields, (FileSlice(found.fd, 0, found.status.st_size),), (found.fd,), error, is_last
            )
        if isinstance(found, Directory):
            os.close(found.fd)
        page = pages.draw(
            "message.html",
            status=status,
            phrase=PHRASES[status],
            text=error.reason.text,
            token=error.reason.token,
            section=error.reason.section,
            offset=error.offset,
            location="",
        )
        return Response(status, Headers((HTML, *error.fields)), (page,), error=error, is_last=is_last)


def redirection(status: int, location: str, text: str) -> Response:
    """An answer that sends the client elsewhere, with the note that RFC 1945 §9.3 asks for."""
    page = pages.draw(
        "message.html", status=status, phrase=PHRASES[status], text=text, token="", offset=None, location=location
    )
    return Response(status, Headers((HTML, ("Location", location))), (page,))
