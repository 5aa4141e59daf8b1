"""Turn a request into a response.

The steps of ``Site.respond``, in the order in which they run. Each may end with a response:

1. method        is it known, and allowed? OPTIONS ends here                 501, 405, 204
2. target        parse it into the names of a path                           400
3. authorise     before the response reveals anything about what exists      401, 429
4. redirect      as configured                                               301, 302
5. resolve       open the file or directory that the names lead to, and
                 authorise for what was opened                               404, 403, 500, 503, 401
6. directory     add a slash; or send its index, or its listing as a page,
                 as JSON or as text; or all of it as one file (archive/)  301, 403, 429, 503, 304, 200
7. variant       the file, or a compressed variant of it, or the thumbnail
                 of a picture                                            304, 200
8. represent     conditions and ranges; the body is a slice of the file      412, 304, 416, 206, 200
9. digest        of the whole file, for a client that wants to check it

Steps 3, 6 and 9 may take long. Then they yield the work (``httpmini.work``), and whoever asked has it done.

Fields from the configured rules replace the built-in ones in every response; in refusals, all but those that would let
them live in caches.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from httpmini.errors import ProtocolError
from httpmini.protocol.body import FileSlice
from httpmini.protocol.message import Headers, Request, Response
from httpmini.reasons import REASONS
from httpmini.site.archive import QUERIES as ARCHIVES
from httpmini.site.authorise import Realm, authorise, check_credentials, realm_of, realm_opened
from httpmini.site.conditional import Validators, Verdict, judge, validators
from httpmini.site.digests import Digests
from httpmini.site.freshness import PathStamps
from httpmini.site.listing.kinds import is_picture
from httpmini.site.media_types import MediaTypes
from httpmini.site.pages import NOSNIFF
from httpmini.site.pages.glyphs import glyph_file
from httpmini.site.refusals import ErrorPages, redirection
from httpmini.site.representation import REVALIDATE, Representation
from httpmini.site.resolve import Directory, Fact, File, Resolver, fact_of
from httpmini.site.rules import Field, FieldRule, Redirect, fields_for, redirect_of, spell, with_rules
from httpmini.site.target import Path, link_to, parse_target
from httpmini.site.thumbnail import MOST_FILE_BYTES, START_BYTES, find_thumbnail
from httpmini.site.thumbnail import QUERY as THUMBNAIL
from httpmini.site.trail import Trail, path_of
from httpmini.site.variants import Variants, acceptable, beside
from httpmini.site.versions import Versions
from httpmini.work import Pending, Steps, begin

if TYPE_CHECKING:
    from httpmini.site.archive.archiver import Archiver
    from httpmini.site.listing.listings import Listings

_ALLOWED = ("GET", "HEAD", "OPTIONS")
_KNOWN = {*_ALLOWED, "CONNECT", "DELETE", "PATCH", "POST", "PUT", "TRACE"}
_ALLOW = ("Allow", ", ".join(_ALLOWED))
_OPTIONS = Response(204, Headers((_ALLOW,)))
_RETRY_AFTER = ("Retry-After", "1")
# Which fields of rules are not for what. A refusal that is cached for a year cannot be repaired; what a file contains
# is not what the pages about it contain.
_LIFETIMES = ("cache-control", "expires")
_OF_FILES = ("content-type", "content-encoding")
# The fields of a request that may have entity tags.
_WITH_TAGS = ("If-Match", "If-None-Match", "If-Range")
_LISTING_VARIES = ("Vary", "Accept, Accept-Encoding")

# Each fact with the reason that the client is given. To the client, hidden, outside and missing look the same.
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
    """A folder, and how it is served.

    Attributes:
        resolver: finds files in the folder.
        versions: tell versions of a file apart.
        stamps: say whether a cached response about a file in it is still right.
        index: names of index files, in order of preference.
        listing: whether to list a directory without an index.
        listings: returns what draws these listings.
        archiver: returns what makes one file of a folder; None where that is not to be had.
        media_types: the Content-Type of files.
        codings: content codings of precompressed variants, in order of preference.
        variants: finds them.
        digests: makes digests of files.
        error_pages: the pages for refusals.
        realms: folders protected by a password.
        redirects: what has moved; the first match applies.
        rules: header fields to send, by path.
        wall: returns the time of day, in seconds since the epoch.
    """

    resolver: Resolver
    versions: Versions
    stamps: PathStamps
    index: tuple[bytes, ...]
    listing: bool
    listings: Callable[[], Listings]
    archiver: Callable[[], Archiver] | None
    media_types: MediaTypes
    codings: tuple[str, ...]
    variants: Variants
    digests: Digests
    error_pages: ErrorPages
    realms: tuple[Realm, ...]
    redirects: tuple[Redirect, ...]
    rules: tuple[FieldRule, ...]
    wall: Callable[[], float]

    @property
    def archives(self) -> bool:
        """Whether a folder can be had as one file."""
        return self.archiver is not None

    def respond(self, request: Request, host: str = "", /, trail: Trail | None = None) -> Response | Pending[Response]:
        """Return the response to ``request``, or what has to be done first; ``host`` is the address of the client.

        An error of the client becomes a response, never an exception. With a ``trail`` the response is only explained:
        its entity tag is right if a condition needs it, and no digest is made.
        """
        return begin(self._respond(request, host, trail))

    def _respond(self, request: Request, host: str, trail: Trail | None) -> Steps[Response]:
        user = None
        try:
            _check_method(request, trail)
            if request.method == "OPTIONS" and request.target == "*":
                if trail is not None:
                    trail.note("method", "OPTIONS of the whole server: what it allows")
                return _OPTIONS
            path = _parse_target(request, trail)
            if request.method == "OPTIONS":  # the same for all paths (RFC 9110 §9.3.7): it reveals nothing
                return self._with_rules(_OPTIONS, path, trail)
            if self.realms:
                user = yield from authorise(self.realms, path.names, request.headers, host, trail)
            response = yield from self._respond_with_path(request, path, host, trail)
        except ProtocolError as error:
            response = self._refuse_path(request, error, trail)
        return response if user is None else _protected(response, user)

    def refuse(self, error: ProtocolError, target: str = "") -> Response:
        """Return the response for an error. All refusals are made here.

        Args:
            error: what was wrong.
            target: what was requested, if that is known.
        """
        if error.reason.status == 503 and not error.fields:
            error = ProtocolError(error.reason, error.offset, (*error.fields, _RETRY_AFTER))
        return self.error_pages.draw(error, target)

    def _respond_with_path(self, request: Request, path: Path, host: str, trail: Trail | None) -> Steps[Response]:
        moved = redirect_of(self.redirects, path, trail)
        if moved is not None:
            return self._with_rules(redirection(*moved, "This has moved."), path, trail)
        found = self.resolver.resolve(path.names, trail)
        user = yield from self._authorise_opened(request, path, found, host, trail)
        response = yield from self._respond_with_found(request, path, found, host, trail)
        return response if user is None else _protected(response, user)

    def _authorise_opened(
        self, request: Request, path: Path, found: File | Directory | Fact, host: str, trail: Trail | None
    ) -> Steps[str | None]:
        """Run step 3 again, for what was opened: its folder may have more names than the one that is protected.

        Returns:
            The name of the user; None if nothing was opened in a realm that the path does not show.
        """
        if isinstance(found, Fact) or not self.realms:
            return None
        realm = realm_opened(self.realms, self.resolver, found.folders)
        if realm is None or realm is realm_of(self.realms, path.names):
            return None
        try:
            return (yield from check_credentials(realm, request.headers, host, trail))
        except BaseException:  # also a connection that was lost while a hash is computed
            os.close(found.fd)
            raise

    def _respond_with_found(
        self, request: Request, path: Path, found: File | Directory | Fact, host: str, trail: Trail | None
    ) -> Steps[Response]:
        if isinstance(found, Directory):
            try:
                return (yield from self._respond_with_directory(request, path, found, host, trail))
            finally:
                os.close(found.fd)
        if isinstance(found, File) and path.is_directory_form:
            os.close(found.fd)
            found = Fact.MISSING  # /a.txt/ is not /a.txt: relative links in it would be wrong
            if trail is not None:
                trail.note("slash", "a file has none at its end")
        if isinstance(found, Fact):
            raise ProtocolError(REASONS[_FACT_REASONS[found]])
        if path.sent_query == f"?{THUMBNAIL}" and self.listing and is_picture(self.media_types.of(path.names[-1])):
            return (yield from self._respond_with_thumbnail(request, path, found, trail))
        return (yield from self._respond_with_file(request, path, path.names, found, trail))

    def _respond_with_thumbnail(self, request: Request, path: Path, file: File, trail: Trail | None) -> Steps[Response]:
        """Respond with a small picture of a picture: its thumbnail, itself if it is small, or a glyph."""
        try:
            found = find_thumbnail(os.pread(file.fd, START_BYTES, 0))
        except OSError as error:
            os.close(file.fd)
            raise ProtocolError(REASONS[_FACT_REASONS[fact_of(error)]]) from error
        if found is None and file.status.st_size <= MOST_FILE_BYTES:
            return (yield from self._respond_with_file(request, path, path.names, file, trail))
        os.close(file.fd)
        if trail is not None:
            trail.note("thumbnail", "the one in the picture" if found else "a glyph: there is none in the picture")
        body, media_type = (found, "image/jpeg") if found else (glyph_file("image"), "image/svg+xml")
        from hashlib import sha256  # loads OpenSSL, which the start need not wait for

        tag = f'"{sha256(body).hexdigest()[:24]}"'
        return self._respond_with_made(request, path, tag, (NOSNIFF, ("Content-Type", media_type)), body, trail)

    def _respond_with_made(
        self,
        request: Request,
        path: Path,
        tag: str,
        about: tuple[Field, ...],
        body: bytes,
        trail: Trail | None,
        *vary: Field,
    ) -> Response:
        """Respond with what was made for this request: it has a tag and no date.

        Args:
            request: has the conditions.
            path: the requested path.
            tag: the entity tag.
            about: the fields that a 304 has not.
            body: what is sent.
            trail: hears what was found out.
            vary: what a 304 has, too.
        """
        fields = (("ETag", tag), REVALIDATE, *vary)
        verdict = judge(request.headers, Validators(tag, 0, settled=False), self.wall(), trail)
        if verdict is Verdict.FAILED:
            raise ProtocolError(REASONS["precondition-failed"])
        if verdict is Verdict.NOT_MODIFIED:
            return self._with_rules(Response(304, Headers(fields)), path, trail)
        return self._with_rules(Response(200, Headers((*fields, *about)), (body,)), path, trail)

    def _respond_with_directory(
        self, request: Request, path: Path, directory: Directory, host: str, trail: Trail | None
    ) -> Steps[Response]:
        if not path.is_directory_form:
            if trail is not None:
                trail.note("slash", "a folder has one at its end")
            location = link_to(path.names[-1], directory=True) + path.query
            return self._with_rules(redirection(301, location, "This is a folder."), path, trail)
        if self.archiver is not None and path.sent_query.removeprefix("?") in ARCHIVES:
            if trail is not None:
                trail.note("archive", "of the whole folder; it is not planned here")
            archive = yield from self.archiver().respond(request, directory, path, host, self.wall)
            return self._with_rules(archive, path, trail)
        found = yield from self._respond_with_index(request, path, directory, trail)
        return found or (yield from self._respond_with_listing(request, path, directory, trail))

    def _respond_with_index(
        self, request: Request, path: Path, directory: Directory, trail: Trail | None
    ) -> Steps[Response | None]:
        """Respond with the first index file of a directory; None if it has none."""
        for position, name in enumerate(self.index):
            names = (*path.names, name)
            found = self.resolver.resolve(names, trail)
            if isinstance(found, File):
                if trail is not None:
                    trail.note("index", os.fsdecode(name))
                if len(self.index) > 1:  # another of them may have been sent until the folder changed
                    reached_ns = max(found.reached_ns, os.fstat(directory.fd).st_ctime_ns)
                    found = replace(found, reached_ns=reached_ns)
                missing = self.index[:position]
                return (yield from self._respond_with_file(request, path, names, found, trail, missing))
            if isinstance(found, Directory):
                os.close(found.fd)
            elif found in (Fact.FORBIDDEN, Fact.RESOURCES, Fact.DISK_ERROR):
                raise ProtocolError(REASONS[_FACT_REASONS[found]])
        return None

    def _respond_with_listing(
        self, request: Request, path: Path, directory: Directory, trail: Trail | None
    ) -> Steps[Response]:
        if not self.listing:
            if trail is not None:
                trail.note("listing", "switched off (site.listing), and there is no index file")
            raise ProtocolError(REASONS["no-listing"])
        from httpmini.site.listing.listings import CODINGS, FORMS, Wanted  # (prepare.py)
        from httpmini.site.listing.view import view_of
        from httpmini.site.negotiate import preferred

        form = preferred(request.headers, FORMS)
        if trail is not None:
            trail.note("listing", f"as {form}: there is no index file")
        coding = next(iter(acceptable(request.headers, CODINGS)), "")
        wanted = Wanted(path.names, form, coding, view_of(path.sent_query))
        try:
            listing = yield from self.listings().find(directory, wanted)
        except OSError as error:
            raise ProtocolError(REASONS[_FACT_REASONS[fact_of(error)]]) from error
        return self._respond_with_made(
            request, path, listing.entity_tag, listing.fields, listing.text, trail, _LISTING_VARIES
        )

    def _respond_with_file(
        self,
        request: Request,
        path: Path,
        names: tuple[bytes, ...],
        file: File,
        trail: Trail | None,
        missing: tuple[bytes, ...] = (),
    ) -> Steps[Response]:
        """Run steps 7 to 9. The descriptor of the file goes into the response, or is closed here.

        Args:
            request: the request.
            path: the requested path.
            names: the path of the file.
            file: the open file.
            trail: hears what was found out.
            missing: names of index files that would have taken precedence, but do not exist.
        """
        rules = self._fields_of_rules(path, names, trail)
        _, media_type = rules.pop("content-type", ("", self.media_types.of(names[-1])))
        _, coding = rules.pop("content-encoding", ("", ""))
        chosen = file
        keep: tuple[int, ...] = ()
        try:
            if self.codings and not coding:
                chosen, coding = self.variants.find(names, file, acceptable(request.headers, self.codings), trail)
            sent = names if chosen is file else beside(names, coding)
            if trail is not None:
                trail.note("type", media_type + (f", in {coding}" if coding else ""))
            ours = self._validators(chosen, request if trail is not None else None)
            response = _representation(chosen, media_type, coding, bool(self.codings), ours).respond(
                request, self.wall(), trail
            )
            if request.is_conditional and response.status != 304:
                response = yield from self._with_digest(request, response, sent, chosen, trail)
            keep = response.owned_fds
            if not self.codings and response.status == (304 if request.is_conditional else 200):
                response.is_current = self.stamps.stamp(names, file.status, self.wall(), missing, file.reached_ns)
            return _with_fields(response, rules)
        except ProtocolError as error:
            return _with_fields(self.refuse(error, request.target), _without(rules, _LIFETIMES))
        finally:
            for fd in {file.fd, chosen.fd}.difference(keep):
                os.close(fd)

    def _with_digest(
        self, request: Request, response: Response, names: tuple[bytes, ...], file: File, trail: Trail | None
    ) -> Steps[Response]:
        """Run step 9: also for a part of a file, it is the digest of all of it (RFC 9530 §3)."""
        if trail is not None:
            if wanted := self.digests.wanted(request.headers, file, self.wall()):
                trail.note("digest", f"{wanted} of the whole file; it is not made here")
            return response
        digest = yield from self.digests.field(request.headers, names, file, self.wall())
        return _with_fields(response, {"repr-digest": ("Repr-Digest", digest)}) if digest else response

    def _validators(self, file: File, explained: Request | None) -> Validators:
        """Return what tells the version of a file from others.

        Args:
            file: the file.
            explained: the request if it is only explained: then no file is read unless a tag has to be compared.
        """
        if explained is not None and not any('"' in explained.headers.joined(name) for name in _WITH_TAGS):
            return validators(file.status, self.wall(), reached_ns=file.reached_ns)
        try:
            return self.versions.validators(file, self.wall())
        except OSError as error:
            raise ProtocolError(REASONS[_FACT_REASONS[fact_of(error)]]) from error

    def _with_rules(self, response: Response, path: Path, trail: Trail | None) -> Response:
        """Apply the rules to a response that is not a file: all of them but those that say what is in a file."""
        return _with_fields(response, _without(self._fields_of_rules(path, path.names, trail), _OF_FILES))

    def _refuse_path(self, request: Request, error: ProtocolError, trail: Trail | None) -> Response:
        """Return the response for an error, with the fields of the rules: a page may have to be told why (CORS)."""
        response = self.refuse(error, request.target)
        try:
            path = parse_target(request.target, request.target_offset)
        except ProtocolError:
            return response
        rules = self._fields_of_rules(path, path.names, trail)
        return _with_fields(response, _without(rules, (*_OF_FILES, *_LIFETIMES)))

    def _fields_of_rules(self, path: Path, names: tuple[bytes, ...], trail: Trail | None) -> dict[str, Field]:
        """Return the fields of the rules for the requested path, and for the file at ``names`` if that is another."""
        if not self.rules:
            return {}
        requested = spell(path.names, directory=path.is_directory_form)
        return fields_for(self.rules, (requested, None if names == path.names else spell(names)), trail)


def _representation(file: File, media_type: str, coding: str, negotiated: bool, ours: Validators) -> Representation:
    cut = partial(FileSlice, file.fd)
    return Representation(file.status.st_size, cut, (file.fd,), media_type, coding, negotiated, ours)


def _protected(response: Response, user: str) -> Response:
    """Return a response to a user. It is never cached: every request must carry its own credentials."""
    return replace(response, user=user, is_current=None)


def _without(rules: dict[str, Field], names: Iterable[str]) -> dict[str, Field]:
    return {key: field for key, field in rules.items() if key not in names}


def _with_fields(response: Response, rules: dict[str, Field]) -> Response:
    return replace(response, headers=Headers(with_rules(response.headers, rules))) if rules else response


def _parse_target(request: Request, trail: Trail | None) -> Path:
    try:
        path = parse_target(request.target, request.target_offset)
    except ProtocolError:
        if trail is not None:
            trail.note("target", "cannot be parsed")
        raise
    if trail is not None:
        trail.note("target", path_of(path.names) + ("/" if path.is_directory_form and path.names else ""))
    return path


def _check_method(request: Request, trail: Trail | None) -> None:
    if trail is not None and request.method not in _ALLOWED:
        known = "known, and not allowed" if request.method in _KNOWN else "unknown"
        trail.note("method", f"{request.method} is {known}: {', '.join(_ALLOWED)} are")
    if request.method not in _KNOWN:
        raise ProtocolError(REASONS["method-unknown"])
    if request.method not in _ALLOWED:
        raise ProtocolError(REASONS["method-not-allowed"], fields=(_ALLOW,))
