"""Listings in real browsers, with scripts and without: sorted, filtered, paged, as grid; and accessible to all."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browsers.accessibility import Scheme, assert_accessible
from tests.support.marionette import FirefoxWithoutScripts
from tests.support.photos import exif, photo, tiff
from tests.support.processes import ServerProcess
from tests.support.small_site import write_tree
from tests.support.tools import tool

pytestmark = pytest.mark.browser_test

ROOT = Path(__file__).parents[2]
README = b"# About\n\nSee [the notes](notes%209.txt) and\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n    code\n"
HOSTILE = [
    b'"><img src=x onerror=alert(1)>',
    b"esc\x1b[31m",
    "\u202egpj.exe".encode(),
    b"\xff\xfe",
    b"l" * 255,
    b"a?b#c",
]
AT = 1_700_000_000
SORTED = {
    "": ["sub/", "A.jpg", "film.mp4", "notes 9.txt", "notes 10.txt", "README.md", "small.png"],
    "Size": ["sub/", "A.jpg", "film.mp4", "small.png"],
}


def _png(red: int) -> bytes:
    """Return a picture of 4 by 3 dots."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + bytes((red, 90, 120)) * 4) * 3
    head = struct.pack(">IIBBBBB", 4, 3, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("listing") / "Pictures"
    files = {"small.png": _png(200), "film.mp4": bytes(3000), "notes 9.txt": b"nine", "notes 10.txt": b"ten"}
    camera = photo(exif(tiff(b"\xff\xd8\xff" + bytes(100), "<"))) + bytes(600_000)
    write_tree(root, {**files, "A.jpg": camera, "README.md": README, "sub/deep/x.txt": b"x"})
    write_tree(root, {f"many/{number:04}.txt": b"%d" % number for number in range(1100)})
    (root / "many").rename(root / "sub" / "many")
    (root / "odd").mkdir()
    for name in HOSTILE:
        Path(os.fsdecode(os.fsencode(root / "odd") + b"/" + name)).write_bytes(b"I am " + name)
    (root / "odd").rename(root / "sub" / "odd")
    for path in root.rglob("*"):
        os.utime(path, (AT, AT))
    running = ServerProcess([str(root), "--port", "0"])
    try:
        yield running
        running.assert_clean_end()
    finally:
        running.kill()


def _names(page: Page) -> list[str]:
    return page.locator("#list li:visible b").all_inner_texts()


def _use(page: Page, url: str) -> None:
    """Sort, filter, change the view and turn pages by what can be clicked."""
    page.goto(url)
    assert _names(page) == SORTED[""]
    page.locator(".sort a", has_text="Size").click()
    page.wait_for_url("**/?sort=size&order=desc")
    assert _names(page)[:3] == SORTED["Size"][:3]
    page.locator(".sort a", has_text="Size").click()
    page.wait_for_url("**/?sort=size")
    assert _names(page)[-1] == "A.jpg"
    page.get_by_role("searchbox").fill("NOTES")
    page.get_by_role("button", name="Filter").click()
    page.wait_for_url("**/?q=NOTES&sort=size")
    assert _names(page) == ["notes 10.txt", "notes 9.txt"]
    page.goto(url)
    page.get_by_role("link", name="Grid").click()
    page.wait_for_url("**/?view=grid")
    assert _names(page) == SORTED[""]
    expect(page.locator("#list img")).to_have_count(2)
    page.get_by_role("link", name="sub/").click()
    page.wait_for_url("**/sub/?view=grid")
    page.get_by_role("link", name="many/").click()
    page.get_by_role("link", name="Next").click()
    page.wait_for_url("**/sub/many/?view=grid&page=2")
    assert len(_names(page)) == 100
    page.get_by_role("heading").get_by_role("link").first.click()
    page.wait_for_url(url)


def test_everything_works_with_scripts(page: Page, server: ServerProcess) -> None:
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    _use(page, server.url)
    page.get_by_role("searchbox").press_sequentially("tes 1")
    expect(page.locator("#list li:visible")).to_have_count(1)
    page.get_by_role("searchbox").fill("")
    expect(page.locator("#list li:visible")).to_have_count(len(SORTED[""]))
    assert [fault for fault in faults if "decod" not in fault.lower()] == []


@pytest.mark.only_browser("chromium")
def test_everything_works_without_scripts(browser: Browser, server: ServerProcess) -> None:
    context = browser.new_context(java_script_enabled=False)
    try:
        _use(context.new_page(), server.url)
    finally:
        context.close()


@pytest.mark.only_browser("firefox")
def test_everything_works_in_firefox_without_scripts(server: ServerProcess, tmp_path: Path) -> None:
    """Playwright, which drives Firefox over BiDi, cannot tell it to run no scripts."""
    name = "#list li b"
    with FirefoxWithoutScripts(tool("firefox-esr", "firefox-esr"), tmp_path) as firefox:
        firefox.open(server.url)
        assert firefox.texts(name) == SORTED[""]
        firefox.click(".sort a", "Size")
        assert firefox.url == f"{server.url}?sort=size&order=desc"
        assert firefox.texts(name)[:3] == SORTED["Size"][:3]
        firefox.write("input[type=search]", "NOTES")
        assert len(firefox.texts(name)) == len(SORTED[""])  # the script would have filtered them
        firefox.click("button", "Filter")
        assert firefox.url.startswith(f"{server.url}?q=NOTES&")
        assert sorted(firefox.texts(name)) == ["notes 10.txt", "notes 9.txt"]
        firefox.open(server.url)
        firefox.click("a", "Grid")
        assert firefox.url == f"{server.url}?view=grid"
        assert firefox.texts(name) == SORTED[""]
        firefox.click("#list a", "sub/")
        firefox.click("#list a", "many/")
        firefox.click("nav a", "Next")
        assert firefox.url == f"{server.url}sub/many/?view=grid&page=2"
        assert len(firefox.texts(name)) == 100


@pytest.mark.only_browser("chromium")
def test_times_are_local(browser: Browser, server: ServerProcess) -> None:
    context = browser.new_context(timezone_id="Asia/Kolkata")
    try:
        page = context.new_page()
        page.goto(server.url)
        expect(page.locator("#list time").first).to_have_text("2023-11-15 03:43")
        expect(page.locator(".sort")).not_to_contain_text("UTC")
    finally:
        context.close()


@pytest.mark.only_browser("chromium")  # Firefox cannot be told to have a touch screen
def test_all_that_can_be_touched_is_large(browser: Browser, server: ServerProcess) -> None:
    context = browser.new_context(has_touch=True, is_mobile=True, viewport={"width": 320, "height": 640})
    try:
        page = context.new_page()
        for target in ("", "?view=grid", "sub/many/"):
            page.goto(server.url + target)
            small = page.evaluate(
                """() => [...document.querySelectorAll("#list a, nav a, .sort a, input[type=search], button")]
                    .filter(element => element.getBoundingClientRect().height < 44)
                    .map(element => element.outerHTML)"""
            )
            assert small == []
    finally:
        context.close()


def test_the_grid_shows_pictures(page: Page, server: ServerProcess) -> None:
    page.goto(server.url + "?view=grid")
    small = page.locator("#list img[src*=small]")
    expect(small).to_have_js_property("complete", True)
    assert small.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [4, 3]


@pytest.mark.parametrize("query", ["", "?view=grid"])
def test_hostile_names_are_shown_harmlessly(page: Page, server: ServerProcess, query: str) -> None:
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    page.set_viewport_size({"width": 320, "height": 640})
    page.goto(server.url + "sub/odd/" + query)
    assert page.locator("#list li").count() == len(HOSTILE)
    assert page.locator("#list [onerror], #list b *").count() == 0
    text = page.inner_text("#list")
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    links = page.evaluate("[...document.querySelectorAll('#list a')].map(link => link.href)")
    bodies = {page.request.get(link).body() for link in links}
    assert bodies == {b"I am " + name for name in HOSTILE}
    assert dialogs == []


PAGES = {
    "list": "",
    "grid": "?view=grid",
    "empty": "?q=nothing",
    "pages": "sub/many/?page=2",
    "error": "nowhere/x",
}


@pytest.mark.only_browser("chromium")  # the same rules on the same elements
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_our_pages_are_accessible(browser: Browser, server: ServerProcess, scheme: Scheme) -> None:
    assert_accessible(browser, scheme, [server.url + target for target in PAGES.values()])


@pytest.mark.only_browser("chromium")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_other_pages_are_accessible(browser: Browser, tmp_path: Path, scheme: Scheme) -> None:
    pages = [path.relative_to(ROOT / "www").as_posix() for path in sorted((ROOT / "www").rglob("*.html"))]
    settings = tmp_path / "httpmini.toml"
    settings.write_text("[status]\non_site = true\n")
    running = ServerProcess(["-c", str(settings), str(ROOT / "www"), "--port", "0"])
    try:
        assert_accessible(browser, scheme, [running.url + name for name in ["-/status", "downloads/", *pages]])
        running.assert_clean_end()
    finally:
        running.kill()
