"""The documentation as a site: all pages are there, and every link leads to something that is there."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest

from httpmini.cli.main import main
from httpmini.config import rows
from httpmini.docs import sources
from httpmini.docs.markdown import render
from httpmini.docs.site import write_site
from httpmini.server.modes import MODES
from release.wheel import packed
from tests.support.processes import WAIT_S, ServerProcess, run_command
from tests.support.wire import get
from tests.test_docs import all_commands

HOME = Path(__file__).parents[2]
HOOK = tomllib.loads((HOME / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"][
    "custom"
]
VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """What a page links to, its anchors, and whether its elements are closed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: list[str] = []
        self.open: list[str] = []
        self.feed(path.read_text("utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        self.links += [value for name in ("href", "src") if (value := found.get(name))]
        self.anchors += [value for value in [found.get("id")] if value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("documentation")
    write_site(path, main)
    return path


@pytest.fixture(scope="module")
def pages(folder: Path) -> dict[str, Page]:
    return {path.relative_to(folder).as_posix(): Page(path) for path in folder.rglob("*.html")}


def internal(pages: dict[str, Page]) -> Iterator[tuple[str, str, str]]:
    """Yield each link within the site: the page that has it, the page or folder it leads to, the anchor there."""
    for name, page in pages.items():
        for link in page.links:
            if not re.match(r"[a-z]+:", link):
                target = urlsplit(urljoin(f"http://site/{name}", link))
                yield name, unquote(target.path[1:]) or "index.html", target.fragment


def test_links_lead_somewhere(folder: Path, pages: dict[str, Page]) -> None:
    found = list(internal(pages))
    assert len(found) > 20 * len(pages) / 2
    wrong = [(name, target) for name, target, _ in found if not (folder / target).exists()]
    assert wrong == []
    lost = [
        (name, target, anchor)
        for name, target, anchor in found
        if anchor and anchor not in {*pages[target].anchors, "content"}
    ]
    assert lost == []


def test_every_page_is_reached(pages: dict[str, Page]) -> None:
    ahead, reached = ["index.html"], {"index.html"}
    links = list(internal(pages))
    while ahead:
        here = ahead.pop()
        new = {target for name, target, _ in links if name == here and target in pages} - reached
        reached |= new
        ahead += new
    assert set(pages) - reached == set()


def test_pages_are_well_formed(pages: dict[str, Page]) -> None:
    """Every element is closed, and no anchor is there twice."""
    assert {name: page.open for name, page in pages.items() if page.open} == {}
    assert [name for name, page in pages.items() if len(page.anchors) != len(set(page.anchors))] == []


def test_everything_has_its_place(folder: Path) -> None:
    """All settings and commands are on the reference pages, and each mode has its source."""
    settings = (folder / "settings.html").read_text("utf-8")
    assert [row.key for row in rows() if f">{row.key}</h3>" not in settings] == []
    commands = (folder / "commands.html").read_text("utf-8")
    flags = {flag for command in all_commands(main) for option in command.params for flag in option.opts if "-" in flag}
    assert [flag for flag in sorted(flags) if flag not in commands] == []
    assert {path.stem for path in (folder / "modes").iterdir()} >= set(MODES)


def test_nothing_comes_from_elsewhere(folder: Path, pages: dict[str, Page]) -> None:
    """No page of the documentation has a script, and none takes anything from another host."""
    for name in pages:
        text = (folder / name).read_text("utf-8")
        assert not re.search(r"(src|srcset)=\"?https?:|<link [^>]*https?:", text), name
        if not name.startswith("www/"):
            assert not re.search(r"<script|<iframe|src=", text.partition("<main")[0]), name
    styles = [path.read_text() for path in folder.rglob("*.css")]
    assert len(styles) == 2
    assert not re.search(r"@import|https?:", "".join(styles))


LINKS = [
    ("[a](b.md)", '<a href="b.html">a</a>'),
    ("[a](b.md#c)", '<a href="b.html#c">a</a>'),
    ("[a](#c)", '<a href="#c">a</a>'),
    ("[a](../README.md)", '<a href="readme.html">a</a>'),
    ("[a](design/x.md)", '<a href="design/x.html">a</a>'),
    ("[`a`](gone.py) [b](b.md)", '<code>a</code> <a href="b.html">b</a>'),
    ("[a](http://example.org/)", '<a href="http://example.org/">a</a>'),
    ("[a](javascript:alert)", "[a](javascript:alert)"),
    ("![gone](x.png)[b](b.md)", '<a href="b.html">b</a>'),
    ("<b>a</b><!-- c\nd -->", "&lt;b&gt;a&lt;/b&gt;"),
]


def test_links_of_texts() -> None:
    known = {"README.md": "readme.html", "docs/b.md": "b.html", "docs/design/x.md": "design/x.html"}
    here = {"docs/a.md": "a.html"}
    made = [(text, render(text, "docs/a.md", known | here).html) for text, _ in LINKS]
    assert made == [(text, f"<p>{html}</p>\n") for text, html in LINKS]
    up = render("[a](../b.md) [r](../../README.md)", "docs/design/x.md", known).html
    assert up == '<p><a href="../b.html">a</a> <a href="../readme.html">r</a></p>\n'


def test_headings_of_texts() -> None:
    text = render(
        "# The `a`\n\n## One: [two](x)\n\n## One: two\n\n| | b |\n|-|-|\n| 1 | 2 |\n", "a.md", {"a.md": "a.html"}
    )
    assert text.title == "The a"
    assert [(section.anchor, section.title) for section in text.sections] == [
        ("one-two", "One: two"),
        ("one-two-1", "One: two"),
    ]
    assert "<td></td>\n<th>b</th>" in text.html


def test_www_is_part_of_it(folder: Path) -> None:
    """As it is, so that a server that is not ours can show it, too."""
    there = {path.relative_to(HOME): path.read_bytes() for path in (HOME / "www").rglob("*") if path.is_file()}
    assert {path: (folder / path).read_bytes() for path in there} == there
    assert Path("www/play.html") in there


def test_the_wheel_is_made_of_the_same_files() -> None:
    assert tuple(HOOK["files"]) == sources.BESIDE
    assert HOOK["archive"] == f"httpmini/docs/{sources.ARCHIVE}"


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    status, output, errors = run_command("docs", "-o", str(tmp_path / "taken"))
    assert (status, output) == (1, b"")
    assert errors.startswith(b"httpmini: cannot write the documentation: ")
    assert errors.count(b"\n") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_it_is_served(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its folder is gone afterwards, even after SIGKILL."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    running = ServerProcess(["docs", "--port", "0"], program=("-m", "httpmini"))
    try:
        status, fields, body = get(running.port, "/")
        assert (status, fields["content-type"]) == (200, "text/html; charset=utf-8")
        assert b"A folder to share" in body
        assert get(running.port, "/www/play.html")[0] == 200
        assert len(list(tmp_path.iterdir())) == 1
    finally:
        running.stop(number)
    assert list(tmp_path.iterdir()) == []
    assert running.access_lines() == []


def test_it_is_made_from_an_installed_package(folder: Path, tmp_path: Path) -> None:
    """As the wheel has it, and nothing of the source tree beside it."""
    shutil.copytree(HOME / "httpmini", tmp_path / "httpmini", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / HOOK["archive"]).write_bytes(packed(HOME, HOOK["files"]))
    command = [sys.executable, "-m", "httpmini", "docs", "-o", "made"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True, timeout=WAIT_S)
    made, from_tree = (
        {path.relative_to(place): path.read_bytes() for path in place.rglob("*") if path.is_file()}
        for place in (tmp_path / "made", folder)
    )
    assert made == from_tree


def test_an_installed_package_without_texts(tmp_path: Path) -> None:
    """It says so in one line."""
    shutil.copytree(HOME / "httpmini", tmp_path / "httpmini", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "httpmini", "docs", "-o", "made"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=WAIT_S, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"httpmini: the documentation is not installed: there is no ")
