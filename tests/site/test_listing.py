"""A listing shows what can be fetched, and each of its links fetches exactly that; as a page and as JSON."""

from __future__ import annotations

import html.parser
import json
import os
from pathlib import Path
from urllib.parse import urljoin

import pytest

from httpmini import config
from httpmini.daemon.build_site import build_site
from httpmini.protocol.body import FileSlice
from httpmini.protocol.message import Headers, Request, Response
from httpmini.site.listing import FORMS, JSON, PAGE
from httpmini.site.negotiate import preferred
from tests.support.site_tree import MTIME
from tests.support.small_site import ask, load_site, write_tree

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
    return build_site(config.load(str(file), config.Flags(root=str(root)))).respond(Request("GET", target))


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


CHROMIUM = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
    "application/signed-exchange;v=b3;q=0.7"
)
FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("values", "form"),
    [
        ([], PAGE),
        ([""], PAGE),
        ([CHROMIUM], PAGE),
        ([FIREFOX], PAGE),
        (["*/*"], PAGE),
        (["text/html"], PAGE),
        (["application/json"], JSON),
        (["APPLICATION/Json"], JSON),
        (["application/*"], JSON),
        (["application/json, text/html;q=0.5"], JSON),
        (["text/html;q=0.5", "application/json"], JSON),
        (["application/json, text/html"], PAGE),
        (["application/json;q=0.5, text/html;q=0.5"], PAGE),
        (["application/json;q=0.501, text/html;q=0.5"], JSON),
        (["application/json, */*"], PAGE),
        (["application/json, text/plain, */*"], PAGE),
        (["application/json, */*;q=0.9"], JSON),
        (["application/json;q=0.9, */*"], PAGE),
        (["text/html;q=0.2, */*"], JSON),
        (["text/*;q=0.2, */*;q=0.3"], JSON),
        (["text/*;q=0.2, text/html, application/json;q=0.9"], PAGE),
        (["application/*;q=0.1, application/json, text/html;q=0.5"], JSON),
        (["text/html;q=0, */*"], JSON),
        (["text/html;q=0"], PAGE),
        (["application/json;q=0, */*;q=0.1"], PAGE),
        (["application/json;q=0"], PAGE),
        (["application/json;q=0.000, text/html;q=0.001"], PAGE),
        (["image/png"], PAGE),
        (["text/html;charset=utf-8;q=0.1, text/html, application/json;q=0.5"], JSON),
        (["text/html;charset=utf-8, text/html;q=0.1, application/json;q=0.5"], PAGE),
        (['text/html;charset="UTF-8", application/json;q=0.5'], PAGE),
        (["text/html;level=1, application/json;q=0.5"], JSON),
        (["application/json;profile=x"], PAGE),
        (["application/json;q=0.4;x=y, text/html;q=0.3"], PAGE),
        (["application/json ; Q=0.4 , text/html; q=0.3"], JSON),
        (["application/json;;q=1"], JSON),
        ([",, application/json ,,"], JSON),
        (["application/json;q=2"], PAGE),
        (["application/json;q="], PAGE),
        (["application/json;q=.9"], PAGE),
        (["application/json;q=0.1234"], PAGE),
        (["application/json q=1"], PAGE),
        (["application/json;q=1;"], JSON),
        (["json"], PAGE),
        (["application/"], PAGE),
        (["application/json/x"], PAGE),
        (["*/json"], PAGE),
        (["*"], PAGE),
        (["text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"], PAGE),
        (["\xff, application/json"], JSON),
        (['text/plain;x="a,b", application/json'], JSON),
    ],
    ids=str,
)
def test_the_form_that_a_client_prefers(values: list[str], form: str) -> None:
    assert preferred(Headers(tuple(("Accept", value) for value in values)), FORMS) == form


def test_as_json(tmp_path: Path) -> None:
    root = write_tree(
        tmp_path / "www",
        {"sub/a b.txt": b"123", "sub/Z/x": b"", "sub/empty": b"", "sub/\xfc.txt": b"\0", "sub/.hidden": b"no"},
    )
    (root / "sub" / "link").symlink_to("Z")
    (root / "sub" / "away").symlink_to("/etc")
    (Path(os.fsdecode(os.fsencode(root) + b"/sub/caf\xe9"))).write_bytes(b"latin-1")
    for name in os.listdir(root / "sub"):
        os.utime(root / "sub" / name, (MTIME + 0.9, MTIME + 0.9), follow_symlinks=False)
    answer = ask(load_site(root, ""), "/sub/", ("Accept", "application/json"))
    assert (answer.status, answer.fields["content-type"]) == (200, "application/json")
    stamp = {"modified": "1994-11-06T08:49:37Z"}
    assert json.loads(answer.body.decode("utf-8")) == {
        "path": "/sub/",
        "entries": [
            {"name": "Z", "href": "./Z/", "type": "directory", **stamp},
            {"name": "link", "href": "./link/", "type": "directory", **stamp},
            {"name": "a b.txt", "href": "./a%20b.txt", "type": "file", "size": 3, **stamp},
            {"name": "caf\ufffd", "href": "./caf%E9", "type": "file", "size": 7, **stamp},
            {"name": "empty", "href": "./empty", "type": "file", "size": 0, **stamp},
            {"name": "\xfc.txt", "href": "./%C3%BC.txt", "type": "file", "size": 1, **stamp},
        ],
    }
    assert "\xfc.txt".encode() in answer.body, "UTF-8, not \\u escapes"


