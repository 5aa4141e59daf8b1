"""A small site for one test, with its own settings, used without sockets."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from httpmini import config
from httpmini.daemon.build_site import build_site
from httpmini.protocol.body import FileSlice, Piece
from httpmini.protocol.message import Headers, Request, Response
from httpmini.site.respond import Site
from httpmini.work import Work, finish


@dataclass(frozen=True)
class Answer:
    """A response whose body has been read and whose descriptors are closed."""

    status: int
    fields: dict[str, str]
    body: bytes
    token: str
    user: str


def write_tree(root: Path, files: dict[str, bytes]) -> Path:
    """Write ``files``, content by path, below ``root``; return ``root``."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def load_site(
    root: Path, toml: str, notify: Callable[[str], None] = lambda _text: None, *, ahead_s: float = 0.0
) -> Site:
    """Return the site that the settings ``toml`` describe; their file is written beside ``root``.

    Args:
        root: what is served.
        toml: the settings.
        notify: takes what the log would say.
        ahead_s: how fast the site's clock is. Two responses about a file that was written less than two seconds ago may
            differ in the tag's strength; a minute makes all files old.
    """
    file = root.parent / "httpmini.toml"
    file.write_text(toml)
    site = build_site(config.load(str(file), config.Flags(root=str(root))), notify)
    return replace(site, wall=lambda: time.time() + ahead_s)


def ask(site: Site, target: str, *fields: tuple[str, str], method: str = "GET", host: str = "") -> Answer:
    """Return the response of ``site`` to one request."""
    line = f"{method} {target} HTTP/1.0"
    return read_out(finish(site.respond(Request(method, target, headers=Headers(fields), line=line), host)))


def read_piece(piece: Piece) -> bytes:
    """Return what a piece of a body stands for; a promise is kept, whatever work that takes."""
    if isinstance(piece, bytes):
        return piece
    if isinstance(piece, FileSlice):
        return os.pread(piece.fd, piece.length, piece.offset)
    octets: list[bytes] = []
    while made := piece.make():
        if isinstance(made, Work):
            made.run()
        else:
            octets += map(read_piece, made)
    whole = b"".join(octets)
    assert len(whole) == len(piece)
    return whole


def read_out(response: Response) -> Answer:
    try:
        body = b"".join(map(read_piece, response.body))
    finally:
        for fd in response.owned_fds:
            os.close(fd)
        if response.release is not None:
            response.release()
    named = {name.lower(): value for name, value in response.headers}
    assert len(named) == len(response.headers.fields), "a field occurs twice"
    token = response.error.reason.token if response.error else ""
    return Answer(response.status, named, body, token, response.user)
