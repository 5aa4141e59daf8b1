"""A Config becomes a site: a folder and how it is shown."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from errno import EACCES
from pathlib import Path
from typing import TYPE_CHECKING

from httpmini.config import Config
from httpmini.errors import CannotRun
from httpmini.files import why_not
from httpmini.site.authorise import Realm
from httpmini.site.copies import Copies
from httpmini.site.digests import Digests
from httpmini.site.freshness import PathStamps
from httpmini.site.listing import Listings
from httpmini.site.media_types import MediaTypes
from httpmini.site.notices import Notices
from httpmini.site.refusals import ErrorPages
from httpmini.site.resolve import Resolver
from httpmini.site.respond import Site
from httpmini.site.rules import FieldRule, Glob, Redirect
from httpmini.site.variants import Variants
from httpmini.site.versions import Versions

if TYPE_CHECKING:
    from httpmini.site.users import Users


def build_site(config: Config, notify: Callable[[str], None] = lambda _text: None) -> Site:
    """Return the site that ``config`` describes.

    Args:
        config: the settings.
        notify: takes what the operator should know about the files of the site.

    Raises:
        CannotRun: a users file cannot be read.
    """
    site = config.site
    root = os.fsencode(Path(site.root).absolute())
    resolver = Resolver(root, site.hidden, site.symlinks == "inside")
    media_types = MediaTypes(site.default_charset, site.media_types)
    digests = Digests(resolver, site.digests)
    # Pages for refusals may be hidden from everybody who asks for them by name.
    pages_from = Resolver(root, hidden=True, symlinks=site.symlinks == "inside")
    return Site(
        resolver=resolver,
        versions=Versions(),
        stamps=PathStamps(root),
        index=tuple(os.fsencode(name) for name in site.index),
        listing=site.listing,
        listings=Listings(resolver, config.limits.response_cache_bytes, digests),
        media_types=media_types,
        codings=tuple(site.precompressed),
        variants=Variants(resolver, Copies(site.precompressed), Notices(notify)),
        digests=digests,
        error_pages=ErrorPages(
            pages_from, {status: _names(path) for status, path in site.error_pages.items()}, media_types
        ),
        realms=tuple(
            Realm(_names(one.path), one.name, _open_users(one.users, config.daemon.user), config.place("realms", n))
            for n, one in enumerate(config.realms)
        ),
        redirects=tuple(
            Redirect(Glob(one.path), one.to, 301 if one.permanent else 302, config.place("redirects", n))
            for n, one in enumerate(config.redirects)
        ),
        rules=tuple(
            FieldRule(Glob(one.path), tuple(one.fields.items()), config.place("rules", n))
            for n, one in enumerate(config.rules)
        ),
        wall=time.time,
    )


def _names(path: str) -> tuple[bytes, ...]:
    return tuple(os.fsencode(name) for name in path.split("/") if name)


def _open_users(path: str, user: str) -> Users:
    from httpmini.site.users import Users  # and with it bcrypt, only where there is a realm

    try:
        return Users(path)
    except OSError as error:
        # Not looked up: in a chroot that would load libraries from inside.
        who = f"; this process runs as {user or f'user number {os.geteuid()}'}" if error.errno == EACCES else ""
        raise CannotRun(f"cannot read {path}: {why_not(error, path)}{who}") from error
