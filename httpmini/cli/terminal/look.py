"""What a terminal can show."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class Look(msgspec.Struct, frozen=True):
    """What a terminal can show.

    Attributes:
        moves: whether the cursor moves up, so that lines can be drawn again.
        colour: whether it has colours.
        unicode: whether it has more characters than ASCII.
    """

    moves: bool = True
    colour: bool = True
    unicode: bool = True


def look_of(environment: Mapping[str, str], encoding: str) -> Look:
    """Return what the terminal of a process can show.

    Args:
        environment: its variables: TERM, NO_COLOR (no-color.org) and LC_ALL.
        encoding: of its standard output. Python takes UTF-8 for the locale "C", which does not have it.
    """
    moves = environment.get("TERM", "dumb") not in ("dumb", "unknown", "")
    is_ascii = environment.get("LC_ALL", "") in ("C", "POSIX")
    is_utf8 = encoding.lower().replace("_", "-") in ("utf-8", "utf8")
    return Look(moves, moves and not environment.get("NO_COLOR"), is_utf8 and not is_ascii)
