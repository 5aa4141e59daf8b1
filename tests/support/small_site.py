"""A small site for one test, with its own settings, used without sockets."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from httpmini import config
from httpmini.daemon.build_site import build_site
from httpmini.protocol.body import FileSlice
from httpmini.protocol.message import Headers, Request, Response
from httpmini.site.respond import Site
from httpmini.work import finish


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


def load_site(root: Path, toml: str) -> Site:
    """Return the site that the settings ``toml`` describe; their file is written beside ``root``."""
    file = root.parent / "httpmini.toml"
    file.write_text(toml)
    return build_site(config.load(str(file), config.Flags(root=str(root))))


def ask(site: Site, target: str, *fields: tuple[str, str], method: str = "GET", host: str = "") -> Answer:
    """Return the response of ``site`` to one request."""
    line = f"{method} {target} HTTP/1.0"
    return read_out(finish(site.respond(Request(method, target, headers=Headers(fields), line=line), host)))


def read_out(response: Response) -> Answer:
    body = b"".join(
        os.pread(piece.fd, piece.length, piece.offset) if isinstance(piece, FileSlice) else piece
        for piece in response.body
    )
    for fd in response.owned_fds:
        os.close(fd)
    named = {name.lower(): value for name, value in response.headers}
    assert len(named) == len(response.headers.fields), "a field occurs twice"
    token = response.error.reason.token if response.error else ""
    return Answer(response.status, named, body, token, response.user)
