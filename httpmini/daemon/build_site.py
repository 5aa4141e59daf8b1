"""A Config becomes a site: a folder and how it is shown."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from httpmini.config import Config
from httpmini.errors import CannotRun
from httpmini.files import why_not
from httpmini.site.authorise import Realm
from httpmini.site.copies import Copies
from httpmini.site.digests import Digests
from httpmini.site.freshness import PathStamps
from httpmini.site.listing.kinds import Kinds
from httpmini.site.media_types import MediaTypes
from httpmini.site.notices import Notices
from httpmini.site.refusals import ErrorPages
from httpmini.site.resolve import Resolver
from httpmini.site.respond import Site
from httpmini.site.rules import FieldRule, Glob, Redirect
from httpmini.site.variants import Variants
from httpmini.site.versions import Versions

if TYPE_CHECKING:
    from httpmini.site.archive.archiver import Archiver, Places
    from httpmini.site.authorise import Users
    from httpmini.site.listing.listings import Listings


def build_site(
    config: Config,
    notify: Callable[[str], None] = lambda _text: None,
    password: Users | None = None,
    places: Places | None = None,
) -> Site:
    """Return the site that ``config`` describes.

    Args:
        config: the settings.
        notify: takes what the operator should know about the files of the site.
        password: who may see any of it; None for everybody.
        places: bounds how many archives an address gets at a time; None for any number.

    Raises:
        CannotRun: a users file cannot be read.
    """
    site = config.site
    root = os.fsencode(Path(site.root).absolute())
    only = os.fsencode(site.only)
    resolver = Resolver(root, site.hidden or bool(only), site.symlinks == "inside", only)
    media_types = MediaTypes(site.default_charset, site.media_types)
    digests = Digests(resolver, site.digests)
    realms = _realms(config, password)
    archiver = _build_archiver(config, resolver, realms, notify, places)
    return Site(
        resolver=resolver,
        versions=Versions(),
        stamps=PathStamps(root),
        index=tuple(os.fsencode(name) for name in site.index),
        listing=site.listing,
        listings=_build_listings(config, resolver, media_types, digests),
        archiver=archiver,
        media_types=media_types,
        codings=tuple(site.precompressed),
        variants=Variants(resolver, Copies(site.precompressed), Notices(notify)),
        digests=digests,
        error_pages=_error_pages(config, root, media_types),
        realms=realms,
        redirects=_redirects(config),
        rules=tuple(
            FieldRule(Glob(one.path), tuple(one.fields.items()), config.place("rules", n))
            for n, one in enumerate(config.rules)
        ),
        wall=time.time,
    )


def _error_pages(config: Config, root: bytes, media_types: MediaTypes) -> ErrorPages:
    """Return the pages for refusals, which may be hidden from everybody who asks for them by name."""
    resolver = Resolver(root, hidden=True, symlinks=config.site.symlinks == "inside")
    paths = {status: _names(path) for status, path in config.site.error_pages.items()}
    return ErrorPages(resolver, paths, media_types)


def _build_listings(
    config: Config, resolver: Resolver, media_types: MediaTypes, digests: Digests
) -> Callable[[], Listings]:
    """Return what returns what draws listings: it is made when the first of them is asked for."""

    @cache
    def listings() -> Listings:
        from httpmini.site.listing.listings import Listings  # with the first tick, or the first listing

        kept_bytes, title = config.limits.response_cache_bytes, config.site.title or _name_of(resolver.root)
        return Listings(resolver, kept_bytes, Kinds(media_types), title, digests, archives=has_archives(config))

    return listings


def _name_of(root: bytes) -> str:
    """Return the name of the root folder, as its listing shows it."""
    from httpmini.site.listing.entries import printable

    return printable(os.fsencode(Path(os.fsdecode(root)).name)) or "/"


def _redirects(config: Config) -> tuple[Redirect, ...]:
    """Return the redirections of the settings, and one to the only file of a site that has no other."""
    rows = tuple(
        Redirect(Glob(one.path), one.to, 301 if one.permanent else 302, config.place("redirects", n))
        for n, one in enumerate(config.redirects)
    )
    only = config.site.only
    return (*rows, Redirect(Glob("/"), "./" + quote(os.fsencode(only), safe=""), 302)) if only else rows


def _realms(config: Config, password: Users | None) -> tuple[Realm, ...]:
    """Return the realms of the settings, and one around all of them if there is a password for the whole site."""
    around = () if password is None else (Realm((), "httpmini", password),)
    inside = (
        Realm(_names(one.path), one.name, _open_users(one.users, config.daemon.user), config.place("realms", n))
        for n, one in enumerate(config.realms)
        if one.path.strip("/") or password is None  # one for the whole site would be as near
    )
    return (*around, *inside)


def _build_archiver(
    config: Config,
    resolver: Resolver,
    realms: Sequence[Realm],
    notify: Callable[[str], None],
    places: Places | None,
) -> Callable[[], Archiver] | None:
    """Return what returns what makes archives; None where there are none, since they show what listings show."""
    if not has_archives(config):
        return None
    from httpmini.site.archive.sums import Sums

    sums = Sums()  # now, so that children share it

    @cache
    def archiver() -> Archiver:
        from httpmini.site.archive.archiver import Archiver  # with the first tick, or the first archive
        from httpmini.site.archive.walk import Bounds

        bounds = Bounds(config.limits.archive_files, config.limits.archive_bytes)
        return Archiver(resolver, realms, bounds, places, notify, sums)

    return archiver


def has_archives(config: Config) -> bool:
    """Whether folders are sent as archives: where they are listed, and more than one file is served."""
    site = config.site
    return site.archives and site.listing and not site.only


def _names(path: str) -> tuple[bytes, ...]:
    return tuple(os.fsencode(name) for name in path.split("/") if name)


def _open_users(path: str, user: str) -> Users:
    from httpmini.site.users import Users  # and with it bcrypt, only where there is a realm

    try:
        return Users(path)
    except OSError as error:
        raise CannotRun(f"cannot read {path}: {why_not(error, path, user)}") from error
