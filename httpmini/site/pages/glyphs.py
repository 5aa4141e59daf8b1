"""The glyphs of a listing, as styles: drawn in the colour of the text, so that they fit light and dark."""

from __future__ import annotations

_PATHS = {
    "folder": "M3 6.5V18a1.5 1.5 0 0 0 1.5 1.5h15A1.5 1.5 0 0 0 21 18V8.5A1.5 1.5 0 0 0 19.5 7H12L10 4.5H4.5A1.5 1.5 0"
    " 0 0 3 6.5z",
    "image": "M4 4.5h16v15H4zM4 16l4.5-4.5 4 4 3-3 4.5 4.5M15.5 8.700v.1",
    "video": "M3.5 5.5h17v13h-17zM10 9v6l5-3z",
    "audio": "M9 17.5V5.5l10-2v12M9 17.5a2.5 2.5 0 1 1-5 0 2.5 2.5 0 0 1 5 0zM19 15.5a2.5 2.5 0 1 1-5 0"
    " 2.5 2.5 0 0 1 5 0z",
    "archive": "M4 7h16v12.5H4zM3 4h18v3H3zM10 11h4",
    "text": "M6 3.5h8l4.5 4.5v12.5H6zM14 3.5V8h4.5M9 12.5h6M9 16h6",
    "file": "M6 3.5h8l4.5 4.5v12.5H6zM14 3.5V8h4.5",
}
_SVG = "%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' stroke='%23000' stroke-width='1.6'"
_ROUND = " stroke-linejoin='round' stroke-linecap='round'"


def glyph_styles(kinds: tuple[str, ...]) -> str:
    """Return the rules that give elements of these classes their glyphs."""
    return "".join(
        f".{kind}{{--glyph:url(\"data:image/svg+xml,{_SVG}{_ROUND}%3E%3Cpath d='{_PATHS[kind]}'/%3E%3C/svg%3E\")}}\n"
        for kind in kinds
    )


def glyph_file(kind: str) -> bytes:
    """Return the glyph of a kind as an SVG file, for light and dark pages."""
    return (
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='-20 -12 64 48' fill='none' stroke='#808890'"
        f" stroke-width='1.6'{_ROUND}><path d='{_PATHS[kind]}'/></svg>"
    ).encode()
