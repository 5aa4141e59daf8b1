"""The documentation in a browser: every page is accessible, also on a telephone."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from httpmini.cli.main import main
from httpmini.docs.site import write_site
from tests.browsers.accessibility import assert_accessible
from tests.support.processes import ServerProcess

TELEPHONE = 390
ONE_OF_EACH = ("index.html", "settings.html", "comparison.html", "modes/select.html")

pytestmark = [pytest.mark.browser_test, pytest.mark.only_browser("chromium")]


@pytest.mark.long
def test_every_page_is_accessible(browser: Browser, tmp_path: Path) -> None:
    write_site(tmp_path, main)
    pages = [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*.html"))]
    running = ServerProcess([str(tmp_path), "--port", "0"])
    try:
        assert_accessible(browser, "light", [running.url + page for page in pages], TELEPHONE)
        assert_accessible(browser, "dark", [running.url + page for page in ONE_OF_EACH])
        running.assert_clean_end()
    finally:
        running.kill()
