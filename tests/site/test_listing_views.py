"""What the query of a listing asks for, in each of its forms; and how much a listing costs."""

from __future__ import annotations

import gzip
import html.parser
import json
import os
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urljoin

import pytest

from httpmini.lint.cases.site_tree import MTIME
from httpmini.site.digests import Digests
from httpmini.site.listing.kinds import Kinds
from httpmini.site.listing.listings import JSON, TEXT, Listings, Wanted
from httpmini.site.listing.page import human_size
from httpmini.site.listing.view import PLAIN, View, reference, view_of
from httpmini.site.media_types import MediaTypes
from httpmini.site.resolve import Directory
from httpmini.site.respond import Site
from httpmini.work import begin, finish
from tests.support.small_site import Answer, ask, load_site, write_tree

NOBODY = 65_534
COMMON_FIELDS = 121  # octets of the status line, Date, Server, Content-Length, Connection and the blank line
SIZES = {"b.txt": 20, "A.txt": 30, "notes 9": 10, "notes 10": 9, "Z/x": 1, "y/x": 1}


class Page(html.parser.HTMLParser):
    """The tags of a page, and the text of its entries."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.names: list[str] = []
        self._in_name = False
        self.feed(page.decode("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "b":
            self._in_name = True
            self.names.append("")

    def handle_endtag(self, tag: str) -> None:
        self._in_name = self._in_name and tag != "b"

    def handle_data(self, data: str) -> None:
        if self._in_name:
            self.names[-1] += data

    def values(self, tag: str, attribute: str) -> list[str]:
        return [str(attrs[attribute]) for name, attrs in self.tags if name == tag and attribute in attrs]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site with a few files, each a day older than the one before."""
    root = write_tree(tmp_path / "Pictures", {f"f/{name}": b"x" * size for name, size in SIZES.items()})
    for age, name in enumerate(SIZES):
        os.utime(root / "f" / name.partition("/")[0], (MTIME - 86_400 * age, MTIME - 86_400 * age))
    return load_site(root, "")


def _names(answer: Answer) -> list[str]:
    return [entry["name"] for entry in json.loads(answer.body)["entries"]]


@pytest.mark.parametrize(
    ("query", "view"),
    [
        ("", PLAIN),
        ("?", PLAIN),
        ("?sort=size&order=desc&q=a%20b&view=grid&page=3", View("size", "desc", "a b", "grid", 3)),
        ("?sort=date", View("date")),
        ("?sort=SIZE&order=up&view=map&page=-1", PLAIN),
        ("?sort=size&sort=date", View("size")),
        ("?q=+a+", View(q="a")),
        ("?q=%C3%BC", View(q="ü")),
        ("?q=\xc3\xbc", View(q="ü")),  # as a browser never sends it, in octets
        ("?q=%ff", View(q="\ufffd")),
        ("?q=" + "x" * 300, View(q="x" * 255)),
        ("?page=0", PLAIN),
        ("?page=%D9%A3", PLAIN),  # a digit, but not of ours
        ("?page=9999999999", PLAIN),
        ("?x=y&q=z", View(q="z")),
        ("?q=z" + "&x" * 30 + "=1" * 30, PLAIN),
        ("?" + "q=z&" * 20, PLAIN),
        ("?q=a&b", View(q="a")),
        ("?thumb", PLAIN),
        ("?%", PLAIN),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_a_query_asks_for(query: str, view: View) -> None:
    assert view_of(query) == view


@pytest.mark.parametrize("view", [PLAIN, View("size", "desc", "a&b=c #ü", "grid", 3), View(q="%41"), View(page=2)])
def test_a_link_asks_for_its_view(view: View) -> None:
    link = reference(view)
    assert link.isascii()
    assert view_of(link.removeprefix("./")) == view


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["y", "Z", "A.txt", "b.txt", "notes 9", "notes 10"]),
        ("?order=desc", ["Z", "y", "notes 10", "notes 9", "b.txt", "A.txt"]),
        ("?sort=size", ["y", "Z", "notes 10", "notes 9", "b.txt", "A.txt"]),
        ("?sort=size&order=desc", ["y", "Z", "A.txt", "b.txt", "notes 9", "notes 10"]),
        ("?sort=date", ["y", "Z", "notes 10", "notes 9", "A.txt", "b.txt"]),
        ("?sort=date&order=desc", ["Z", "y", "b.txt", "A.txt", "notes 9", "notes 10"]),
        ("?q=NOTES", ["notes 9", "notes 10"]),
        ("?q=z", ["Z"]),
        ("?q=nothing", []),
        ("?q=notes&order=desc&page=1", ["notes 10", "notes 9"]),
        ("?sort=weight", ["y", "Z", "A.txt", "b.txt", "notes 9", "notes 10"]),
    ],
)
def test_all_forms_obey_the_query(site: Site, query: str, names: list[str]) -> None:
    assert _names(ask(site, "/f/" + query, ("Accept", JSON))) == names
    shown = [name + ("/" if name in ("y", "Z") else "") for name in names]
    assert Page(ask(site, "/f/" + query).body).names == shown
    grid = query + ("&" if query else "?") + "view=grid"
    assert Page(ask(site, "/f/" + grid).body).names == shown
    lines = ask(site, "/f/" + query, ("Accept", "text/plain")).body.decode().splitlines()
    assert [line.split("\t")[2] for line in lines] == shown


