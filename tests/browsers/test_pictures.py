"""The pages of timeline, compare and lint, made by real runs, in Chromium: named and coloured as in www/play.html."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from msgspec.structs import replace
from playwright.sync_api import Browser, Page

from httpmini.compare import run
from httpmini.compare.clients import LOADS
from httpmini.compare.report import look_at_machine, to_html
from httpmini.compare.run import Result, Wanted
from httpmini.server.modes import MODES
from tests.browsers.accessibility import assert_accessible
from tests.conftest import StartServer
from tests.lint.test_faults import SERVER
from tests.support.processes import ServerProcess, run_command
from tests.support.wire import connect, read_all

pytestmark = [pytest.mark.browser_test, pytest.mark.only_browser("chromium")]

WWW = Path(__file__).parents[2] / "www"
WANTED = Wanted("crowd", 2, "refuse", patience_s=120, most_s=1000)
REAL = ("iterative", "forking")  # the other panels show the same, to save time
# What a picture is made of: as a selector, and the properties that give it its colour.
LOOKS = """
() => {
  const look = (element) => {
    const style = getComputedStyle(element);
    return [style.fill, style.stroke, style.strokeDasharray].join(" ");
  };
  const modes = ["iterative", "forking", "threading", "select", "prefork"];
  const legend = [...document.querySelectorAll(".legend li")];
  return {
    legend: legend.map((item) => [item.textContent.trim(), look(item.querySelector("rect, path"))]),
    titles: Object.fromEntries([...document.querySelectorAll(".panel h2[id^=name]")].map(
      (title) => [title.textContent, getComputedStyle(title).color])),
    answers: modes.map((mode) => {
      const box = document.querySelector(`.legend .s-answer.${mode}`);
      return box ? look(box) : "";
    }),
  };
}
"""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Make each page once."""
    folder = tmp_path_factory.mktemp("pictures")
    results = list(run.compare(list(REAL), WANTED))
    assert [one.problem for one in results] == ["", ""]
    others = [replace(results[0], mode=mode) for mode in MODES if mode not in (*REAL, "prefork")]
    # Whether a client has to be refused depends on how fast this machine is.
    visits = [replace(one, is_refused=number < 3) for number, one in enumerate(results[1].visits)]
    refusing = replace(results[1], visits=visits)
    shown = [results[0], refusing, *others, Result("prefork", problem="this system has no <fork>")]
    (folder / "compare.html").write_bytes(to_html(shown, WANTED, look_at_machine()))
    _draw_timeline(folder)
    _lint(folder)
    return {file.stem: file for file in folder.glob("*.html")}


def _draw_timeline(folder: Path) -> None:
    root = folder / "root"
    root.mkdir()
    (root / "ten.txt").write_text("0123456789")
    arguments = [str(root), "--port", "0", "--mode", "forking", "--max-clients", "1", "--overflow", "refuse"]
    server = ServerProcess([*arguments, "--trace", str(folder / "trace")])
    try:
        with connect(server.port) as first:
            first.sendall(b"GET /ten.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert first.recv(65536)
            with connect(server.port) as second:
                assert b" 503 " in read_all(second)
        assert server.stop() == 0
    finally:
        server.kill()
    done = run_command("timeline", str(folder / "trace"), "-o", str(folder / "timeline.html"))
    assert done == (0, b"", b"")


def _lint(folder: Path) -> None:
    reports = []
    for name, fault in (("one", "head with body"), ("other", "none")):
        reports.append(str(folder / f"{name}.json"))
        command = f"{sys.executable} {SERVER} {{port}} {{root}} '{fault}'"
        few = ("--only", "get-file,head-body,content-type,listing")
        status, _, errors = run_command(
            "lint", "--spawn", command, *few, "--json", reports[-1], "--html", str(folder / f"lint-{name}.html")
        )
        assert (status, errors) == (int(name == "one"), b"")
    assert run_command("lint", "--merge", *reports, "--html", str(folder / "matrix.html")) == (0, b"", b"")


@pytest.fixture
def quiet_page(page: Page) -> Iterator[Page]:
    """A page on which nothing may go wrong."""
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("requestfailed", lambda request: faults.append(request.url))
    yield page
    assert faults == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1200])
def test_everybody_can_read_them(
    browser: Browser, pictures: dict[str, Path], scheme: Literal["light", "dark"], width: int
) -> None:
    assert sorted(pictures) == ["compare", "lint-one", "lint-other", "matrix", "timeline"]
    assert_accessible(browser, scheme, (file.as_uri() for file in pictures.values()), width)


def test_the_panels_of_compare(quiet_page: Page, pictures: dict[str, Path]) -> None:
    quiet_page.goto(pictures["compare"].as_uri())
    panels = quiet_page.locator(".panel")
    assert panels.count() == len(MODES)
    assert "this system has no <fork>" in panels.nth(4).inner_text()
    assert panels.nth(4).locator(".bar").count() == 0
    names = {one.name for one in LOADS["crowd"]}
    for number in range(4):
        shown = panels.nth(number)
        found = {name.strip() for name in shown.locator(".who").all_inner_texts() if name.strip()}
        assert found == names
        assert shown.locator(".s-answer").count() > 0
        _assert_boxes_are_seen(shown.locator(".bar rect"))
    assert "Refused: 3." in panels.nth(1).inner_text()
    rows = quiet_page.locator("tbody tr")
    assert [row.split()[0] for row in rows.all_inner_texts()] == [mode for mode in _shown_modes() if mode != "prefork"]


