"""What people do with a site, in real browsers and every mode: reload, download, go back, follow links, go astray."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import pytest
from playwright.sync_api import BrowserContext, Page, ViewportSize

from tests.browsers.counting_proxy import CountingProxy
from tests.browsers.page_monitor import PageMonitor
from tests.browsers.pages_site import (
    DOWNLOADS,
    IMAGES,
    ODD_FOLDER,
    ODD_NAMES,
    content_of,
    download_content,
    html,
    image_size,
    make_site,
    png,
)
from tests.browsers.test_www import ARTEFACTS
from tests.support.processes import ServerProcess, eventually
from tests.support.wire import connect, occupied_slot, read_all

pytestmark = pytest.mark.browser_test

Servers = Callable[[str, str], ServerProcess]

# The servers that are visited, by name. A browser opens six connections: with four slots, and a short patience with
# idle clients, two of them wait for the others.
CONFIGS = {
    "plain": """
[[rules]]
path = "attached*"
fields = { Content-Disposition = "attachment" }
[[rules]]
path = "attached-as.txt"
fields = { Content-Disposition = "attachment; filename=plain.txt; filename*=UTF-8''ein%20Name%20%C3%BC.txt" }
""",
    "narrow": '[server]\nmax_clients = 4\noverflow = "queue"\n[site]\nlisting = false\n[limits]\nidle_s = 0.5\n',
    "full": '[server]\nmax_clients = 1\noverflow = "refuse"\n',
    "closed": '[server]\ndeny = ["127.0.0.0/8"]\n',
}

TELEPHONE = ViewportSize(width=360, height=640)

SIZES_OF_IMAGES = "[...document.images].map(image => [image.naturalWidth, image.naturalHeight])"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_site(tmp_path_factory.mktemp("pages") / "root")


@pytest.fixture(scope="module")
def servers(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """``servers(MODE, NAME)``: one of CONFIGS in a mode, started when it is asked for, stopped with the last test."""
    running: dict[tuple[str, str], ServerProcess] = {}
    folder = tmp_path_factory.mktemp("configs")

    def server(mode: str, name: str) -> ServerProcess:
        if (mode, name) not in running:
            file = folder / f"{name}.toml"
            file.write_text(CONFIGS[name])
            arguments = [os.fspath(root), "-c", os.fspath(file), "--port", "0", "--mode", mode]
            running[mode, name] = ServerProcess(arguments)
        return running[mode, name]

    try:
        yield server
        for process in running.values():
            process.assert_clean_end()
    finally:
        for process in running.values():
            process.kill()


@pytest.fixture
def page(used_page: Page) -> Page:
    """Return a used page: most tests visit addresses that no other does."""
    return used_page


# Revalidation.

FILES_OF_A_PAGE = ("page.html", "style.css", "script.js", "module.js", "image.png")


def _write_page(folder: Path, edition: int) -> None:
    """A page and what it needs; all editions of a file have the same length."""
    scripts = '<script src="script.js"></script><script type="module" src="module.js"></script>'
    body = f'<p id="made">nothing</p><img src="image.png" alt="">{scripts}'
    texts = {
        "page.html": html(f"edition {edition}", body, '<link rel="stylesheet" href="style.css">'),
        "style.css": f"h1 {{ letter-spacing: {edition}px }}",
        "script.js": f'document.getElementById("made").textContent = "by script {edition}";',
        "module.js": f'document.body.dataset.module = "{edition}";',
    }
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
    (folder / "image.png").write_bytes(png(edition, 5))


def _date_page(folder: Path, moment: float) -> None:
    for name in FILES_OF_A_PAGE:
        os.utime(folder / name, (moment, moment))


def _wait_for_dates(server: ServerProcess, folder: str) -> None:
    """Wait until the server says when the files of a page were changed: not before it can tell two versions apart."""
    for name in FILES_OF_A_PAGE:
        eventually(partial(_is_dated, server, f"/{folder}/{name}"), f"{name} has a date")


def _is_dated(server: ServerProcess, path: str) -> bool:
    with connect(server.port) as sock:
        sock.sendall(f"HEAD {path} HTTP/1.0\r\n\r\n".encode())
        return b"\r\nLast-Modified: " in read_all(sock)


def _assert_shows(page: Page, edition: int) -> None:
    assert page.get_by_role("heading").inner_text() == f"edition {edition}"
    assert page.evaluate("getComputedStyle(document.querySelector('h1')).letterSpacing") == f"{edition}px"
    assert page.inner_text("#made") == f"by script {edition}"
    assert page.evaluate("document.body.dataset.module") == str(edition)
    assert page.evaluate(SIZES_OF_IMAGES) == [[edition, 5]]


def _assert_answered(server: ServerProcess, folder: str, *statuses: int) -> None:
    """Assert that each file of the page got exactly these statuses, in this order.

    In prefork mode, two workers write their lines when they are idle, so the order is not checked.
    """
    ordered: Callable[[list[int]], list[int]] = sorted if "(mode prefork" in server.lines[0] else list
    for name in FILES_OF_A_PAGE:
        pattern = rf'"GET /{folder}/{re.escape(name)} HTTP/1\.[01]" (\d+) '
        server.wait_for_line(pattern, count=len(statuses))
        found = (re.search(pattern, line) for line in server.access_lines())
        assert ordered([int(match[1]) for match in found if match]) == ordered(list(statuses)), name


def test_reload_asks_again_and_shows_what_changed(
    page: Page, monitor: PageMonitor, servers: Servers, mode: str, root: Path, browser_name: str
) -> None:
    """A reload gets only 304s if nothing has changed, else 200s and the new content."""
    server = servers(mode, "plain")
    folder = f"dated-{mode}-{browser_name}"
    _write_page(root / folder, 1)
    _date_page(root / folder, time.time() - 20)
    _wait_for_dates(server, folder)
    page.goto(f"{server.url}{folder}/page.html", wait_until="load")
    _assert_shows(page, 1)
    page.reload(wait_until="load")
    _assert_shows(page, 1)
    _assert_answered(server, folder, 200, 304)
    _write_page(root / folder, 2)
    _date_page(root / folder, time.time() - 10)
    page.reload(wait_until="load")
    _assert_shows(page, 2)
    _assert_answered(server, folder, 200, 304, 200)
    assert monitor.faults == []


def test_reload_shows_what_changed_within_the_second(
    page: Page, servers: Servers, mode: str, root: Path, browser_name: str
) -> None:
    """Saved, looked at, saved again: dates count in seconds, and Chromium asks an HTTP/1.0 server by date only.

    A slow browser does not save twice within a second, so the dates say that it did.
    """
    server = servers(mode, "plain")
    folder = f"hasty-{mode}-{browser_name}"
    for edition in range(1, 7, 2):
        second = int(time.time())
        _write_page(root / folder, edition)
        _date_page(root / folder, second + 0.25)
        page.goto(f"{server.url}{folder}/page.html?{edition}", wait_until="load")
        _assert_shows(page, edition)
        _write_page(root / folder, edition + 1)
        _date_page(root / folder, second + 0.75)
        page.reload(wait_until="load")
        _assert_shows(page, edition + 1)


# Connections.


def test_connections_are_used_again(
    page: Page, monitor: PageMonitor, servers: Servers, mode: str, browser_name: str
) -> None:
    """A page with 50 images, then 50 requests one after another, on the few connections that a browser opens."""
    server = servers(mode, "plain")
    with CountingProxy(server.port) as proxy:
        page.goto(proxy.url + "gallery-50.html", wait_until="load")
        texts = page.evaluate(
            """async name => {
                const texts = [];
                for (let number = 0; number < 50; number++)
                    texts.push(await (await fetch(`ten.txt?${name}-${number}`)).text());
                return texts;
            }""",
            browser_name,
        )
        assert texts == ["0123456789"] * 50
        assert monitor.faults == []
        assert len(monitor.responses) == 1 + 50 + 50
        server.wait_for_line(rf'"GET /ten\.txt\?{browser_name}-\d+ HTTP/1\.1" 200 10 ', count=50)
        assert 1 <= proxy.connections <= 8, f"101 requests needed {proxy.connections} connections"


@pytest.mark.parametrize("name", ["plain", "narrow"])
def test_200_images_on_one_page(page: Page, monitor: PageMonitor, servers: Servers, mode: str, name: str) -> None:
    """Every image is the right one, even with fewer slots than a browser has connections."""
    server = servers(mode, name)
    page.goto(f"{server.url}gallery-{IMAGES}.html", wait_until="load")
    assert monitor.faults == []
    assert page.evaluate(SIZES_OF_IMAGES) == [list(image_size(number)) for number in range(IMAGES)]


# Back and forward.


def test_back_and_forward(page: Page, monitor: PageMonitor, servers: Servers, mode: str) -> None:
    server = servers(mode, "plain")
    page.goto(server.url + "walk/one.html", wait_until="load")
    for heading in ("two", "three"):
        page.get_by_role("link", name="on").click()
        page.get_by_role("heading", name=heading).wait_for()
    first, second, third = ("walk/one.html", "one"), ("walk/two.html?from=one", "two"), ("walk/three/", "three")
    for step, (path, heading) in (("back", second), ("back", first), ("forward", second), ("forward", third)):
        _step(page, step, server.url + path)
        assert page.get_by_role("heading").inner_text().endswith(heading)
        assert page.evaluate(SIZES_OF_IMAGES) == ([] if heading == "three" else [[7, 7]])
    assert page.get_by_role("link", name="file.txt").is_visible()
    assert monitor.faults == []


def _step(page: Page, step: str, url: str) -> None:
    """``page.go_back`` waits for a load event, which a page that Firefox has kept as it was does not have again."""
    page.evaluate(f"setTimeout(() => history.{step}())")  # not at once: the evaluation is to end before
    page.wait_for_function("url => location.href === url && document.readyState === 'complete'", arg=url, polling=20)


# Names.


def test_odd_names_in_a_listing(page: Page, monitor: PageMonitor, servers: Servers, mode: str) -> None:
    """Each link of a listing leads to the file of that very name (in a frame: that is quicker), and one leads up."""
    server = servers(mode, "plain")
    page.goto(server.url, wait_until="load")
    page.get_by_text(ODD_FOLDER + "/", exact=True).click()
    page.get_by_role("heading", name=ODD_FOLDER).wait_for()
    links = page.evaluate("[...document.querySelectorAll('#list a')].map(link => link.href)")
    assert len(links) == len(ODD_NAMES)
    assert page.locator("img, #list b *").count() == 0, "a name has become markup"
    page.get_by_role("heading").get_by_role("link").click()
    page.wait_for_url(server.url, wait_until="load")
    page.goto(server.url + "form.html", wait_until="load")  # a listing has no frames
    texts = page.evaluate(
        """async links => {
            const frame = document.createElement("iframe");
            document.body.append(frame);
            const texts = [];
            for (const link of links) {
                await new Promise(loaded => { frame.onload = loaded; frame.src = link; });
                texts.push(frame.contentDocument.body.textContent);
            }
            return texts;
        }""",
        links,
    )
    assert sorted(texts) == sorted(content_of(name) for name in ODD_NAMES)
    assert monitor.faults == []


def test_listing_fits_the_window(page: Page, servers: Servers, mode: str, browser_name: str) -> None:
    server = servers(mode, "plain")
    page.goto(server.url + quote(ODD_FOLDER) + "/", wait_until="load")
    for width, size in {"wide": page.viewport_size, "narrow": TELEPHONE}.items():
        assert size is not None
        page.set_viewport_size(size)
        _screenshot(page, mode, f"listing-{width}-{browser_name}")
        _assert_fits(page)


def test_downloads(context: BrowserContext, servers: Servers, mode: str) -> None:
    """What is not shown is saved, octet by octet: under its own name, or the one that the link or a rule gives.

    A page of its own: in Firefox, the second download of a name gets another one.
    """
    page = context.new_page()
    server = servers(mode, "plain")
    page.goto(server.url + "downloads/", wait_until="load")
    for file, _, name in DOWNLOADS:
        with page.expect_download() as caught:
            page.get_by_text(file, exact=True).click()
        download = caught.value
        assert download.failure() is None
        assert download.suggested_filename == name
        assert Path(download.path()).read_bytes() == download_content(file), file


# Error pages.


class Astray(NamedTuple):
    """A visit that is refused: the server, the request, and what is shown."""

    server: str
    target: str
    fields: dict[str, str]
    heading: str
    token: str


ASTRAY = {
    "missing": Astray("plain", "nothing/here", {}, "404 Not Found", "not-found"),
    "percent": Astray("plain", "100%", {}, "400 Bad Request", "target-percent"),
    "unlisted": Astray("narrow", "images/", {}, "403 Forbidden", "no-listing"),
    "condition": Astray("plain", "ten.txt", {"If-Match": '"x"'}, "412 Precondition Failed", "precondition-failed"),
    "target": Astray("plain", "x" * 9000, {}, "414 URI Too Long", "target-long"),
    "range": Astray("plain", "ten.txt", {"Range": "bytes=10-"}, "416 Range Not Satisfiable", "range-unsatisfiable"),
    "head": Astray("plain", "", {"X": "x" * 17_000}, "431 Request Header Fields Too Large", "head-long"),
    "address": Astray("closed", "", {}, "403 Forbidden", "address-denied"),
}


def test_error_pages(page: Page, servers: Servers, mode: str, browser_name: str) -> None:
    page.set_viewport_size(TELEPHONE)
    for name, case in ASTRAY.items():
        page.set_extra_http_headers(case.fields)
        answer = page.goto(servers(mode, case.server).url + case.target, wait_until="load")
        assert answer is not None, name
        assert answer.status == int(case.heading.split()[0]), name
        _assert_explains(page, case.heading, case.token)
        _screenshot(page, mode, f"error-{name}-{browser_name}")


def test_error_page_for_a_form(page: Page, servers: Servers, mode: str, browser_name: str) -> None:
    """The refusal of a request with a long body is shown, not lost in a reset."""
    server = servers(mode, "plain")
    page.goto(server.url + "form.html", wait_until="load")
    page.get_by_role("button", name="Send").click()
    page.wait_for_url("**/ten.txt", wait_until="load")
    _assert_explains(page, "405 Method Not Allowed", "method-not-allowed")
    _screenshot(page, mode, f"error-form-{browser_name}")


def test_error_page_of_a_full_server(page: Page, servers: Servers, mode: str, browser_name: str) -> None:
    """The refusal is sent before any request, and shown all the same."""
    server = servers(mode, "full")
    with occupied_slot(server.port):
        page.goto(server.url + "ten.txt", wait_until="load")
        _assert_explains(page, "503 Service Unavailable", "too-many-clients")
        _screenshot(page, mode, f"error-full-{browser_name}")


def _assert_explains(page: Page, heading: str, token: str) -> None:
    """Status, phrase, reason and RFC section can be seen, all of it within the window."""
    assert page.title() == heading
    assert page.get_by_role("heading").inner_text() == heading
    assert page.get_by_role("heading").is_visible()
    text = page.inner_text("body")
    assert re.search(rf"^Reason: {token}\b.* · RFC \d+ §[\d.]+$", text, re.MULTILINE), text
    _assert_fits(page)


def _assert_fits(page: Page) -> None:
    """Assert that no element extends past the right edge of its box or the window."""
    over = page.evaluate(
        """() => [...document.querySelectorAll("body, body *")]
            .filter(element => element.getBoundingClientRect().right > document.documentElement.clientWidth
                || element.scrollWidth > element.clientWidth && element.clientWidth > 0)
            .map(element => element.outerHTML.slice(0, 100))"""
    )
    assert over == [], f"over the right edge, in a window of {page.viewport_size}"


def _screenshot(page: Page, mode: str, name: str) -> None:
    """Keep a picture for people to look at. All modes send the same, so one of them is enough."""
    if mode == "select":
        ARTEFACTS.mkdir(exist_ok=True)
        page.screenshot(path=os.fspath(ARTEFACTS / f"{name}.png"))