def test_as_text(site: Site, tmp_path: Path) -> None:
    odd = tmp_path / "Pictures" / "g"
    odd.mkdir()
    for name in (b"tab\there", b"line\nend", b"esc\x1b", b"caf\xe9", "ü".encode()):
        (odd / os.fsdecode(name)).touch()
    answer = ask(site, "/f/", ("Accept", "text/plain"))
    assert (answer.status, answer.fields["content-type"]) == (200, TEXT)
    assert answer.body.splitlines()[0] == b"-\t1994-11-01T08:49:37Z\ty/"
    assert answer.body.splitlines()[2] == b"30\t1994-11-05T08:49:37Z\tA.txt"
    lines = ask(site, "/g/", ("Accept", "text/plain")).body.decode().splitlines()
    names = {"caf\\xe9", "esc\\x1b", "line\\x0aend", "tab\\x09here", "ü"}
    assert {line.split("\t")[2] for line in lines} == names


def test_pages_of_a_thousand(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "www", {f"f/{number:04}": b"" for number in range(2500)})
    site = load_site(root, "")
    every = [f"{number:04}" for number in range(2500)]
    first: dict[str, str] = {"next": "?page=2"}
    turns = ("", first), ("?page=2", {"prev": "./", "next": "?page=3"}), ("?page=3", {"prev": "?page=2"})
    for page, (query, around) in enumerate(turns, 1):
        shown = Page(ask(site, "/f/" + query).body)
        assert shown.names == every[(page - 1) * 1000 : page * 1000]
        links = {attrs["rel"]: attrs["href"] for tag, attrs in shown.tags if tag == "a" and "rel" in attrs}
        assert links == around
        assert _names(ask(site, f"/f/?page={page}", ("Accept", JSON))) == shown.names
    assert Page(ask(site, "/f/?page=4").body).names == every[:1000]
    assert _names(ask(site, "/f/", ("Accept", JSON))) == every, "a program that names no page gets all of it"
    assert b"Index of" not in ask(site, "/f/").body, "a part must not look like a whole listing"
    assert b"<title>Index of /f/</title>" in ask(load_site(write_tree(tmp_path / "x", {"f/a": b""}), ""), "/f/").body


def test_of_a_very_large_folder_only_the_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_tree(tmp_path / "www", {f"f/{number}": b"1" for number in range(30)})
    (root / "f" / "dir").mkdir()
    (root / "f" / "to-dir").symlink_to("dir")
    (root / "f" / "away").symlink_to("/etc")
    os.mkfifo(root / "f" / "fifo")
    site = load_site(root, "")
    before = _names(ask(site, "/f/", ("Accept", JSON)))
    monkeypatch.setattr("httpmini.site.listing.entries.MOST_WITH_STATUS", 30)
    rows = json.loads(ask(site, "/f/", ("Accept", JSON)).body)["entries"]
    assert [row["name"] for row in rows] == before
    assert all(set(row) == {"name", "href", "type"} for row in rows)
    assert _names(ask(site, "/f/?sort=size", ("Accept", JSON))) == before
    assert ask(site, "/f/?q=29", ("Accept", "text/plain")).body == b"-\t-\t29\n"
    page = ask(site, "/f/").body
    assert Page(page).names[:3] == ["dir/", "to-dir/", "0"]
    assert b"30 files, 2 folders" in page
    assert b"<time>" not in page


