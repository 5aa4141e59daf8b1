"""A safe local name for a file that the server names: one that cannot leave the folder, hide, or drive a terminal.

(wget wrote ``.bashrc`` when told to, CVE-2016-4971; HTTPie left the folder, CVE-2019-10751.)
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from httpmini.client.url import Url
from httpmini.protocol.message import Headers

DEFAULT_NAME = "download"
_MAX_NAME_BYTES = 240  # of the 255 that file systems take, to leave room for ".part.json"

# RFC 6266 §4.1:  filename = value, filename* = ext-value; RFC 8187 §3.2.1:  ext-value = charset "'" language "'" value
_EXTENDED = re.compile(r";\s*filename\*\s*=\s*(?P<charset>[\w-]+)'[^']*'(?P<value>[^;\s]+)", re.IGNORECASE | re.ASCII)
_QUOTED = re.compile(r';\s*filename\s*=\s*"(?P<value>(?:[^"\\]|\\.)*)"', re.IGNORECASE | re.ASCII)
_PLAIN = re.compile(r";\s*filename\s*=\s*(?P<value>[^;\s\"]+)", re.IGNORECASE | re.ASCII)


def name_from(url: Url, headers: Headers) -> str:
    """Return the name to save a response under: from Content-Disposition, else the last component of the URL's path.

    It is a base name without control characters or a leading dot, cut to a length that every file system takes.
    """
    for candidate in (_from_disposition(headers), _from_path(url)):
        if name := _safe(candidate):
            return name
    return DEFAULT_NAME


def _from_path(url: Url) -> str:
    last = url.target.partition("?")[0].rpartition("/")[2]
    return unquote_to_bytes(last).decode("utf-8", "replace")


def _from_disposition(headers: Headers) -> str:
    value = headers.get("Content-Disposition") or ""
    if match := _EXTENDED.search(value):
        charset = match["charset"].lower()
        if charset in ("utf-8", "iso-8859-1"):
            return unquote_to_bytes(match["value"]).decode(charset, "replace")
    if match := _QUOTED.search(value):
        return _as_utf8(re.sub(r"\\(.)", r"\1", match["value"]))
    match = _PLAIN.search(value)
    return _as_utf8(match["value"]) if match else ""


def _as_utf8(text: str) -> str:
    """Decode UTF-8 that was read as ISO-8859-1, as the RFC requires: servers send it all the same."""
    try:
        return text.encode("iso-8859-1").decode("utf-8")
    except UnicodeError:
        return text


def _safe(name: str) -> str:
    name = re.split(r"[/\\]", name)[-1]
    name = "".join("_" if not character.isprintable() or character in ':|<>"?*' else character for character in name)
    name = _cut(name.lstrip(" .")).rstrip(" ")
    # The plan of a part is trusted: a server that could write one could have its bytes put before another's.
    return re.sub(r"\.(part\.json(?:\.new)?)\Z", r"_\1", name, flags=re.IGNORECASE)


def _cut(name: str) -> str:
    encoded = name.encode("utf-8", "replace")
    if len(encoded) <= _MAX_NAME_BYTES:
        return encoded.decode("utf-8")
    stem, dot, extension = name.rpartition(".")
    ending = (dot + extension).encode("utf-8", "replace") if stem and len(extension) <= 10 else b""
    return encoded[: _MAX_NAME_BYTES - len(ending)].decode("utf-8", "ignore") + ending.decode("utf-8", "ignore")
