"""The system's Chromium and Firefox, driven by Playwright's pytest plugin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.browsers.page_monitor import PageMonitor
from tests.support.tools import tool
from tests.support.wire import WAIT_S

# One process for all pages, which none of these tests is about: a third less processor time.
FIREFOX = {
    "network.dns.disabled": True,
    "fission.autostart": False,
    "dom.ipc.processCount": 1,
    "dom.ipc.processPrelaunch.enabled": False,
    "dom.ipc.keepProcessesAlive.web": 1,
}

WINDOW = ViewportSize(width=1280, height=720)

expect.set_options(timeout=WAIT_S * 1000)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_name: str) -> dict[str, Any]:
    """Use the installed browsers, and let them connect to nothing but this machine."""
    if browser_name == "firefox":
        path = tool("firefox-esr", "firefox-esr")
        # channel: Debian's unpatched Firefox, over WebDriver BiDi.
        return {"executable_path": path, "channel": "moz-firefox", "firefox_user_prefs": FIREFOX}
    rules = "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
    arguments = ["--no-sandbox", "--disable-quic", f"--host-resolver-rules={rules}", *quiet]
    return {"executable_path": tool("chromium", "chromium"), "args": arguments}


@pytest.fixture(autouse=True)
def _patience(request: pytest.FixtureRequest) -> None:
    """Set a limit that only a hang reaches."""
    if "context" in request.fixturenames:
        request.getfixturevalue("context").set_default_timeout(WAIT_S * 1000)


@pytest.fixture(scope="module")
def open_page(browser: Browser) -> Iterator[Page]:
    """Open one page for all tests of a file."""
    context = browser.new_context()
    context.set_default_timeout(WAIT_S * 1000)
    yield context.new_page()
    context.close()


@pytest.fixture
def used_page(open_page: Page) -> Page:
    """Return a page that is like a new one, except that its browser has cached what tests before have visited.

    A new one takes as long as half of a test.
    """
    open_page.set_viewport_size(WINDOW)
    open_page.set_extra_http_headers({})
    open_page.goto("about:blank")
    return open_page


@pytest.fixture
def monitor(page: Page) -> Iterator[PageMonitor]:
    monitor = PageMonitor(page)
    yield monitor
    monitor.close()
