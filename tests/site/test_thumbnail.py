"""Small pictures of photos: what cameras write, and what somebody wrote who wants us to fall."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from httpmini.site.thumbnail import MOST_FILE_BYTES, START_BYTES, find_thumbnail
from tests.support.photos import exif, photo, tiff
from tests.support.small_site import ask, load_site, write_tree

THUMB = b"\xff\xd8\xff\xdb" + b"a small picture" * 20 + b"\xff\xd9"


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("before", [b"", b"\xff\xe0\x00\x10JFIF\0" + bytes(9), b"\xff\xe1\x00\x08http:/"])
def test_what_cameras_write(order: str, before: bytes) -> None:
    assert find_thumbnail(photo(exif(tiff(THUMB, order)), before)) == THUMB


@pytest.mark.parametrize("orientation", [0, 1, 3, 6, 8, 9])
def test_a_thumbnail_is_turned_as_its_picture_is(orientation: int) -> None:
    found = find_thumbnail(photo(exif(tiff(THUMB, ">", orientation))))
    assert found is not None
    if orientation in (0, 1, 9):
        assert found == THUMB
    else:
        assert found.startswith(b"\xff\xd8\xff\xe1")
        assert found.endswith(THUMB[2:])
        assert struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0) in found


WHOLE = photo(exif(tiff(THUMB, "<")))
HOSTILE = {
    "nothing": b"",
    "no JPEG": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "only a start": b"\xff\xd8",
    "fill bytes to the end": b"\xff\xd8" + b"\xff" * 5000,
    "a segment of no length": b"\xff\xd8\xff\xe1\x00\x00Exif\0\0" + tiff(THUMB, "<"),
    "a segment that goes on": b"\xff\xd8\xff\xe1\xff\xffExif\0\0II*\0",
    "no byte order": photo(exif(b"XX" + tiff(THUMB, "<")[2:])),
    "a directory far away": photo(exif(b"II*\0\xff\xff\xff\xff")),
    "a directory that is its own next": photo(exif(b"II*\0\x08\0\0\0\0\0\x08\0\0\0")),
    "65,535 entries": photo(exif(b"II*\0\x08\0\0\0\xff\xff" + bytes(60_000))),
    "a length that lies": photo(exif(tiff(THUMB, "<", length=len(THUMB) + 1_000))),
    "a length of 4 GiB": photo(exif(tiff(THUMB, "<", length=0xFFFFFFFF))),
    "an offset of 4 GiB": photo(exif(tiff(THUMB, "<", offset=0xFFFFFFFF))),
    "not a picture": photo(exif(tiff(b"<script>alert(1)</script>", "<"))),
    "after the picture has begun": photo(exif(tiff(THUMB, "<")), b"\xff\xda\x00\x02"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_lies_is_no_thumbnail(name: str) -> None:
    assert find_thumbnail(HOSTILE[name]) is None


def test_any_octets_are_read_without_an_error() -> None:
    chance = random.Random(7)
    for _ in range(3000):
        broken = bytearray(WHOLE[: chance.randrange(len(WHOLE))] if chance.random() < 0.3 else WHOLE)
        for _ in range(chance.randrange(1, 12)):
            if broken:
                broken[chance.randrange(min(len(broken), 90))] = chance.randrange(256)
        found = find_thumbnail(bytes(broken))
        assert found is None or found.startswith(b"\xff\xd8\xff")


def test_what_is_sent(tmp_path: Path) -> None:
    files = {
        "camera.jpg": WHOLE + bytes(5_000_000),
        "small.png": b"a small picture",
        "small.jpg": b"\xff\xd8 without a thumbnail",
        "large.jpg": b"\xff\xd8" + bytes(MOST_FILE_BYTES),
        "late.jpg": b"\xff\xd8" + b"\xff\xe2\xff\xff" + bytes(START_BYTES) + WHOLE + bytes(MOST_FILE_BYTES),
        "notes.txt": b"no picture",
        "b.tiff": b"not drawn by browsers",
    }
    site = load_site(write_tree(tmp_path / "www", files), "")
    glyph = ask(site, "/large.jpg?thumb")
    for name, content in {**files, "camera.jpg": THUMB, "large.jpg": glyph.body, "late.jpg": glyph.body}.items():
        answer = ask(site, f"/{name}?thumb")
        assert (answer.status, answer.body) == (200, content), name
    assert glyph.fields["content-type"] == "image/svg+xml"
    assert glyph.body.startswith(b"<svg ")
    thumb = ask(site, "/camera.jpg?thumb")
    assert thumb.fields["content-type"] == "image/jpeg"
    assert thumb.fields["x-content-type-options"] == "nosniff"
    assert thumb.fields["etag"] != ask(site, "/camera.jpg").fields["etag"]
    assert ask(site, "/camera.jpg?thumb", ("If-None-Match", thumb.fields["etag"])).status == 304
    assert ask(site, "/camera.jpg?thumb", ("If-Match", '"other"')).status == 412
    assert ask(site, "/camera.jpg?thumb=1").body == files["camera.jpg"], "any other query changes nothing"
    assert ask(site, "/nothing.jpg?thumb").status == 404
    quiet = load_site(tmp_path / "www", "[site]\nlisting = false\n")
    assert ask(quiet, "/camera.jpg?thumb").body == files["camera.jpg"]


def test_two_hundred_photos_are_light(tmp_path: Path) -> None:
    large = photo(exif(tiff(b"\xff\xd8\xff" + bytes(12_000), "<"))) + bytes(5_000_000)
    site = load_site(write_tree(tmp_path / "www", {"IMG.jpg": large}), "")
    page = len(ask(site, "/?view=grid").body)
    assert page * 10 + 200 * len(ask(site, "/IMG.jpg?thumb").body) < 4_000_000
