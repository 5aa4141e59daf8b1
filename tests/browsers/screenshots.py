"""Make the pictures in docs/pictures: ``make screenshots``.

A folder of photos, films and notes, with names and dates that are always the same, is served and shown in Chromium. So
is a terminal in which it is shared: what is on its screen becomes a page.
"""

from __future__ import annotations

import html
import os
import random
import struct
import subprocess
import tempfile
import zlib
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright
from pyte.screens import Char, Screen

from tests.support.processes import ServerProcess
from tests.support.terminal import Terminal
from tests.support.tools import tool
from tests.terminal.test_lan import apart

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
WIDTH = 1200
NEWEST = 1_795_900_000
DAY_S = 86_400
MOST_BYTES = 60_000
LAN, COLUMNS = "192.168.1.23", 90
COLOURS = {
    "black": "#16191d",
    "white": "#f5f4f0",
    "red": "#ff8a80",
    "green": "#6fcf97",
    "brown": "#f2c94c",
    "yellow": "#f2c94c",
    "blue": "#6cc5e8",
    "magenta": "#d6a2e8",
    "cyan": "#6cc5e8",
}

FOLDERS = ("2026 Lofoten", "Family")
FILES = {
    "film of the crossing.mp4": 734_003_200,
    "notes 10.txt": 2_406,
    "all of 2025.tar.gz": 1_203_444_000,
    "wind.flac": 31_000_222,
}
PHOTOS = ("cabin.png", "red house.png")


def png(chance: random.Random) -> bytes:
    """Return a small picture: a slope of two colours."""
    width, height = 160, 120
    first, second = ([chance.randint(30, 240) for _ in range(3)] for _ in range(2))
    rows = bytearray()
    for y in range(height):
        rows.append(0)
        shade = y / height
        rows += bytes(int(a + (b - a) * shade) for a, b in zip(first, second, strict=True)) * width

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def make_folder(root: Path) -> None:
    """Write what is shown; large files have no content."""
    chance = random.Random(1)
    for name in FOLDERS:
        (root / name).mkdir(parents=True)
    for name, size in FILES.items():
        (root / name).touch()
        os.truncate(root / name, size)
    for name in PHOTOS:
        (root / name).write_bytes(png(chance))
    for path in sorted(root.iterdir()):
        changed = NEWEST - chance.randrange(60 * DAY_S)
        os.utime(path, (changed, changed))


def take_listing(browser: Browser, root: Path) -> None:
    """Take a picture of the folder as a list, and one as a grid."""
    server = ServerProcess([str(root), "--port", "0"])
    try:
        page = browser.new_page(viewport={"width": WIDTH, "height": 400}, timezone_id="UTC", color_scheme="light")
        for name, query in {"listing": "", "grid": "?view=grid"}.items():
            page.goto(server.url + query)
            page.wait_for_load_state("networkidle")
            page.screenshot(path=PICTURES / f"{name}.png", full_page=True)
    finally:
        server.kill()


def take_terminal(browser: Browser, root: Path) -> None:
    """Take a picture of a terminal: the folder is shared with a network, and somebody fetches from it."""
    terminal = Terminal(("--lan",), root, columns=COLUMNS, wrapper=apart({"eth0": (f"{LAN}/24",)}))
    try:
        terminal.wait_for("█\n|▀\n")
        fetch = ["nsenter", "--net", "--target", str(terminal.process.pid), tool("curl", "curl"), "--silent"]
        url = f"http://{LAN}:8080"
        subprocess.run([*fetch, "--output", os.devnull, f"{url}/notes%2010.txt", f"{url}/no"], check=True)
        film = [*fetch, "--output", os.devnull, "--limit-rate", "20M", f"{url}/film%20of%20the%20crossing.mp4"]
        with subprocess.Popen(film) as slow:
            terminal.wait_for(r"[1-9]\d %")
            page = browser.new_page(viewport={"width": 10, "height": 10})
            page.set_content(page_of(terminal.screen))
            page.locator("pre").screenshot(path=PICTURES / "terminal.png")
            slow.kill()
    finally:
        terminal.kill()


def page_of(screen: Screen) -> str:
    """Return what is on a screen as HTML."""
    used = max(row for row, line in enumerate(screen.display) if line.strip())
    rows = [[screen.buffer[row][column] for column in range(screen.columns)] for row in range(used + 1)]
    text = "\n".join("".join(span(style, chars) for style, chars in groupby(row, style_of)) for row in rows)
    look = "margin:0;padding:16px;background:#16191d;color:#e8e6e1;font:16px/19px 'DejaVu Sans Mono',monospace"
    return f'<!doctype html><pre style="{look};display:inline-block">{text}</pre>'


def span(style: str, chars: Iterable[Char]) -> str:
    """Return characters of one style."""
    text = html.escape("".join(char.data for char in chars))
    return f'<span style="{style}">{text}</span>' if style else text


def style_of(char: Char) -> str:
    """Return the style of a character; none for what is as most characters are."""
    styles = [f"color:{colour_of(char.fg)}" if char.fg != "default" else ""]
    styles += [f"background:{colour_of(char.bg)}" if char.bg != "default" else ""]
    styles += ["font-weight:bold" if char.bold else ""]
    return ";".join(filter(None, styles))


def colour_of(name: str) -> str:
    """Return a colour; bright ones are as others."""
    return COLOURS[name.removeprefix("bright")]


def main() -> None:
    """Write the pictures; fail if one has become too large for a repository."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        root = Path(folder) / "Pictures"
        make_folder(root)
        browser = play.chromium.launch(executable_path=tool("chromium", "chromium"), args=["--no-sandbox"])
        try:
            take_listing(browser, root)
            take_terminal(browser, root)
        finally:
            browser.close()
    for picture in PICTURES.glob("*.png"):
        assert picture.stat().st_size < MOST_BYTES, f"{picture} has {picture.stat().st_size} bytes"


if __name__ == "__main__":
    main()
