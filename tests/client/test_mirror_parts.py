"""The parts of a mirror run, each by itself; test_mirror.py has them work together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from httpmini.client.mirror.inventory import Inventory
from httpmini.client.mirror.listings import Entry, Listing
from httpmini.client.mirror.local_copy import LocalCopy
from httpmini.client.mirror.report import Mirrored, Report
from httpmini.client.mirror.state import State
from httpmini.client.mirror.tree import STATE, InTheWay, Tree
from httpmini.client.url import parse_url
from httpmini.protocol.message import Headers

START = Entry((), parse_url("http://h/pub/"), is_folder=True)
FIELDS = Headers(
    (("ETag", '"1"'), ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"), ("Date", "Mon, 07 Nov 1994 08:49:37 GMT"))
)


def listing(*links: str, is_page: bool = False, is_cut_off: bool = False) -> Listing:
    return Listing(links, START.url, is_page, is_cut_off)


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    with closing(Tree(str(tmp_path / "copy"))) as tree:
        yield tree


@pytest.mark.parametrize("dry_run", [False, True])
def test_report(dry_run: bool) -> None:
    said: list[str] = []
    report = Report(said.append, dry_run=dry_run)
    report.fetched((b"a", b"b"), 3)
    report.fetched((b"c",), None)
    report.unchanged()
    report.deleted((b"d\x1b",))
    report.skipped((), "no reason")
    assert report.counts == Mirrored(fetched=2, unchanged=1, deleted=1, skipped=1, bytes=3)
    verbs = ("would fetch", "would delete") if dry_run else ("fetched", "deleted")
    assert said == [f"{verbs[0]} a/b (3 bytes)", f"{verbs[0]} c", f"{verbs[1]} d\\x1b", "skipped .: no reason"]


def test_inventory_meets_everything_once() -> None:
    inventory = Inventory(Report(lambda _: None, dry_run=False), 100)
    links = ("a", "a", "sub/", "sub", "deep/er/x", "../above", "http://elsewhere/pub/y", "?sort")
    found = [(entry.names, entry.is_folder) for entry in inventory.new_entries(START, listing(*links))]
    assert found == [((b"a",), False), ((b"sub",), True), ((b"deep", b"er", b"x"), False)]
    assert list(inventory.new_entries(START, listing(*links))) == []
    assert inventory.names_in(()) == {b"a", b"sub", b"deep"}
    assert inventory.names_in((b"deep",)) == {b"er"}
    assert not inventory.unknown


@pytest.mark.parametrize(
    ("found", "unknown", "skipped"),
    [
        (listing("a"), "", 0),
        (listing("a", is_cut_off=True), "the listing of . was cut off", 1),
        (listing("a", is_page=True), "the page at . is not a listing", 0),
        (listing("a", is_page=True, is_cut_off=True), "the listing of . was cut off", 1),
    ],
)
def test_inventory_knows_what_is_missing(found: Listing, unknown: str, skipped: int) -> None:
    report = Report(lambda _: None, dry_run=False)
    inventory = Inventory(report, 100)
    inventory.add_listing((), found)
    assert inventory.unknown == unknown
    assert inventory.listed == ([] if unknown else [()])
    assert report.counts.skipped == skipped


def test_inventory_is_full() -> None:
    said: list[str] = []
    inventory = Inventory(Report(said.append, dry_run=False), 2)
    assert [entry.names for entry in inventory.new_entries(START, listing("a", "b", "c", "d"))] == [(b"a",), (b"b",)]
    assert inventory.is_full
    assert inventory.unknown == "the contents of . are unknown"
    assert said == ["skipped .: more than 2 files and folders; the rest is skipped"]


def test_two_entries_do_not_share_a_file(tree: Tree) -> None:
    copy = LocalCopy(tree, dry_run=False)
    copy.enter_folder(())
    status = copy.write((b"a",), [b"one"], None)
    there = copy.look((b"a",))
    assert there is not None
    assert (there.st_ino, there.st_size, there.st_mtime_ns) == (status.st_ino, status.st_size, status.st_mtime_ns)
    copy.claim((b"A",), status)
    with pytest.raises(InTheWay, match="the same as A"):
        copy.look((b"a",))


def test_a_dry_run_changes_nothing(tree: Tree, tmp_path: Path) -> None:
    copy = LocalCopy(tree, dry_run=True)
    copy.enter_folder(())
    copy.write_state(b"{}")
    assert not (tmp_path / "copy").exists()
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "a").write_text("one")
    with closing(Tree(str(tmp_path / "copy"))) as other:
        LocalCopy(other, dry_run=True).remove((b"a",))
    assert (tmp_path / "copy" / "a").exists()


def test_state_lasts_from_run_to_run(tree: Tree, tmp_path: Path) -> None:
    copy = LocalCopy(tree, dry_run=False)
    state = State(copy, "http://h/pub/")
    state.save()
    assert not (tmp_path / "copy").exists()  # nothing has been entered yet
    copy.enter_folder(())
    a, b = copy.write((b"a",), [b"one"], None), copy.write((b"b",), [b"two"], None)
    state.record((b"a",), FIELDS, a)
    state.record((b"b",), FIELDS, b)
    state.save(keep=[(b"a",)])
    again = State(copy, "http://h/pub/")
    known = again.find((b"a",), a)
    assert known is not None
    assert known.conditions == (("If-None-Match", '"1"'), ("If-Modified-Since", FIELDS.get("Last-Modified")))
    assert again.find((b"b",), b) is None  # not among those to keep
    assert again.find((b"a",), None) is None
    assert again.find((b"a",), copy.write((b"a",), [b"other"], None)) is None  # changed on disk
    assert State(copy, "http://h/other/").find((b"a",), a) is None


@pytest.mark.parametrize("saved", [b"", b"[]", b"{", b'{"url": 1}', b"[" * 100_000])
def test_a_state_that_cannot_be_read(tree: Tree, tmp_path: Path, saved: bytes) -> None:
    copy = LocalCopy(tree, dry_run=False)
    copy.enter_folder(())
    status = copy.write((b"a",), [b"one"], None)
    (tmp_path / "copy" / STATE.decode()).write_bytes(saved)
    assert State(copy, "http://h/pub/").find((b"a",), status) is None
