"""Digests of files: right for the bytes that are sent, made once for each version, never told for another one."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from base64 import b64encode
from pathlib import Path

import pytest
from msgspec.structs import replace

from httpmini.protocol.message import Headers, Request, Response
from httpmini.site import digests
from httpmini.site.digests import ON_THE_SPOT_BYTES, SLICE_BYTES, DigestTable
from httpmini.site.respond import Site
from httpmini.work import Pending, finish
from tests.support.small_site import Answer, ask, load_site, read_out, write_tree

WANT = ("Want-Repr-Digest", "sha-256=1")
LARGE = ON_THE_SPOT_BYTES + 1
SEVERAL = 2 * SLICE_BYTES + 5
FILES = {"small": b"small", "spot": bytes(ON_THE_SPOT_BYTES), "large": bytes(LARGE), "several": bytes(SEVERAL)}


def told(content: bytes, algorithm: str = "sha-256") -> str:
    digest = hashlib.new(algorithm.replace("-", ""), content).digest()
    return f"{algorithm}=:{b64encode(digest).decode()}:"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = write_tree(tmp_path / "www", dict.fromkeys(FILES, b""))
    for name, content in FILES.items():
        if content.strip(b"\0"):
            (root / name).write_bytes(content)
        else:
            os.truncate(root / name, len(content))  # sparse, which takes no room
    return root


def old(site: Site) -> Site:
    """Return the site with a clock for which everything was written long ago."""
    return replace(site, wall=lambda: time.time() + 3600)


@pytest.fixture
def site(root: Path) -> Site:
    return old(load_site(root, ""))


def begin(site: Site, target: str, *fields: tuple[str, str]) -> Response | Pending[Response]:
    return site.respond(Request("GET", target, headers=Headers((WANT, *fields))))


def waiting(site: Site, target: str) -> Pending[Response]:
    answer = begin(site, target)
    assert isinstance(answer, Pending)
    return answer


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("algorithm", ["sha-256", "sha-512"])
def test_the_digest_of_a_file(site: Site, name: str, algorithm: str) -> None:
    answer = ask(site, f"/{name}", ("Want-Repr-Digest", f"{algorithm}=1"))
    assert answer.body == FILES[name]
    assert answer.fields["repr-digest"] == told(FILES[name], algorithm)


@pytest.mark.parametrize(("name", "slices"), [("small", 0), ("spot", 0), ("large", 1), ("several", 3)])
def test_a_large_file_is_read_in_slices(site: Site, name: str, slices: int) -> None:
    answer, count = begin(site, f"/{name}"), 0
    while isinstance(answer, Pending):
        count += 1
        answer.work.run()
        answer = answer.resume()
    assert count == slices
    assert read_out(answer).fields["repr-digest"] == told(FILES[name])
    assert not isinstance(again := begin(site, f"/{name}"), Pending), "it is remembered"
    assert read_out(again).fields["repr-digest"] == told(FILES[name])


def collect(answer: Response | Pending[Response], answers: list[Answer]) -> None:
    answers.append(read_out(finish(answer)))


def test_those_who_want_the_same_share_the_work(site: Site) -> None:
    first, second = waiting(site, "/several"), waiting(site, "/several")
    assert first.work is second.work
    other = waiting(site, "/large")
    assert other.work is not first.work
    answers: list[Answer] = []
    threads = [threading.Thread(target=collect, args=(one, answers)) for one in (first, second, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    got = sorted(answer.fields["repr-digest"] for answer in answers)
    assert got == sorted([told(FILES["several"])] * 2 + [told(FILES["large"])])


def test_one_that_leaves_does_not_hold_up_the_other(site: Site) -> None:
    first, second = waiting(site, "/several"), waiting(site, "/several")
    first.work.run()
    del first  # its descriptors are closed, as the fixture checks
    answers: list[Answer] = []
    collect(second, answers)
    assert answers[0].fields["repr-digest"] == told(FILES["several"])


def change(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(5)
        file.write(b"!")


def rename_over(path: Path) -> None:
    new = path.with_name("new")
    new.write_bytes(path.read_bytes())
    new.rename(path)


def truncate(path: Path) -> None:
    os.truncate(path, 10)


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def touch_back(path: Path) -> None:
    """Change the content, and set the modification time back to what it was."""
    status = path.stat()
    change(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


CHANGES = [change, rename_over, truncate, Path.unlink, make_folder, touch_back]


@pytest.mark.parametrize("spoil", CHANGES)
@pytest.mark.parametrize("slices", [0, 1])
def test_a_file_that_changes_meanwhile_has_none(site: Site, root: Path, spoil: object, slices: int) -> None:
    assert callable(spoil)
    answer: Response | Pending[Response] = waiting(site, "/several")
    for _ in range(slices):
        assert isinstance(answer, Pending)
        answer.work.run()
        answer = answer.resume()
    wait_for_another_time(root / "several")
    spoil(root / "several")
    response = finish(answer)
    assert response.status == 200
    assert "Repr-Digest" not in response.headers
    for fd in response.owned_fds:
        os.close(fd)


@pytest.mark.parametrize("name", ["spot", "several"])
def test_a_file_that_changes_while_it_is_read_has_none(
    site: Site, root: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(site, f"/{name}")  # the entity tag is made
    wait_for_another_time(root / name)
    pread = os.pread

    def read_and_change(fd: int, size: int, offset: int) -> bytes:
        monkeypatch.undo()
        data = pread(fd, size, offset)
        touch_back(root / name)
        return data

    monkeypatch.setattr(os, "pread", read_and_change)
    assert "repr-digest" not in ask(site, f"/{name}", WANT).fields
    assert "repr-digest" in ask(site, f"/{name}", WANT).fields


def wait_for_another_time(path: Path) -> None:
    """Wait until the kernel would give a file another change time than that of ``path``."""
    probe = path.with_name("probe")
    while True:
        probe.touch()
        if probe.stat().st_ctime_ns != path.stat().st_ctime_ns:
            break
    probe.unlink()


@pytest.mark.parametrize("name", ["small", "large"])
def test_a_new_version_has_its_own(site: Site, root: Path, name: str) -> None:
    before = ask(site, f"/{name}", WANT).fields["repr-digest"]
    wait_for_another_time(root / name)
    touch_back(root / name)
    after = ask(site, f"/{name}", WANT)
    assert after.fields["repr-digest"] == told(after.body) != before


def test_a_file_that_was_just_written_has_none_yet(root: Path) -> None:
    site = load_site(root, "")
    status = (root / "small").stat()
    young = replace(site, wall=lambda: status.st_ctime)
    assert "repr-digest" not in ask(young, "/small", WANT).fields
    assert ask(young, "/small", WANT).fields["etag"].startswith("W/")
    later = replace(site, wall=lambda: status.st_ctime + 3)
    assert ask(later, "/small", WANT).fields["repr-digest"] == told(b"small")


@pytest.mark.parametrize(("limit", "names"), [(0, []), (1, []), (5, ["small"]), (ON_THE_SPOT_BYTES, ["small", "spot"])])
def test_the_limit(root: Path, limit: int, names: list[str]) -> None:
    site = old(load_site(root, f"[site]\ndigests = {limit}\n"))
    assert [name for name in FILES if "repr-digest" in ask(site, f"/{name}", WANT).fields] == names


@pytest.fixture
def packed(root: Path) -> dict[str, bytes]:
    files = {"a.css": b"a {}\n" * 1000, "a.css.gz": b"\x1f\x8b packed", "drawing.svgz": b"\x1f\x8b drawing"}
    write_tree(root, files)
    for name in files:
        os.utime(root / name, (1e9, 1e9))
    return files


def test_the_digest_is_of_the_coded_bytes(root: Path, packed: dict[str, bytes]) -> None:
    """RFC 9530 §3.1: the representation has its Content-Encoding."""
    rule = '[[rules]]\npath = "*.svgz"\n[rules.fields]\nContent-Encoding = "gzip"\n'
    site = old(load_site(root, f'[site]\nprecompressed = ["gzip"]\n{rule}'))
    plain = ask(site, "/a.css", WANT)
    coded = ask(site, "/a.css", WANT, ("Accept-Encoding", "gzip"))
    by_rule = ask(site, "/drawing.svgz", WANT, ("Accept-Encoding", "gzip"))
    assert (plain.body, plain.fields["repr-digest"]) == (packed["a.css"], told(packed["a.css"]))
    for answer, name in ((coded, "a.css.gz"), (by_rule, "drawing.svgz")):
        assert answer.fields["content-encoding"] == "gzip"
        assert (answer.body, answer.fields["repr-digest"]) == (packed[name], told(packed[name]))
    assert coded.fields["vary"] == "Accept-Encoding", "what is wanted of a digest changes no representation"


def test_an_index_and_its_parts(tmp_path: Path) -> None:
    site = old(load_site(write_tree(tmp_path / "www", {"index.html": bytes(LARGE)}), ""))
    for fields in ((), (("Range", "bytes=0-9"),), (("Range", "bytes=0-9,20-29"),)):
        assert ask(site, "/", WANT, *fields).fields["repr-digest"] == told(bytes(LARGE))
    assert ask(site, "/", WANT, method="HEAD").fields["repr-digest"] == told(bytes(LARGE))


def test_no_error_page_of_its_own_has_one(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "www", {"404.html": b"nothing here"})
    answer = ask(old(load_site(root, '[site.error_pages]\n404 = "/404.html"\n')), "/nothing", WANT)
    assert (answer.status, answer.body) == (404, b"nothing here")
    assert "repr-digest" not in answer.fields


def test_a_rule_has_the_last_word(root: Path) -> None:
    rule = '[[rules]]\npath = "/small"\n[rules.fields]\nRepr-Digest = ""\n'
    assert "repr-digest" not in ask(old(load_site(root, rule)), "/small", WANT).fields


@pytest.mark.parametrize("count", [2, 200])
def test_a_listing_tells_what_is_known(tmp_path: Path, count: int) -> None:
    """Also a large one, whose text is kept: never the digest of an earlier version."""
    root = write_tree(tmp_path / "www", {f"{number:03}": b"x" for number in range(count)})
    site = old(load_site(root, ""))

    def listing(form: str = "application/json") -> Answer:
        return ask(site, "/", ("Accept", form))

    def told_of_first() -> str | None:
        digest: str | None = json.loads(listing().body)["entries"][0].get("sha256")
        return digest

    before, page = listing(), listing("text/html")
    assert told_of_first() is None
    ask(site, "/000", WANT)
    assert told_of_first() == hashlib.sha256(b"x").hexdigest()
    assert listing().fields["etag"] != before.fields["etag"]
    assert listing("text/html").fields["etag"] == page.fields["etag"]
    status = (root / "000").stat()
    wait_for_another_time(root / "000")
    (root / "000").write_bytes(b"y")
    os.utime(root / "000", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert told_of_first() is None
    ask(site, "/000", WANT)
    assert told_of_first() == hashlib.sha256(b"y").hexdigest()


# The table.

IDENTITY = (1, 2, 3, 4, 5)


def test_what_is_kept_is_found() -> None:
    table = DigestTable()
    assert table.find(IDENTITY, "sha-256") is None
    for algorithm, digest in (("sha-256", b"x" * 32), ("sha-512", b"y" * 64)):
        table.keep(IDENTITY, algorithm, digest)
        assert table.find(IDENTITY, algorithm) == digest
    assert table.find((1, 2, 3, 4, 6), "sha-256") is None


@pytest.mark.parametrize("at", [0, 1, 20, 80, digests._SLOT_BYTES - 1])
def test_what_is_half_written_says_nothing(at: int) -> None:
    table = DigestTable()
    table.keep(IDENTITY, "sha-256", b"x" * 32)
    begin = digests._slot(digests._name(IDENTITY, "sha-256"))
    table._slots[begin + at] ^= 1
    assert table.find(IDENTITY, "sha-256") is None


def test_children_share_it(site: Site) -> None:
    child = os.fork()
    if child == 0:  # pragma: no cover
        try:
            ask(site, "/large", WANT)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    status = os.stat(os.path.join(site.resolver.root, b"large"))
    assert site.digests.known(status) == hashlib.sha256(FILES["large"]).digest()
