"""HTML pages that the server draws itself, from jinja2 templates with autoescaping.

All of them have one style, whose colours and fonts are those of the site in ``www/``, and a Content-Security-Policy
that lets nothing run or be loaded but what is in the page: scripts and styles are known by their hashes.

jinja2 takes longer to import than everything else together. So it is imported after the server has started to listen
(``prepare``), or with the first page.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from httpmini.site.pages.glyphs import glyph_styles

if TYPE_CHECKING:
    from jinja2 import Environment, Template

NOSNIFF = ("X-Content-Type-Options", "nosniff")
_NO_REFERRER = ("Referrer-Policy", "no-referrer")

# The style and the script of each template, and what some of its pages have beside them.
_PARTS = {
    "message.html": ("message.css", ""),
    "listing.html": ("listing.css", "listing.js"),
    "grid.html": ("listing.css", "listing.js"),
    "status.html": ("status.css", "status.js"),
    "timeline.html": ("timeline.css", ""),
    "compare.html": ("timeline.css", ""),
}
_RARE = ("timeline.html", "compare.html")  # loaded by whoever draws them
GRID, README = "grid.css", "readme.css"
_BASE = "page.css"


class Drawn(NamedTuple):
    """A page.

    Attributes:
        text: in UTF-8.
        fields: header fields that confine it.
    """

    text: bytes
    fields: tuple[tuple[str, str], ...]


def draw(template: str, *, styles: tuple[str, ...] = (), kinds: tuple[str, ...] = (), **values: object) -> Drawn:
    """Draw a page.

    Args:
        template: its file name.
        styles: more styles than those of the template: ``GRID``, ``README``.
        kinds: the kinds of files whose glyphs it shows.
        values: the variables of the template.
    """
    style, script, fields = _surroundings(template, styles, kinds)
    page = _template(template).render(values, style=style, script=script)
    return Drawn(page.encode("utf-8", "replace"), fields)


@cache
def _surroundings(
    template: str, styles: tuple[str, ...], kinds: tuple[str, ...]
) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    """Return style and script of a template, and the fields of a page that has them. (There are 128 sets of kinds.)"""
    from markupsafe import Markup  # with jinja2

    style_file, script_file = _PARTS[template]
    style = "".join(map(_read, (_BASE, style_file, *styles))) + glyph_styles(kinds)
    script = _read(script_file) if script_file else ""
    return Markup(style), Markup(script), (NOSNIFF, _NO_REFERRER, _policy(style, script))  # noqa: S704


def _policy(style: str, script: str) -> tuple[str, str]:
    """Return the Content-Security-Policy of a page."""
    rules = ["default-src 'none'", f"style-src {_source(style)}", "img-src 'self' data:"]
    if script:
        rules.append(f"script-src {_source(script)}")
    if "fetch(" in script:
        rules.append("connect-src 'self'")
    rules += ["form-action 'self'", "base-uri 'none'", "frame-ancestors 'self'"]
    return "Content-Security-Policy", ";".join(rules)


def _source(text: str) -> str:
    from base64 import b64encode
    from hashlib import sha256  # loads OpenSSL, which the start need not wait for

    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


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


@cache
def _read(name: str) -> str:
    """Read a file from where this package is, which may be a zip archive."""
    from pkgutil import get_data

    return (get_data(__name__, name) or b"").decode()


@cache
def _template(name: str) -> Template:
    """Return a template. (jinja2's own cache has a lock, which a child may be forked with.)"""
    return _environment().get_template(name)


@cache
def prepare() -> None:
    """Import jinja2 and load every template, style and script. Calls after the first do nothing."""
    _template("page.html")
    for name in _PARTS:
        if name in _RARE:
            continue
        _template(name)
        _surroundings(name, (), ())
    for style in (GRID, README):
        _read(style)
