"""The pages that the server draws: one look, and nothing in them that their policy would not let run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from httpmini.site import pages
from httpmini.site.pages.glyphs import glyph_styles

HOME = Path(__file__).parents[2]
OURS = Path(pages.__file__).parent
_TOKEN = re.compile(r"(--[a-z]+):\s*([^;}]+)")


def _tokens(style: str) -> list[dict[str, str]]:
    """Return the tokens of the light look, and those of the dark one."""
    roots = re.findall(r":root\s*\{([^}]*)\}", style)
    return [{name: value.strip() for name, value in _TOKEN.findall(root)} for root in roots]


def test_all_pages_have_the_tokens_of_www() -> None:
    ours = _tokens((OURS / "page.css").read_text())
    theirs = _tokens((HOME / "www" / "css" / "style.css").read_text())
    assert len(ours) == len(theirs) == 2
    for look, other in zip(ours, theirs, strict=True):
        assert look
        assert look.items() <= other.items()


@pytest.mark.parametrize("style", sorted(OURS.glob("*.css")), ids=lambda path: path.name)
def test_colours_are_tokens(style: Path) -> None:
    rest = re.sub(r":root\s*\{[^}]*\}", "", style.read_text())
    assert re.findall(r"#[0-9a-f]{3,8}\b(?!\w)", rest) == []
    used = set(re.findall(r"var\((--[a-z]+)\)", rest))
    of_its_own = {name for tokens in _tokens(style.read_text()) for name in tokens}
    assert used <= {"--glyph", "--mode", *of_its_own, *_tokens((OURS / "page.css").read_text())[0]}


def test_every_kind_has_its_glyph() -> None:
    kinds = ("folder", "image", "video", "audio", "archive", "text", "file")
    assert glyph_styles(kinds).count("data:image/svg+xml,%3Csvg") == len(kinds)
