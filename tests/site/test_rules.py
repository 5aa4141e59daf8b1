"""Globs, fields by path, redirects, and the site's own error pages."""

from __future__ import annotations

from pathlib import Path

import bcrypt
import pytest

from httpmini.errors import ProtocolError
from httpmini.reasons import REASONS
from httpmini.site.respond import Site
from httpmini.site.rules import Glob
from httpmini.site.target import MAX_NAMES
from tests.support.small_site import ask, load_site, read_out, write_tree


@pytest.mark.parametrize(
    ("glob", "path", "rest"),
    [
        ("/", "/", ""),
        ("/", "/a", None),
        ("/**", "/", "/"),
        ("/**", "/a/b/", "/a/b/"),
        ("/a", "/a", ""),
        ("/a", "/a/", None),
        ("/a/", "/a/", ""),
        ("/a/", "/a", None),
        ("/a/*", "/a/b", ""),
        ("/a/*", "/a/", None),
        ("/*", "/", None),
        ("/a/*/**", "/a/", None),
        ("/**/a/**/b", "/a/b", ""),
        ("/**/a/**/b", "/x/a/a/y/b", ""),
        ("/**/a/**/b", "/x/b/y", None),
        ("a*b*c", "/abxbc", ""),
        ("a*b*c", "/acb", None),
        ("*.old", "/x.old/", ""),
        ("*", "/", None),
        ("/a/*", "/a/b/c", None),
        ("/a/**", "/a", ""),
        ("/a/**", "/a/", "/"),
        ("/a/**", "/a/b/c.x", "/b/c.x"),
        ("/a/**", "/ab", None),
        ("/a/**/x", "/a/x", ""),
        ("/a/**/x", "/a/b/c/x", ""),
        ("/a/**/x", "/a/b/xx", None),
        ("/a/**/b/**", "/a/1/2/b/3/4", "/3/4"),
        ("*.css", "/a.css", ""),
        ("*.css", "/x/y/a.css", ""),
        ("*.css", "/a.css/b", None),
        ("*.css", "/a.css/", ""),
        ("robots.txt", "/robots.txt", ""),
        ("/*.css", "/x/a.css", None),
        ("/a?c", "/abc", ""),
        ("/a?c", "/a\u00fcc", ""),
        ("/a?c", "/a/c", None),
        ("/[ab]", "/a", None),
        ("/[ab]", "/[ab]", ""),
        ("/a.b", "/axb", None),
        ("/\u00fc/*", "/\u00fc/x", ""),
        ("/a\nb", "/a\nb", ""),
        ("*", "/a\nb", ""),
    ],
)
def test_a_glob(glob: str, path: str, rest: str | None) -> None:
    assert Glob(glob).match(path) == rest


@pytest.mark.parametrize(
    "text",
    ["", "a/b", "a/", "/a**", "/**a", "/a//b", "//", "/./a", "/a/..", "..", "**a", "**", "/a%20b", "%41", "/a\0b"],
)
def test_no_glob(text: str) -> None:
    with pytest.raises(ValueError, match=r"must|empty|has a component|is matched against"):
        Glob(text)


FILES = {
    "index.html": b"home",
    "assets/app.js": b"js",
    "assets/deep/a.css": b"css",
    "notes.txt": b"notes",
    "old/x.txt": b"still here",
    ".errors/404.html": b"<h1>gone fishing</h1>",
    "oops.txt": b"oops",
}
CONFIG = """
[site]
error_pages = { 404 = "/.errors/404.html", 4xx = "/oops.txt", 5xx = "/oops.txt" }

[[rules]]
path = "/assets/**"
fields = { Cache-Control = "max-age=31536000, immutable", Vary = "Origin", X-One = "1" }

[[rules]]
path = "*.html"
fields = { cache-control = "max-age=60", "X-Frame-Options" = "DENY" }

[[rules]]
path = "/assets/deep/*"
fields = { Cache-Control = "", Content-Type = "text/x-own", x-one = "2" }

[[redirects]]
path = "/old/**"
to = "/new/**"

[[redirects]]
path = "/exact"
to = "https://example.org/a%20b?x=y"
permanent = false

[[redirects]]
path = "/up/**"
to = "/**"

[[redirects]]
path = "/part"
to = "/new/#part"

[[redirects]]
path = "/away/**"
to = "http://example.org/**"
"""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return load_site(write_tree(tmp_path / "www", FILES), CONFIG)


