"""Markdown becomes HTML whose links lead to pages of the site, whose headings have anchors, and whose tables scroll."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_ELSEWHERE = re.compile(r"[a-z]+:")
_MARK_UP = re.compile(r"\]\([^)]*\)|[`*\[\]]")


class Section(msgspec.Struct, frozen=True):
    """A heading of the second level.

    Attributes:
        anchor: its ``id``.
        title: its text.
    """

    anchor: str
    title: str


class Text(msgspec.Struct, frozen=True):
    """A text as HTML.

    Attributes:
        title: the heading of the first level.
        sections: the headings of the second level.
        html: all of it.
    """

    title: str
    sections: tuple[Section, ...]
    html: str


def render(text: str, path: str, pages: Mapping[str, str]) -> Text:
    """Return ``text`` as HTML.

    Args:
        text: Markdown; HTML in it is shown as text, and comments are left out.
        path: its path in the source tree, from which its links start.
        pages: where on the site each file of the source tree is. Links to other files become plain text.
    """
    engine = _engine()
    tokens = engine.parse(_COMMENT.sub("", text))
    headings = _name_headings(tokens)
    _head_columns(tokens)
    for token in tokens:
        if token.children:
            token.children = list(_linked(token.children, path, pages))
    title = next((heading.title for level, heading in headings if level == "h1"), path)
    sections = tuple(heading for level, heading in headings if level == "h2")
    return Text(title, sections, engine.renderer.render(tokens, engine.options, {}))


def relative(target: str, path: str) -> str:
    """Return the link from the page ``path`` to the page ``target`` of the site."""
    return posixpath.relpath(target, posixpath.dirname(path) or ".")


def slug(heading: str) -> str:
    """Return the anchor of a heading, as forges make it."""
    return re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-")


def _name_headings(tokens: list[Token]) -> list[tuple[str, Section]]:
    """Give each heading an ``id``; return them with their levels."""
    found: list[tuple[str, Section]] = []
    used: dict[str, int] = {}
    for token, inline in pairwise(tokens):
        if token.type == "heading_open":
            title = _MARK_UP.sub("", inline.content)
            anchor = slug(title)
            used[anchor] = used.get(anchor, -1) + 1
            anchor += f"-{used[anchor]}" if used[anchor] else ""
            token.attrSet("id", anchor)
            found.append((token.tag, Section(anchor, title)))
    return found


def _head_columns(tokens: list[Token]) -> None:
    """Make cells of a table's head that are empty ordinary cells: a heading says something."""
    for token, inline, closing in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if token.type == "th_open" and not inline.content:
            token.tag = closing.tag = "td"


def _linked(tokens: list[Token], path: str, pages: Mapping[str, str]) -> Iterator[Token]:
    """Yield the parts of a line, with links that lead somewhere on the site, or without."""
    is_open = True
    for token in tokens:
        if token.type == "link_open":
            href = _target(str(token.attrGet("href")), path, pages)
            is_open = href is not None
            token.attrSet("href", href or "")
        if token.type == "image":
            token.type, token.tag, token.content = "text", "", ""  # no picture is part of the site
        if is_open or token.type not in ("link_open", "link_close"):
            yield token
        is_open = is_open or token.type == "link_close"


def _target(href: str, path: str, pages: Mapping[str, str]) -> str | None:
    """Return where a link leads on the site, or None for what is not part of it."""
    if _ELSEWHERE.match(href) or href.startswith("#"):
        return href
    name, mark, anchor = href.partition("#")
    there = pages.get(posixpath.normpath(posixpath.join(posixpath.dirname(path), name)))
    return None if there is None else relative(there, pages[path]) + mark + anchor


@cache
def _engine() -> MarkdownIt:
    from markdown_it import MarkdownIt

    engine = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    engine.add_render_rule("table_open", _open_table)
    engine.add_render_rule("table_close", lambda *_: "</table></div>\n")
    for kind in ("code_block", "fence"):
        engine.add_render_rule(kind, _draw_code)
    return engine


def _open_table(*_: object) -> str:
    """Begin a table that scrolls by itself where the page is narrow, also by keyboard."""
    return '<div class="scroll" tabindex="0" role="group" aria-label="Table"><table>\n'


def _draw_code(_: object, tokens: list[Token], index: int, *_more: object) -> str:
    from markupsafe import escape

    return f'<pre tabindex="0"><code>{escape(tokens[index].content)}</code></pre>\n'
