"""http and https URLs for a client (RFC 3986, RFC 9110 §4.2)."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from dataclasses import dataclass, field, replace
from functools import lru_cache
from urllib.parse import SplitResult, quote, unquote, urlsplit

from httpmini.addresses import spell_address
from httpmini.errors import BadUrl

DEFAULT_PORTS = {"http": 80, "https": 443}
# Left as they are in a target; "%" because the URL may be encoded already (RFC 3986 §3.3, §3.4).
_TARGET_SAFE = "%/:?#[]@!$&'()*+,;=-._~"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BEGINNING = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:(?=/))?/*")
_ENCODE_IT = "in a user name or password, write / as %2F, ? as %3F and # as %23"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
# RFC 3986 appendix B, without the fragment. (urljoin drops an empty query, and merges several slashes.)
_REFERENCE = re.compile(
    r"(?:(?P<scheme>[^:/?#]+):)?(?://(?P<authority>[^/?#]*))?(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?(?:#.*)?"
)
# RFC 952, RFC 1123 §2.1, and the underscore that is used in practice; IPv4 addresses are left to the resolver.
_HOST = re.compile(r"[A-Za-z0-9._~-]+", re.ASCII)
# A URL of which nothing has to be encoded, decoded or explained: nearly every one. Taking any other apart costs as much
# processor time as the rest of a request on a kept connection. A port above 59999 may be too large.
_PLAIN = re.compile(
    r"(https?)://([a-z0-9._~-]+)(?::([1-9][0-9]{0,3}|[1-5][0-9]{4}))?(/[A-Za-z0-9%/:!$&'()*+,;=._~-]*+(?:\?[A-Za-z0-9%/:!$&'()*+,;=._~?-]*+)?)",
    re.ASCII,
)
# RFC 3986 §3.2.2. (urlsplit ignores what surrounds the brackets.)
_IN_BRACKETS = re.compile(r"\[[^\[\]]*:[^\[\]]*\](?::.*)?")


@dataclass(frozen=True, slots=True)
class Url:
    """Where to connect, and what to request.

    Attributes:
        scheme: "http" or "https".
        host: a name in ASCII or an address, in lower case, without brackets.
        port: the port number.
        target: the request target in origin-form, percent-encoded.
        username: from the userinfo, decoded; None if there is none.
        password: from the userinfo, decoded; None if there is none.
        name: the host as it was written.
    """

    scheme: str
    host: str
    port: int
    target: str = "/"
    username: str | None = field(default=None, repr=False)  # which may be a token
    password: str | None = field(default=None, repr=False)
    name: str = field(default="", compare=False)

    @property
    def origin(self) -> tuple[str, str, int]:
        """The scheme, host and port to which credentials and connections belong (RFC 9110 §4.3.1)."""
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        """The host and the port, always both, with brackets for IPv6 (RFC 9112 §3.2.3).

        A zone has a meaning on this machine only, and is never sent (RFC 6874 §4).
        """
        return _authority(self.host, self.port)

    @property
    def host_field(self) -> str:
        """The value of the Host field: with brackets for IPv6, without a default port (RFC 9110 §7.2)."""
        return _host_field(self.scheme, self.host, self.port)

    @property
    def text(self) -> str:
        """The URL without its userinfo."""
        return f"{self.scheme}://{self.host_field}{self.target}"


def _authority(host: str, port: int) -> str:
    name = host.partition("%")[0]
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"


@lru_cache(maxsize=64)  # many URLs have the same host, and each request needs this twice
def _host_field(scheme: str, host: str, port: int) -> str:
    return _authority(host, port).removesuffix(f":{DEFAULT_PORTS[scheme]}")


@lru_cache(maxsize=256)  # many URLs are fetched again
def parse_url(text: str, *, shorthand: bool = False) -> Url:
    """Parse a URL, dropping the fragment and percent-encoding what needs it.

    Args:
        text: the URL.
        shorthand: accept ``:8080/x`` and ``host:8080/x`` too, as typed at a terminal.

    Raises:
        BadUrl: it has another scheme, no host, or an invalid port.
    """
    if plain := _PLAIN.fullmatch(text):
        return _plain_url(*plain.groups())
    if shorthand and not _SCHEME.match(text):
        text = f"http://localhost{text}" if text.startswith(":") else f"http://{text}"
    shown = without_userinfo(text)
    if _CONTROL.search(text):
        raise BadUrl(f"{shown!r} contains control characters")
    parts, port = _split(text, shown)
    scheme = parts.scheme.lower()
    if scheme not in DEFAULT_PORTS:
        raise BadUrl(f"{shown}: only http and https URLs can be fetched; write http://host:port/path")
    if not parts.hostname or port == 0:
        raise BadUrl(f"{shown}: has no host or port; write {scheme}://host:port/path")
    if _may_be_password(parts):
        raise BadUrl(f"{shown}: {_ENCODE_IT}")
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


def _plain_url(scheme: str, host: str, port: str | None, target: str) -> Url:
    return Url(scheme, host, DEFAULT_PORTS[scheme] if port is None else int(port), target, name=host)


def _split(text: str, shown: str) -> tuple[SplitResult, int | None]:
    """Split a URL, and check the syntax of its host and port; errors call it ``shown``."""
    try:
        parts = urlsplit(text)
        host = parts.netloc.rpartition("@")[2]
        if ("[" in host or "]" in host) and not _IN_BRACKETS.fullmatch(host):
            raise ValueError("brackets")
    except ValueError:  # its text may contain the password
        raise BadUrl(f"{shown}: the host is neither a name nor an address") from None
    try:
        return parts, parts.port
    except ValueError:
        hint = f"; {_ENCODE_IT}" if "***@" in shown else ""
        raise BadUrl(f"{shown}: the port is not a number from 1 to 65535{hint}") from None


def _may_be_password(parts: SplitResult) -> bool:
    """Whether a URL is odd unless its user forgot to encode a password: http://ada:1#2@host/, http://ada:/x@host/.

    Strictly, both are of the host "ada".
    """
    if parts.netloc.endswith(":"):
        return "@" in parts.path + parts.query + parts.fragment
    return "@" in parts.fragment and not parts.path


def join(base: Url, location: str) -> Url:
    """Resolve a Location against ``base`` (RFC 3986 §5.2, RFC 9110 §10.2.2).

    Octets above 127, which were decoded as ISO-8859-1, are percent-encoded as the octets they were. Any user
    information is dropped: a server cannot make the client send a password.

    Raises:
        BadUrl: it is not a reference, or leads to another scheme than http or https.
    """
    octets = quote(location.encode("iso-8859-1", "replace"), safe=_TARGET_SAFE)
    match = _REFERENCE.fullmatch(octets)
    if match is None:  # impossible: the expression matches any single line
        raise BadUrl(f"{location!r} is not a URL reference")
    if match["scheme"] is None and match["authority"] is None:
        target = _resolve(base.target, match["path"], match["query"])
        return replace(base, target=target, username=None, password=None)
    there = parse_url(octets if match["scheme"] is not None else f"{base.scheme}:{octets}")
    path, mark, query = there.target.partition("?")
    return replace(there, target=_without_dots(path) + mark + query, username=None, password=None)


def _resolve(target: str, path: str, query: str | None) -> str:
    """Resolve a path and a query against ``target`` (RFC 3986 §5.2.2)."""
    here, mark, old_query = target.partition("?")
    if path:
        here = _without_dots(path if path.startswith("/") else f"{here.rpartition('/')[0]}/{path}")
        mark = old_query = ""
    return here + mark + old_query if query is None else f"{here}?{query}"


def _without_dots(path: str) -> str:
    """Remove dot segments (RFC 3986 §5.2.4) from a path that begins with a slash."""
    *names, last = path.split("/")[1:]
    kept: list[str] = []
    for name in (*names, *((last, "") if last in (".", "..") else (last,))):
        if name == "..":
            del kept[-1:]
        elif name != ".":
            kept.append(name)
    return "/" + "/".join(kept)


def without_userinfo(text: str) -> str:
    """Return a URL as it was written, for a message, but without its user name and password.

    A password with a slash, a question mark or a number sign makes it another URL, or none. So everything before the
    last ``@`` goes; three stars stand for what may have been more than a user name and a password.
    """
    begin = _BEGINNING.match(text).end()  # type: ignore[union-attr]  # it matches the empty string, too
    userinfo, at, rest = text[begin:].rpartition("@")
    stars = "***@" if at and re.search(r"[/?#]", userinfo) else ""
    return text[:begin] + stars + rest


def _decode(part: str | None) -> str | None:
    return None if part is None else unquote(part)


def _encode(part: str) -> str:
    """Percent-encode what needs it. A command line argument that was not UTF-8 keeps its octets."""
    return quote(part, safe=_TARGET_SAFE, errors="surrogateescape")


def _to_ascii(host: str, text: str) -> str:
    """Convert an internationalised name to A-labels, as used in DNS and the Host field (RFC 5890).

    In a URL, the percent sign before the zone of an address is itself encoded (RFC 6874 §2).
    """
    try:
        if ":" in host:
            return spell_address(ipaddress.IPv6Address(host.replace("%25", "%", 1)))
        encoded = to_a_labels(host)
    except ValueError as error:
        raise BadUrl(f"{text}: {host} is not a host name") from error
    if not _HOST.fullmatch(encoded):
        raise BadUrl(f"{text}: {host} is not a host name")
    return encoded.lower()


def to_a_labels(name: str) -> str:
    """Convert a host name to A-labels (RFC 5891 §4) after the mapping of UTS 46, non-transitional as in browsers.

    Python's own codec follows the older RFC 3490, by which faß.de is fass.de: a host of somebody else. Symbols and the
    underscore are allowed as in UTS 46 and in practice, though RFC 5892 excludes them.

    Raises:
        ValueError: it is not a host name.
    """
    if name.isascii():
        return name
    import idna  # late: its tables take 10 ms, and few names need them

    mapped = idna.uts46_remap(name, std3_rules=False, transitional=False)
    idna.encode("".join("a" if char == "_" or unicodedata.category(char)[0] == "S" else char for char in mapped))
    labels = mapped.split(".")
    return ".".join(label if label.isascii() else f"xn--{label.encode('punycode').decode()}" for label in labels)
