"""A request becomes a response.

The steps of ``Site.respond``, in the order in which they run; each may end it:

1. method        known, and allowed here?                                    501, 405
2. target        into the names of a path                                    400
3. (authorise    comes here: before anything is said about what exists)
4. resolve       the names into an open file or directory                    404, 403, 500, 503
5. directory     its name needs a slash; its index; its listing              301, 403
6. conditional   has the client's copy changed?                              304
7. (range        comes here: which part of the file)
8. send          the file as a promise                                       200
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from httpmini.errors import ProtocolError
from httpmini.protocol.body import FileSlice
from httpmini.protocol.dates import format_date
from httpmini.protocol.message import Headers, Request, Response
from httpmini.protocol.status import PHRASES
from httpmini.reasons import REASONS, Reason
from httpmini.site import pages
from httpmini.site.conditional import is_not_modified, last_modified
from httpmini.site.listing import draw_listing
from httpmini.site.media_types import content_type
from httpmini.site.resolve import Directory, Fact, File, Resolver, fact_of
from httpmini.site.target import Path, link_to, parse_target

_ALLOWED = ("GET", "HEAD")
_KNOWN = {*_ALLOWED, "CONNECT", "DELETE", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}
_HTML = ("Content-Type", "text/html; charset=utf-8")

# What the disk said, and how it is answered. Hidden, outside and missing look the same from without.
_FACT_REASONS = {
    Fact.MISSING: "not-found",
    Fact.HIDDEN: "not-found",
    Fact.DOTS: "not-found",
    Fact.NOT_REGULAR: "not-found",
    Fact.OUTSIDE: "not-found",
    Fact.FORBIDDEN: "forbidden",
    Fact.RESOURCES: "out-of-resources",
    Fact.DISK_ERROR: "disk-error",
}


@dataclass(frozen=True)
class Site:
    """One folder and how it is shown.

    Attributes:
        resolver: the folder.
        index: names of the files that stand for their directory, in order of preference.
        listing: whether a directory without an index is listed.
        charset: the charset parameter of text files; empty for none.
        media_types: media types by extension that win over our table.
        now: the present, in seconds since the epoch.
    """

    resolver: Resolver
    index: tuple[bytes, ...]
    listing: bool
    charset: str
    media_types: Mapping[str, str]
    now: Callable[[], float]

    def respond(self, request: Request) -> Response:
        """The answer to ``request``. What the client did wrong is answered, never raised."""
        try:
            _check_method(request)
            return self._respond_with_path(request, parse_target(request.target))
        except ProtocolError as error:
            return self.refuse(error)

    def refuse(self, error: ProtocolError) -> Response:
        """The page for an error: the one place where errors are drawn."""
        reason = error.reason
        fields = [_HTML]
        if reason.status == 405:
            fields.append(("Allow", ", ".join(_ALLOWED)))
        if reason.status == 503:
            fields.append(("Retry-After", "1"))
        page = _message_page(reason.status, reason.text, reason=reason, offset=error.offset)
        return Response(reason.status, Headers(tuple(fields)), (page,), reason=reason.token)

    def _respond_with_path(self, request: Request, path: Path) -> Response:
        found = self.resolver.resolve(path.names)
        if isinstance(found, Directory):
            try:
                return self._respond_with_directory(request, path, found)
            finally:
                os.close(found.fd)
        if isinstance(found, File) and path.is_directory_form:
            os.close(found.fd)
            found = Fact.MISSING  # /a.txt/ is not /a.txt: its links would lead elsewhere
        if isinstance(found, Fact):
            raise ProtocolError(REASONS[_FACT_REASONS[found]])
        return self._respond_with_file(request, path.names[-1], found)

    def _respond_with_directory(self, request: Request, path: Path, directory: Directory) -> Response:
        if not path.is_directory_form:
            return _redirect(link_to(path.names[-1], directory=True) + path.query)
        for name in self.index:
            found = self.resolver.resolve((*path.names, name))
            if isinstance(found, File):
                return self._respond_with_file(request, name, found)
            if isinstance(found, Directory):
                os.close(found.fd)
            elif found in (Fact.FORBIDDEN, Fact.RESOURCES, Fact.DISK_ERROR):
                raise ProtocolError(REASONS[_FACT_REASONS[found]])
        if not self.listing:
            raise ProtocolError(REASONS["no-listing"])
        try:
            page = draw_listing(directory, path.names, self.resolver)
        except OSError as error:
            raise ProtocolError(REASONS[_FACT_REASONS[fact_of(error)]]) from error
        return Response(200, Headers((_HTML,)), (page,))

    def _respond_with_file(self, request: Request, name: bytes, file: File) -> Response:
        now = self.now()
        modified = last_modified(file.status.st_mtime, now)
        validators = (("Last-Modified", format_date(modified)),)
        if is_not_modified(request.headers, modified, now):
            os.close(file.fd)
            return Response(304, Headers(validators))
        media_type = content_type(name, self.charset, self.media_types)
        body = FileSlice(file.fd, 0, file.status.st_size)
        headers = Headers((("Content-Type", media_type), *validators))
        return Response(200, headers, (body,), owned_fds=(file.fd,))


def _check_method(request: Request) -> None:
    if request.method not in _KNOWN:
        raise ProtocolError(REASONS["method-unknown"])
    if request.method not in _ALLOWED:
        raise ProtocolError(REASONS["method-not-allowed"])


def _redirect(location: str) -> Response:
    """To a relative place: right behind any proxy, and nothing that the client sent as Host is repeated."""
    page = _message_page(301, "This is a folder.", location=location)
    return Response(301, Headers((_HTML, ("Location", location))), (page,))


def _message_page(
    status: int, text: str, *, reason: Reason | None = None, offset: int | None = None, location: str = ""
) -> bytes:
    return pages.draw(
        "message.html",
        status=status,
        phrase=PHRASES[status],
        text=text,
        token=reason.token if reason else "",
        section=reason.section if reason else "",
        offset=offset,
        location=location,
    )
