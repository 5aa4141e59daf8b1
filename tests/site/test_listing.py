"""A listing shows what can be fetched, and each of its links fetches exactly that; as a page and as JSON."""

from __future__ import annotations

import html.parser
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urljoin

import pytest

from httpmini import config
from httpmini.daemon.build_site import build_site
from httpmini.lint.cases.site_tree import MTIME
from httpmini.protocol.body import FileSlice
from httpmini.protocol.message import Headers, Request, Response
from httpmini.site.listing.listings import FORMS, JSON, PAGE
from httpmini.site.negotiate import preferred
from httpmini.site.respond import Site
from httpmini.work import Pending, finish
from tests.support.small_site import ask, load_site, read_out, write_tree

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
    return finish(build_site(config.load(str(file), config.Flags(root=str(root)))).respond(Request("GET", target)))


def _page(response: Response) -> bytes:
    (page,) = response.body
    assert isinstance(page, bytes)
    return page


def _links(page: bytes) -> list[str]:
    """Return the links to entries."""
    parser = _Links()
    parser.feed(page.decode("utf-8").partition('<ul id="list">')[2].partition("</ul>")[0])
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
            {"name": "link", "href": "./link/", "type": "directory", **stamp},
            {"name": "Z", "href": "./Z/", "type": "directory", **stamp},
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
    assert [entry["href"] for entry in listing["entries"]] == _links(_page(page))
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
    assert f"<b>{shown}</b>" in page
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
        ("/sub/", 200, "Accept, Accept-Encoding"),
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
    assert answer.fields["vary"] == "Accept, Accept-Encoding, Cookie"
    assert answer.fields["cache-control"] == "max-age=5"
    assert answer.fields["content-type"].startswith(form)


def test_the_index_is_what_is_there(site: Path) -> None:
    answer = ask(load_site(site, ""), "/indexed/", ("Accept", "application/json"))
    assert answer.body == b"an index\n"
    assert answer.fields["content-type"].startswith("text/html")


def test_no_listing_is_no_listing_in_any_form(site: Path) -> None:
    answer = ask(load_site(site, "[site]\nlisting = false\n"), "/sub/", ("Accept", "application/json"))
    assert (answer.status, answer.token) == (403, "no-listing")


# Validators, and listings of large folders.


def _finish(answer: Response | Pending[Response]) -> Response:
    return finish(answer)


