"""A folder as one file: what is in it, that others can read it, and that any part of it is a part of the same bytes."""

from __future__ import annotations

import io
import multiprocessing
import os
import stat
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from httpmini.errors import ProtocolError
from httpmini.protocol.body import BrokenPromise, Promise
from httpmini.protocol.message import Headers, Request, Response
from httpmini.site.archive.archiver import disposition
from httpmini.site.archive.plan import version_of
from httpmini.site.archive.sums import Sums
from httpmini.site.archive.walk import Bounds, Walk
from httpmini.site.resolve import Resolver
from httpmini.site.respond import Site
from httpmini.site.users import set_password
from httpmini.work import Work, finish
from tests.support.small_site import Answer, ask, load_site, read_piece, write_tree
from tests.support.tools import tool

ON = "[site]\narchives = true\n"
FORMS = ("zip", "tar")
BIG = bytes(range(256)) * 1200
FILES = {
    "photos/a.jpg": b"first",
    "photos/empty.txt": b"",
    "photos/sub/b.bin": BIG,
    "photos/sub/grüße/ü.txt": b"umlaut",
    "photos/sub/" + "long" * 40 + ".txt": b"a long name",
    "photos/run.sh": b"#!/bin/sh\n",
    "elsewhere.txt": b"not in the folder",
}
IN_PHOTOS = {name: content for name, content in FILES.items() if name.startswith("photos/")}
FOLDERS = {"photos/", "photos/sub/", "photos/sub/grüße/"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = write_tree(tmp_path / "www", FILES)
    (root / "photos" / "run.sh").chmod(0o4777)
    return root


def contents(octets: bytes) -> dict[str, bytes]:
    """Return what Python's own readers find: the content of each file by its path."""
    if octets.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(octets)) as opened:
            assert opened.testzip() is None
            return {name: opened.read(name) for name in opened.namelist() if not name.endswith("/")}
    found = {}
    with tarfile.open(fileobj=io.BytesIO(octets), mode="r:") as tar:
        for info in tar:
            file = tar.extractfile(info)
            if file:
                found[info.name] = file.read()
    return found


def fetch(root: Path, target: str, *fields: tuple[str, str], toml: str = ON, method: str = "GET") -> Answer:
    """Return the answer of a site that knows nothing yet, as after a restart."""
    return ask(load_site(root, toml), target, *fields, method=method)


# What is in it.


@pytest.mark.parametrize("form", FORMS)
def test_it_contains_the_folder(root: Path, form: str) -> None:
    answer = fetch(root, f"/photos/?{form}")
    assert answer.status == 200
    assert contents(answer.body) == IN_PHOTOS
    assert answer.fields["content-disposition"] == (
        f"attachment; filename=\"photos.{form}\"; filename*=UTF-8''photos.{form}"
    )


def test_folders_modes_and_times_of_a_zip(root: Path) -> None:
    os.utime(root / "photos" / "a.jpg", (784111777, 784111777))
    with zipfile.ZipFile(io.BytesIO(fetch(root, "/photos/?zip").body)) as opened:
        infos = {info.filename: info for info in opened.infolist()}
    assert {name for name, info in infos.items() if info.is_dir()} == FOLDERS
    assert infos["photos/a.jpg"].date_time == (1994, 11, 6, 8, 49, 36)  # in steps of two seconds
    modes = {name: info.external_attr >> 16 for name, info in infos.items()}
    assert modes["photos/run.sh"] == stat.S_IFREG | 0o755
    assert modes["photos/a.jpg"] == stat.S_IFREG | 0o644
    assert modes["photos/sub/"] == stat.S_IFDIR | 0o755


