"""The README of a folder, drawn below its listing: Markdown, or plain text.

Its author is a stranger to whoever reads it. HTML in it is shown as text, links lead only where ``validateLink`` of the
library lets them (no javascript:), and the page's Content-Security-Policy lets images come from this server only.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

from httpmini.site.listing.entries import READMES, Entry, Names, printable, printable_text
from httpmini.site.resolve import Directory, File, Resolver

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markupsafe import Markup

_MOST_BYTES = 64 * 1024
_MOST_NESTED = 20


def find_readme(entries: Iterable[Entry], names: Names, resolver: Resolver) -> tuple[str, bytes]:
    """Return the name for display and the text of a folder's README; both empty if it has none that can be shown."""
    found = {entry.name.lower(): entry.name for entry in entries if entry.is_file and entry.name.lower() in READMES}
    for lowered in READMES:
        text = _read((*names, found[lowered]), resolver) if lowered in found else b""
        if text:
            return printable(found[lowered]), text
    return "", b""


def _read(names: Names, resolver: Resolver) -> bytes:
    """Return the whole of a file; nothing if it cannot be read, or is too large."""
    opened = resolver.resolve(names)
    if isinstance(opened, Directory):
        os.close(opened.fd)
    if not isinstance(opened, File):
        return b""
    try:
        return os.pread(opened.fd, _MOST_BYTES, 0) if opened.status.st_size <= _MOST_BYTES else b""
    except OSError:
        return b""
    finally:
        os.close(opened.fd)


def draw_readme(name: str, text: bytes) -> Markup:
    """Return a README as HTML."""
    from markupsafe import Markup, escape

    decoded = text.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace")  # editors on Windows write it
    shown = printable_text(decoded.replace("\r\n", "\n"))
    if name.lower().endswith(".md"):
        drawn = printable_text(_markdown().render(shown))  # once more: &#x202e; is a character by now
        return Markup(drawn)  # noqa: S704 (it escapes all HTML)
    return Markup("<pre>") + escape(shown) + Markup("</pre>")


@cache
def _markdown() -> MarkdownIt:
    from markdown_it import MarkdownIt

    options = {"html": False, "maxNesting": _MOST_NESTED}
    return MarkdownIt("commonmark", options).enable(["table", "strikethrough"])


@cache
def prepare() -> None:
    """Import what a README needs, and use it once: some of its modules are imported by others of them."""
    draw_readme("README.md", b"# [a](b) ![c](d)\n\n|e|\n|-|\n\n- ~~f~~ `g` &amp;\n")
