"""https in real browsers: a page with its parts, a listing, a download, and the way from http."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.support.processes import ServerProcess
from tests.support.tls import Authority
from tests.support.wire import WAIT_S

pytestmark = pytest.mark.browser_test


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("https")
    root = folder / "www"
    (root / "files").mkdir(parents=True)
    (root / "index.html").write_text(
        "<!doctype html><title>secure</title><link rel=stylesheet href=style.css><script src=script.js></script>"
        "<p id=p>text</p><a href=files>files</a>"
    )
    (root / "style.css").write_text("#p { color: rgb(1, 2, 3) }")
    (root / "script.js").write_text("window.loaded = location.protocol")
    (root / "files" / "large.bin").write_bytes(b"x" * 5_000_000)
    certificate, key = Authority(folder).pair("localhost", "127.0.0.1")
    file = folder / "httpmini.toml"
    file.write_text(
        f'[server]\nlisten = ["tls:127.0.0.1:0", "127.0.0.1:0"]\n[site]\nroot = "{root}"\nhosts = ["localhost"]\n'
        f'[tls]\ncertificate = "{certificate}"\nkey = "{key}"\nredirect = true\n'
    )
    running = ServerProcess(["-c", str(file)])
    try:
        yield running
        running.assert_clean_end()
    finally:
        running.kill()


@pytest.fixture
def secure_page(browser: Browser) -> Iterator[Page]:
    """A page of a browser that takes the certificate of this test."""
    context = browser.new_context(ignore_https_errors=True)
    context.set_default_timeout(WAIT_S * 1000)
    yield context.new_page()
    context.close()


def test_a_page(server: ServerProcess, secure_page: Page, tmp_path: Path) -> None:
    """From http to https by the redirection, then by links that stay there."""
    plain = re.findall(r"http://127.0.0.1:(\d+)/", server.banner)[0]
    secure_page.goto(f"http://localhost:{plain}/")
    assert secure_page.url == f"https://localhost:{server.port}/"
    assert secure_page.evaluate("window.loaded") == "https:"
    assert secure_page.evaluate("getComputedStyle(document.getElementById('p')).color") == "rgb(1, 2, 3)"
    size = secure_page.evaluate("fetch('files/large.bin').then(r => r.arrayBuffer()).then(b => b.byteLength)")
    assert size == 5_000_000
    secure_page.click("a")
    secure_page.wait_for_url(f"https://localhost:{server.port}/files/")
