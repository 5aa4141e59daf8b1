"""Archives beyond 4 GiB and 65,535 entries: their layout, written into sparse files, and read by others."""

from __future__ import annotations

import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import pytest

from httpmini.site.archive.layout import Layout
from httpmini.site.archive.plan import Member, Plan
from httpmini.site.archive.tar import TarLayout
from httpmini.site.archive.zip import ZipLayout
from tests.support.tools import tool

GIB = 1024**3
SMALL = b"at the very end"
# Around every limit: what 32 bits can count, of sizes and then of offsets, and what eleven octal digits can.
SIZES = (4 * GIB - 2, 4 * GIB - 1, 4 * GIB, 1, 8 * GIB - 1, 8 * GIB, 0)


def plan_of(sizes: Iterable[int], left_out: tuple[str, ...] = ()) -> Plan:
    """Return the plan of a folder with files of these sizes, and a small one."""
    named = [(f"{number:05d}".encode(), size) for number, size in enumerate(sizes)]
    files = [Member(name, size, 10**9, False, False, b"v") for name, size in (*named, (b"small", len(SMALL)))]
    return Plan((b"big",), b"big", (Member(b"", 0, 10**9, True, False, b""), *files), left_out, 10**18)


def write(layout: Layout, file: Path) -> Path:
    """Write everything but the contents, which are holes, except for that of the small file."""
    checksum = zlib.crc32(SMALL)
    with file.open("wb") as out:
        out.write(layout.prefix())
        for member, start in zip(layout.plan.members, layout.starts, strict=False):
            out.seek(start)
            head = layout.head(member)
            assert len(head) == layout.head_bytes(member)
            out.write(head + (SMALL if member.path == b"small" else b""))
            out.seek(start + len(head) + member.size)
            out.write(layout.tail(member, checksum))
        for portion, start in enumerate(layout.trailer_starts[:-1]):
            assert out.tell() == start
            is_folder = portion == 0
            out.write(layout.trailer(portion, 0 if is_folder else checksum))
        assert out.tell() == layout.size
    return file


def names_by(command: str, package: str, *arguments: str) -> list[str]:
    done = subprocess.run([tool(command, package), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_a_zip_of_large_files(tmp_path: Path) -> None:
    file = write(ZipLayout(plan_of(SIZES)), tmp_path / "big.zip")
    assert file.stat().st_size > 28 * GIB
    with zipfile.ZipFile(file) as opened:
        infos = opened.infolist()
        assert [info.file_size for info in infos] == [0, *SIZES, len(SMALL)]
        assert [info.filename for info in infos][-2:] == ["big/00006", "big/small"]
        assert opened.read("big/small") == SMALL
    expected = [info.filename for info in infos]
    assert names_by("unzip", "unzip", "-Z1", str(file)) == expected
    assert names_by("7z", "p7zip-full", "x", "-so", str(file), "big/small") == [SMALL.decode()]
    # bsdtar looks for descriptors in all of the content, which takes minutes here.


def test_a_tar_of_large_files(tmp_path: Path) -> None:
    file = write(TarLayout(plan_of(SIZES, ("x cannot be read",))), tmp_path / "big.tar")
    with tarfile.open(file, "r:") as opened:
        infos = opened.getmembers()
        assert [info.size for info in infos] == [0, *SIZES, len(SMALL)]
        small = opened.extractfile("big/small")
        assert small is not None
        assert small.read() == SMALL
        assert opened.pax_headers == {"comment": "Left out: x cannot be read"}
    expected = [info.name + "/" * info.isdir() for info in infos]
    assert names_by("tar", "tar", "-tf", str(file)) == expected
    assert names_by("bsdtar", "libarchive-tools", "-tf", str(file)) == expected
    assert names_by("7z", "p7zip-full", "x", "-so", str(file), "big/small") == [SMALL.decode()]


@pytest.mark.parametrize("files", [65_532, 65_533, 65_534])
def test_a_zip_of_many_files(tmp_path: Path, files: int) -> None:
    """Around the count at which the end of the directory has no room for it: two members more than ``files``."""
    file = write(ZipLayout(plan_of([0] * files)), tmp_path / "many.zip")
    with zipfile.ZipFile(file) as opened:
        assert len(opened.infolist()) == files + 2
    if files == 65_534:
        assert len(names_by("unzip", "unzip", "-Z1", str(file))) == files + 2
        assert len(names_by("bsdtar", "libarchive-tools", "-tf", str(file))) == files + 2


@pytest.mark.parametrize("modified", [0, 315_532_799, 315_532_800, 2**31 - 1, 2**31, 4_354_819_199, 253_402_300_799])
@pytest.mark.parametrize("form", [ZipLayout, TarLayout])
def test_times_of_any_year(tmp_path: Path, form: type[Layout], modified: int) -> None:
    members = (Member(b"", 0, modified, True, False, b""), Member(b"small", len(SMALL), modified, False, True, b"v"))
    file = write(form(Plan((), b"old", members, (), 0)), tmp_path / "old")
    if form is TarLayout:
        with tarfile.open(file, "r:") as tar:
            assert [info.mtime for info in tar] == [modified, modified]
    else:
        with zipfile.ZipFile(file) as opened:
            assert opened.read("old/small") == SMALL
            years = {info.date_time[0] for info in opened.infolist()}
        assert years <= set(range(1980, 2108))
    assert names_by("bsdtar", "libarchive-tools", "-tf", str(file)) == ["old/", "old/small"]
