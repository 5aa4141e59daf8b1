"""What types cannot say of an entry of [[rules]], [[redirects]] or [[realms]]."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec

from httpmini.config.checks import Draft
from httpmini.config.settings import RealmSettings, RedirectSettings, RuleSettings
from httpmini.protocol.grammar import BAD_VALUE_OCTET, TOKEN
from httpmini.site import users
from httpmini.site.rules import Glob, Redirect, encoded

# What frames a message, or says what was found on the disk: httpmini knows better.
_OURS = {
    *("accept-ranges", "allow", "connection", "content-encoding", "content-length", "content-range", "date", "etag"),
    *("keep-alive", "last-modified", "location", "retry-after", "server", "trailer", "transfer-encoding", "upgrade"),
    *("www-authenticate",),
}


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
    return rule


def _check_redirect(redirect: RedirectSettings, _draft: Draft, complain: Complain) -> RedirectSettings:
    glob = _check_glob(redirect.path, complain)
    to = redirect.to
    if not _is_target(to):
        complain("to", 'must be a path or a URL, such as "/new/" or "https://example.org/"', to)
    elif to != encoded(to):
        complain("to", f'must be percent-encoded: "{encoded(to)}"', to)
    elif "*" in to.removesuffix("/**"):
        complain("to", "has a * that is not the ** at its end", to)
    elif to.endswith("/**") and not redirect.path.endswith("/**"):
        complain("to", f'ends with **, but path = "{redirect.path}" does not', to)
    elif glob and Redirect(glob, to, 301).leads_to_itself:
        complain("to", f'is matched by path = "{redirect.path}" again: a circle', to)
    return redirect


def _is_target(to: str) -> bool:
    """A path of this site, or a URL with a host. ``//host`` is neither by intention."""
    if to.startswith("/"):
        return not to.startswith(("//", "/\\"))
    try:
        parts = urlsplit(to)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def _check_realm(realm: RealmSettings, draft: Draft, complain: Complain) -> RealmSettings:
    components = [] if realm.path == "/" else realm.path.strip("/").split("/")
    if not realm.path.startswith("/") or any(component in ("", ".", "..") for component in components):
        complain("path", 'must be a folder as it stands in a URL, decoded, such as "/private/"', realm.path)
    elif "*" in realm.path:
        complain("path", "is a folder with all below it, not a glob", realm.path)
    if not realm.name.isascii() or not realm.name.isprintable():
        complain("name", "must be printable ASCII: it stands in a header field", realm.name)
    path = os.path.join(draft.folder, realm.users)
    _check_users(realm, path, draft.values, complain)
    return msgspec.structs.replace(realm, users=path)


def _check_users(realm: RealmSettings, path: str, values: Mapping[str, Any], complain: Complain) -> None:
    try:
        for number, what in users.problems(path):
            complain("users", f"line {number} {what}", realm.users)
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else error
        complain("users", f"cannot be read: {said}; make it with `httpmini htpasswd {realm.users} NAME`", realm.users)
        return
    root, real = os.path.realpath(values["site.root"]), os.path.realpath(path)
    if os.path.commonpath([root, real]) == root:
        below = Path(os.path.relpath(real, root)).parts
        if values["site.hidden"] or not any(name.startswith(".") for name in below):
            complain("users", "lies in the folder that is served, for all to read; move it out of there", realm.users)


def _check_glob(text: str, complain: Complain) -> Glob | None:
    try:
        return Glob(text)
    except ValueError as error:
        complain("path", str(error), text)
        return None


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