def _shown_modes() -> list[str]:
    return [*REAL, *(mode for mode in MODES if mode not in REAL)]


def _assert_boxes_are_seen(boxes: Any) -> None:
    """Assert that each has a size, and none leaves its bar."""
    sizes = boxes.evaluate_all(
        """all => all.map(one => {
            const own = one.getBoundingClientRect(), bar = one.closest(".bar").getBoundingClientRect();
            return [own.width, own.height, own.left - bar.left, bar.right - own.right];
        })"""
    )
    assert sizes
    assert all(width > 0.3 and height > 5 and left >= -1 and right >= -2 for width, height, left, right in sizes), sizes


def test_the_bars_of_a_timeline(quiet_page: Page, pictures: dict[str, Path]) -> None:
    quiet_page.goto(pictures["timeline"].as_uri())
    assert quiet_page.locator("h1").inner_text().endswith("forking")
    lines = quiet_page.locator(".line", has=quiet_page.locator(".client"))
    assert lines.count() == 2
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+", name) for name in quiet_page.locator(".who").all_inner_texts()[:2])
    assert lines.nth(0).locator(".s-answer").count() == 1
    assert lines.nth(0).locator(".s-starts").count() == 1
    assert lines.nth(1).locator(".s-end").count() == 1
    _assert_boxes_are_seen(quiet_page.locator(".bar rect"))
    quiet_page.locator("summary").click()
    assert "1 response, the client closed it" in quiet_page.locator("details").inner_text()


def test_the_timeline_of_a_server_that_runs(
    quiet_page: Page, browser: Browser, start: StartServer, site: Path, tmp_path: Path
) -> None:
    """Its policy forbids all that is not its own; so the colours show that nothing of it is forbidden."""
    server = start(site, "--trace", str(tmp_path / "t"), config="[status]\non_site = true\n")
    with connect(server.port) as sock:
        sock.sendall(b"GET /ten.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert sock.recv(65536)
        quiet_page.goto(f"{server.url}-/timeline")
        line = quiet_page.locator(".line", has_text=f"127.0.0.1:{sock.getsockname()[1]}")
        assert line.locator(".s-answer").count() == 1
        colour = "one => getComputedStyle(one).fill"
        assert line.locator(".s-answer").evaluate(colour) != line.locator(".s-own").first.evaluate(colour)
        assert_accessible(browser, "light", [f"{server.url}-/timeline"], 390)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_names_and_colours_are_those_of_play(
    browser: Browser, pictures: dict[str, Path], scheme: Literal["light", "dark"]
) -> None:
    server = ServerProcess([str(WWW), "--port", "0"])
    context = browser.new_context(color_scheme=scheme)
    try:
        page = context.new_page()
        page.goto(f"{server.url}play.html")
        play = page.evaluate(LOOKS)
        page.goto(pictures["compare"].as_uri())
        compared = page.evaluate(LOOKS)
        page.goto(pictures["timeline"].as_uri())
        drawn = page.evaluate(LOOKS)
        server.assert_clean_end()
    finally:
        context.close()
        server.kill()
    assert len(play["legend"]) == 6
    assert len(play["titles"]) == len(MODES)
    assert all(play["answers"])
    off = compared["titles"].pop("Prefork")
    assert off != play["titles"]["Prefork"], "a mode that cannot run is grey"
    assert compared["titles"].items() <= play["titles"].items()
    assert sorted(compared["answers"]) == sorted(play["answers"])
    assert compared["legend"] == play["legend"]
    assert drawn["titles"].items() <= play["titles"].items()
    assert [name for name, _ in drawn["legend"]] == [name for name, _ in play["legend"]]
    others = [number for number, (name, _) in enumerate(play["legend"]) if name != "is receiving its response"]
    assert [drawn["legend"][number] for number in others] == [play["legend"][number] for number in others]
    assert drawn["legend"][4][1] == play["answers"][1]


def test_lint_says_what_failed(quiet_page: Page, pictures: dict[str, Path]) -> None:
    quiet_page.goto(pictures["lint-one"].as_uri())
    assert quiet_page.locator("td.failed").all_inner_texts() == ["0/3"]
    failed = quiet_page.locator("details", has_text="answers HEAD without a body")
    failed.locator("summary").click()
    assert "> HEAD" not in failed.inner_text()
    assert "HEAD /ten.txt HTTP/1.0" in failed.locator("pre").first.inner_text()
    quiet_page.goto(pictures["matrix"].as_uri())
    row = quiet_page.locator("tr", has_text="answers HEAD without a body")
    assert [cell.split()[0] for cell in row.locator("td").all_inner_texts()] == ["✗", "✓"]
