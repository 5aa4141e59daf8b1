"""A request of the client, and its head as octets."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from httpmini.client.credentials import Credentials, basic
from httpmini.client.decode import ACCEPTED
from httpmini.client.url import Url
from httpmini.errors import BadUrl
from httpmini.protocol.grammar import BAD_TARGET_OCTET, TOKEN
from httpmini.protocol.writer import field_block, request_line
from httpmini.version import __version__

Fields = tuple[tuple[str, str], ...]

_REMEMBERED = 32  # sets of fields: those of one program that fetches many files are nearly always the same
_DEFAULT_FIELDS = (("User-Agent", f"httpmini/{__version__}"), ("Accept", "*/*"), ("Connection", "keep-alive"))


class Request(msgspec.Struct, frozen=True):
    """A request; redirections make new ones of it.

    Attributes:
        method: the method.
        url: of the server.
        headers: all header fields but Host and Content-Length.
        data: the body.
        started: when the first request began, monotonic time.
        head: the encoded head for the server itself; a proxy needs more.
    """

    method: str
    url: Url
    headers: Fields
    data: bytes
    started: float
    head: bytes

    def __repr__(self) -> str:  # without fields and body, which may hold a password
        return f"Request({self.method!r}, {self.url.text!r})"

    @property
    def wants_identity(self) -> bool:
        """Whether it asks for the octets as they are; a coding that comes all the same is then the caller's matter."""
        return any(name.lower() == "accept-encoding" and value == "identity" for name, value in self.headers)


class Encoder:
    """Makes the requests of one client, and spells their heads.

    What does not depend on the target is merged, checked and spelled once, and remembered as long as the client lives:
    that takes longer than the request itself on a kept connection.

    Args:
        fields: header fields for every request; they replace the default ones of the same name.
    """

    def __init__(self, fields: Fields) -> None:
        self._fields = fields
        self._merged = lru_cache(_REMEMBERED)(_merge)
        self._block = lru_cache(_REMEMBERED)(_spell_fields)

    def merge(self, credentials: Credentials | None, fields: Fields, *, decode: bool) -> Fields:
        """Merge the default fields, the client's and ``fields``; the later replace the earlier.

        Args:
            credentials: for the Authorization field.
            fields: of one request.
            decode: request a coded body.
        """
        return self._merged(decode, credentials, self._fields, fields)

    def request(self, method: str, url: Url, fields: Fields, data: bytes, started: float) -> Request:
        """Make a request; the arguments are its attributes.

        Raises:
            BadUrl: it cannot be encoded, which is found out before anything is connected.
        """
        return Request(method, url, fields, data, started, self._head(method, url, url.target, fields, data))

    def redirected(self, request: Request, url: Url, fields: Fields) -> Request:
        """Make the request to which ``request`` was redirected.

        Raises:
            BadUrl: it cannot be encoded.
        """
        return self.request(request.method, url, fields, request.data, request.started)

    def proxied_head(self, request: Request, fields: Fields) -> bytes:
        """Encode the head of a request to a proxy: with the whole URL as its target, and the ``fields`` for the proxy.

        Raises:
            BadUrl: it cannot be encoded.
        """
        url = request.url
        return self._head(request.method, url, url.text, (*request.headers, *fields), request.data)

    def _head(self, method: str, url: Url, target: str, fields: Fields, data: bytes) -> bytes:
        length = str(len(data)) if data or method in ("POST", "PUT", "PATCH") else ""
        try:
            if not TOKEN.fullmatch(method.encode("ascii")) or BAD_TARGET_OCTET.search(target.encode("ascii")):
                raise ValueError(f"not a request: {method!r} {target!r}")
            return request_line(method, target) + self._block(url.host_field, fields, length)
        except UnicodeEncodeError:  # its text may contain a part of a password
            raise BadUrl(
                "this request cannot be sent: its fields must be ISO-8859-1 text, and its method ASCII"
            ) from None
        except ValueError as error:
            raise BadUrl(f"this request cannot be sent: {error}") from error


def _merge(decode: bool, credentials: Credentials | None, general: Fields, special: Fields) -> Fields:
    merged = [*_DEFAULT_FIELDS, ("Accept-Encoding", ACCEPTED)] if decode else [*_DEFAULT_FIELDS]
    if credentials:
        merged.append(("Authorization", basic(credentials)))
    for fields in filter(None, (general, special)):
        replaced = {name.lower() for name, _ in fields}
        merged = [field for field in merged if field[0].lower() not in replaced] + list(fields)
    return tuple(field for field in merged if field[1])


def _spell_fields(host: str, fields: Fields, length: str) -> bytes:
    """Return the fields of a head as octets, Host first, with the empty line.

    Raises:
        BadUrl: a field is not the caller's to set.
        ValueError: a field contains characters that it must not have.
    """
    named = {name.lower() for name, _ in fields}
    if framing := named & {"content-length", "transfer-encoding"}:
        raise BadUrl(f"the field {framing.pop()} follows from the body, and cannot be set")
    first = () if "host" in named else (("Host", host),)
    last = (("Content-Length", length),) if length else ()
    return field_block((*first, *fields, *last))
