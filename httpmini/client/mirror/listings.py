"""What a folder's listing leads to: our JSON, or the page that another server draws; and whether a link stays below.

Names come from a stranger. They are decoded once, looked at one by one, and asked for exactly as they were written, but
always behind the URL of the folder that we are in: a link can name nothing that is not below it.
"""

from __future__ import annotations

import html
import html.parser
import re
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote, unquote_to_bytes

import msgspec

from httpmini.client.url import Url, join
from httpmini.errors import BadUrl

Names = tuple[bytes, ...]
"""The names of a path below the folder where it all begins; empty for that folder itself."""

_NAME_BYTES = 255  # the most that Linux file systems take

# html.parser takes time that grows with the square of what is not closed: half a minute for 60 kB of "<a ". So the tags
# are found by an expression that looks at each octet once, and html.parser reads them one by one.
_TAG = re.compile(r"""<(?:a|base)\s(?:[^<>"']|"[^"<]*"|'[^'<]*')*+>""", re.IGNORECASE)
_TAG_CHARACTERS = 16_384
_HEADING = re.compile(r"<(?:title|h1|h2)(?:\s[^<>]*)?>([^<]*)<", re.IGNORECASE)
_SAID_TO_BE_ONE = re.compile(r"(?:index of|directory listing (?:for|of)) +/", re.IGNORECASE)
_END = re.compile(r"</html\s*>\s*\Z", re.IGNORECASE)
# Browsers take away what stands around a reference, and the line ends within (WHATWG URL, "basic URL parser").
_BLANKS = "\t\n\f\r "
# What may stand in a reference as it is; the rest is encoded, as browsers do.
_SAFE = "%/:?#[]@!$&'()*+,;=-._~"


@dataclass(frozen=True, slots=True)
class Place:
    """Something below the folder where it all begins.

    Attributes:
        names: decoded; see ``unsafe`` before one of them comes near a disk.
        url: where it is.
        is_folder: whether its URL ends in a slash.
    """

    names: Names
    url: Url
    is_folder: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """What a folder's URL led to.

    Attributes:
        links: references, as they were written.
        base: what they are relative to.
        is_whole: whether these are all the things in the folder, as far as the server tells.
        is_page: whether it is a page of its own, which only happens to have links.
    """

    links: tuple[str, ...]
    base: Url
    is_whole: bool
    is_page: bool


@dataclass(frozen=True, slots=True)
class _Entry:
    href: str


@dataclass(frozen=True, slots=True)
class _Json:
    entries: list[_Entry]


def read_json(body: bytes, url: Url) -> Listing | None:
    """The listing that httpmini sends as JSON; None when this is other JSON."""
    try:
        said = msgspec.json.decode(body, type=_Json)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return Listing(tuple(entry.href for entry in said.entries), url, is_whole=True, is_page=False)


def read_page(body: bytes, url: Url) -> Listing:
    """The links of an HTML page, in order.

    It is a listing when it says so, as those of Apache, lighttpd, nginx and ``http.server`` do ("Index of /sub/"), or
    when a heading is the path, as in ours. Only one with its end is whole: nginx sends listings to clients of HTTP/1.0
    without a length, so that one that was cut off looks complete.
    """
    text = body.decode("utf-8", "surrogateescape")  # octets that are none stay what they are
    tags = _Tags()
    for tag in _TAG.finditer(text):
        if tag.end() - tag.start() <= _TAG_CHARACTERS:
            tags.feed(tag[0])
    path = unquote(url.target, errors="surrogateescape").rstrip("/")
    headings = [" ".join(html.unescape(heading).split()) for heading in _HEADING.findall(text)]
    is_listing = any(_SAID_TO_BE_ONE.match(heading) or heading in (path or "/", f"{path}/") for heading in headings)
    base = url
    if tags.base is not None:
        base = _resolve(url, tags.base) or url
    return Listing(tuple(tags.links), base, is_whole=bool(is_listing and _END.search(text)), is_page=not is_listing)


class _Tags(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.base: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        reference = next((value for name, value in attrs if name == "href" and value is not None), None)
        if reference is None:
            return
        if tag == "a":
            self.links.append(reference)
        elif self.base is None:
            self.base = reference


def follow(link: str, base: Url, folder: Place) -> Place | None:
    """What ``link`` leads to, if that is below ``folder``; None for all else.

    All else: the folder itself and its parents, other hosts, references with a query (they sort the listing), and
    fragments alone. A name may still be one that no disk should see, see ``unsafe``.
    """
    there = _resolve(base, link)
    return None if there is None else below(there, folder)


def below(there: Url, folder: Place) -> Place | None:
    """``there`` as a place, if it is below ``folder``."""
    if there.origin != folder.url.origin or "?" in there.target:
        return None
    above = folder.url.target.split("/")[:-1]
    parts = there.target.split("/")
    if _decode(parts[: len(above)]) != _decode(above):
        return None
    tail = parts[len(above) :]
    is_folder = tail[-1:] == [""]
    names = _decode(tail[:-1] if is_folder else tail)
    if not names:
        return None
    # With the spelling of the folder's own URL in front, and its password.
    return Place((*folder.names, *names), replace(folder.url, target="/".join((*above, *tail))), is_folder)


def _resolve(base: Url, link: str) -> Url | None:
    try:
        return join(base, quote(link.strip(_BLANKS).translate(_NO_LINE_ENDS), safe=_SAFE, errors="surrogateescape"))
    except (BadUrl, UnicodeEncodeError):
        return None


_NO_LINE_ENDS = dict.fromkeys(map(ord, "\t\n\r"))


def _decode(parts: list[str]) -> Names:
    return tuple(unquote_to_bytes(part) for part in parts)


def unsafe(name: bytes) -> str:
    """Why ``name`` cannot be the name of a file here; empty when it can."""
    if name in (b"", b".", b".."):
        return "it is no name of a file"
    if b"/" in name:
        return "it has a slash in it"
    if any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 for char in name.decode("utf-8", "surrogateescape")):
        return "it has a control character in it"
    if len(name) > _NAME_BYTES:
        return f"it has more than {_NAME_BYTES} bytes"
    return ""
