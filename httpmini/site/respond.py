"""A request becomes a response.

The steps of ``Site.respond``, in the order in which they run; each may end it:

1. method        known, and allowed here? OPTIONS is answered               501, 405, 204
2. target        into the names of a path                                    400
3. (authorise    comes here: before anything is said about what exists)
4. resolve       the names into an open file or directory                    404, 403, 500, 503
5. directory     its name needs a slash; its index; its listing              301, 403
6. conditional   is it what the client expects, or has already?              412, 304
7. range         which parts of the file                                     416, 206
8. send          the file as a promise                                       200
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from httpmini.errors import ProtocolError
from httpmini.protocol.body import FileSlice
from httpmini.protocol.message import Headers, Request, Response
from httpmini.protocol.status import PHRASES
from httpmini.reasons import REASONS, Reason
from httpmini.site import pages
from httpmini.site.conditional import Validators, Verdict, judge, range_counts, validators
from httpmini.site.listing import draw_listing
from httpmini.site.media_types import content_type
from httpmini.site.ranges import Part, parse_range, send_parts
from httpmini.site.resolve import Directory, Fact, File, Resolver, fact_of
from httpmini.site.target import Path, link_to, parse_target

_ALLOWED = ("GET", "HEAD", "OPTIONS")
_KNOWN = {*_ALLOWED, "CONNECT", "DELETE", "PATCH", "POST", "PUT", "TRACE"}
_ALLOW = ("Allow", ", ".join(_ALLOWED))
_HTML = ("Content-Type", "text/html; charset=utf-8")
_ACCEPT_RANGES = ("Accept-Ranges", "bytes")
# A cache may keep a file, but asks whether it has changed. Ages by default are what users complain about in others.
_REVALIDATE = ("Cache-Control", "no-cache")

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
            if request.method == "OPTIONS":
                return _options(request)
            return self._respond_with_path(request, parse_target(request.target))
        except ProtocolError as error:
            return self.refuse(error)

    def refuse(self, error: ProtocolError, *more: tuple[str, str]) -> Response:
        """The page for an error, with ``more`` fields: the one place where errors are drawn."""
        reason = error.reason
        fields = [_HTML, *more]
        if reason.status == 405:
            fields.append(_ALLOW)
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
        """Steps 6 to 8. The descriptor goes into the answer, or is closed here."""
        keep = False
        try:
            response = self._respond_with_open_file(request, name, file)
            keep = bool(response.owned_fds)
            return response
        finally:
            if not keep:
                os.close(file.fd)

    def _respond_with_open_file(self, request: Request, name: bytes, file: File) -> Response:
        now, size = self.now(), file.status.st_size
        ours = validators(file.status, now)
        fields = [("ETag", ours.entity_tag), ("Last-Modified", ours.last_modified), _REVALIDATE]
        match judge(request.headers, ours, now):
            case Verdict.FAILED:
                raise ProtocolError(REASONS["precondition-failed"])
            case Verdict.NOT_MODIFIED:
                return Response(304, Headers(tuple(fields)))
        fields.append(_ACCEPT_RANGES)
        media_type = content_type(name, self.charset, self.media_types)
        parts = self._parts(request, ours, size, now)
        if parts is None:
            fields.append(("Content-Type", media_type))
            return Response(200, Headers(tuple(fields)), (FileSlice(file.fd, 0, size),), (file.fd,))
        if not parts:
            error = ProtocolError(REASONS["range-unsatisfiable"])
            return self.refuse(error, ("Content-Range", f"bytes */{size}"), _ACCEPT_RANGES)
        more, body = send_parts(file.fd, size, parts, media_type, ours.entity_tag)
        return Response(206, Headers((*fields, *more)), body, (file.fd,))

    def _parts(self, request: Request, ours: Validators, size: int, now: float) -> list[Part] | None:
        """What Range asks for; None where it does not count. It is for GET only (RFC 9110 §14.2)."""
        asked = request.headers.all("Range")
        if request.method != "GET" or len(asked) != 1 or not range_counts(request.headers, ours, now):
            return None
        return parse_range(asked[0], size)


def _check_method(request: Request) -> None:
    if request.method not in _KNOWN:
        raise ProtocolError(REASONS["method-unknown"])
    if request.method not in _ALLOWED:
        raise ProtocolError(REASONS["method-not-allowed"])


def _options(request: Request) -> Response:
    """What can be done here: the same everywhere (RFC 9110 §9.3.7)."""
    if request.target != "*":
        parse_target(request.target)
    return Response(204, Headers((_ALLOW,)))


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
