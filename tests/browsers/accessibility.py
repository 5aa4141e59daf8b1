"""Pages judged by axe-core, on a telephone and on a wide screen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

Scheme = Literal["light", "dark"]
WIDTHS: dict[Scheme, int] = {"light": 320, "dark": 1200}


def assert_accessible(browser: Browser, scheme: Scheme, urls: Iterable[str], width: int = 0) -> None:
    """Assert that axe-core has no rule that a page breaks, and that no page is wider than the screen.

    Args:
        browser: what shows the pages.
        scheme: which colours; light is a telephone and dark a wide screen, unless ``width`` says otherwise.
        urls: the pages.
        width: of the screen, in pixels.
    """
    found: list[object] = []
    width = width or WIDTHS[scheme]
    # Past the page's own policy, or the rules could not be brought into it.
    context = browser.new_context(bypass_csp=True, color_scheme=scheme, viewport={"width": width, "height": 800})
    page = context.new_page()
    for url in urls:
        page.goto(url)
        broken = Axe().run(page).response["violations"]
        found += [(url, rule["id"], [node["html"] for node in rule["nodes"]][:2]) for rule in broken]
        if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            found.append((url, "wider than the screen"))
    context.close()
    assert found == []