def test_fields_by_path(site: Site) -> None:
    assert ask(site, "/assets/app.js").fields["cache-control"] == "max-age=31536000, immutable"
    assert ask(site, "/%61ssets//app.js").fields["x-one"] == "1"
    assert ask(site, "/notes.txt").fields["cache-control"] == "no-cache"
    assert "x-one" not in ask(site, "/notes.txt").fields


def test_the_file_that_is_sent_counts_as_well(site: Site) -> None:
    for target in ("/", "/index.html"):
        answer = ask(site, target)
        assert (answer.fields["cache-control"], answer.fields["x-frame-options"]) == ("max-age=60", "DENY")


def test_the_later_rule_wins_and_nothing_takes_away(site: Site) -> None:
    answer = ask(site, "/assets/deep/a.css")
    assert "cache-control" not in answer.fields
    assert (answer.fields["x-one"], answer.fields["content-type"]) == ("2", "text/x-own")


def test_fields_of_other_answers(site: Site) -> None:
    """Listings, redirects, 304 and 206 have them too."""
    assert ask(site, "/assets/").fields["cache-control"] == "max-age=31536000, immutable"
    assert ask(site, "/assets").fields["x-one"] == "1"
    tag = ask(site, "/assets/app.js").fields["etag"]
    known = ask(site, "/assets/app.js", ("If-None-Match", tag))
    assert (known.status, known.fields["cache-control"]) == (304, "max-age=31536000, immutable")
    part = ask(site, "/assets/deep/a.css", ("Range", "bytes=0-0,2-2"))
    assert (part.status, part.fields["x-one"]) == (206, "2")
    assert part.body.count(b"Content-Type: text/x-own\r\n") == 2


CORS = """
[[rules]]
path = "/**"
fields = { Access-Control-Allow-Origin = "*", Cache-Control = "max-age=31536000", expires = "x", Content-Type = "a/b" }
[[rules]]
path = "*.html"
fields = { X-Page = "1", Cache-Control = "" }
[[realms]]
path = "/private"
users = "users"
"""


@pytest.mark.parametrize(
    ("target", "method", "fields", "status", "is_page"),
    [
        ("/nothing", "GET", (), 404, False),
        ("/nothing", "HEAD", (), 404, False),
        ("/nothing.html", "GET", (), 404, True),
        ("/notes.txt", "GET", (("If-Match", '"x"'),), 412, False),
        ("/notes.txt", "GET", (("Range", "bytes=99-"),), 416, False),
        ("/", "GET", (("Range", "bytes=99-"),), 416, True),  # the file that would have been sent counts as well
        ("/", "GET", (("If-Match", '"x"'),), 412, True),
        ("/private/x", "GET", (), 401, False),
        ("/notes.txt", "DELETE", (), 405, False),
        ("/notes.txt", "BREW", (), 501, False),
        ("/.hidden", "GET", (), 404, False),
    ],
)
def test_refusals_have_the_fields_but_for_their_lifetime(
    tmp_path: Path, target: str, method: str, fields: tuple[tuple[str, str], ...], status: int, is_page: bool
) -> None:
    """A page of another origin may read them; a 404 that was cached for a year could not be repaired."""
    root = write_tree(tmp_path / "www", {**FILES, "private/x": b"x"})
    (tmp_path / "users").write_bytes(b"bob:" + bcrypt.hashpw(b"x", bcrypt.gensalt(4)))
    answer = ask(load_site(root, CORS), target, *fields, method=method)
    assert answer.status == status
    assert answer.fields["access-control-allow-origin"] == "*"
    assert answer.fields.get("x-page") == ("1" if is_page else None)
    assert answer.fields["cache-control"] == "no-store"
    assert answer.fields["content-type"].startswith("text/html")
    assert "expires" not in answer.fields


@pytest.mark.parametrize("target", ["/%00", "/%", "no-path"])
def test_what_has_no_path_has_no_fields_of_rules(tmp_path: Path, target: str) -> None:
    (tmp_path / "users").write_bytes(b"bob:" + bcrypt.hashpw(b"x", bcrypt.gensalt(4)))
    site = load_site(write_tree(tmp_path / "www", {**FILES, "private/x": b"x"}), CORS)
    answer = ask(site, target)
    assert (answer.status, answer.fields["cache-control"]) == (400, "no-store")
    assert "access-control-allow-origin" not in answer.fields