def test_folders_modes_and_times_of_a_tar(root: Path) -> None:
    os.utime(root / "photos" / "a.jpg", (784111777, 784111777))
    with tarfile.open(fileobj=io.BytesIO(fetch(root, "/photos/?tar").body), mode="r:") as tar:
        infos = {info.name + "/" * info.isdir(): info for info in tar}
    assert {name for name, info in infos.items() if info.isdir()} == FOLDERS
    assert infos["photos/a.jpg"].mtime == 784111777
    modes = (infos["photos/run.sh"].mode, infos["photos/a.jpg"].mode, infos["photos/sub/"].mode)
    assert modes == (0o755, 0o644, 0o755)
    assert {(info.uid, info.gid, info.uname, info.gname) for info in infos.values()} == {(0, 0, "", "")}


@pytest.mark.parametrize("form", FORMS)
def test_only_what_the_listing_shows(root: Path, form: str) -> None:
    photos = root / "photos"
    write_tree(root, {"photos/.hidden": b"secret", "photos/.git/config": b"secret", "photos/.well-known/x": b"secret"})
    (root.parent / "secret.txt").write_bytes(b"secret")
    for name, target in {
        "out.txt": "../../secret.txt",
        "out-dir": "../..",
        "etc": "/etc",
        "broken": "nothing",
        "loop": "loop",
        "to-hidden": ".hidden",
        "in.txt": "../elsewhere.txt",
        "in-dir": "sub/grüße",
        "around": "../photos",
        "sub/up": "..",
    }.items():
        (photos / name).symlink_to(target)
    os.mkfifo(photos / "fifo")
    found = contents(fetch(root, f"/photos/?{form}").body)
    links = {
        "photos/in.txt": b"not in the folder",
        "photos/in-dir/ü.txt": b"umlaut",
        "photos/to-hidden": b"secret",  # its owner made the link, as in a listing
    }
    assert found == {**IN_PHOTOS, **links}


REALMS = '[[realms]]\npath = "/photos/sub/"\nusers = "users"\n'


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("target", ["/photos/", "/"])
def test_realms_inside_are_left_out_and_said(root: Path, form: str, target: str) -> None:
    set_password(str(root.parent / "users"), "ada", "pw", 4)
    (root / "photos" / "same").symlink_to("sub/grüße")  # publishes its target: that is its owner's decision
    answer = fetch(root, f"{target}?{form}", toml=ON + REALMS)
    assert answer.status == 200
    names = {name.removeprefix("www/") for name in contents(answer.body)}
    assert {name for name in names if name.startswith("photos/")} == {
        "photos/a.jpg",
        "photos/empty.txt",
        "photos/run.sh",
        "photos/same/ü.txt",
    }
    assert b"Left out: " in answer.body
    assert b"sub asks for a password of its own" in answer.body


