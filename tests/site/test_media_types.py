"""Content-Type by file name, from the built-in table."""

from __future__ import annotations

import mimetypes
import re

import pytest

from httpmini.site import media_types
from httpmini.site.media_types import MediaTypes


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"a.html", "text/html; charset=utf-8"),
        (b"a.HTM", "text/html; charset=utf-8"),
        (b"a.css", "text/css; charset=utf-8"),
        (b"a.js", "text/javascript; charset=utf-8"),
        (b"a.mjs", "text/javascript; charset=utf-8"),
        (b"a.txt", "text/plain; charset=utf-8"),
        (b"a.md", "text/markdown; charset=utf-8"),
        # XML says which encoding it is in; two browsers stop at the first umlaut if the field says another.
        (b"a.svg", "image/svg+xml"),
        (b"a.xhtml", "application/xhtml+xml"),
        (b"a.xml", "text/xml"),
        (b"a.xsl", "text/xml"),
        (b"a.xslt", "application/xslt+xml"),
        (b"a.rss", "application/rss+xml"),
        (b"a.atom", "application/atom+xml"),
        (b"a.mathml", "application/mathml+xml"),
        (b"a.m3u8", "application/vnd.apple.mpegurl"),
        (b"a.mpd", "application/dash+xml"),
        (b"a.m4s", "video/iso.segment"),
        (b"a.geojson", "application/geo+json"),
        (b"a.eot", "application/vnd.ms-fontobject"),
        (b"a.svgz", "image/svg+xml"),
        (b"a.ttl", "text/turtle; charset=utf-8"),
        (b"a.ttc", "font/collection"),
        (b"a.3gp", "video/3gpp"),
        (b"a.cur", "image/vnd.microsoft.icon"),
        (b"a.iso", "application/x-iso9660-image"),
        (b"a.json", "application/json"),
        (b"a.wasm", "application/wasm"),
        (b"a.png", "image/png"),
        (b"a.PnG", "image/png"),
        (b"a.jpg", "image/jpeg"),
        (b"a.mp4", "video/mp4"),
        (b"a.wav", "audio/wav"),
        (b"a.woff2", "font/woff2"),
        (b"a.pdf", "application/pdf"),
        (b"a.tar.gz", "application/gzip"),
        (b"a.html.bak", "application/octet-stream"),
        (b"html", "application/octet-stream"),
        (b"a", "application/octet-stream"),
        (b"a.", "application/octet-stream"),
        (b"", "application/octet-stream"),
        (b"a.html ", "application/octet-stream"),
        (b"a.html\r\nX: y", "application/octet-stream"),
        (b"a.\xc3\xbc", "application/octet-stream"),
        (b"caf\xe9.txt", "text/plain; charset=utf-8"),
        (b".html", "text/html; charset=utf-8"),
    ],
)
def test_types_by_extension(name: bytes, expected: str) -> None:
    assert MediaTypes("utf-8", {}).of(name) == expected


@pytest.mark.parametrize(
    ("charset", "expected"), [("", "text/plain"), ("iso-8859-1", "text/plain; charset=iso-8859-1")]
)
def test_the_charset_is_the_one_of_the_settings(charset: str, expected: str) -> None:
    assert MediaTypes(charset, {}).of(b"a.txt") == expected


@pytest.mark.parametrize(
    ("extra", "name", "expected"),
    [
        ({"txt": "text/x-mine"}, b"a.TXT", "text/x-mine; charset=utf-8"),
        ({"txt": "application/x-mine"}, b"a.txt", "application/x-mine"),
        ({"txt": "text/plain; charset=koi8-r"}, b"a.txt", "text/plain; charset=koi8-r"),
        ({"zzz": "model/x"}, b"a.zzz", "model/x"),
        ({"zzz": "application/xml"}, b"a.zzz", "application/xml"),
        ({"zzz": "text/x-own+xml"}, b"a.zzz", "text/x-own+xml"),
        ({"zzz": "model/x"}, b"a.txt", "text/plain; charset=utf-8"),
        ({"zzz": "model/x"}, b"zzz", "application/octet-stream"),
    ],
)
def test_extra_types_win(extra: dict[str, str], name: bytes, expected: str) -> None:
    assert MediaTypes("utf-8", extra).of(name) == expected


def test_the_system_is_not_asked() -> None:
    mimetypes.add_type("text/plain", ".js")
    mimetypes.add_type("x/y", ".unheard-of")
    try:
        assert MediaTypes("", {}).of(b"a.js") == "text/javascript"
        assert MediaTypes("", {}).of(b"a.unheard-of") == "application/octet-stream"
    finally:
        mimetypes.init()


def test_no_extension_stands_under_two_types() -> None:
    extensions = [extension for line in media_types._TABLE.values() for extension in line.split()]
    assert sorted(extensions) == sorted(set(extensions))


def test_every_type_and_extension_is_well_formed() -> None:
    for media_type, extensions in media_types._TABLE.items():
        assert re.fullmatch(r"(application|audio|font|image|message|model|text|video)/[a-z0-9.+-]+", media_type)
        for extension in extensions.split():
            assert re.fullmatch(r"[a-z0-9]+", extension), media_type
            assert MediaTypes("", {}).of(b"a." + extension.encode()) == media_type
