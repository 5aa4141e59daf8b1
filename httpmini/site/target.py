"""Parse a request target into the names of a path: first split at slashes, then decode, once.

Because it is split first, ``%2F`` cannot create another component. Because it is decoded once, ``%252e`` becomes the
three characters ``%2e``.
"""

from __future__ import annotations

import re
from urllib.parse import quote_from_bytes, unquote_to_bytes

import msgspec

from httpmini.errors import ProtocolError
from httpmini.reasons import REASONS

# RFC 3986 §3.1 and §3.2; schemes are case-insensitive.
_ABSOLUTE = re.compile(r"https?://(?P<authority>[^/?#]+)(?P<path>[^?#]*)", re.IGNORECASE)
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NUL = re.compile("%00|\0")
_SLASH = re.compile(rb"%2[Ff]")

_NO_STEP = (b"", b".")

# RFC 3986 §3.4:  query = *( pchar / "/" / "?" ); quote never encodes letters, digits and -._~.
_QUERY_SAFE = "!$&'()*+,;=:@/?%"


MAX_NAMES = 256
"""How many components a path may have; longer ones are not looked up. (Linux takes at most 4,096 bytes.)"""


class Path(msgspec.Struct, frozen=True):
    """A decoded path.

    Attributes:
        names: the components in order, as the file system has them; empty for the root.
        is_directory_form: whether the path ends in a slash; the root always does.
        sent_query: with its question mark, or empty; as it was sent.
    """

    names: tuple[bytes, ...]
    is_directory_form: bool
    sent_query: str

    @property
    def query(self) -> str:
        """The query, percent-encoded as needed, so that it is safe to send back."""
        sendable = quote_from_bytes(self.sent_query.encode("iso-8859-1"), safe=_QUERY_SAFE)
        return _BAD_PERCENT.sub("%25", sendable)


def parse_target(target: str, offset: int = 0) -> Path:
    """Parse an origin-form or absolute-form target (RFC 9112 §3.2.1, §3.2.2).

    Empty components are dropped, so ``//a`` is ``/a``: carelessly concatenated links are common, and no file has an
    empty name. So are single dots, which mean no step (RFC 3986 §5.2.4), also at the end and as ``%2E`` (§6.2.2.2): apt
    asks for ``/./Release``. An absolute-form with a user name is refused: it can only be meant to mislead, and the
    password would be logged (RFC 9110 §4.2.4).

    Args:
        target: as it was received.
        offset: where it begins in the message, for errors.

    Raises:
        ProtocolError: another form, or a malformed percent-encoding.
    """
    path, mark, query = target.partition("?")
    begin = 0
    if absolute := _ABSOLUTE.fullmatch(path):
        if "@" in absolute["authority"]:
            raise ProtocolError(REASONS["target-userinfo"], offset + absolute.start("authority"))
        path, begin = absolute["path"] or "/", absolute.start("path")
    if not path.startswith("/"):
        raise ProtocolError(REASONS["target-form"], offset)
    if bad := _BAD_PERCENT.search(path):
        raise ProtocolError(REASONS["target-percent"], offset + begin + bad.start())
    if nul := _NUL.search(path):
        raise ProtocolError(REASONS["target-nul"], offset + begin + nul.start())
    segments = _decode(path)
    names = tuple(name for name in segments if name not in _NO_STEP)
    return Path(names, segments[-1] in _NO_STEP, mark + query)


def _decode(path: str) -> list[bytes]:
    """Return the segments of a path without NUL, which stands in for an encoded slash while all is decoded at once."""
    octets = path.encode("iso-8859-1")
    if b"%" not in octets:
        return octets.split(b"/")
    decoded = unquote_to_bytes(_SLASH.sub(b"\0", octets))
    return [name.replace(b"\0", b"/") for name in decoded.split(b"/")]


def link_to(name: bytes, *, directory: bool) -> str:
    """Return a relative reference to ``name`` in the current directory (RFC 3986 §4.2).

    More is encoded than necessary: a plain semicolon or plus sign is correct, but some clients misread it.
    """
    return "./" + quote_from_bytes(name, safe="") + ("/" if directory else "")
