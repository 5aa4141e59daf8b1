"""HTML pages that the server renders itself, from jinja2 templates with autoescaping.

jinja2 takes longer to import than everything else together. So it is imported after the server has started to listen
(``prepare``), or with the first page.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment, Template


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    return Environment(
        loader=FunctionLoader(_read),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


def _read(template: str) -> str:
    """Read a template from where this package is, which may be a zip archive."""
    from pkgutil import get_data

    return (get_data(__name__, template) or b"").decode()


@cache
def _template(name: str) -> Template:
    """Return a template. (jinja2's own cache has a lock, which a child may be forked with.)"""
    return _environment().get_template(name)


@cache
def prepare() -> None:
    """Import jinja2 and load every template. Calls after the first do nothing."""
    for name in ("page.html", "message.html", "listing.html", "status.html"):
        _template(name)


# Pieces of a long page that are joined at a time: in between, other threads can go on.
_PIECES = 1024


def draw_long(template: str, **values: object) -> bytes:
    """Render a template that may become long, with iterators among its values; as ``draw``, but never all at once."""
    stream = _template(template).stream(values)
    stream.enable_buffering(_PIECES)
    return b"".join([piece.encode("utf-8", "replace") for piece in stream])


def draw(template: str, **values: object) -> bytes:
    """Render a template.

    Args:
        template: its file name.
        values: its variables.

    Returns:
        The page in UTF-8.
    """
    return _template(template).render(values).encode("utf-8", "replace")
