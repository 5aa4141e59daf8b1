"""Folder listings: httpmini's JSON or the page of any other server, and which of their links lead below the folder.

The names come from a stranger. They are decoded once, checked one by one, and requested exactly as they were written,
but always after the URL of the folder they were found in: no link can name anything outside it.
"""

from __future__ import annotations

import html
import html.parser
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, unquote, unquote_to_bytes

import msgspec

from httpmini.client.url import Url, join
from httpmini.errors import BadUrl

Names = tuple[bytes, ...]
"""The path of an entry below the start folder, decoded, as one name per component; empty for the start folder."""

_NAME_BYTES = 255  # the most that Linux file systems take

# html.parser needs quadratic time for tags that are not closed: half a minute for 60 kB of "<a ". So an expression that
# looks at each octet once finds the tags, and html.parser reads them one at a time.
_TAG = re.compile(r"""<(?:a|base)\s(?:[^<>"']|"[^"<]*"|'[^'<]*')*+>""", re.IGNORECASE)
_TAG_CHARACTERS = 16_384
_HEADING = re.compile(r"<(?:title|h1|h2)(?:\s[^<>]*)?>([^<]*)<", re.IGNORECASE)
_LISTING_TITLE = re.compile(r"(?:index of|directory listing (?:for|of)) +/", re.IGNORECASE)
_END = re.compile(r"</html\s*>\s*\Z", re.IGNORECASE)
# Browsers strip these around a reference, and remove line ends inside it (WHATWG URL, "basic URL parser").
_BLANKS = "\t\n\f\r "
_SHA256 = re.compile(r"[0-9a-f]{64}")
# Left as they are in a reference; everything else is percent-encoded, as browsers do.
_SAFE = "%/:?#[]@!$&'()*+,;=-._~"


@dataclass(frozen=True, slots=True)
class Entry:
    """A remote file or folder below the start folder.

    Attributes:
        names: its path; check each name with ``unsafe`` before it is used on a disk.
        url: its URL.
        is_folder: whether the URL ends in a slash.
        sha256: of the file in hexadecimal, if the listing tells it; else empty.
    """

    names: Names
    url: Url
    is_folder: bool
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """The links found at the URL of a folder.

    Attributes:
        links: the references, as written.
        base: the URL that they are relative to.
        is_page: whether this is not a listing but an ordinary page that has links.
        is_cut_off: whether its end is missing, or may be missing.
        digests: the SHA-256 of some files in hexadecimal, by their references.
    """

    links: tuple[str, ...]
    base: Url
    is_page: bool = False
    is_cut_off: bool = False
    digests: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether the links name everything in the folder, as far as the server tells."""
        return not self.is_page and not self.is_cut_off


@dataclass(frozen=True, slots=True)
class _JsonEntry:
    href: str
    sha256: Any = ""

    @property
    def digest(self) -> str:
        """What is a digest; anything else is left out."""
        return self.sha256 if isinstance(self.sha256, str) and _SHA256.fullmatch(self.sha256) else ""


@dataclass(frozen=True, slots=True)
class _Json:
    entries: list[_JsonEntry]


def read_json(body: bytes, url: Url) -> Listing | None:
    """Parse the listing that httpmini sends as JSON; return None for any other JSON."""
    try:
        decoded = msgspec.json.decode(body, type=_Json)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    digests = {entry.href: entry.digest for entry in decoded.entries}
    return Listing(tuple(digests), url, digests=digests)


def read_page(body: bytes, url: Url, *, is_framed: bool = True) -> Listing:
    """Extract the links of an HTML page, in order.

    The page counts as a listing if its title or a heading says so, as with Apache, lighttpd, nginx and ``http.server``
    ("Index of /sub/"), or if a heading is the path, as in httpmini's own. A listing is whole only if its end is there:
    nginx sends listings to HTTP/1.0 clients without a length, so that a truncated one would look complete. The same
    goes for any other page that came so: it may be a listing that was cut off before its title.

    Args:
        body: the page.
        url: where it came from.
        is_framed: whether the response had a length or chunks, so that its end is known.
    """
    text = body.decode("utf-8", "surrogateescape")  # keeps octets that are not UTF-8
    tags = _Tags()
    for tag in _TAG.finditer(text):
        if tag.end() - tag.start() <= _TAG_CHARACTERS:
            tags.feed(tag[0])
    path = unquote(url.target, errors="surrogateescape").rstrip("/")
    headings = [" ".join(html.unescape(heading).split()) for heading in _HEADING.findall(text)]
    is_listing = any(_LISTING_TITLE.match(heading) or heading in (path or "/", f"{path}/") for heading in headings)
    base = url
    if tags.base is not None:
        base = _resolve(url, tags.base) or url
    is_cut_off = (is_listing or not is_framed) and not _END.search(text)
    return Listing(tuple(tags.links), base, is_page=not is_listing, is_cut_off=is_cut_off)


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


def follow(link: str, base: Url, folder: Entry) -> Entry | None:
    """Return the entry that ``link`` leads to, or None if it is not below ``folder``.

    None stands for the folder itself and its parents, other hosts, references with a query (they sort the listing), and
    bare fragments. The names of the entry may still be ``unsafe``.
    """
    there = _resolve(base, link)
    return None if there is None else below(there, folder)


def below(there: Url, folder: Entry) -> Entry | None:
    """Return ``there`` as an entry if it is below ``folder``, else None."""
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
    # Spelled like the folder's own URL as far as that goes, and with its password.
    return Entry((*folder.names, *names), replace(folder.url, target="/".join((*above, *tail))), is_folder)


def _resolve(base: Url, link: str) -> Url | None:
    try:
        return join(base, quote(link.strip(_BLANKS).translate(_NO_LINE_ENDS), safe=_SAFE, errors="surrogateescape"))
    except (BadUrl, UnicodeEncodeError):
        return None


_NO_LINE_ENDS = dict.fromkeys(map(ord, "\t\n\r"))


def _decode(parts: list[str]) -> Names:
    return tuple(unquote_to_bytes(part) for part in parts)


def is_hidden(name: bytes) -> bool:
    """Whether ``name`` begins with a dot.

    Some file systems (HFS+, ext4 with casefolding) ignore characters that are not seen, such as a soft hyphen before
    the dot.
    """
    text = name.decode("utf-8", "surrogateescape")
    return next((char for char in text if unicodedata.category(char) != "Cf"), "") == "."


def unsafe(name: bytes) -> str:
    """Return why ``name`` cannot be used for a local file; empty if it can."""
    if name in (b"", b".", b".."):
        return "it is not a file name"
    if b"/" in name:
        return "the name contains a slash"
    if any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 for char in name.decode("utf-8", "surrogateescape")):
        return "the name contains a control character"
    if len(name) > _NAME_BYTES:
        return f"the name is longer than {_NAME_BYTES} bytes"
    return ""
