"""What types cannot express of an entry of [[rules]], [[redirects]] or [[realms]]."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec

from httpmini.config.checks import MEDIA_TYPE
from httpmini.config.draft import Draft
from httpmini.config.schema import RealmSettings, RedirectSettings, RuleSettings
from httpmini.files import why_not
from httpmini.protocol.grammar import BAD_VALUE_OCTET, TOKEN
from httpmini.site.resolve import Resolver
from httpmini.site.rules import Glob, Redirect, encoded, is_loop

_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")

# Fields that only the server can set: they frame the message, or describe what is on the disk.
_RESERVED = {
    *("accept-ranges", "allow", "connection", "content-length", "content-range", "date", "etag"),
    *("keep-alive", "last-modified", "location", "retry-after", "server", "trailer", "transfer-encoding", "upgrade"),
    *("www-authenticate",),
}

# What stored files may be in (RFC 9110 §8.4.1, and the registry of content codings).
_CODINGS = {"br", "compress", "deflate", "gzip", "zstd"}

Found = tuple[int, str, str, object]
"""A problem: the number of the entry, the name of the setting, what is wrong with it, and its value."""


class Complain(Protocol):
    """A function that notes a problem with one setting of the entry."""

    def __call__(self, name: str, remedy: str, value: object = None, /) -> None:
        """Note a problem with the setting ``name``; ``value`` is the wrong part of it."""
        ...


def _check_rule(rule: RuleSettings, _draft: Draft, complain: Complain) -> RuleSettings:
    _check_glob(rule.path, complain)
    for name, value in rule.fields.items():
        entry = {name: value}
        if not TOKEN.fullmatch(name.encode("utf-8")):
            complain("fields", "a field name has letters, digits and hyphens, no spaces and no colon", entry)
        elif name.lower() in _RESERVED:
            complain("fields", f"{name} is set by the server itself", entry)
        elif BAD_VALUE_OCTET.search(value.encode("utf-8")):
            complain("fields", "a field value is one line, without control characters", entry)
        elif not _is_latin1(value):
            complain("fields", "a field value has characters of ISO-8859-1 only", entry)
        elif name.lower() == "vary" and not value:
            complain("fields", "Vary can be extended, but not removed: caches would mix up variants", entry)
        elif name.lower() == "content-encoding" and value and value not in _CODINGS:
            known = ", ".join(sorted(_CODINGS))
            complain("fields", f"says how the files are stored: one of {known}", entry)
        elif name.lower() == "content-type" and not MEDIA_TYPE.fullmatch(value):
            complain("fields", 'must be a media type such as "text/plain; charset=utf-8"', entry)
    return rule


def _check_redirect(redirect: RedirectSettings, _draft: Draft, complain: Complain) -> RedirectSettings:
    _check_glob(redirect.path, complain)
    to = redirect.to
    location, _, fragment = to.partition("#")
    if not _is_target(to):
        complain("to", 'must be a path or a URL, such as "/new/" or "https://example.org/"', to)
    elif to != encoded(to) or _BAD_PERCENT.search(to):
        complain("to", f'must be percent-encoded, such as "{_BAD_PERCENT.sub("%25", encoded(to))}"', to)
    elif "*" in location.removesuffix("/**") or "*" in fragment:
        complain("to", "has a * other than the ** at the end of its path", to)
    elif location.endswith("/**") and (not redirect.path.endswith("/**") or "?" in location):
        complain("to", f'ends with /**, but path = "{redirect.path}" does not, or a query comes before it', to)
    return redirect


def _check_loops(redirects: Sequence[tuple[int, RedirectSettings]]) -> Iterator[Found]:
    """Find redirects that lead back to themselves."""
    all_of_them = [Redirect(Glob(row.path), row.to, 301) for _, row in redirects]
    for number, row in redirects:
        if is_loop(all_of_them, row.path):
            yield number, "to", f'leads into a loop: path = "{row.path}" is redirected again and again', None


def _check_duplicates(realms: Sequence[tuple[int, RealmSettings]]) -> Iterator[Found]:
    """Find realms with the same path."""
    seen = set()
    for number, realm in realms:
        folded = realm.path.strip("/").casefold()
        if folded in seen:
            yield number, "path", "is listed twice: realms are compared without regard to case", realm.path
        seen.add(folded)


def _is_target(to: str) -> bool:
    """Whether ``to`` is a path of this site, or a URL with a host. ``//host`` is refused: it looks like a path."""
    if to.startswith("/"):
        return not to.startswith(("//", "/\\"))
    try:
        parts = urlsplit(to)
        usable = parts.port != 0 and "@" not in parts.netloc and parts.netloc.isascii()
        return parts.scheme in ("http", "https") and bool(parts.hostname) and usable
    except ValueError:
        return False


