"""Precompressed variants: which client gets which, and that no client gets a stale one."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from httpmini.protocol.message import Headers
from httpmini.site.respond import Site
from httpmini.site.variants import acceptable
from tests.support.small_site import ask, load_site, write_tree

OFFERED = ("br", "zstd", "gzip")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], []),
        ([""], []),
        (["gzip"], ["gzip"]),
        (["GZIP"], ["gzip"]),
        (["x-gzip"], ["gzip"]),
        (["gzip, deflate, br, zstd"], ["br", "zstd", "gzip"]),
        (["gzip", "br"], ["br", "gzip"]),
        (["gzip;q=1.0, br;q=0.5"], ["gzip", "br"]),
        (["gzip;q=0.001"], ["gzip"]),
        (["gzip;q=0"], []),
        (["gzip;q=0.000"], []),
        (["gzip ; q=0"], []),
        (["gzip;Q=0"], []),
        (["gzip;q=0, br"], ["br"]),
        (["*"], ["br", "zstd", "gzip"]),
        (["*;q=0"], []),
        (["*;q=0, gzip"], ["gzip"]),
        (["gzip;q=0, *"], ["br", "zstd"]),
        (["identity"], []),
        (["identity;q=0"], []),
        (["identity;q=0, gzip"], ["gzip"]),
        (["identity, gzip"], ["gzip"]),
        (["identity;q=1, gzip;q=0.5"], []),
        (["identity;q=0.5, gzip;q=1"], ["gzip"]),
        (["gzip;q=0.5, *;q=1"], ["br", "zstd", "gzip"]),
        (["deflate"], []),
        (["gzipped"], []),
        (["gzip;q=2"], []),
        (["gzip;q=0.1234"], []),
        (["gzip;q="], []),
        (["gzip;level=9"], []),
        (["gzip;q=-1"], []),
        (["gzip q=1"], []),
        ([",, gzip ,,"], ["gzip"]),
        (["\xff, gzip"], ["gzip"]),
        (["gzip;q=1;q=0"], []),
    ],
    ids=str,
)
def test_what_a_client_takes(values: list[str], expected: list[str]) -> None:
    headers = Headers(tuple(("Accept-Encoding", value) for value in values))
    assert acceptable(headers, OFFERED) == expected


FILES = {
    "a.css": b"plain css",
    "a.css.br": b"brotli css",
    "a.css.zst": b"zstandard css",
    "a.css.gz": b"gzip css, 0123456789",
    "only.txt": b"only plain",
    "stale.txt": b"newer than its neighbour",
    "stale.txt.gz": b"older",
    "folder.txt": b"its neighbour is a folder",
    "folder.txt.gz/x": b"",
    "index.html": b"plain index",
    "index.html.gz": b"gzip index",
}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    root = write_tree(tmp_path / "www", FILES)
    for name in FILES:
        os.utime(root / name, (1_000_000_000, 1_000_000_000))
    os.utime(root / "stale.txt.gz", ns=(0, 999_999_999_998_000_000))
    os.utime(root / "a.css.gz", ns=(0, 999_999_999_999_900_000))  # as rounded by a floating-point number
    os.symlink("/etc/passwd", root / "outside.txt.gz")
    (root / "outside.txt").write_bytes(b"plain")
    return load_site(root, '[site]\nprecompressed = ["br", "zstd", "gzip"]\n', ahead_s=60)


@pytest.mark.parametrize(
    ("target", "accept", "name", "coding"),
    [
        ("/a.css", None, "a.css", None),
        ("/a.css", "gzip", "a.css.gz", "gzip"),
        ("/a.css", "zstd, gzip", "a.css.zst", "zstd"),
        ("/a.css", "gzip, deflate, br, zstd", "a.css.br", "br"),
        ("/a.css", "br;q=0.1, gzip;q=0.2", "a.css.gz", "gzip"),
        ("/a.css", "br;q=0, gzip", "a.css.gz", "gzip"),
        ("/a.css", "identity;q=0", "a.css", None),
        ("/a.css", "*;q=0", "a.css", None),
        ("/only.txt", "gzip", "only.txt", None),
        ("/stale.txt", "gzip", "stale.txt", None),
        ("/folder.txt", "gzip", "folder.txt", None),
        ("/outside.txt", "gzip", None, None),
        ("/", "br, gzip", "index.html.gz", "gzip"),
        ("/index.html", "gzip", "index.html.gz", "gzip"),
        ("/a.css.gz", "gzip", "a.css.gz", None),
    ],
)
def test_which_is_sent(site: Site, target: str, accept: str | None, name: str | None, coding: str | None) -> None:
    fields = () if accept is None else (("Accept-Encoding", accept),)
    answer = ask(site, target, *fields)
    assert answer.status == 200
    assert answer.body == (FILES[name] if name else b"plain")
    assert answer.fields.get("content-encoding") == coding
    assert answer.fields["vary"] == "Accept-Encoding"
    expected = {"/": "text/html", "/index.html": "text/html", "/a.css": "text/css", "/a.css.gz": "application/gzip"}
    assert answer.fields["content-type"].split(";")[0] == expected.get(target, "text/plain")
    head = ask(site, target, *fields, method="HEAD")
    assert (head.status, head.fields) == (answer.status, answer.fields)


def test_each_variant_has_a_tag_of_its_own(site: Site) -> None:
    tags = {ask(site, "/a.css", ("Accept-Encoding", coding)).fields["etag"] for coding in ("br", "gzip", "zstd", "x")}
    assert len(tags) == 4
    gzip = ask(site, "/a.css", ("Accept-Encoding", "gzip")).fields["etag"]
    same = ask(site, "/a.css", ("Accept-Encoding", "gzip"), ("If-None-Match", gzip))
    assert (same.status, same.body) == (304, b"")
    assert (same.fields["etag"], same.fields["vary"]) == (gzip, "Accept-Encoding")
    assert "content-encoding" not in same.fields
    assert ask(site, "/a.css", ("Accept-Encoding", "br"), ("If-None-Match", gzip)).status == 200
    assert ask(site, "/a.css", ("Accept-Encoding", "br"), ("If-Match", gzip)).status == 412


@pytest.mark.parametrize(
    ("asked", "status", "content_range"),
    [("bytes=5-7", 206, "bytes 5-7/20"), ("bytes=-4", 206, "bytes 16-19/20"), ("bytes=20-", 416, "bytes */20")],
)
def test_ranges_are_of_the_variant(site: Site, asked: str, status: int, content_range: str) -> None:
    answer = ask(site, "/a.css", ("Accept-Encoding", "gzip"), ("Range", asked))
    assert (answer.status, answer.fields["content-range"]) == (status, content_range)
    if status == 206:
        first, last = map(int, content_range[6:].split("/")[0].split("-"))
        assert answer.body == FILES["a.css.gz"][first : last + 1]
        assert answer.fields["content-encoding"] == "gzip"


def test_if_range_of_another_variant_sends_the_whole(site: Site) -> None:
    tag = ask(site, "/a.css").fields["etag"]
    answer = ask(site, "/a.css", ("Accept-Encoding", "gzip"), ("Range", "bytes=0-1"), ("If-Range", tag))
    assert (answer.status, answer.body) == (200, FILES["a.css.gz"])


def test_a_date_says_nothing_of_the_variant(site: Site) -> None:
    """Their times are often equal (RFC 9110 §8.8.2.2)."""
    site = replace(site, wall=lambda: time.time() + 3600)
    date = ask(site, "/a.css").fields["last-modified"]
    answer = ask(site, "/a.css", ("Accept-Encoding", "br"), ("Range", "bytes=0-1"), ("If-Range", date))
    assert (answer.status, answer.body) == (200, FILES["a.css.br"])


def test_by_default_neighbours_are_just_files(tmp_path: Path) -> None:
    """In a shared folder, the archive next to a file may contain something else."""
    site = load_site(write_tree(tmp_path / "www", FILES), "")
    answer = ask(site, "/a.css", ("Accept-Encoding", "gzip, br, zstd"))
    assert (answer.body, answer.fields.get("vary")) == (FILES["a.css"], None)


def test_hidden_and_forbidden_neighbours_leak_nothing(site: Site) -> None:
    assert ask(site, "/.a", ("Accept-Encoding", "gzip")).status == 404
    assert ask(site, "/folder.txt.gz/x.gz", ("Accept-Encoding", "gzip")).status == 404