@pytest.fixture
def public_root() -> Iterator[Path]:
    """The same in a folder that other users can enter, which those of pytest are not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield write_tree(Path(folder) / "www", FILES)


def ask_as_another_user(site: Site, target: str) -> Answer:
    """Ask as a user who is not root, for whom files can be unreadable."""
    for other in ("/photos/?zip", "/photos/?tar", "/nothing"):
        ask(site, other)  # what is imported for it, another user might not be able to read
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_ask_as_nobody, args=(site, target, sender))
    process.start()
    sender.close()
    with receiver:
        answer = receiver.recv()
    process.join()
    process.close()
    assert isinstance(answer, Answer)
    return answer


def _ask_as_nobody(site: Site, target: str, sender: Connection) -> None:
    if os.geteuid() == 0:
        os.setuid(65534)
    with sender:
        sender.send(ask(site, target))


@pytest.mark.parametrize("form", FORMS)
def test_what_cannot_be_read_is_left_out_and_said(public_root: Path, form: str) -> None:
    (public_root / "photos" / "sub").chmod(0)
    (public_root / "photos" / "a.jpg").chmod(0)
    answer = ask_as_another_user(load_site(public_root, ON), f"/photos/?{form}")
    assert answer.status == 200
    assert {name for name in contents(answer.body) if name.startswith("photos/")} == {
        "photos/empty.txt",
        "photos/run.sh",
    }
    assert b"sub cannot be read" in answer.body
    assert b"a.jpg cannot be read" in answer.body


@pytest.mark.parametrize("form", FORMS)
def test_a_folder_that_cannot_be_read_has_no_archive(public_root: Path, form: str) -> None:
    (public_root / "photos").chmod(0)
    assert ask_as_another_user(load_site(public_root, ON), f"/photos/?{form}").status == 403


@pytest.mark.parametrize("form", FORMS)
def test_only_so_many_lines_say_what_is_left_out(root: Path, form: str) -> None:
    for number in range(25):
        (root / "photos" / f"up-{number}").symlink_to("..")
    answer = fetch(root, f"/photos/?{form}")
    assert answer.body.count(b" leads back to a folder that contains it") == 20
    assert b"and 5 more" in answer.body


@pytest.mark.parametrize("form", FORMS)
def test_a_path_that_is_too_long_is_left_out_and_said(root: Path, form: str) -> None:
    folder = os.open(root / "photos", os.O_RDONLY)
    for _ in range(17):  # of 250 octets each: longer than 4,096, and than any path that a system call takes
        os.mkdir("x" * 250, dir_fd=folder)
        below = os.open("x" * 250, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    os.close(folder)
    answer = fetch(root, f"/photos/?{form}")
    assert answer.status == 200
    assert {name: content for name, content in contents(answer.body).items() if name in IN_PHOTOS} == IN_PHOTOS
    assert b"x has too long a path" in answer.body


def test_a_realm_itself_can_be_had(root: Path) -> None:
    set_password(str(root.parent / "users"), "ada", "pw", 4)
    assert fetch(root, "/photos/sub/?tar", toml=ON + REALMS).status == 401
    answer = fetch(root, "/photos/sub/?tar", ("Authorization", "Basic YWRhOnB3"), toml=ON + REALMS)
    assert (answer.status, answer.user) == (200, "ada")
    assert len(contents(answer.body)) == 3


HOSTILE = (
    b'"><img src=x>',
    b"esc\x1b[2J",
    "\u202egpj.exe".encode(),
    b"latin-1-\xe9",
    b"x" * 255,
    b"new\nline",
    b"\\..\\x",
)


@pytest.mark.parametrize("form", FORMS)
def test_hostile_names(tmp_path: Path, form: str) -> None:
    root = os.fsencode(tmp_path / "www")
    for name in HOSTILE:
        os.makedirs(root + b"/" + name)
        Path(os.fsdecode(root + b"/" + name + b"/" + name)).write_bytes(name)
    answer = fetch(tmp_path / "www", f"/?{form}")
    assert sorted(contents(answer.body).values()) == sorted(HOSTILE)
    if form == "zip":
        assert b"\\" not in b"".join(name.encode("cp437", "replace") for name in contents_names(answer.body))


def contents_names(octets: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(octets)) as opened:
        return opened.namelist()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_in_the_head(name: bytes) -> None:
    field, value = disposition(name, "zip")
    assert field == "Content-Disposition"
    assert value.isprintable()
    assert value.isascii()
    assert value.count('"') == 2
    assert value.partition('filename="')[2].partition('"')[0].endswith(".zip")
    assert "%22" not in value
    assert "%1B" not in value
    assert "%E2%80%AE" not in value


# That others can read it.

READERS = {
    "unzip": ("unzip", ["unzip", "-t"], "zip"),
    "7z zip": ("p7zip-full", ["7z", "t"], "zip"),
    "7z tar": ("p7zip-full", ["7z", "t"], "tar"),
    "bsdtar zip": ("libarchive-tools", ["bsdtar", "-xOf"], "zip"),
    "bsdtar tar": ("libarchive-tools", ["bsdtar", "-xOf"], "tar"),
    "tar": ("tar", ["tar", "-xOf"], "tar"),
}


def read_by(reader: str, octets: bytes, folder: Path) -> bytes:
    package, (command, *arguments), form = READERS[reader]
    file = folder / f"archive.{form}"
    file.write_bytes(octets)
    done = subprocess.run([tool(command, package), *arguments, str(file)], capture_output=True, check=False)
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert b"arning" not in done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("reader", READERS)
def test_others_can_read_it(root: Path, tmp_path: Path, reader: str) -> None:
    octets = fetch(root, f"/photos/?{READERS[reader][2]}").body
    said = read_by(reader, octets, tmp_path)
    if "O" in READERS[reader][1][1]:  # what they have read is written to standard output
        assert sorted(said) == sorted(b"".join(IN_PHOTOS.values()))


@pytest.mark.parametrize("reader", READERS)
def test_others_can_read_what_leaves_something_out(root: Path, tmp_path: Path, reader: str) -> None:
    set_password(str(root.parent / "users"), "ada", "pw", 4)
    answer = fetch(root, f"/photos/?{READERS[reader][2]}", toml=ON + REALMS)
    read_by(reader, answer.body, tmp_path)


def test_others_notice_a_wrong_checksum(root: Path, tmp_path: Path) -> None:
    """The judges judge."""
    octets = fetch(root, "/photos/?zip").body.replace(b"umlaut", b"umlauT")
    with pytest.raises(AssertionError):
        read_by("unzip", octets, tmp_path)
    with pytest.raises(AssertionError):
        read_by("7z zip", octets, tmp_path)


# Length, tag, date, conditions and ranges.


@pytest.mark.parametrize("form", FORMS)
def test_the_head_alone(root: Path, form: str) -> None:
    head, answer = (fetch(root, f"/photos/?{form}", method=method) for method in ("HEAD", "GET"))
    assert head.fields == answer.fields
    assert head.fields["accept-ranges"] == "bytes"
    assert head.fields["cache-control"] == "no-cache"
    assert head.fields["etag"].startswith('"')


@pytest.mark.parametrize("form", FORMS)
def test_conditions(root: Path, form: str) -> None:
    tag = fetch(root, f"/photos/?{form}").fields["etag"]
    for field, value, status in (
        ("If-None-Match", tag, 304),
        ("If-None-Match", '"x"', 200),
        ("If-Match", tag, 200),
        ("If-Match", '"x"', 412),
        ("Range", "bytes=100000000-", 416),
    ):
        assert fetch(root, f"/photos/?{form}", (field, value)).status == status, (field, value)
    assert fetch(root, f"/photos/?{form}", ("Range", "bytes=5-9"), ("If-Range", '"x"')).status == 200


@pytest.mark.parametrize("form", FORMS)
def test_cut_anywhere_and_resumed_it_is_the_same(root: Path, form: str) -> None:
    whole = fetch(root, f"/photos/?{form}")
    size = len(whole.body)
    places = {size * number // 50 for number in range(50)} | {1, 511, 512, size - 1, size - 22, size - 300}
    for place in sorted(places):
        part = fetch(root, f"/photos/?{form}", ("Range", f"bytes={place}-"), ("If-Range", whole.fields["etag"]))
        assert part.status == 206
        assert part.fields["content-range"] == f"bytes {place}-{size - 1}/{size}"
        assert part.body == whole.body[place:], place


@pytest.mark.parametrize("form", FORMS)
def test_every_short_part_is_right(root: Path, form: str) -> None:
    """Within one site, which remembers checksums; and from the end to the beginning, so that it does not at first."""
    site, whole = load_site(root, ON), fetch(root, f"/photos/?{form}").body
    for place in range(len(whole) - 1, 0, -997):
        part = ask(site, f"/photos/?{form}", ("Range", f"bytes={place}-{place + 1500}"))
        assert part.body == whole[place : place + 1501]


@pytest.mark.parametrize("form", FORMS)
def test_several_parts(root: Path, form: str) -> None:
    whole = fetch(root, f"/photos/?{form}").body
    part = fetch(root, f"/photos/?{form}", ("Range", f"bytes={len(whole) - 40}-,0-9,200000-200099"))
    assert part.status == 206
    assert part.fields["content-type"].startswith("multipart/byteranges")
    for piece in (whole[-40:], whole[:10], whole[200000:200100]):
        assert piece in part.body


CHANGES: dict[str, Callable[[Path], object]] = {
    "written": lambda photos: (photos / "a.jpg").write_bytes(b"FIRST"),
    "touched": lambda photos: os.utime(photos / "a.jpg"),
    "added": lambda photos: (photos / "new").write_bytes(b""),
    "removed": lambda photos: (photos / "empty.txt").unlink(),
    "renamed": lambda photos: (photos / "sub").rename(photos / "Sub"),
    "executable": lambda photos: (photos / "a.jpg").chmod(0o755),
    "another with the old times": lambda photos: replace_with_times(photos / "a.jpg", b"FIRST"),
}


def replace_with_times(path: Path, content: bytes) -> None:
    status = path.stat()
    other = path.with_name("other")
    other.write_bytes(content)
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.rename(path)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("change", CHANGES)
def test_the_tag_is_another_after_any_change(root: Path, form: str, change: str) -> None:
    site = load_site(root, ON, ahead_s=60)
    before = ask(site, f"/photos/?{form}", method="HEAD").fields["etag"]
    assert ask(site, f"/photos/?{form}", method="HEAD").fields["etag"] == before
    CHANGES[change](root / "photos")
    assert ask(site, f"/photos/?{form}", method="HEAD").fields["etag"] != before


# Files that change while they are sent.

WHILE_SENT: dict[str, Callable[[Path], object]] = {
    "written in place": lambda path: write_in_place(path, 0, b"#"),
    "written at its end": lambda path: write_in_place(path, path.stat().st_size - 1, b"#"),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"#"),
    "shorter": lambda path: os.truncate(path, path.stat().st_size // 2),
    "empty": lambda path: os.truncate(path, 0),
    "gone": lambda path: path.unlink(),
    "a folder": lambda path: replace_by_folder(path),
    "a symlink to its copy": lambda path: link_to_copy(path),
    "another with the old times": lambda path: replace_with_times(path, b"#" * path.stat().st_size),
    "the same again": lambda path: path.write_bytes(path.read_bytes()),
}


def write_in_place(path: Path, at: int, octets: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(octets)


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def link_to_copy(path: Path) -> None:
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to("copy")


def begin(root: Path, target: str, told: list[str], *fields: tuple[str, str]) -> Response:
    site = load_site(root, ON, told.append)
    return finish(site.respond(Request("GET", target, headers=Headers(fields))))


def pieces_of(response: Response, at: int | None, change: Callable[[], object]) -> bytes:
    """Return the body as far as it can be had; call ``change`` before the call number ``at``.

    How many calls there are before the first octets depends on how old the files are; None is right after these.
    """
    (promise,) = response.body
    assert isinstance(promise, Promise)
    assert response.release is not None
    octets, calls = b"", 0
    try:
        while True:
            if calls == at:
                change()
            calls += 1
            made = promise.make()
            if isinstance(made, Work):
                made.run()
            elif made:
                is_first = not octets
                octets += b"".join(map(read_piece, made))
                if at is None and is_first:
                    change()
            else:
                return octets
    except BrokenPromise:
        return octets
    finally:
        response.release()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("change", WHILE_SENT)
def test_a_file_that_changes_breaks_the_archive_off(root: Path, form: str, change: str) -> None:
    """At whatever moment: either all of it is the version of before, or the end is missing and the log says why."""
    target, path = f"/photos/?{form}", root / "photos" / "sub" / "b.bin"
    before = path.read_bytes()
    broken = 0
    for at in range(6):
        if path.is_symlink() or path.exists():
            (path.unlink if not path.is_dir() or path.is_symlink() else path.rmdir)()
        path.write_bytes(before)
        (path.with_name("copy")).unlink(missing_ok=True)
        told: list[str] = []
        response = begin(root, target, told)
        octets = pieces_of(response, at, lambda: WHILE_SENT[change](path))
        if len(octets) == len(response.body[0]):
            assert contents(octets)["photos/sub/b.bin"] == before
            assert told == []
        else:
            broken += 1
            assert len(told) == 1
            assert "/photos/sub/b.bin" in told[0]
            assert "connection was reset" in told[0]
    assert broken >= 2


def test_an_empty_file_that_grows(root: Path) -> None:
    told: list[str] = []
    response = begin(root, "/photos/?tar", told)
    octets = pieces_of(response, 0, lambda: (root / "photos" / "empty.txt").write_bytes(b"x"))
    assert len(octets) < len(response.body[0])
    assert "/photos/empty.txt" in told[0]


def test_a_part_that_ends_within_a_file_is_of_one_version(root: Path) -> None:
    told: list[str] = []
    response = begin(root, "/photos/?tar", told, ("Range", "bytes=0-250000"))
    octets = pieces_of(response, None, lambda: write_in_place(root / "photos" / "sub" / "b.bin", 0, b"#"))
    assert len(octets) < 250001
    assert len(told) == 1


# When there is none.


@pytest.mark.parametrize(
    ("target", "toml", "status", "token"),
    [
        ("/photos/?zip", "[site]\n", 200, ""),
        ("/photos/?zip=1", ON, 200, ""),
        ("/photos/?zip&tar", ON, 200, ""),
        ("/photos/?ZIP", ON, 200, ""),
        ("/photos/a.jpg?zip", ON, 200, ""),
        ("/photos/?zip", ON + "listing = false\n", 403, "no-listing"),
        ("/nothing/?zip", ON, 404, "not-found"),
        ("/.git/?zip", ON, 404, "not-found"),
        ("/photos/?zip", ON + "[limits]\narchive_files = 8\n", 403, "archive-files"),
        ("/photos/?zip", ON + "[limits]\narchive_bytes = 300000\n", 403, "archive-bytes"),
    ],
)
def test_no_archive(root: Path, target: str, toml: str, status: int, token: str) -> None:
    answer = fetch(root, target, toml=toml)
    assert (answer.status, answer.token) == (status, token)
    assert "content-disposition" not in answer.fields


def test_bounds_that_are_just_kept(root: Path) -> None:
    octets = sum(map(len, IN_PHOTOS.values()))
    toml = f"{ON}[limits]\narchive_files = 9\narchive_bytes = {octets}\n"
    assert fetch(root, "/photos/?zip", toml=toml).status == 200


def test_the_redirect_to_the_folder_keeps_the_query(root: Path) -> None:
    answer = fetch(root, "/photos?tar")
    assert (answer.status, answer.fields["location"]) == (301, "./photos/?tar")


def test_a_walk_that_takes_too_long(root: Path) -> None:
    write_tree(root, {f"many/{number}": b"" for number in range(300)})
    resolver = Resolver(os.fsencode(root), hidden=False, symlinks=True)
    walk = Walk(resolver, Bounds(1000, 10**9, walk_s=0.0), lambda _names, _folder: False)
    with pytest.raises(ProtocolError) as caught:
        walk.plan((), b"www")
    assert caught.value.reason.token == "archive-slow"


# What is known of checksums.


def test_checksums_are_remembered(root: Path) -> None:
    sums = Sums()
    versions = [version_of(os.stat(root)) for _ in range(1)] + [bytes([number]) * 16 for number in range(1, 200)]
    for number, version in enumerate(versions):
        assert sums.find(version) == (0, 0)
        sums.keep(version, number + 1, number * 7)
    assert [sums.find(version) for version in versions] == [(number + 1, number * 7) for number in range(200)]
    sums.keep(versions[3], 99, 98)
    assert sums.find(versions[3]) == (99, 98)


def test_checksums_that_collide_are_forgotten_not_mixed_up() -> None:
    sums = Sums()
    versions = [b"same" + number.to_bytes(12, "big") for number in range(1, 100)]
    for number, version in enumerate(versions):
        sums.keep(version, number + 1, number)
    found = [sums.find(version) for version in versions]
    assert all(pair in ((0, 0), (number + 1, number)) for number, pair in enumerate(found))
    assert sum(pair != (0, 0) for pair in found) == 4
