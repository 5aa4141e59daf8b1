"""Basic authentication (RFC 1945 §11, RFC 7617), before the response reveals anything about what exists.

A realm is a folder and everything below it. It is matched against the path of the request, decoded and without empty
components, and against the folders that were opened for it, so no other spelling of the path avoids it. A symlink from
elsewhere into a realm publishes its target: that is its owner's decision. The same holds for hidden names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from math import ceil
from typing import TYPE_CHECKING, Protocol

import msgspec

from httpmini.errors import ProtocolError
from httpmini.protocol.message import Headers
from httpmini.reasons import REASONS
from httpmini.site.names import fold
from httpmini.site.resolve import FolderId, Resolver
from httpmini.site.trail import Trail, path_of
from httpmini.work import Steps, Work

if TYPE_CHECKING:
    from httpmini.site.guesses import Guesses


# RFC 7617 §2: neither a user-id nor a password contains control characters.
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
# RFC 9110 §11.4:  credentials = auth-scheme [ 1*SP ( token68 / ... ) ]
_BASIC = re.compile(r"basic +(?P<token>[A-Za-z0-9+/]+={0,2})", re.IGNORECASE | re.ASCII)


class Users(Protocol):
    """Knows who has access: a file of users, or one user in memory."""

    guesses: Guesses

    def check(self, name: bytes, password: bytes) -> bool | Work[bool]:
        """Whether ``password`` is the password of the user ``name``, or the work that finds out.

        Raises:
            OSError: the users can no longer be read; then nobody is admitted.
        """
        ...

    def has(self, name: bytes) -> bool:
        """Whether there is a user ``name``.

        Raises:
            OSError: the users can no longer be read.
        """
        ...


class Realm(msgspec.Struct, frozen=True, dict=True):
    """A folder protected by a password.

    Attributes:
        names: the components of its path; empty for the whole site.
        name: the text that a browser shows when it asks for the password.
        users: the users that have access.
        source: the file and the line where it is written; empty if that is not known.
    """

    names: tuple[bytes, ...]
    name: str
    users: Users
    source: str = ""

    def __post_init__(self) -> None:
        """Import what folding needs, before there are threads or children."""
        fold(b"")

    @cached_property
    def folded(self) -> tuple[str, ...]:
        """The components of the path in the form that is compared."""
        return tuple(map(fold, self.names))

    @property
    def challenge(self) -> tuple[str, str]:
        """The WWW-Authenticate field with the encoding of user names (RFC 7617 §2.1)."""
        quoted = re.sub(r'(["\\])', r"\\\1", self.name)
        return "WWW-Authenticate", f'Basic realm="{quoted}", charset="UTF-8"'


def authorise(
    realms: Sequence[Realm], names: tuple[bytes, ...], headers: Headers, host: str = "", trail: Trail | None = None
) -> Steps[str | None]:
    """Check the credentials of a request.

    Args:
        realms: the realms of the site.
        names: the components of the requested path.
        headers: the fields of the request.
        host: the address of the client.
        trail: hears what was found out.

    Returns:
        The name of the user, or None if the path is in no realm.

    Raises:
        ProtocolError: 401 with the challenge; 429 after too many wrong passwords; 500 if the users cannot be read.
    """
    realm = realm_of(realms, names)
    if realm is None:
        if trail is not None:
            trail.note("realm", f"none of {len(realms)} has this path")
        return None
    return (yield from check_credentials(realm, headers, host, trail))


def realm_opened(realms: Sequence[Realm], resolver: Resolver, folders: Sequence[FolderId]) -> Realm | None:
    """Return the innermost realm whose folder is among ``folders``, whatever it was called in the request.

    Some file systems give a folder a second name (PRIVAT~1), or take more names for the same than anybody can list.
    """
    if not folders:
        return None
    inside = [realm for realm in realms if resolver.folder_id(realm.names) in folders]
    return max(inside, key=lambda realm: len(realm.names), default=None)


def check_credentials(realm: Realm, headers: Headers, host: str, trail: Trail | None = None) -> Steps[str]:
    """Return the name of the user whose credentials are in a request.

    Args:
        realm: the realm.
        headers: the fields of the request.
        host: the address of the client.
        trail: hears what was found out; it may say who the user is.

    Raises:
        ProtocolError: 401 with the challenge; 429 after too many wrong passwords; 500 if the users cannot be read.
    """
    if trail is not None:
        trail.note("realm", f'"{realm.name}" has {path_of(realm.names)} and what is below it', realm.source)
        if trail.user:
            return _assume(realm, trail)
    values = headers.all("Authorization")
    credentials = _parse(values[0]) if len(values) == 1 else None
    if credentials is None:
        if trail is not None:
            trail.note("user", "the credentials cannot be read" if values else "no credentials in the request")
        raise ProtocolError(
            REASONS["credentials-malformed" if values else "credentials-missing"], fields=(realm.challenge,)
        )
    admitted = yield from _admits(realm.users, *credentials, host)
    if trail is not None:
        trail.note("user", "name and password are right" if admitted else "name or password is wrong")
    if not admitted:
        raise ProtocolError(REASONS["credentials-wrong"], fields=(realm.challenge,))
    return credentials[0].decode("iso-8859-1")


def _assume(realm: Realm, trail: Trail) -> str:
    """Return the user of the trail, whose password is taken to be right, if the realm has such a user."""
    try:
        known = realm.users.has(trail.user.encode("utf-8", "surrogateescape"))
    except OSError as error:
        trail.note("user", "the file of users cannot be read")
        raise ProtocolError(REASONS["users-unreadable"]) from error
    trail.note("user", f"{trail.user}, {'with the right password' if known else 'who is not in the file of users'}")
    if not known:
        raise ProtocolError(REASONS["credentials-wrong"], fields=(realm.challenge,))
    return trail.user


def _admits(users: Users, name: bytes, password: bytes, host: str) -> Steps[bool]:
    """Whether the credentials are right. A guess is paid for before it is checked: many may come at once."""
    try:
        found = users.check(name, password)
    except OSError as error:
        raise ProtocolError(REASONS["users-unreadable"]) from error
    if isinstance(found, bool):
        return found
    wait_s = users.guesses.take(host)
    if wait_s:
        raise ProtocolError(REASONS["too-many-guesses"], fields=(("Retry-After", str(ceil(wait_s))),))
    yield found
    if found.result():
        users.guesses.give_back(host)
    return found.result()


def realm_of(realms: Sequence[Realm], names: tuple[bytes, ...]) -> Realm | None:
    """Return the innermost realm that contains ``names``, if any."""
    if not realms:
        return None
    folded = tuple(map(fold, names[: max(len(realm.names) for realm in realms)]))
    enclosing = [realm for realm in realms if folded[: len(realm.names)] == realm.folded]
    return max(enclosing, key=lambda realm: len(realm.names), default=None)


def _parse(value: str) -> tuple[bytes, bytes] | None:
    """Return user and password of an Authorization field, or None if it is malformed."""
    match = _BASIC.fullmatch(value)
    if match is None or len(match["token"]) % 4:  # b64decode takes more padding than there may be, in some Pythons
        return None
    from base64 import b64decode  # (prepare.py)

    try:
        decoded = b64decode(match["token"], validate=True)
    except ValueError:
        return None
    user, colon, password = decoded.partition(b":")
    return (user, password) if colon and not _CONTROL.search(decoded) else None