@pytest.mark.parametrize("form", ["text/html", JSON, "text/plain"])
def test_compressed_for_those_who_ask(site: Site, form: str) -> None:
    plain = ask(site, "/f/", ("Accept", form))
    packed, again = (ask(site, "/f/", ("Accept", form), ("Accept-Encoding", "br, gzip")) for _ in range(2))
    assert "content-encoding" not in plain.fields
    assert packed.fields["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    assert packed.body == again.body
    assert packed.fields["etag"] != plain.fields["etag"]
    assert ask(site, "/f/", ("Accept", form), ("If-None-Match", packed.fields["etag"])).status == 200
    conditions = ("Accept-Encoding", "gzip"), ("If-None-Match", packed.fields["etag"])
    assert ask(site, "/f/", ("Accept", form), *conditions).status == 304
    assert "content-encoding" not in ask(site, "/f/", ("Accept", form), ("Accept-Encoding", "gzip;q=0")).fields


def test_two_hundred_photos(tmp_path: Path) -> None:
    """Less than 6 KiB on the wire, with sizes and dates that do not repeat."""
    root = tmp_path / "Pictures"
    root.mkdir()
    chance = random.Random(200)
    for number in range(1, 201):
        photo = root / f"IMG_{number:04}.jpg"
        photo.touch()
        os.truncate(photo, chance.randint(4_000_000, 6_000_000))
        taken = 1_795_900_000 - chance.randrange(7 * 86_400)
        os.utime(photo, (taken, taken))
    site = load_site(root, "")
    answer = ask(site, "/", ("Accept-Encoding", "gzip"))
    head = sum(len(f"{name}: {value}\r\n") for name, value in answer.fields.items()) + COMMON_FIELDS
    assert len(answer.body) + head < 6 * 1024
    assert len(ask(site, "/?view=grid", ("Accept-Encoding", "gzip")).body) < 6_000
    page = Page(gzip.decompress(answer.body))
    assert len(page.names) == 200
    assert page.values("a", "title")[0] == f"{(root / 'IMG_0001.jpg').stat().st_size} B"


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (9949, "9.9 kB"),
        (9960, "10 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (734_003_200, "734 MB"),
        (20_000_000_000, "20 GB"),
        (10**18, "1.0 EB"),
        (10**22, "10000 EB"),
    ],
)
def test_sizes_for_people(size: int, said: str) -> None:
    assert human_size(size) == said


@pytest.mark.parametrize(
    "query", ['"><img src=x onerror=alert(1)>', "</title><script>x</script>", "'", "&lt;", "\u202e"]
)
def test_nothing_of_a_query_is_markup(site: Site, query: str) -> None:
    for target in (
        f"/f/?q={quote(query)}",
        f"/f/?q={quote(query)}&view=grid&sort={quote(query)}",
        f"/f/?{quote(query)}=1",
    ):
        page = Page(ask(site, target).body)
        assert {tag for tag, _ in page.tags} <= TAGS
        assert page.values("input", "value")[0] in (query, "")


def test_a_title_has_nothing_of_a_query_that_is_not_shown(site: Site) -> None:
    query = quote("a\u202eb\x00\x1b.")
    body = ask(site, f"/f/?q={query}").body.decode()
    assert "<title>&#34;a\ufffdb\ufffd\ufffd.&#34; in /f/</title>" in body


TAGS = {
    *("html", "head", "meta", "title", "link", "style", "body", "main", "h1", "div", "nav", "form", "input", "button"),
    *("a", "i", "ul", "li", "b", "span", "time", "script", "footer"),
}


