"""The folder that the browsers visit: images that can be told apart, odd names, downloads, pages with links."""

from __future__ import annotations

import os
import struct
import zlib
from html import escape
from pathlib import Path
from urllib.parse import quote

# Where the odd names lie: relative links must be right below an odd base, too.
ODD_FOLDER = "odd #1? 50% <b>&amp; naïve"

# Names as octets; each is a text file whose content tells which one it is.
ODD_NAMES = tuple(
    name.encode() if isinstance(name, str) else name
    for name in (
        "plain.txt",
        "a b.txt",
        " blank first.txt",
        "two  blanks.txt",
        "hash#1.txt",
        "question?a=1.txt",
        "50%.txt",
        "%41.txt",
        "A.txt",
        "up..%2f..%2fplain.txt",
        "semi;colon.txt",
        "plus+sign.txt",
        "back\\slash.txt",
        "co:lon.txt",
        "javascript:alert(1).txt",
        'it\'s "quoted".txt',
        "<b>bold.txt",
        "&amp;copy.txt",
        "naïve café.txt",
        "nai\u0308ve cafe\u0301.txt",  # the same to the eye, other octets
        "日本語 😀.txt",
        "--help.txt",
        "'><img src=x onerror=alert(1)>.txt",
        "long-" + "x" * 240 + ".txt",
        b"latin-1 caf\xe9.txt",
        b"control \x1b[31m\n\t.txt",
    )
)

# What is downloaded: the file, the link's download attribute (None: it has none), the name that it should be saved as.
DOWNLOADS = (
    ("plain.bin", None, "plain.bin"),
    ("a name with blanks.bin", None, "a name with blanks.bin"),
    ("grüße 日本語.bin", None, "grüße 日本語.bin"),
    ("half #1 & more;+'.bin", None, "half #1 & more;+'.bin"),
    ("shown otherwise.txt", "", "shown otherwise.txt"),
    ("renamed.txt", "ein anderer Name ü.txt", "ein anderer Name ü.txt"),
    ("attached grüße.txt", None, "attached grüße.txt"),
    ("attached-as.txt", None, "ein Name ü.txt"),
    ("big.bin", None, "big.bin"),
)

IMAGES = 200
_WIDEST = 20


def content_of(name: bytes) -> str:
    """What is in the file ``name``."""
    return f"This is {name!r}; an ü shows the charset.\n"


def download_content(file: str) -> bytes:
    """What is in the file ``file``: every octet, and more of them than any socket buffer takes for the big one."""
    return file.encode() + bytes(range(256)) * (12_288 if file == "big.bin" else 4)


def image_size(number: int) -> tuple[int, int]:
    """Width and height of an image; no two have the same."""
    return 1 + number % _WIDEST, 1 + number // _WIDEST


def png(width: int, height: int, colour: tuple[int, int, int] = (29, 39, 51)) -> bytes:
    """A picture in one colour (PNG, second edition, §5)."""
    rows = (b"\0" + bytes(colour) * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = (_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(rows)), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def html(title: str, body: str, head: str = "") -> str:
    return f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>{title}</title>{head}<h1>{title}</h1>{body}'


def make_site(root: Path) -> Path:
    """Fill ``root`` and return it."""
    root.mkdir()
    (root / "favicon.ico").write_bytes(png(16, 16))
    (root / "ten.txt").write_bytes(b"0123456789")
    # More than any socket buffer takes: whoever closes without reading on resets the connection.
    much = f'<input type="hidden" name="a" value="{"x" * 3_000_000}">'
    form = f'<form method="post" action="ten.txt">{much}<button>Send</button></form>'
    (root / "form.html").write_text(html("form", form), "utf-8")
    _make_gallery(root)
    _make_odd_names(root / ODD_FOLDER)
    _make_downloads(root / "downloads")
    _make_walk(root / "walk")
    return root


def _make_gallery(root: Path) -> None:
    (root / "images").mkdir()
    for number in range(IMAGES):
        (root / "images" / f"{number}.png").write_bytes(png(*image_size(number), (number, 100, 200)))
    for count in (50, IMAGES):
        images = "".join(f'<img src="images/{number}.png" alt="">' for number in range(count))
        (root / f"gallery-{count}.html").write_text(html(f"{count} images", images), "utf-8")


def _make_odd_names(folder: Path) -> None:
    folder.mkdir()
    for name in ODD_NAMES:
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_text(content_of(name), "utf-8")


def _make_downloads(folder: Path) -> None:
    folder.mkdir()
    links = []
    for file, attribute, _ in DOWNLOADS:
        (folder / file).write_bytes(download_content(file))
        download = "" if attribute is None else f' download="{escape(attribute)}"' if attribute else " download"
        links.append(f'<li><a href="./{quote(file)}"{download}>{escape(file)}</a>')
    (folder / "index.html").write_text(html("downloads", "<ul>" + "".join(links)), "utf-8")


def _make_walk(folder: Path) -> None:
    """Pages that lead on: to one another, and to a folder that needs its slash."""
    (folder / "three").mkdir(parents=True)
    (folder / "dot.png").write_bytes(png(7, 7))
    image = '<img src="dot.png" alt="">'
    (folder / "one.html").write_text(html("one", '<a href="two.html?from=one">on</a>' + image), "utf-8")
    (folder / "two.html").write_text(html("two", '<a href="three">on</a>' + image), "utf-8")
    (folder / "three" / "file.txt").write_text("in three\n", "utf-8")
