"""Servers on terminals, ended after each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.terminal import Terminal

StartTerminal = Callable[..., Terminal]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder to share: a short file, a long one, and what nobody gets."""
    folder = tmp_path / "Pictures"
    (folder / "old").mkdir(parents=True)
    (folder / "notes.txt").write_text("hi\n")
    (folder / ".hidden").write_text("no\n")
    with open(folder / "old" / "film.mp4", "wb") as file:
        file.truncate(64_000_000)
    return folder


@pytest.fixture
def share(pictures: Path) -> Iterator[StartTerminal]:
    """Start ``httpmini serve`` in the folder, on a terminal: ``share("--lan", columns=40)``."""
    terminals: list[Terminal] = []

    def start(*arguments: str, **more: Any) -> Terminal:
        terminals.append(Terminal(("-p", "0", *arguments), pictures, **more))
        return terminals[-1]

    yield start
    for terminal in terminals:
        terminal.kill()