@pytest.fixture(params=["on the spot", "as work"])
def size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whether the folders of a test are small enough to be listed on the spot."""
    monkeypatch.setattr("httpmini.site.listing.entries._SMALL", 1000 if request.param == "on the spot" else 0)
    return str(request.param)


def _folder(tmp_path: Path, **settings: object) -> Site:
    root = write_tree(tmp_path / "www", {"f/a.txt": b"a", "f/b.txt": b"bb", "f/deep/c.txt": b"c", "g/a.txt": b"a"})
    for path in sorted(root.rglob("*")):
        os.utime(path, (MTIME, MTIME))
    lines = "\n".join(f"{name} = {config.toml(value)}" for name, value in settings.items())
    return load_site(root, f"[site]\n{lines}\n")


@pytest.mark.parametrize(
    ("field", "value", "status"),
    [
        ("If-None-Match", "{tag}", 304),
        ("If-None-Match", '"other", {tag}', 304),
        ("If-None-Match", "W/{tag}", 304),
        ("If-None-Match", "*", 304),
        ("If-None-Match", '"other"', 200),
        ("If-None-Match", "{tag}x", 304),
        ("If-Match", "{tag}", 200),
        ("If-Match", "*", 200),
        ("If-Match", '"other"', 412),
        ("If-Match", "W/{tag}", 412),
        ("If-Modified-Since", "Sun, 29 Nov 2026 00:00:00 GMT", 200),  # it has no date
        ("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT", 200),
        ("Range", "bytes=0-1", 200),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_conditions(tmp_path: Path, size: str, field: str, value: str, status: int, method: str) -> None:
    site = _folder(tmp_path)
    tag = ask(site, "/f/").fields["etag"]
    assert re.fullmatch(r'"[0-9a-f]{24}"', tag)
    answer = ask(site, "/f/", (field, value.format(tag=tag)), method=method)
    assert answer.status == status
    if status == 304:
        assert set(answer.fields) == {"etag", "cache-control", "vary"}
        assert answer.fields["etag"] == tag
    if status < 400:
        assert "last-modified" not in answer.fields


def _touch(path: Path) -> None:
    os.utime(path, (MTIME + 60, MTIME + 60))


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "new.txt").touch(),
        lambda folder: (folder / "a.txt").unlink(),
        lambda folder: (folder / "a.txt").rename(folder / "z.txt"),
        lambda folder: _touch(folder / "a.txt"),
        lambda folder: (folder / "a.txt").write_bytes(b"longer"),
        lambda folder: _touch(folder / "deep"),
        lambda folder: ((folder / "a.txt").unlink(), (folder / "a.txt").mkdir()),
    ],
)
def test_the_tag_changes_with_what_is_shown(tmp_path: Path, size: str, change: Callable[[Path], object]) -> None:
    site = _folder(tmp_path)
    before = ask(site, "/f/")
    assert ask(site, "/f/", ("If-None-Match", before.fields["etag"])).status == 304
    change(tmp_path / "www" / "f")
    after = ask(site, "/f/", ("If-None-Match", before.fields["etag"]))
    assert (after.status, after.body != before.body) == (200, True)
    assert after.fields["etag"] != before.fields["etag"]


def test_the_tag_stays_when_nothing_shown_changes(tmp_path: Path, size: str) -> None:
    site = _folder(tmp_path)
    tag = ask(site, "/f/").fields["etag"]
    (tmp_path / "www" / "f" / ".hidden").touch()
    os.chmod(tmp_path / "www" / "f" / "a.txt", 0o600)
    assert ask(site, "/f/").fields["etag"] == tag
    again = load_site(tmp_path / "www", "[site]\n")
    assert ask(again, "/f/").fields["etag"] == tag, "another process, or the next start"


def test_each_form_and_folder_has_its_own_tag(tmp_path: Path, size: str) -> None:
    site = _folder(tmp_path)
    tags = {ask(site, target, ("Accept", form)).fields["etag"] for target in ("/f/", "/g/") for form in FORMS}
    assert len(tags) == 2 * len(FORMS)


def test_large_and_small_folders_are_shown_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_tree(tmp_path / "www", {f"f/{number * 7919 % 5000:05}": b"" for number in range(3000)})
    site = load_site(root, "[site]\n")
    for form in FORMS:
        large = ask(site, "/f/", ("Accept", form))
        assert isinstance(site.respond(Request("GET", "/f/", headers=Headers((("Accept", form),)))), Pending)
        with monkeypatch.context() as patch:
            patch.setattr("httpmini.site.listing.entries._SMALL", 5000)
            patch.setattr("httpmini.site.folders._PIECE", 10_000)
            other = load_site(root, "[site]\n")
            assert not isinstance(other.respond(Request("GET", "/f/")), Pending)
            small = ask(other, "/f/", ("Accept", form))
        assert (large.body, large.fields) == (small.body, small.fields)


def test_a_listing_is_never_older_than_its_request(tmp_path: Path) -> None:
    """Those who wait for the same listing share it; those who come when it has begun do not."""
    root = write_tree(tmp_path / "www", {f"f/{number}": b"" for number in range(100)})
    site = load_site(root, "[site]\n")
    request = Request("GET", "/f/")
    first, second = site.respond(request), site.respond(request)
    assert isinstance(first, Pending)
    assert isinstance(second, Pending)
    assert first.work is second.work
    assert site.respond(Request("GET", "/f/", headers=Headers((("Accept", JSON),)))) is not first
    first.work.run()
    (root / "f" / "new").touch()
    third = site.respond(request)
    assert isinstance(third, Pending)
    assert third.work is not first.work
    assert b"./new" not in read_out(_finish(first)).body
    assert b"./new" in read_out(_finish(third)).body
    assert b"./new" not in read_out(_finish(second)).body


def test_an_unchanged_listing_is_one_text(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "www", {f"f/{number}": b"" for number in range(100)})
    for limit, is_kept in ((10_000_000, True), (1000, False)):
        site = load_site(root, f"[limits]\nresponse_cache_bytes = {limit}\n")
        one, other = (_page(_finish(site.respond(Request("GET", "/f/")))) for _ in range(2))
        assert (one is other) == is_kept
        assert one == other


@pytest.mark.parametrize("vanishes", [True, False])
def test_a_folder_that_goes_while_its_listing_waits(tmp_path: Path, vanishes: bool) -> None:
    root = write_tree(tmp_path / "www", {f"f/{number}": b"" for number in range(100)})
    site = load_site(root, "[site]\n")
    waiting = site.respond(Request("GET", "/f/"))
    assert isinstance(waiting, Pending)
    (root / "f").rename(root / "elsewhere")
    if not vanishes:
        (root / "f").touch()
    assert read_out(_finish(waiting)).status == 404
