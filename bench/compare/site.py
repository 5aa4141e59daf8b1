"""The folder that all servers serve, and the targets that workloads request."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

SMALL, MEDIUM, HUGE, PAGE = "/1k.html", "/100k.bin", "/1g.bin", "/page/index.html"
SIZES = {SMALL: 1024, MEDIUM: 100 * 1024}
HUGE_SIZE = 2**30
MANY = 10_000
MANY_SIZE = 4096
PAGE_FILES = 50
SETTLE_S = 3.0  # httpmini caches no response of a file younger than two seconds; a served folder is usually older
WRITTEN = 1_700_000_000  # long ago: a file that was just written has no strong validators


def make(root: Path) -> None:
    """Create the files."""
    source = random.Random(1)  # the same bytes in every run
    for target, size in SIZES.items():
        (root / target[1:]).write_bytes(text(source, size))
    with (root / HUGE[1:]).open("wb") as file:
        file.truncate(HUGE_SIZE)  # sparse: it takes memory but no disk space
    (root / "many").mkdir()
    filler = text(source, MANY_SIZE)
    for number in range(MANY):
        (root / "many" / f"{number:05}.html").write_bytes(f"{number:05}".encode() + filler[5:])
    _page(root / "page", source)
    for path in root.rglob("*"):
        os.utime(path, (WRITTEN, WRITTEN))
    time.sleep(SETTLE_S)


def into_memory(path: Path) -> None:
    """Read a file, so that the first server to send it does not pay for loading its pages.

    Done before each cell: in a virtual machine, pages that were not touched for minutes may cost ten times as much.
    """
    with path.open("rb", buffering=0) as file:
        while file.read(2**24):
            pass


def text(source: random.Random, size: int) -> bytes:
    """Return ``size`` random letters."""
    return bytes(source.choices(b"abcdefghijklmnopqrstuvwxyz     \n", k=size))


def _page(folder: Path, source: random.Random) -> None:
    """Create a page that loads fifty files: style sheets, scripts and images."""
    folder.mkdir()
    lines = ["<!DOCTYPE html>", "<title>Fifty files</title>", '<link rel="icon" href="data:,">']
    for number in range(PAGE_FILES):
        kind = ("css", "js", "svg")[min(number // 5, 2)]
        name = f"{number}.{kind}"
        comment = text(source, 2000 + 100 * number).decode()
        if kind == "css":
            (folder / name).write_text(f"/* {comment} */\n.c{number} {{ color: green }}\n")
            lines.append(f'<link rel="stylesheet" href="{name}">')
        elif kind == "js":
            (folder / name).write_text(f"/* {comment} */\nwindow.s{number} = {number};\n")
            lines.append(f'<script src="{name}"></script>')
        else:
            (folder / name).write_text(
                f'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><!-- {comment} --><circle r="9"/></svg>'
            )
            lines.append(f'<img src="{name}" alt="">')
    (folder / "index.html").write_text("\n".join(lines) + "\n")


def content(root: Path, target: str) -> bytes:
    """Return the body that the response must have."""
    return (root / target[1:]).read_bytes()
