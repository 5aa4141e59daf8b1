"""A listing shows what can be fetched, and each of its links fetches exactly that."""

from __future__ import annotations

import html.parser
import os
from pathlib import Path
from urllib.parse import urljoin

import pytest

from httpmini import config
from httpmini.daemon.assembly import make_site
from httpmini.protocol.body import FileSlice
from httpmini.protocol.message import Request, Response

ODD_NAMES = [
    b"a b",
    b"q?x",
    b"h#1",
    b"100%",
    b"a:b",
    b"pct%20x",
    b'"><img src=x>',
    b"ap'os",
    b"&amp;",
    b";s",
    b"+p",
    b"back\\",
    b"new\nline",
    b"esc\x1b[31m",
    b"\xff\xfe",
    "ü-日本語".encode(),
    b"http:",
    b"javascript:alert(1)",
    b"~tilde",
    b"[bracket]",
    b"..almost",
    b"x" * 255,
]


class _Links(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value for name, value in attrs if tag == "a" and name == "href" and value]


def _respond(root: Path, target: str, **settings: object) -> Response:
    lines = [f"{name} = {config.toml(value)}" for name, value in settings.items()]
    file = root.parent / "listing-test.toml"
    file.write_text("[site]\n" + "\n".join(lines))
    return make_site(config.load(str(file), config.Flags(root=str(root)))).respond(Request("GET", target))


def _page(response: Response) -> bytes:
    (page,) = response.body
    assert isinstance(page, bytes)
    return page


def _links(page: bytes) -> list[str]:
    parser = _Links()
    parser.feed(page.decode("utf-8"))
    assert "img" not in parser.tags
    return parser.links


def _content(response: Response) -> bytes:
    (piece,) = response.body
    assert isinstance(piece, FileSlice)
    data = os.pread(piece.fd, piece.length, 0)
    for fd in response.owned_fds:
        os.close(fd)
    return data


def test_every_link_fetches_its_file(tmp_path: Path) -> None:
    root = tmp_path / "www"
    folder = os.fsencode(root / "odd")
    os.makedirs(folder)
    for name in ODD_NAMES:
        if not name.startswith(b"."):
            Path(os.fsdecode(folder + b"/" + name)).write_bytes(b"I am " + name)
    page = _page(_respond(root, "/odd/"))
    found = set()
    for link in _links(page):
        if link == "../":
            continue
        path = urljoin("http://host/odd/", link).removeprefix("http://host")
        assert path.startswith("/odd/"), "a link leads away"
        response = _respond(root, path)
        assert response.status == 200, link
        found.add(_content(response))
    assert found == {b"I am " + name for name in ODD_NAMES if not name.startswith(b".")}
    assert not any(byte < 0x20 and byte != 0x0A for byte in page), "a raw control character"


def test_what_cannot_be_fetched_is_not_shown(site: Path) -> None:
    links = _links(_page(_respond(site, "/", index=[])))
    shown = {link.removeprefix("./") for link in links}
    for hidden in (".hidden", ".git/", "fifo", "socket", "device", "link-out.txt", "link-broken.txt", "link-loop"):
        assert hidden not in shown
    assert {"link-in.txt", "link-dir/", ".well-known/", "sub/", "ten.txt"} <= shown
    assert "../" not in shown, "there is nothing above the root"
    for link in links:
        response = _respond(site, "/" + link.removeprefix("./"), index=[])
        assert response.status == 200, link
        for fd in response.owned_fds:
            os.close(fd)


def test_folders_come_first_then_names(site: Path) -> None:
    links = _links(_page(_respond(site, "/", index=[])))
    folders = [link for link in links if link.endswith("/")]
    assert links[: len(folders)] == folders


@pytest.mark.parametrize(
    ("settings", "target", "status", "reason"),
    [
        ({"listing": False}, "/sub/", 403, "no-listing"),
        ({"listing": False}, "/indexed/", 200, ""),
        ({"index": ["file.txt"]}, "/sub/", 200, ""),
        ({"hidden": True}, "/.hidden", 200, ""),
        ({"symlinks": "never"}, "/link-in.txt", 404, "not-found"),
    ],
)
def test_settings(site: Path, settings: dict[str, object], target: str, status: int, reason: str) -> None:
    response = _respond(site, target, **settings)
    token = response.error.reason.token if response.error else ""
    assert (response.status, token) == (status, reason)
    for fd in response.owned_fds:
        os.close(fd)