def test_json_says_the_same_as_the_page(tmp_path: Path) -> None:
    root = tmp_path / "www"
    folder = os.fsencode(root / os.fsdecode(b"o\x1b\xff"))
    os.makedirs(folder + b"/directory")
    for name in ODD_NAMES:
        Path(os.fsdecode(folder + b"/" + name)).write_bytes(b"I am " + name)
    page = _respond(root, "/o%1b%ff/")
    site = load_site(root, "")
    answer = ask(site, "/o%1b%ff/", ("Accept", "application/json"))
    listing = json.loads(answer.body)
    assert listing["path"] == "/o\x1b\ufffd/"
    assert [entry["href"] for entry in listing["entries"]] == [link for link in _links(_page(page)) if link != "../"]
    files = [entry for entry in listing["entries"] if entry["type"] == "file"]
    assert {entry["name"] for entry in files} == {
        name.decode("utf-8", "replace") for name in ODD_NAMES if not name.startswith(b".")
    }
    for entry in files:
        path = urljoin("http://host/o%1b%ff/", entry["href"]).removeprefix("http://host")
        assert len(ask(site, path).body) == entry["size"]
    assert answer.body.decode("utf-8").isprintable(), "nothing that a terminal acts on"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\u202fb", "a\u202fb"),  # blanks of other widths
        ("a\u00a0b\u3000c\u2009d", "a\u00a0b\u3000c\u2009d"),
        ("\U0001f468\u200d\U0001f469\u200d\U0001f467.png", "\U0001f468\u200d\U0001f469\u200d\U0001f467.png"),
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"),
        ("soft\u00adhyphen", "soft\u00adhyphen"),
        ("e\u0301", "e\u0301"),
        ("\ue000\U000fffff\U0001faff", "\ue000\U000fffff\U0001faff"),  # private, and perhaps not assigned yet
        ("a\x1b[31m\x07\x7f\x9b", "a\ufffd[31m\ufffd\ufffd\ufffd"),
        ("\u202egpj.exe\u202c", "\ufffdgpj.exe\ufffd"),
        ("\u2066a\u2067b\u2068c\u2069", "\ufffda\ufffdb\ufffdc\ufffd"),
        ("\u202a\u202b\u202d", "\ufffd\ufffd\ufffd"),
    ],
)
def test_what_of_a_name_is_shown(tmp_path: Path, name: str, shown: str) -> None:
    site = load_site(write_tree(tmp_path / "www", {name: b""}), "")
    page = ask(site, "/").body.decode("utf-8")
    assert f">{shown}</a>" in page
    entry = json.loads(ask(site, "/", ("Accept", "application/json")).body)["entries"][0]
    assert entry["name"] == name
    assert ask(site, entry["href"].removeprefix(".")).status == 200


@pytest.mark.parametrize(
    ("stamp", "said"), [(-1, "1970-01-01T00:00:00Z"), (0, "1970-01-01T00:00:00Z"), (2**32, "2106-02-07T06:28:16Z")]
)
def test_times_in_json(tmp_path: Path, stamp: int, said: str) -> None:
    root = write_tree(tmp_path / "www", {"file": b""})
    os.utime(root / "file", (stamp, stamp))
    answer = ask(load_site(root, ""), "/", ("Accept", "application/json"))
    assert json.loads(answer.body)["entries"][0]["modified"] == said


def test_an_empty_folder_as_json(site: Path) -> None:
    answer = ask(load_site(site, ""), "/empty-folder/", ("Accept", "application/json"))
    assert json.loads(answer.body) == {"path": "/empty-folder/", "entries": []}


@pytest.mark.parametrize("accept", ["application/json", "text/html", "", "image/png"])
@pytest.mark.parametrize(
    ("target", "status", "vary"),
    [
        ("/sub/", 200, "Accept"),
        ("/sub", 301, None),
        ("/sub/file.txt", 200, None),
        ("/indexed/", 200, None),
        ("/missing/", 404, None),
    ],
)
def test_only_listings_vary(site: Path, accept: str, target: str, status: int, vary: str | None) -> None:
    answer = ask(load_site(site, ""), target, ("Accept", accept))
    assert (answer.status, answer.fields.get("vary")) == (status, vary)
    assert answer.fields.get("cache-control") == {200: "no-cache", 301: None, 404: "no-store"}[status]


@pytest.mark.parametrize("form", ["application/json", "text/html"])
def test_rules_lie_over_both_forms(site: Path, form: str) -> None:
    rule = (
        '[[rules]]\npath = "/sub/**"\nfields = { Vary = "Cookie", Cache-Control = "max-age=5", Content-Type = "x/y" }'
    )
    answer = ask(load_site(site, rule), "/sub/", ("Accept", form))
    assert answer.fields["vary"] == "Accept, Cookie"
    assert answer.fields["cache-control"] == "max-age=5"
    assert answer.fields["content-type"].startswith(form)


def test_the_index_is_what_is_there(site: Path) -> None:
    answer = ask(load_site(site, ""), "/indexed/", ("Accept", "application/json"))
    assert answer.body == b"an index\n"
    assert answer.fields["content-type"].startswith("text/html")


def test_no_listing_is_no_listing_in_any_form(site: Path) -> None:
    answer = ask(load_site(site, "[site]\nlisting = false\n"), "/sub/", ("Accept", "application/json"))
    assert (answer.status, answer.token) == (403, "no-listing")