def test_every_link_of_every_view_fetches_its_file(site: Site) -> None:
    contents = {name: b"x" * size for name, size in SIZES.items() if "/" not in name}
    views = ("", "?sort=size", "?sort=date&order=desc", "?view=grid", "?q=t", "?page=1", "?view=grid&q=notes")
    ahead, seen = ["/f/" + view for view in views], set()
    while ahead:
        target = ahead.pop()
        seen.add(target)
        page = Page(ask(site, target).body)
        for link, name in zip(page.values("a", "href")[-len(page.names) :], page.names, strict=False):
            answer = ask(site, urljoin(target, link))
            assert answer.status == 200
            assert name.endswith("/") or answer.body == contents[name]
        ours = [urljoin(target, link) for link in page.values("a", "href") if link.startswith("?") or link == "./"]
        ahead += [link for link in dict.fromkeys(ours) if link not in seen and link not in ahead]
    assert len(seen) > 10


def test_titles_and_crumbs(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "Pic & <b>", {"a/ü/c/x": b"", "x": b""})
    page = ask(load_site(root, ""), "/a/%C3%BC/c/").body.decode()
    assert '<h1><a href="../../../">Pic &amp; &lt;b&gt;</a><a href="../../">a</a><a href="../">ü</a>c</h1>' in page
    assert "<h1>Pic &amp; &lt;b&gt;</h1>" in ask(load_site(root, ""), "/").body.decode()
    assert "<h1>Holidays</h1>" in ask(load_site(root, '[site]\ntitle = "Holidays"\n'), "/").body.decode()
    assert "1 file, 1 folder, 0 B" in ask(load_site(root, ""), "/").body.decode()


def test_the_way_to_all_files_at_once(tmp_path: Path) -> None:
    """Shown where a folder can be fetched as one file, and only there."""
    root = write_tree(tmp_path / "www", {"a.txt": b""})
    resolver = load_site(root, "").resolver
    for archives in (True, False):
        listings = Listings(resolver, 0, Kinds(MediaTypes("utf-8", {})), "/", Digests(resolver, 0), archives=archives)
        folder = resolver.resolve(())
        assert isinstance(folder, Directory)
        listing = finish(begin(listings.find(folder, Wanted(()))))
        os.close(folder.fd)
        links = Page(listing.text).values("a", "href")
        assert ("?zip" in links, "?tar" in links) == (archives, archives)


@contextmanager
def _as_nobody() -> Iterator[None]:
    """Give up what root may do, if this is root."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_folder_that_may_not_be_read(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "www", {"f/a.txt": b"a"})
    for path in [tmp_path, *tmp_path.parents][:-2]:
        os.chmod(path, os.stat(path).st_mode | 0o055)
    site = load_site(root, "")
    ask(site, "/f/")
    os.chmod(root / "f", 0o311)
    with _as_nobody():
        for form in ("text/html", JSON, "text/plain"):
            answer = ask(site, "/f/?q=x", ("Accept", form))
            assert (answer.status, answer.token) == (403, "forbidden")
        assert b'href="../"' in answer.body
        # A folder that one may search and not read can be opened as a path alone, which not every system has.
        assert ask(site, "/f/a.txt").status == (200 if hasattr(os, "O_PATH") else 403)


@pytest.mark.parametrize(
    ("target", "status", "above"),
    [
        ("/nothing", 404, "./"),
        ("/nothing/", 404, "../"),
        ("/f/nothing?a=/b/", 404, "./"),
        ("/100%", 400, "./"),
        ("*", 400, ""),
        ("/f", 301, ""),
    ],
)
def test_the_way_up_from_an_error(site: Site, target: str, status: int, above: str) -> None:
    answer = ask(site, target)
    page = Page(answer.body)
    assert answer.status == status
    assert [link for link in page.values("a", "href") if link.startswith(".") and link != "./f/"] == (
        [above] if above else []
    )


def test_every_page_is_confined(site: Site) -> None:
    for target in ("/f/", "/f/?view=grid", "/nothing", "/f"):
        answer = ask(site, target)
        policy = answer.fields["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.fields["x-content-type-options"] == "nosniff"
        assert answer.fields["referrer-policy"] == "no-referrer"
        page = Page(answer.body)
        assert page.values("link", "href")[0].startswith("data:image/svg+xml,"), "no favicon.ico is asked for"
        assert not any(name.startswith("on") or name == "style" for _, attrs in page.tags for name in attrs)
    script = re.search(r"<script>(.*?)</script>", ask(site, "/f/").body.decode(), re.DOTALL)
    assert script
    assert len(script[1]) <= 2048


# READMEs.

README = b"""# A heading

