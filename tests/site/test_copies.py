"""Compressed neighbours as tools make and deploy them: copies are sent, and none that was forgotten."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard

from httpmini.site import copies
from httpmini.site.copies import Copies
from httpmini.site.notices import Notices
from httpmini.site.resolve import File
from httpmini.site.respond import Site
from tests.conftest import StartServer
from tests.support.small_site import ask, load_site, write_tree
from tests.support.wire import converse

PAGES = 20
SUFFIXES = {"gzip": "gz", "br": "br", "zstd": "zst"}
ALL = '[site]\nprecompressed = ["gzip", "br", "zstd"]\n'


def gzip(content: bytes) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return packer.compress(content) + packer.flush()


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


def pack(page: Path, coding: str, modified_ns: int | None = None) -> None:
    """Write a compressed neighbour of ``page``, by default with the time at which that happens."""
    packed = page.with_name(f"{page.name}.{SUFFIXES[coding]}")
    packed.write_bytes(PACK[coding](page.read_bytes()))
    if modified_ns is not None:
        os.utime(packed, ns=(modified_ns, modified_ns))


def coding_of(site: Site, target: str, coding: str) -> str | None:
    answer = ask(site, target, ("Accept-Encoding", coding))
    assert answer.status == 200
    return answer.fields.get("content-encoding")


def build(root: Path) -> Path:
    """Write pages and their neighbours, with the times that brotli and pigz give them."""
    for number in range(PAGES):
        page = write_tree(root, {f"{number}.css": b"a { }" * 100 + b"%d" % number}) / f"{number}.css"
        for coding in SUFFIXES:
            second_ns = 10**9
            pack(page, coding, page.stat().st_mtime_ns // second_ns * second_ns)
    return root


# How a tree is deployed. Where times are not kept, the neighbours may be written first.


def backwards(source: Path) -> list[str]:
    return sorted((path.name for path in source.iterdir()), reverse=True)


def copy_afresh(source: Path, target: Path) -> None:
    target.mkdir()
    subprocess.run(["cp", *(source / name for name in backwards(source)), target], check=True)


def unpack_tar(source: Path, target: Path, *options: str) -> None:
    target.mkdir()
    archive = target.with_suffix(".tar")
    subprocess.run(["tar", "-cf", archive, "-C", source, *backwards(source)], check=True)
    subprocess.run(["tar", "-xf", archive, "-C", target, *options], check=True)


def unpack_tar_with_new_times(source: Path, target: Path) -> None:
    unpack_tar(source, target, "-m")


def pack_zip(source: Path, target: Path) -> Path:
    with zipfile.ZipFile(target.with_suffix(".zip"), "w") as archive:
        for name in backwards(source):
            archive.write(source / name, name)
    return target.with_suffix(".zip")


def unzip(source: Path, target: Path) -> None:
    """Unzip, which keeps times to two seconds."""
    subprocess.run(["unzip", "-q", pack_zip(source, target), "-d", target], check=True)


def unzip_in_python(source: Path, target: Path) -> None:
    """Unzip with the time of doing it."""
    with zipfile.ZipFile(pack_zip(source, target)) as archive:
        archive.extractall(target)


DEPLOYMENTS: dict[str, Callable[[Path, Path], object]] = {
    "as it was built": os.rename,
    "cp": copy_afresh,
    "cp -a": lambda source, target: subprocess.run(["cp", "-a", source, target], check=True),
    "cp -r": lambda source, target: subprocess.run(["cp", "-r", source, target], check=True),
    "tar x": unpack_tar,
    "tar xm": unpack_tar_with_new_times,
    "unzip": unzip,
    "unzip in Python": unzip_in_python,
    "copytree": shutil.copytree,
}


@pytest.mark.parametrize("deploy", DEPLOYMENTS.values(), ids=DEPLOYMENTS)
def test_every_copy_of_a_deployed_tree_is_sent(tmp_path: Path, deploy: Callable[[Path, Path], object]) -> None:
    source = build(tmp_path / "source")
    deploy(source, tmp_path / "www")
    site = load_site(tmp_path / "www", ALL)
    sent = [coding_of(site, f"/{number}.css", coding) for number in range(PAGES) for coding in SUFFIXES]
    assert sent == [*SUFFIXES] * PAGES


@pytest.mark.parametrize("deploy", DEPLOYMENTS.values(), ids=DEPLOYMENTS)
@pytest.mark.parametrize("coding", SUFFIXES)
def test_no_forgotten_neighbour_is_sent(tmp_path: Path, coding: str, deploy: Callable[[Path, Path], object]) -> None:
    """The page is edited right after it was deployed: same size, perhaps the same second."""
    deploy(build(tmp_path / "source"), tmp_path / "www")
    page = tmp_path / "www" / "1.css"
    page.write_bytes(page.read_bytes().replace(b"a", b"b"))
    second_ns = 10**9
    newest_ns = max(path.stat().st_mtime_ns for path in page.parent.iterdir())
    os.utime(page, ns=(newest_ns + 2_000_000,) * 2)  # as if written in that second: only the content tells
    assert page.stat().st_mtime_ns // second_ns - newest_ns // second_ns <= 1
    site = load_site(tmp_path / "www", ALL)
    assert coding_of(site, "/1.css", coding) is None
    assert coding_of(site, "/2.css", coding) == coding


SECOND, NS = 1_000_000_000, 10**9


# The times of the file and of its neighbour, in seconds after SECOND; whether it counts as a copy if nothing can be
# read from the content. "now" is the time of writing.
@pytest.mark.parametrize(
    ("plain", "packed", "is_copy"),
    [
        (0.5, 0.5, True),
        (0.5, 0.6, True),
        (0.5, 0.4995, True),  # as a floating-point number
        (0.5, 0.49, False),
        (0.9, 0, True),  # cut to a whole second
        (1.9, 1, True),
        (1.9, 0, True),  # cut to two seconds
        (2.0, 0, False),
        (2.5, 1, False),
        (100, 0, False),
        (0, -2, False),
        (0, -0.002, False),
    ],
)
def test_times_alone(tmp_path: Path, plain: float, packed: float, is_copy: bool) -> None:
    files = write_tree(tmp_path, {"a": b"plain", "a.br": b"no brotli"})
    for name, after in (("a", plain), ("a.br", packed)):
        os.utime(files / name, ns=(0, SECOND * NS + int(after * NS)))
    assert judge(files / "a.br", files / "a", "br", Copies()) is is_copy


def judge(packed: Path, plain: Path, coding: str, copies: Copies) -> bool:
    fds = [os.open(path, os.O_RDONLY) for path in (packed, plain)]
    try:
        return copies.is_copy(*(File(fd, os.fstat(fd)) for fd in fds), coding)  # type: ignore[call-arg,arg-type]
    finally:
        for fd in fds:
            os.close(fd)


@pytest.mark.parametrize("coding", SUFFIXES)
def test_the_content_decides_for_older_ones(tmp_path: Path, coding: str) -> None:
    """The page was touched, or copied long after its neighbours."""
    page = write_tree(tmp_path, {"a": b"page" * 1000}) / "a"
    pack(page, coding, 900_000_000 * NS)
    packed = page.with_name(f"a.{SUFFIXES[coding]}")
    assert judge(packed, page, coding, Copies(SUFFIXES))
    page.write_bytes(b"gape" * 1000)
    assert not judge(packed, page, coding, Copies(SUFFIXES))
    packed.write_bytes(packed.read_bytes()[:-1])
    os.utime(packed, (900_000_000, 900_000_000))
    assert not judge(packed, page, coding, Copies(SUFFIXES))


@pytest.mark.parametrize("coding", SUFFIXES)
def test_a_bomb_is_not_unpacked(tmp_path: Path, coding: str) -> None:
    page = write_tree(tmp_path, {"a": b"small"}) / "a"
    packed = page.with_name(f"a.{SUFFIXES[coding]}")
    packed.write_bytes(PACK[coding](bytes(64 * 1024**2)))
    os.utime(packed, (900_000_000, 900_000_000))
    began = time.process_time()
    assert not judge(packed, page, coding, Copies(SUFFIXES))
    assert time.process_time() - began < 5, "only as much is decoded as the page has"


def test_a_notice_is_told_once() -> None:
    told: list[str] = []
    notices = Notices(told.append)
    for text in ("one", "two", "one", "two \udcff", "two"):
        notices.tell(text)
    assert told == ["one", "two", "two \udcff"]


def test_what_is_passed_over_is_logged_once(start: StartServer, tmp_path: Path, mode: str) -> None:
    root = write_tree(tmp_path / "www", {"a.css": b"new", "a.css.gz": gzip(b"old"), "b.css": b"b", "c.css": b"c"})
    os.utime(root / "a.css.gz", (1_000_000_000, 1_000_000_000))
    (root / "b.css.gz").mkdir()
    server = start(root, "--mode", mode, config='[site]\nprecompressed = ["gzip"]\n')
    for name in ("a", "b", "c") * 5:
        said = converse(server.port, [f"GET /{name}.css HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n".encode()])
        assert said.startswith(b"HTTP/1.0 200 ")
        assert b"content-encoding" not in said.lower()
    server.wait_for_line("/b.css.gz is not sent")
    lines = [line.partition(" ")[2] for line in server.lines if "not sent" in line]
    assert lines == [
        "warning: /a.css.gz is not sent as a compressed copy: older than its file, which was changed since",
        "warning: /b.css.gz is not sent as a compressed copy: a folder",
    ]


@pytest.mark.parametrize("coding", SUFFIXES)
def test_an_older_neighbour_that_cannot_be_decoded_is_not_sent(tmp_path: Path, coding: str) -> None:
    page = write_tree(tmp_path / "www", {"a.css": b"a { }"}) / "a.css"
    packed = page.with_name(f"a.css.{SUFFIXES[coding]}")
    packed.write_bytes(b"no such coding, and more than the eight octets at the end of gzip")
    changed_ns = page.stat().st_mtime_ns
    os.utime(page, ns=(changed_ns, changed_ns // 10**9 * 10**9 + 999_000_001))
    os.utime(packed, ns=(changed_ns, changed_ns - 10**10 + 1))
    assert coding_of(load_site(tmp_path / "www", ALL), "/a.css", coding) is None


def test_an_older_neighbour_that_is_too_large_to_compare_is_not_sent(tmp_path: Path) -> None:
    page = write_tree(tmp_path / "www", {"a.css": b""}) / "a.css"
    os.truncate(page, copies._MAX_BYTES + 1)
    pack(page, "gzip", page.stat().st_mtime_ns - 10**10 + 1)
    assert coding_of(load_site(tmp_path / "www", ALL), "/a.css", "gzip") is None
    pack(page, "gzip")
    assert coding_of(load_site(tmp_path / "www", ALL), "/a.css", "gzip") == "gzip"
