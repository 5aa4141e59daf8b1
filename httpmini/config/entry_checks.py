"""What types cannot say of an entry of [[rules]], [[redirects]] or [[realms]]."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec

from httpmini.config.checks import MEDIA_TYPE, Draft
from httpmini.config.schema import RealmSettings, RedirectSettings, RuleSettings
from httpmini.protocol.grammar import BAD_VALUE_OCTET, TOKEN
from httpmini.site.resolve import Resolver
from httpmini.site.rules import Glob, Redirect, encoded, is_circle

_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")

# What frames a message, or says what was found on the disk: httpmini knows better.
_OURS = {
    *("accept-ranges", "allow", "connection", "content-encoding", "content-length", "content-range", "date", "etag"),
    *("keep-alive", "last-modified", "location", "retry-after", "server", "trailer", "transfer-encoding", "upgrade"),
    *("www-authenticate",),
}


Found = tuple[int, str, str, object]  # the number of the entry, the setting, what is wrong with it, its value


class Complain(Protocol):
    """Takes a problem with one setting of the entry."""

    def __call__(self, name: str, remedy: str, value: object = None, /) -> None:
        """Note it; ``value`` is what is wrong."""
        ...


def _check_rule(rule: RuleSettings, _draft: Draft, complain: Complain) -> RuleSettings:
    _check_glob(rule.path, complain)
    for name, value in rule.fields.items():
        entry = {name: value}
        if not TOKEN.fullmatch(name.encode("utf-8")):
            complain("fields", "a field's name has letters, digits and hyphens, no blanks and no colon", entry)
        elif name.lower() in _OURS:
            complain("fields", f"{name} is httpmini's own to say", entry)
        elif BAD_VALUE_OCTET.search(value.encode("utf-8")):
            complain("fields", "a field's value is one line, without control characters", entry)
        elif not _is_latin1(value):
            complain("fields", "a field's value has characters of ISO-8859-1 only", entry)
        elif name.lower() == "vary" and not value:
            complain("fields", "Vary can be added to, but not taken away: caches would mix up variants", entry)
        elif name.lower() == "content-type" and not MEDIA_TYPE.fullmatch(value):
            complain("fields", 'a media type looks like "text/plain; charset=utf-8"', entry)
    return rule


def _check_redirect(redirect: RedirectSettings, _draft: Draft, complain: Complain) -> RedirectSettings:
    _check_glob(redirect.path, complain)
    to = redirect.to
    place, _, fragment = to.partition("#")
    if not _is_target(to):
        complain("to", 'must be a path or a URL, such as "/new/" or "https://example.org/"', to)
    elif to != encoded(to) or _BAD_PERCENT.search(to):
        complain("to", f'must be percent-encoded, such as "{_BAD_PERCENT.sub("%25", encoded(to))}"', to)
    elif "*" in place.removesuffix("/**") or "*" in fragment:
        complain("to", "has a * that is not the ** at the end of its path", to)
    elif place.endswith("/**") and (not redirect.path.endswith("/**") or "?" in place):
        complain("to", f'ends with /**, but path = "{redirect.path}" does not, or there is a query before it', to)
    return redirect


def _check_circles(redirects: Sequence[tuple[int, RedirectSettings]]) -> Iterator[Found]:
    ready = [Redirect(Glob(row.path), row.to, 301) for _, row in redirects]
    for number, row in redirects:
        if is_circle(ready, row.path):
            yield number, "to", f'is redirected again and again: path = "{row.path}" leads into a circle', None


def _check_doubles(realms: Sequence[tuple[int, RealmSettings]]) -> Iterator[Found]:
    seen = set()
    for number, realm in realms:
        folded = realm.path.strip("/").casefold()
        if folded in seen:
            yield number, "path", "is there twice: realms are compared without regard to case", realm.path
        seen.add(folded)


def _is_target(to: str) -> bool:
    """A path of this site, or a URL with a host. ``//host`` is neither by intention."""
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
        complain("path", 'must be a folder as it stands in a URL, decoded, such as "/private/"', realm.path)
    elif "*" in realm.path:
        complain("path", "is a folder with all below it, not a glob", realm.path)
    elif not os.path.isdir(folder):
        complain(
            "path", f"is not a folder ({folder}); write it as it is on the disk, without percent-encoding", realm.path
        )
    if not realm.name.isascii() or not realm.name.isprintable():
        complain("name", "must be printable ASCII: it stands in a header field", realm.name)
    path = os.path.join(draft.folder, realm.users)
    _check_users(realm, path, draft.values, complain)
    return msgspec.structs.replace(realm, users=path)


def _check_users(realm: RealmSettings, path: str, values: Mapping[str, Any], complain: Complain) -> None:
    from httpmini.site import users  # and with it bcrypt, only where there is a realm

    try:
        for number, what in users.problems(path):
            complain("users", f"line {number} {what}", realm.users)
    except (OSError, ValueError) as error:
        import shlex  # for those who err

        said = error.strerror if isinstance(error, OSError) else error
        remedy = f"make it with: httpmini htpasswd {shlex.quote(realm.users or 'FILE')} NAME"
        complain("users", f"cannot be read: {said}; {remedy}", realm.users)
        return
    if _is_served(os.path.realpath(path), values):
        complain("users", "lies in the folder that is served, for all to read; move it out of there", realm.users)


def _is_served(path: str, values: Mapping[str, Any]) -> bool:
    if not os.path.isdir(values["site.root"]):
        return False  # another check has complained
    root = os.path.realpath(values["site.root"])
    if os.path.commonpath([root, path]) != root:
        return False
    resolver = Resolver(os.fsencode(root), values["site.hidden"], symlinks=True)
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
"""The check for each kind of entry; what it gives back has absolute paths."""

LIST_CHECKS: dict[str, Callable[[Any], Iterator[Found]]] = {"redirects": _check_circles, "realms": _check_doubles}
"""What the entries of one kind may not be together, made when each of them is right alone."""