<script>alert(1)</script> <img src=x onerror=alert(1)> [a](javascript:alert(1)) [b](a.txt) ![c](https://example.com/c.png)

| a | b |
|---|---|
| 1 | \x1b[31m\xe2\x80\xae |

&#x202e; &#27; &#x9b; [&#8238;](b "&#8238;")
"""


@pytest.mark.parametrize("name", ["README.md", "readme.MD", "README.txt", "ReadMe.TXT"])
def test_a_readme_is_shown_harmlessly(tmp_path: Path, name: str) -> None:
    site = load_site(write_tree(tmp_path / "www", {name: README, "a.txt": b""}), "")
    answer = ask(site, "/")
    page = Page(answer.body)
    text = answer.body.decode()
    is_markdown = name.lower().endswith(".md")
    assert ("<h1>A heading</h1>" in text, "<pre># A heading" in text) == (is_markdown, not is_markdown)
    assert page.values("a", "href").count("a.txt") == is_markdown
    assert text.count("<script>") == 1
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert not any(link.startswith("javascript:") for link in page.values("a", "href"))
    assert not any("onerror" in attrs for _, attrs in page.tags)
    assert not re.search("[\x1b\x9b\u202e]", text)
    assert "img-src 'self' data:;" in answer.fields["content-security-policy"]
    assert "A heading" not in ask(site, "/?q=a").body.decode()
    assert "A heading" not in ask(site, "/", ("Accept", JSON)).body.decode()


@pytest.mark.parametrize(("name", "drawn"), [("README.md", "<h1>A</h1>"), ("README.txt", "<pre># A\n</pre>")])
def test_a_byte_order_mark_is_no_text(tmp_path: Path, name: str, drawn: str) -> None:
    site = load_site(write_tree(tmp_path / "www", {name: b"\xef\xbb\xbf# A\r\n"}), "")
    assert drawn in ask(site, "/").body.decode()


def test_markdown_comes_before_text(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "www", {"README.txt": b"text", "README.md": b"*markdown*"})
    assert b"<em>markdown</em>" in ask(load_site(root, ""), "/").body
    (root / "README.md").write_bytes(b"x" * (64 * 1024 + 1))
    assert b"<pre>text</pre>" in ask(load_site(root, ""), "/").body


def test_the_tag_changes_with_the_readme(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "www", {"README.md": b"one"})
    site = load_site(root, "")
    os.utime(root / "README.md", (MTIME, MTIME))
    before = ask(site, "/")
    (root / "README.md").write_bytes(b"two")
    os.utime(root / "README.md", (MTIME, MTIME))
    after = ask(site, "/", ("If-None-Match", before.fields["etag"]))
    assert after.status == 200
    assert b"<p>two</p>" in after.body


def test_what_cannot_be_a_readme(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "www", {"a/README.md/x": b"", "b/x": b"", "c/README.md": b""})
    (root / "b" / "README.md").symlink_to("/etc/passwd")
    site = load_site(root, "")
    for folder in "abc":
        assert b"<article" not in ask(site, f"/{folder}/").body


@pytest.mark.parametrize("text", ["[", "![", "*a", "> ", "|a", "`a", "[a](", "<a ", "- ", "\n", "&", "a\n\n"])
def test_a_hostile_readme_is_bounded(tmp_path: Path, text: str) -> None:
    """Nothing in 64 KiB takes time that grows with its square: the limit of the test would be reached."""
    site = load_site(write_tree(tmp_path / "www", {"README.md": (text * 65_536)[: 64 * 1024].encode()}), "")
    answer = ask(site, "/")
    assert answer.status == 200
    assert len(answer.body) < 2_000_000
