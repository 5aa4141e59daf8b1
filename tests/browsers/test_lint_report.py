"""The pages of ``httpmini lint``: readable for everybody, on a telephone and on a wide screen, light and dark."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from httpmini.lint.checks import CHECKS
from httpmini.lint.report.page import to_html
from httpmini.lint.result import Outcome, Report
from httpmini.lint.runner import finding_of

pytestmark = pytest.mark.browser_test

OUTCOMES: tuple[Outcome, ...] = ("passed", "failed", "not applicable", "not run")


def _report(server: str, shift: int) -> Report:
    """Every check, and each outcome for some of them."""
    findings = [
        finding_of(
            check,
            float(check.level.points),
            (outcome := OUTCOMES[(number + shift) % len(OUTCOMES)]),
            "" if outcome == "passed" else "the second client waited 5.0 s",
            [(">", "GET / HTTP/1.0\r\n\r\n"), ("<", "HTTP/1.0 200 OK\r\n\r\n" + "x" * 300)],
        )
        for number, check in enumerate(CHECKS)
    ]
    return Report(server, "course", "0.0", findings)


@pytest.mark.only_browser("chromium")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1200])
def test_reports_are_accessible(browser: Browser, tmp_path: Path, scheme: Literal["light", "dark"], width: int) -> None:
    """No rule of axe-core is broken, everything unfolded; and the page is not wider than the screen."""
    one, other = _report("./student_server {port} {root}", 0), _report("a-server-with-a-long-name " * 4, 1)
    found = []
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})
    page = context.new_page()
    for name, reports in (("one", [one]), ("matrix", [one, other])):
        file = tmp_path / f"{name}.html"
        file.write_text(to_html(reports))
        page.goto(file.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        found += [(name, rule["id"], rule["nodes"][0]["html"]) for rule in Axe().run(page).response["violations"]]
        if page.evaluate("document.documentElement.scrollWidth") > width:
            found.append((name, "too wide", str(width)))
    context.close()
    assert found == []
