"""QR codes as text: two rows of modules in each line, or two characters for each module where there is only ASCII."""

from __future__ import annotations

from httpmini.cli.terminal.look import Look

_BORDER = 2  # modules; the standard wants 4, and readers are content with 2
_BLACK_ON_WHITE, _END = "\x1b[30;107m", "\x1b[0m"
# What a line shows by whether the upper and the lower module are dark. Without colours a terminal is taken to be dark,
# so that what is light has to be drawn.
_HALVES = {(True, True): "█", (True, False): "▀", (False, True): "▄", (False, False): " "}


def qr_lines(text: str, look: Look, width: int) -> list[str]:
    """Return the QR code of ``text``; an empty list if it is wider than ``width`` columns."""
    import segno

    rows = [[bool(dark) for dark in row] for row in segno.make_qr(text, error="l").matrix_iter(border=_BORDER)]
    columns = len(rows[0]) * (1 if look.unicode else 2)
    if columns > width:
        return []
    if not look.unicode:
        return ["".join("  " if dark else "##" for dark in row) for row in rows]
    rows += [[False] * columns] * (len(rows) % 2)
    pairs = zip(rows[::2], rows[1::2], strict=True)
    if look.colour:
        return [_BLACK_ON_WHITE + _halves(upper, lower) + _END for upper, lower in pairs]
    return [_halves([not dark for dark in upper], [not dark for dark in lower]) for upper, lower in pairs]


def load() -> None:
    """Load what is needed later, when the process may not be able to."""
    qr_lines("http://192.0.2.1/", Look(), 0)


def _halves(upper: list[bool], lower: list[bool]) -> str:
    return "".join(_HALVES[pair] for pair in zip(upper, lower, strict=True))
