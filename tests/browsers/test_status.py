"""The page that shows what the server does, live, in real browsers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import StartServer
from tests.support.wire import connect, get, read_answer

pytestmark = pytest.mark.browser_test
KEEP = b"GET /ten.txt HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n"
ON_SITE = "[status]\non_site = true\n"


@pytest.mark.parametrize("mode", ["select", "prefork"])
def test_it_keeps_itself_up_to_date(page: Page, start: StartServer, site: Path, mode: str) -> None:
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    server = start(site, "--mode", mode, config=ON_SITE)
    page.goto(f"{server.url}-/status")
    expect(page.locator("h1")).to_contain_text(mode)
    requests = int(page.locator("#requests").inner_text())
    get(server.port, "/nothing")
    with connect(server.port) as sock:
        for _ in range(50):
            sock.sendall(KEEP)
            read_answer(sock)
        name = f"127.0.0.1:{sock.getsockname()[1]}"
        expect(page.locator("#connections tr", has_text=name)).to_contain_text("READ")
    expect(page.locator("#connections tr", has_text=name)).to_have_count(0)
    expect(page.locator("#refusals")).to_contain_text(re.compile("404: [1-9]"))
    assert int(page.locator("#requests").inner_text()) >= requests + 50
    expect(page.locator("#chart polyline")).to_have_attribute("points", re.compile(r"\d+,\d+.* \d+,\d+"))
    assert faults == []


def test_it_says_when_the_server_is_gone(page: Page, start: StartServer, site: Path) -> None:
    server = start(site, config=ON_SITE)
    page.goto(f"{server.url}-/status")
    expect(page.locator("#stale")).to_be_hidden()
    assert server.stop() == 0
    expect(page.locator("#stale")).to_be_visible()


@pytest.mark.only_browser("chromium")  # Firefox, driven over BiDi, cannot be told to run no scripts
def test_without_scripts_it_reloads_itself(page: Page, start: StartServer, site: Path) -> None:
    server = start(site, config=ON_SITE)
    browser = page.context.browser
    assert browser is not None
    context = browser.new_context(java_script_enabled=False)
    try:
        plain = context.new_page()
        plain.goto(f"{server.url}-/status")
        server.wait_for_line('"GET /-/status HTTP', count=3)
        expect(plain.locator("h1")).to_contain_text("select")
    finally:
        context.close()
