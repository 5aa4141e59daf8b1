"""http and https URLs, as far as a client needs them (RFC 3986, RFC 9110 §4.2)."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from urllib.parse import quote, unquote, urlsplit

from httpmini.errors import BadUrl

DEFAULT_PORTS = {"http": 80, "https": 443}
# What may stand in a target as it is; "%" because the person may have encoded it already (RFC 3986 §3.3, §3.4).
_TARGET_SAFE = "%/:?#[]@!$&'()*+,;=-._~"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
# RFC 3986 appendix B, without the fragment. (urljoin takes an empty query for none, and several slashes for one.)
_REFERENCE = re.compile(
    r"(?:(?P<scheme>[^:/?#]+):)?(?://(?P<authority>[^/?#]*))?(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?(?:#.*)?"
)
# RFC 952, RFC 1123 §2.1, and the underscore that people use; an address of version 4 is looked at by the resolver.
_HOST = re.compile(r"[A-Za-z0-9._~-]+", re.ASCII)
_IN_BRACKETS = re.compile(
    r"\[[^\[\]]*:[^\[\]]*\](?::.*)?"
)  # RFC 3986 §3.2.2; urlsplit overlooks what stands around them


@dataclass(frozen=True, slots=True)
class Url:
    """Where to connect, and what to ask for.

    Attributes:
        scheme: "http" or "https".
        host: a name in ASCII or an address, without brackets, in lower case.
        port: a number.
        target: the request target in origin-form, percent-encoded.
        username: from the userinfo, decoded; None when there is none.
        password: the same; None when there is none.
        name: the host as the person wrote it.
    """

    scheme: str
    host: str
    port: int
    target: str = "/"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    name: str = field(default="", compare=False)

    @property
    def origin(self) -> tuple[str, str, int]:
        """What credentials and connections belong to (RFC 9110 §4.3.1)."""
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        """Host and port, with brackets for IPv6, both always there (RFC 9112 §3.2.3).

        A zone means something on this machine only, and is never sent (RFC 6874 §4).
        """
        host = self.host.partition("%")[0]
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    @property
    def host_field(self) -> str:
        """The Host field: brackets for IPv6, the port when it is not the scheme's own (RFC 9110 §7.2)."""
        return self.authority.removesuffix(f":{DEFAULT_PORTS[self.scheme]}")

    @property
    def text(self) -> str:
        """The URL without its userinfo."""
        return f"{self.scheme}://{self.host_field}{self.target}"


@lru_cache(maxsize=256)  # taking a URL apart costs a quarter of asking for a small file, and many are asked for again
def parse_url(text: str, *, shorthand: bool = False) -> Url:
    """Read a URL; a fragment is dropped, and what must be encoded is.

    Args:
        text: the URL.
        shorthand: take ``:8080/x`` and ``host:8080/x`` too, as people write them at a terminal.

    Raises:
        BadUrl: another scheme, no host, a wrong port.
    """
    if shorthand and not _SCHEME.match(text):
        text = f"http://localhost{text}" if text.startswith(":") else f"http://{text}"
    shown = _hide_password(text)
    if _CONTROL.search(text):
        raise BadUrl(f"{shown!r} has control characters in it")
    try:
        parts = urlsplit(text)
        place = parts.netloc.rpartition("@")[2]
        if ("[" in place or "]" in place) and not _IN_BRACKETS.fullmatch(place):
            raise ValueError("brackets")
    except ValueError as error:  # its text may have the password in it
        raise BadUrl(f"{shown}: the host is neither a name nor an address") from error
    try:
        port = parts.port
    except ValueError as error:
        raise BadUrl(f"{shown}: the port is not a number from 1 to 65535") from error
    scheme = parts.scheme.lower()
    if scheme not in DEFAULT_PORTS:
        raise BadUrl(f"{shown}: only http and https URLs can be fetched; write http://host:port/path")
    if not parts.hostname or port == 0:
        raise BadUrl(f"{shown}: has no host or port; write {scheme}://host:port/path")
    has_query = "?" in text.partition("#")[0]  # an empty one is not the same as none (RFC 3986 §6.2.3)
    target = _encode(parts.path or "/") + (f"?{_encode(parts.query)}" if has_query else "")
    return Url(
        scheme,
        _to_ascii(parts.hostname, shown),
        DEFAULT_PORTS[scheme] if port is None else port,
        target,
        _decode(parts.username),
        _decode(parts.password),
        parts.hostname,
    )


def join(base: Url, location: str) -> Url:
    """Where a Location leads from ``base`` (RFC 3986 §5.2, RFC 9110 §10.2.2).

    Its octets above 127 were decoded as ISO-8859-1, and are encoded as the octets that they were. A user name in it is
    dropped: nobody has a password sent because a server says so.

    Raises:
        BadUrl: it is no reference, or leads to something that is not http.
    """
    octets = quote(location.encode("iso-8859-1", "replace"), safe=_TARGET_SAFE)
    match = _REFERENCE.fullmatch(octets)
    if match is None:  # cannot be: the expression takes any text in one line
        raise BadUrl(f"{location!r} is no reference to a URL")
    if match["scheme"] is None and match["authority"] is None:
        target = _resolve(base.target, match["path"], match["query"])
        return replace(base, target=target, username=None, password=None)
    there = parse_url(octets if match["scheme"] is not None else f"{base.scheme}:{octets}")
    path, mark, query = there.target.partition("?")
    return replace(there, target=_without_dots(path) + mark + query, username=None, password=None)


def _resolve(target: str, path: str, query: str | None) -> str:
    """The target that a path and a query lead to from ``target`` (RFC 3986 §5.2.2)."""
    here, mark, asked = target.partition("?")
    if path:
        here = _without_dots(path if path.startswith("/") else f"{here.rpartition('/')[0]}/{path}")
        mark = asked = ""
    return here + mark + asked if query is None else f"{here}?{query}"


def _without_dots(path: str) -> str:
    """RFC 3986 §5.2.4; ``path`` begins with a slash."""
    *names, last = path.split("/")[1:]
    kept: list[str] = []
    for name in (*names, *((last, "") if last in (".", "..") else (last,))):
        if name == "..":
            del kept[-1:]
        elif name != ".":
            kept.append(name)
    return "/" + "/".join(kept)


def _hide_password(text: str) -> str:
    return re.sub(r"(?<=://)[^/?#]*@", "", text)


def _decode(part: str | None) -> str | None:
    return None if part is None else unquote(part)


def _encode(part: str) -> str:
    """Percent-encode what must be; an argument that was not UTF-8 keeps its octets."""
    return quote(part, safe=_TARGET_SAFE, errors="surrogateescape")


def _to_ascii(host: str, text: str) -> str:
    """An internationalised name as the A-labels that DNS and the Host field know (RFC 5890).

    In a URL, the percent sign before the zone of an address is encoded (RFC 6874 §2).
    """
    try:
        if ":" in host:
            return str(ipaddress.IPv6Address(host.replace("%25", "%", 1)))
        encoded = host if host.isascii() else host.encode("idna").decode("ascii")
    except ValueError as error:
        raise BadUrl(f"{text}: {host} is not a host name") from error
    if not _HOST.fullmatch(encoded):
        raise BadUrl(f"{text}: {host} is not a host name")
    return encoded.lower()