def _check_realm(realm: RealmSettings, draft: Draft, complain: Complain) -> RealmSettings:
    folder = os.path.join(draft.values["site.root"], realm.path.lstrip("/"))
    components = [] if realm.path == "/" else realm.path.strip("/").split("/")
    if not realm.path.startswith("/") or any(component in ("", ".", "..") for component in components):
        complain("path", 'must be the path of a folder, decoded, such as "/private/"', realm.path)
    elif "*" in realm.path:
        complain("path", "must not be a glob: a realm is a folder and everything below it", realm.path)
    elif not os.path.isdir(folder):
        remedy = f"is not a folder ({folder}); write its name as on disk, without percent-encoding"
        complain("path", remedy, realm.path)
    if not realm.name.isascii() or not realm.name.isprintable():
        complain("name", "must be printable ASCII: it is sent in a header field", realm.name)
    path = os.path.join(draft.folder, realm.users)
    _check_users(realm, path, draft.values, complain)
    return msgspec.structs.replace(realm, users=path)


def _check_users(realm: RealmSettings, path: str, values: Mapping[str, Any], complain: Complain) -> None:
    from httpmini.site import users  # and with it bcrypt, which only realms need

    try:
        for number, what in users.problems(path):
            complain("users", f"line {number} {what}", realm.users)
    except PermissionError as error:
        complain("users", f"cannot be read: {why_not(error, path, values['daemon.user'])}", realm.users)
        return
    except (OSError, ValueError) as error:
        import shlex  # only for this message

        said = error.strerror if isinstance(error, OSError) else error
        remedy = f"make it with: httpmini htpasswd {shlex.quote(realm.users or 'FILE')} NAME"
        complain("users", f"cannot be read: {said}; {remedy}", realm.users)
        return
    if is_served(os.path.realpath(path), values["site.root"], hidden=values["site.hidden"]):
        complain("users", "is inside the served folder, where everybody can read it; move it elsewhere", realm.users)


def is_served(path: str, root: str, *, hidden: bool) -> bool:
    """Whether a site sends the file at ``path``, a real path, to anybody who asks.

    Args:
        path: the file.
        root: the folder that the site serves; nothing is served from one that does not exist.
        hidden: whether it serves names that begin with a dot.
    """
    if not os.path.isdir(root):
        return False  # another check complains
    root = os.path.realpath(root)
    if os.path.commonpath([root, path]) != root:
        return False
    resolver = Resolver(os.fsencode(root), hidden, symlinks=True)
    below = os.fsencode(os.path.relpath(path, root)).split(b"/")
    return all(resolver.shows(name, at_top=not number) for number, name in enumerate(below))


def _check_glob(text: str, complain: Complain) -> None:
    try:
        Glob(text)
    except ValueError as error:
        complain("path", str(error), text)


def _is_latin1(text: str) -> bool:
    try:
        text.encode("iso-8859-1")
    except UnicodeEncodeError:
        return False
    return True


ENTRY_CHECKS: dict[str, Callable[[Any, Draft, Complain], Any]] = {
    "rules": _check_rule,
    "redirects": _check_redirect,
    "realms": _check_realm,
}
"""The check for each kind of entry. It returns the entry with absolute paths."""

LIST_CHECKS: dict[str, Callable[[Any], Iterator[Found]]] = {"redirects": _check_loops, "realms": _check_duplicates}
"""The checks of all entries of one kind together, made once each entry is right by itself."""
