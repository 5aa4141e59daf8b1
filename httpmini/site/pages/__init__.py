"""The server's own HTML pages: jinja2 templates, with everything escaped.

jinja2 takes longer to import than everything else together. It is imported after the server has started listening
(``prepare``), or for the first page.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


@cache
def prepare() -> None:
    """Load all templates now. Later calls do nothing."""
    for name in ("page.html", "message.html", "listing.html", "status.html"):
        _environment().get_template(name)


def draw(template: str, **values: object) -> bytes:
    """Render a template with ``values``, in UTF-8."""
    return _environment().get_template(template).render(values).encode("utf-8", "replace")
