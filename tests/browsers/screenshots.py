"""Make the pictures in docs/pictures: ``make screenshots``.

A folder of photos, films and notes, with names and dates that are always the same, is served and shown in Chromium.
"""

from __future__ import annotations

import os
import random
import struct
import tempfile
import zlib
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.support.processes import ServerProcess
from tests.support.tools import tool

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
WIDTH = 1200
NEWEST = 1_795_900_000
DAY_S = 86_400
MOST_BYTES = 60_000

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


def main() -> None:
    """Write the pictures; fail if one has become too large for a repository."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        root = Path(folder) / "Pictures"
        make_folder(root)
        server = ServerProcess([str(root), "--port", "0"])
        browser = play.chromium.launch(executable_path=tool("chromium", "chromium"), args=["--no-sandbox"])
        try:
            page = browser.new_page(viewport={"width": WIDTH, "height": 400}, timezone_id="UTC", color_scheme="light")
            for name, query in {"listing": "", "grid": "?view=grid"}.items():
                page.goto(server.url + query)
                page.wait_for_load_state("networkidle")
                page.screenshot(path=PICTURES / f"{name}.png", full_page=True)
        finally:
            browser.close()
            server.kill()
    for picture in PICTURES.glob("*.png"):
        assert picture.stat().st_size < MOST_BYTES, f"{picture} has {picture.stat().st_size} bytes"


if __name__ == "__main__":
    main()