def test_every_refusal_says_that_it_must_not_be_stored(site: Site) -> None:
    """The site's own pages too."""
    for target, status, body in (("/nothing", 404, b"gone fishing"), ("/%00", 400, b"oops")):
        answer = ask(site, target)
        assert (answer.status, answer.fields["cache-control"]) == (status, "no-store")
        assert body in answer.body


STORED = """
[site]
precompressed = ["gzip"]
[[rules]]
path = "*.svgz"
fields = { Content-Encoding = "gzip" }
[[rules]]
path = "/Build/*.wasm.br"
fields = { content-encoding = "br", Content-Type = "application/wasm" }
[[rules]]
path = "/not/**"
fields = { Content-Encoding = "" }
"""


@pytest.mark.parametrize(
    ("target", "coding", "media_type"),
    [
        ("/a.svgz", "gzip", "image/svg+xml"),
        ("/Build/game.wasm.br", "br", "application/wasm"),
        ("/not/a.svgz", None, "image/svg+xml"),
        ("/Build/", "of our own", "text/html"),
        ("/Build/missing.wasm.br", None, "text/html"),
    ],
)
def test_files_that_are_stored_in_a_coding(tmp_path: Path, target: str, coding: str | None, media_type: str) -> None:
    files = {
        "a.svgz": b"packed",
        "a.svgz.gz": b"packed twice",
        "Build/game.wasm.br": b"packed",
        "not/a.svgz": b"packed",
    }
    site = load_site(write_tree(tmp_path / "www", files), STORED)
    for accept in ("gzip, br", "identity", "*;q=0"):
        answer = ask(site, target, ("Accept-Encoding", accept))
        ours = "gzip" if accept.startswith("gzip") else None  # a listing is made, and packed for who wants it so
        assert answer.fields.get("content-encoding") == (ours if coding == "of our own" else coding)
        assert answer.fields["content-type"].partition(";")[0] == media_type
        assert answer.status != 200 or target.endswith("/") or answer.body == b"packed"
    if coding in ("gzip", "br"):
        part = ask(site, target, ("Range", "bytes=2-3"))
        assert (part.status, part.body, part.fields["content-encoding"]) == (206, b"ck", coding)
        known = ask(site, target, ("If-None-Match", part.fields["etag"]))
        assert (known.status, known.fields.get("content-encoding")) == (304, None)


@pytest.mark.parametrize("vary", ["Origin", "Accept-Encoding, Origin", "Origin, Accept-Encoding"])
def test_vary_is_added_to(tmp_path: Path, vary: str) -> None:
    config = f'[site]\nprecompressed = ["gzip"]\n[[rules]]\npath = "/**"\nfields = {{ Vary = "{vary}" }}\n'
    site = load_site(write_tree(tmp_path / "www", FILES), config)
    assert ask(site, "/notes.txt").fields["vary"] == "Accept-Encoding, Origin"


def test_options_has_the_fields_of_rules(site: Site) -> None:
    """A preflight of CORS is an OPTIONS (Fetch standard)."""
    answer = ask(site, "/assets/app.js", method="OPTIONS")
    assert (answer.status, answer.fields["allow"], answer.fields["x-one"]) == (204, "GET, HEAD, OPTIONS", "1")
    assert "x-one" not in ask(site, "*", method="OPTIONS").fields


def test_no_glob_is_slow(tmp_path: Path) -> None:
    """The client chooses the path. A regular expression would take minutes for these; this takes moments."""
    globs = ["*-*-*-*-*.zip", "/**/a/**/a/**/a/**/b", "/*a*a*a*a*a*b"]
    config = "".join(f'[[redirects]]\npath = "{glob}"\nto = "/x"\n' for glob in globs)
    site = load_site(write_tree(tmp_path / "www", FILES), config)
    for target in ("/" + "-" * 8000, "/a" * 4000, "/" + "a" * 8000):
        assert ask(site, target).status == 404


