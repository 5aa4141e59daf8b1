"""All targets by name. A target takes any bytes, and raises if something is wrong with what is tested."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz.places import PLACES
from tests.fuzz.protocol import PROTOCOL, Check

CORPUS = Path(__file__).parent / "corpus"
NAMES = (*PROTOCOL, *PLACES)


def make_target(name: str, folder: Path) -> Check:
    """Return a target; those that need files put them into ``folder``."""
    return PROTOCOL[name] if name in PROTOCOL else PLACES[name](folder)


def seeds(name: str) -> list[Path]:
    """Return the files of the corpus of one target: seeds, and every input that ever failed."""
    return sorted(path for path in (CORPUS / name).iterdir() if path.is_file())
