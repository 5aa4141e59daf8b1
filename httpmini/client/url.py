"""http URLs, as far as a client needs them (RFC 3986, RFC 9110 §4.2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from httpmini.errors import BadUrl

DEFAULT_PORT = 80
# What may stand in a target as it is; "%" because the person may have encoded it already (RFC 3986 §3.3, §3.4).
_TARGET_SAFE = "%/:?#[]@!$&'()*+,;=-._~"


@dataclass(frozen=True, slots=True)
class Url:
    """Where to connect, and what to ask for.

    Attributes:
        host: a name in ASCII or an address, without brackets.
        port: a number.
        target: the request target in origin-form.
        name: the host as the person wrote it.
    """

    host: str
    port: int
    target: str
    name: str = field(default="", compare=False)

    @property
    def host_field(self) -> str:
        """The Host field: brackets for IPv6, the port when it is not 80 (RFC 9110 §7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORT else f"{host}:{self.port}"


def parse_url(text: str) -> Url:
    """Read an http URL; a fragment is dropped, and what must be encoded is.

    Raises:
        BadUrl: another scheme, no host, a wrong port.
    """
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in text):
        raise BadUrl(f"{text!r} has control characters in it")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise BadUrl(f"{text}: {error}") from error
    if parts.scheme.lower() != "http":
        raise BadUrl(f"{text}: only http URLs can be fetched; write http://host:port/path")
    if not parts.hostname:
        raise BadUrl(f"{text}: has no host; write http://host:port/path")
    if parts.username is not None:
        raise BadUrl(f"{text}: user names in URLs are not supported")
    target = _encode(parts.path or "/") + (f"?{_encode(parts.query)}" if parts.query else "")
    host = _to_ascii(parts.hostname, text)
    return Url(host, DEFAULT_PORT if port is None else port, target, parts.hostname)


def _encode(part: str) -> str:
    """Percent-encode what must be; an argument that was not UTF-8 keeps its octets."""
    return quote(part, safe=_TARGET_SAFE, errors="surrogateescape")


def _to_ascii(host: str, text: str) -> str:
    """An internationalised name as the A-labels that DNS and the Host field know (RFC 5890)."""
    try:
        return host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise BadUrl(f"{text}: {host} is not a host name") from error