@pytest.mark.parametrize(("depth", "is_found"), [(MAX_NAMES, True), (MAX_NAMES + 1, False), (4000, False)])
def test_how_deep_a_path_may_be(tmp_path: Path, depth: int, is_found: bool) -> None:
    """Neither rules nor redirects nor the disk are asked about what is deeper than any file that is served."""
    config = '[[redirects]]\npath = "/old/**"\nto = "/new/**"\n[[rules]]\npath = "/**"\nfields = { X-One = "1" }\n'
    site = load_site(write_tree(tmp_path / "www", FILES), config)
    rest = "/a" * (depth - 1)
    answer = ask(site, f"/old{rest}")
    assert (answer.status, answer.fields.get("location")) == ((301, f"/new{rest}") if is_found else (404, None))
    assert ("x-one" in ask(site, f"/old{rest}", method="OPTIONS").fields) == is_found
    folder = tmp_path / "www"
    for _ in range(depth - 1 if depth < 1000 else 0):
        folder = folder / "a"
        folder.mkdir()
    if depth < 1000:
        (folder / "file").write_bytes(b"deep")
        assert ask(site, f"{rest}/file").body == (b"deep" if is_found else ask(site, "/no").body)


@pytest.mark.parametrize(
    ("target", "status", "location"),
    [
        ("/old", 301, "/new"),
        ("/old/", 301, "/new/"),
        ("/old/x.txt", 301, "/new/x.txt"),
        ("//%6fld//x.txt", 301, "/new/x.txt"),
        ("/old/a%20b/c%3Fd?e=f", 301, "/new/a%20b/c%3Fd?e=f"),
        ("/old/%0d%0aSet-Cookie:x", 301, "/new/%0D%0ASet-Cookie%3Ax"),
        ("/old/caf%E9", 301, "/new/caf%E9"),
        ("/old?x=\xfc", 301, "/new?x=%FC"),
        ("/older", 404, None),
        ("/exact", 302, "https://example.org/a%20b?x=y"),
        ("/exact?z", 302, "https://example.org/a%20b?x=y"),
        ("/exact/", 404, None),
        ("/part?x=1", 301, "/new/?x=1#part"),
        ("/old/%2e%2e/%2E%2E/x", 404, None),
        ("/old/./x", 301, "/new/x"),
        ("/up/", 301, "/"),
        ("/up", 301, "/"),
        ("/up/evil.example/x", 301, "/evil.example/x"),
        ("/up//evil.example", 301, "/evil.example"),
        ("/up/%2Fevil.example", 404, None),
        ("/up/%5Cevil.example", 301, "/%5Cevil.example"),
        ("/away/x", 301, "http://example.org/x"),
        ("/away", 301, "http://example.org"),
        ("/away/@evil.example", 301, "http://example.org/%40evil.example"),
        ("/away/.evil.example", 301, "http://example.org/.evil.example"),
    ],
)
def test_redirects(site: Site, target: str, status: int, location: str | None) -> None:
    for method in ("GET", "HEAD"):
        answer = ask(site, target, method=method)
        assert (answer.status, answer.fields.get("location")) == (status, location)


@pytest.mark.parametrize(
    ("target", "method", "status", "body", "media_type"),
    [
        ("/nothing", "GET", 404, b"<h1>gone fishing</h1>", "text/html; charset=utf-8"),
        ("/.errors/404.html", "GET", 404, b"<h1>gone fishing</h1>", "text/html; charset=utf-8"),
        ("/%zz", "GET", 400, b"oops", "text/plain; charset=utf-8"),
        ("/", "DELETE", 405, b"oops", "text/plain; charset=utf-8"),
        ("/", "BREW", 501, b"oops", "text/plain; charset=utf-8"),
    ],
)
def test_error_pages(site: Site, target: str, method: str, status: int, body: bytes, media_type: str) -> None:
    answer = ask(site, target, method=method)
    assert (answer.status, answer.body, answer.fields["content-type"]) == (status, body, media_type)
    assert answer.fields.get("allow") == ("GET, HEAD, OPTIONS" if status == 405 else None)


def test_refusals_of_the_server_have_them_too(site: Site) -> None:
    answer = read_out(site.refuse(ProtocolError(REASONS["too-many-clients"])))
    assert (answer.status, answer.body, answer.fields["retry-after"]) == (503, b"oops", "1")


def test_an_error_page_that_has_gone_is_ours(site: Site, tmp_path: Path) -> None:
    (tmp_path / "www/.errors/404.html").unlink()
    assert b"<code>not-found</code>" in ask(site, "/nothing").body
    (tmp_path / "www/.errors/404.html").mkdir()
    assert b"<code>not-found</code>" in ask(site, "/nothing").body
