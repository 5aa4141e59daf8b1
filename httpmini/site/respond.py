"""A request becomes a response.

The steps of ``Site.respond``, in the order in which they run; each may end it:

1. method        known, and allowed here? OPTIONS is answered               501, 405, 204
2. target        into the names of a path                                    400
3. authorise     before anything is said about what exists                   401
4. redirect      as the config says                                          301, 302
5. resolve       the names into an open file or directory                    404, 403, 500, 503
6. directory     its name needs a slash; its index; its listing, as a page
                 or as JSON                                                  301, 403, 200
7. variant       the file, or a compressed one beside it
8. represent     conditions, ranges, the file as a promise                   412, 304, 416, 206, 200

Fields of the config's rules replace ours in every answer below 400.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from httpmini.errors import ProtocolError
from httpmini.protocol.message import Headers, Request, Response
from httpmini.reasons import REASONS
from httpmini.site.authorise import Realm, authorise
from httpmini.site.freshness import PathStamps
from httpmini.site.listing import FORMS, draw_listing
from httpmini.site.media_types import MediaTypes
from httpmini.site.negotiate import preferred
from httpmini.site.refusals import ErrorPages, redirection
from httpmini.site.representation import REVALIDATE, Representation
from httpmini.site.resolve import Directory, Fact, File, Resolver, fact_of
from httpmini.site.rules import Field, FieldRule, Redirect, fields_for, spell, with_rules
from httpmini.site.target import Path, link_to, parse_target
from httpmini.site.variants import acceptable, find_variant

_ALLOWED = ("GET", "HEAD", "OPTIONS")
_KNOWN = {*_ALLOWED, "CONNECT", "DELETE", "PATCH", "POST", "PUT", "TRACE"}
_ALLOW = ("Allow", ", ".join(_ALLOWED))
_OPTIONS = Response(204, Headers((_ALLOW,)))
_RETRY_AFTER = ("Retry-After", "1")
_LISTING_VARIES = ("Vary", "Accept")

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


class Site(msgspec.Struct, frozen=True):
    """One folder and how it is shown.

    Attributes:
        resolver: the folder.
        stamps: say whether a response about a file in it is still right.
        index: names of the files that stand for their directory, in order of preference.
        listing: whether a directory without an index is listed.
        media_types: the Content-Type of files.
        codings: content codings of which neighbours are looked for, in order of preference.
        error_pages: how refusals look.
        realms: folders that ask for a password.
        redirects: where to ask instead; the first that matches counts.
        rules: fields to send, by path.
        now: the present, in seconds since the epoch.
    """

    resolver: Resolver
    stamps: PathStamps
    index: tuple[bytes, ...]
    listing: bool
    media_types: MediaTypes
    codings: tuple[str, ...]
    error_pages: ErrorPages
    realms: tuple[Realm, ...]
    redirects: tuple[Redirect, ...]
    rules: tuple[FieldRule, ...]
    now: Callable[[], float]

    def respond(self, request: Request, _host: str = "", /) -> Response:
        """The answer to ``request``. What the client did wrong is answered, never raised."""
        user = None
        try:
            _check_method(request)
            if request.method == "OPTIONS" and request.target == "*":
                return _OPTIONS
            path = parse_target(request.target, request.target_offset)
            if request.method == "OPTIONS":  # the same everywhere (RFC 9110 §9.3.7), so it says nothing of what exists
                return self._with_rules(_OPTIONS, path)
            user = authorise(self.realms, path.names, request.headers)
            response = self._respond_with_path(request, path)
        except ProtocolError as error:
            response = self.refuse(error)
        # What is behind a password is never kept: the next one who asks has to show theirs.
        return response if user is None else replace(response, user=user, is_current=None)

    def refuse(self, error: ProtocolError) -> Response:
        """The page for an error: the one place where refusals are drawn."""
        if error.reason.status == 503 and not error.fields:
            error = ProtocolError(error.reason, error.offset, (*error.fields, _RETRY_AFTER))
        return self.error_pages.draw(error)

    def _respond_with_path(self, request: Request, path: Path) -> Response:
        for redirect in self.redirects:
            if location := redirect.location(path):
                return self._with_rules(redirection(redirect.status, location, "This is elsewhere now."), path)
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
        return self._respond_with_file(request, path, path.names, found)

    def _respond_with_directory(self, request: Request, path: Path, directory: Directory) -> Response:
        if not path.is_directory_form:
            location = link_to(path.names[-1], directory=True) + path.query
            return self._with_rules(redirection(301, location, "This is a folder."), path)
        for place, name in enumerate(self.index):
            names = (*path.names, name)
            found = self.resolver.resolve(names)
            if isinstance(found, File):
                return self._respond_with_file(request, path, names, found, self.index[:place])
            if isinstance(found, Directory):
                os.close(found.fd)
            elif found in (Fact.FORBIDDEN, Fact.RESOURCES, Fact.DISK_ERROR):
                raise ProtocolError(REASONS[_FACT_REASONS[found]])
        if not self.listing:
            raise ProtocolError(REASONS["no-listing"])
        form = preferred(request.headers, FORMS)
        try:
            listing = draw_listing(directory, path.names, self.resolver, form)
        except OSError as error:
            raise ProtocolError(REASONS[_FACT_REASONS[fact_of(error)]]) from error
        fields = Headers((("Content-Type", form), REVALIDATE, _LISTING_VARIES))
        return self._with_rules(Response(200, fields, (listing,)), path)

    def _respond_with_file(
        self, request: Request, path: Path, names: tuple[bytes, ...], file: File, missing: tuple[bytes, ...] = ()
    ) -> Response:
        """Steps 7 and 8 for the file at ``names``. Its descriptor goes into the answer, or is closed here.

        ``missing``: names beside it that would have been chosen instead, and are not there.
        """
        rules = self._fields_of_rules(path, names)
        chosen, coding = file, ""
        keep: tuple[int, ...] = ()
        try:
            if self.codings:
                chosen, coding = find_variant(self.resolver, names, file, acceptable(request.headers, self.codings))
            _, media_type = rules.pop("content-type", ("", self.media_types.of(names[-1])))
            response = Representation(chosen, media_type, coding, bool(self.codings)).answer(request, self.now())
            keep = response.owned_fds
            if not self.codings and response.status == (304 if request.is_conditional else 200):
                response.is_current = self.stamps.stamp(names, file.status, self.now(), missing)
            return _with_fields(response, rules)
        finally:
            for fd in {file.fd, chosen.fd}.difference(keep):
                os.close(fd)

    def _with_rules(self, response: Response, path: Path) -> Response:
        """An answer of our own making: Content-Type is not for rules to say."""
        rules = self._fields_of_rules(path, path.names)
        rules.pop("content-type", None)
        return _with_fields(response, rules)

    def _fields_of_rules(self, path: Path, names: tuple[bytes, ...]) -> dict[str, Field]:
        """What the rules say of the path that was asked for, and of the file at ``names`` if another is sent for it."""
        if not self.rules:
            return {}
        asked = spell(path.names, directory=path.is_directory_form)
        return fields_for(self.rules, (asked, None if names == path.names else spell(names)))


def _with_fields(response: Response, rules: dict[str, Field]) -> Response:
    return replace(response, headers=Headers(with_rules(response.headers, rules))) if rules else response


def _check_method(request: Request) -> None:
    if request.method not in _KNOWN:
        raise ProtocolError(REASONS["method-unknown"])
    if request.method not in _ALLOWED:
        raise ProtocolError(REASONS["method-not-allowed"], fields=(_ALLOW,))
