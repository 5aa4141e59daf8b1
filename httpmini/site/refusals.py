"""Error pages and redirections."""

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

# A cache may keep a 404 or 410 for as long as it likes (RFC 9110 §15.1), and whoever asks for a file before it is there
# would hide it from everybody; a 403 may be meant for one client only.
_NO_STORE = ("Cache-Control", "no-store")

# The same for every path, so that it says nothing about any.
_UNAUTHORISED = 401

# After these the connection is closed, so that guessing passwords takes a new connection for each guess.
_LAST = {"credentials-wrong", "too-many-guesses"}


class ErrorPages(msgspec.Struct, frozen=True):
    """The error pages of a site.

    Attributes:
        resolver: finds the site's own pages.
        own: the paths of these pages, by status ("404") or class ("5xx"); the status takes precedence.
        media_types: for their Content-Type.
    """

    resolver: Resolver
    own: Mapping[str, tuple[bytes, ...]]
    media_types: MediaTypes

    def draw(self, error: ProtocolError, target: str = "") -> Response:
        """Return the response for ``error``, with the site's own page, or the built-in one if there is none.

        Args:
            error: what was wrong.
            target: what was requested; empty if that is unknown.
        """
        return self._draw_own(error) or _draw_built_in(error, target)

    def _draw_own(self, error: ProtocolError) -> Response | None:
        status = error.reason.status
        names = self.own.get(str(status)) or self.own.get(f"{status // 100}xx")
        found = self.resolver.resolve(names) if names else None
        if isinstance(found, Directory):
            os.close(found.fd)
        if not names or not isinstance(found, File):
            return None
        fields = Headers((("Content-Type", self.media_types.of(names[-1])), _NO_STORE, *error.fields))
        body = (FileSlice(found.fd, 0, found.status.st_size),)
        return Response(status, fields, body, (found.fd,), error, is_last=_is_last(error))


def _draw_built_in(error: ProtocolError, target: str) -> Response:
    status = error.reason.status
    page, fields = pages.draw(
        "message.html",
        status=status,
        phrase=PHRASES[status],
        text=error.reason.text,
        token=error.reason.token,
        section=error.reason.section,
        offset=error.offset,
        location="",
        above="" if status == _UNAUTHORISED else _above(target),
    )
    headers = Headers((HTML, _NO_STORE, *fields, *error.fields))
    return Response(status, headers, (page,), error=error, is_last=_is_last(error))


def _above(target: str) -> str:
    """Return a relative reference to the folder above what was requested; empty for the root, and if it is unknown."""
    path = target.partition("?")[0]
    if not path.startswith("/") or not path.strip("/"):
        return ""
    return "../" if path.endswith("/") else "./"


def _is_last(error: ProtocolError) -> bool:
    return error.reason.token in _LAST


def redirection(status: int, location: str, text: str) -> Response:
    """Return a redirection to ``location``, with the note that RFC 1945 §9.3 recommends."""
    page, fields = pages.draw(
        "message.html",
        status=status,
        phrase=PHRASES[status],
        text=text,
        token="",
        offset=None,
        location=location,
        above="",
    )
    return Response(status, Headers((HTML, ("Location", location), *fields)), (page,))
