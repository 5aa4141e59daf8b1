"""A request target becomes the names of a path: split at the slashes first, then decoded, once.

Splitting before decoding means that ``%2F`` cannot make a new component, and decoding once means that ``%252e``
stays the three characters ``%2e``.
"""

from __future__ import annotations

import re
from urllib.parse import quote_from_bytes, unquote_to_bytes

import msgspec

from httpmini.errors import ProtocolError
from httpmini.reasons import REASONS

# RFC 3986 §3.1 and §3.2; a scheme is compared without regard to case.
_ABSOLUTE = re.compile(r"https?://(?P<authority>[^/?#]+)(?P<path>[^?#]*)", re.IGNORECASE)
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NUL = re.compile("%00|\0")

# RFC 3986 §3.4:  query = *( pchar / "/" / "?" ); letters, digits and -._~ are never encoded by quote.
_QUERY_SAFE = "!$&'()*+,;=:@/?%"


class Path(msgspec.Struct, frozen=True):
    """A decoded path.

    Attributes:
        names: the components in order, as the file system knows them; empty for the root.
        is_directory_form: whether the path ends in a slash; the root's always does.
        query: with its question mark, or empty; percent-encoded as it must be, so that it may be sent back.
    """

    names: tuple[bytes, ...]
    is_directory_form: bool
    query: str


def parse_target(target: str, offset: int = 0) -> Path:
    """Read an origin-form or absolute-form target (RFC 9112 §3.2.1, §3.2.2).

    Empty components are dropped, so that ``//a`` is ``/a``: links that were glued together carelessly are common,
    and no file has an empty name. A user name in an absolute-form is refused: it can only be there to mislead, and its
    password would stand in logs (RFC 9110 §4.2.4).

    Args:
        target: as it was sent.
        offset: where it begins in the message, for the errors.

    Raises:
        ProtocolError: not one of these forms, or a wrong percent-encoding.
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
    segments = [segment for segment in path.split("/") if segment]
    names = tuple(unquote_to_bytes(segment.encode("iso-8859-1")) for segment in segments)
    if nul := _NUL.search(path):
        raise ProtocolError(REASONS["target-nul"], offset + begin + nul.start())
    sendable = quote_from_bytes((mark + query).encode("iso-8859-1"), safe=_QUERY_SAFE)
    return Path(names, path.endswith("/"), _BAD_PERCENT.sub("%25", sendable))


def link_to(name: bytes, *, directory: bool) -> str:
    """A relative reference to ``name`` in the present directory (RFC 3986 §4.2).

    More is encoded than must be: a semicolon or plus sign is right as it is, and read wrongly by some clients.
    """
    return "./" + quote_from_bytes(name, safe="") + ("/" if directory else "")
