"""The site in www/ in real browsers, from a server in each mode with that mode's own config file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin

import pytest
from playwright.sync_api import BrowserContext, Page

from httpmini.server.modes import MODES
from tests.browsers.page_monitor import PageMonitor
from tests.support.processes import ServerProcess
from tests.support.wire import connect

ROOT = Path(__file__).parents[2]
WWW = ROOT / "www"
ARTEFACTS = ROOT / "test-artefacts"

pytestmark = pytest.mark.browser_test


@pytest.fixture(scope="module", params=sorted(MODES))
def server(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    running = ServerProcess(["-c", str(ROOT / "conf" / f"{request.param}.toml"), "--port", "0"])
    try:
        yield running
        running.assert_clean_end()
    finally:
        running.kill()


@pytest.fixture
def page(used_page: Page) -> Page:
    """Return a used page. Each server has its own address, so the first test starts with nothing cached for it."""
    return used_page


def _links(page: Page) -> list[str]:
    hrefs = page.eval_on_selector_all("a[href]", "links => links.map(link => link.getAttribute('href'))")
    return [urldefrag(urljoin(page.url, str(href))).url for href in hrefs]


def test_every_page_and_everything_on_it(page: Page, monitor: PageMonitor, server: ServerProcess) -> None:
    """Follow all links from the first page: no console message, no failed request, nothing over 399."""
    ahead, seen = [server.url], {server.url}
    pages = 0
    while ahead:
        url = ahead.pop(0)
        if not url.endswith(("/", ".html")):
            continue  # files are fetched in test_downloads
        page.goto(url, wait_until="load")
        pages += 1
        for link in _links(page):
            assert link.startswith(server.url), f"{url} links to {link}"
            if link not in seen:
                seen.add(link)
                ahead.append(link)
    assert monitor.faults == []
    assert pages >= 9, "the index, a page for each mode, a listing ..."
    on_disk = {path.relative_to(WWW).as_posix() for path in WWW.rglob("*.html")}
    assert on_disk <= {unquote(url.removeprefix(server.url)) for url in seen} | {"index.html"}


def test_first_page_with_three_silent_connections_beside_it(context: BrowserContext, server: ServerProcess) -> None:
    """Browsers open spare connections. A server that waited for them would do so until limits.idle_s, for 15 s.

    In a page of its own, which has nothing cached.
    """
    page = context.new_page()
    monitor = PageMonitor(page)
    silent = [connect(server.port) for _ in range(3)]
    page.goto(server.url, wait_until="load", timeout=10_000)
    assert page.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol") == "http/1.0"
    assert [response.status for response in monitor.responses[:1]] == [200]
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert monitor.faults == []
    for sock in silent:
        sock.close()


def test_modules_run(context: BrowserContext, server: ServerProcess) -> None:
    """In a page of its own: a 304 would not show the type of a module."""
    page = context.new_page()
    monitor = PageMonitor(page)
    page.goto(server.url + "play.html", wait_until="load")
    buttons = page.get_by_role("button")
    assert buttons.count() >= 2
    buttons.first.click()
    modules = [response for response in monitor.responses if response.url.endswith(".js")]
    assert len(modules) >= 2
    assert all(response.headers["content-type"] == "text/javascript; charset=utf-8" for response in modules)
    assert monitor.faults == []


def test_sound_is_loaded(used_page: Page, server: ServerProcess) -> None:
    used_page.goto(server.url + "listen.html", wait_until="load")
    duration = used_page.evaluate(
        """() => new Promise((resolve, reject) => {
            const sound = document.querySelector("audio");
            const tell = () => sound.readyState >= 1 && resolve(sound.duration);
            sound.addEventListener("loadedmetadata", tell);
            sound.addEventListener("error", () => reject(new Error("the sound cannot be loaded")));
            sound.preload = "auto"; sound.load(); tell();
        })"""
    )
    assert 1 < duration < 10


def test_sound_can_be_sought(context: BrowserContext, server: ServerProcess) -> None:
    """With ranges the element really is at the second that was asked for (without them it says so and is not).

    A page of its own, which has not loaded all of the sound already.
    """
    page = context.new_page()
    monitor = PageMonitor(page)
    page.goto(server.url + "listen.html", wait_until="load")
    time = page.evaluate(
        """() => new Promise((resolve, reject) => {
            const sound = document.querySelector("audio");
            sound.addEventListener("loadedmetadata", () => { sound.currentTime = 2; });
            sound.addEventListener("seeked", () => resolve(sound.currentTime));
            sound.addEventListener("error", () => reject(new Error("the sound cannot be loaded")));
            sound.preload = "auto"; sound.load();
        })"""
    )
    assert abs(time - 2) < 0.1
    assert 206 in {response.status for response in monitor.responses if response.url.endswith(".wav")}


def test_downloads(page: Page, server: ServerProcess) -> None:
    """Names with blanks, quotes, #, ?, % and other alphabets: each link of the listing fetches its file."""
    page.goto(server.url + "downloads/", wait_until="load")
    links = [link for link in _links(page) if link.startswith(page.url) and link != page.url and "?" not in link]
    page.goto(server.url, wait_until="load")  # a listing's own policy lets it fetch nothing
    contents = {page.evaluate("url => fetch(url).then(answer => answer.text())", link) for link in links}
    assert contents == {path.read_text("utf-8") for path in (WWW / "downloads").iterdir()}
    assert len(contents) >= 5


def test_folder_without_slash(used_page: Page, server: ServerProcess) -> None:
    used_page.goto(server.url + "downloads?a=1", wait_until="load")
    assert used_page.url == server.url + "downloads/?a=1"


def test_error_page(used_page: Page, server: ServerProcess, browser_name: str) -> None:
    answer = used_page.goto(server.url + "nothing/here", wait_until="load")
    assert answer is not None
    assert answer.status == 404
    assert used_page.get_by_role("heading").inner_text() == "404 Not Found"
    assert "not-found" in used_page.inner_text("body")
    if "(mode select" in server.banner:
        ARTEFACTS.mkdir(exist_ok=True)
        used_page.screenshot(path=os.fspath(ARTEFACTS / f"error-{browser_name}.png"))


def test_reload_revalidates(page: Page, monitor: PageMonitor, server: ServerProcess) -> None:
    page.goto(server.url, wait_until="load")
    validated = r'"GET /\S* HTTP/1\.[01]" 304 '
    before = sum(bool(re.search(validated, line)) for line in server.access_lines())
    page.reload(wait_until="load")
    server.wait_for_line(validated, before + 1)
    assert monitor.faults == []
