"""Basic authentication (RFC 1945 §11, RFC 7617): before anything is said about what exists.

A realm is a folder with everything below it. What counts is the path asked for, decoded and without empty
components, so that no other spelling leads around it. A symlink from elsewhere into a realm publishes what it leads to,
as its owner said; the same holds for hidden names.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from httpmini.errors import ProtocolError
from httpmini.protocol.message import Headers
from httpmini.reasons import REASONS

if TYPE_CHECKING:
    from httpmini.site.users import Users

# RFC 7617 §2: control characters belong neither into a user-id nor into a password.
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
# RFC 9110 §11.4:  credentials = auth-scheme [ 1*SP ( token68 / ... ) ]
_BASIC = re.compile(r"basic +(?P<token>[A-Za-z0-9+/=]+)", re.IGNORECASE | re.ASCII)


class Realm(msgspec.Struct, frozen=True, dict=True):
    """A folder for those who know a password.

    Attributes:
        names: the components of its path; none is the whole site.
        name: what a browser shows when it asks for the password.
        users: who may enter.
    """

    names: tuple[bytes, ...]
    name: str
    users: Users

    @cached_property
    def folded(self) -> tuple[str, ...]:
        """``names`` as they are compared."""
        return _fold(self.names)

    @property
    def challenge(self) -> tuple[str, str]:
        """The WWW-Authenticate field (RFC 7617 §2.1: the charset says how names are spelled)."""
        quoted = re.sub(r'(["\\])', r"\\\1", self.name)
        return "WWW-Authenticate", f'Basic realm="{quoted}", charset="UTF-8"'


def authorise(realms: Sequence[Realm], names: tuple[bytes, ...], headers: Headers) -> str | None:
    """The name of the user who asks; None where no realm is.

    Raises:
        ProtocolError: 401 with the challenge; or 500 when the users cannot be read.
    """
    realm = _realm_of(realms, names)
    if realm is None:
        return None
    said = headers.all("Authorization")
    credentials = _parse(said[0]) if len(said) == 1 else None
    if credentials is None:
        raise ProtocolError(
            REASONS["credentials-malformed" if said else "credentials-missing"], fields=(realm.challenge,)
        )
    try:
        admitted = realm.users.admit(*credentials)
    except OSError as error:
        raise ProtocolError(REASONS["users-unreadable"]) from error
    if not admitted:
        raise ProtocolError(REASONS["credentials-wrong"], fields=(realm.challenge,))
    return credentials[0].decode("iso-8859-1")


def _realm_of(realms: Sequence[Realm], names: tuple[bytes, ...]) -> Realm | None:
    """The innermost realm that ``names`` are in."""
    if not realms:
        return None
    asked = _fold(names)
    around = [realm for realm in realms if asked[: len(realm.names)] == realm.folded]
    return max(around, key=lambda realm: len(realm.names), default=None)


def _fold(names: tuple[bytes, ...]) -> tuple[str, ...]:
    """Without case and in one normal form: on some file systems /PRIVATE leads to /private.

    Where it does not, one folder more than was meant asks for a password.
    """
    from unicodedata import normalize  # for realms, which most sites do not have

    return tuple(normalize("NFC", name.decode("utf-8", "surrogateescape").casefold()) for name in names)


def _parse(value: str) -> tuple[bytes, bytes] | None:
    """User and password of an Authorization field; None when it is not well-formed."""
    match = _BASIC.fullmatch(value)
    if match is None:
        return None
    try:
        decoded = base64.b64decode(match["token"], validate=True)
    except ValueError:
        return None
    user, colon, password = decoded.partition(b":")
    return (user, password) if colon and not _CONTROL.search(decoded) else None
