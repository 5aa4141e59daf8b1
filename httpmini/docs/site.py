"""The documentation as a folder of files that any server can serve."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from httpmini.docs import reference, sources
from httpmini.docs.markdown import Text, relative, render
from httpmini.errors import CannotRun
from httpmini.version import __version__

if TYPE_CHECKING:
    from jinja2 import Template

_SETTINGS, _COMMANDS, _LESSON = "settings.html", "commands.html", "www/index.html"
_GENERATED = {"docs/settings.md": _SETTINGS, "docs/commands.md": _COMMANDS}
# What the links of other texts call the same.
_ALIASES = {
    "conf/httpmini.toml": _SETTINGS,
    "httpmini/cli": _COMMANDS,
    "docs/design": "design.html",
    "www/index.html": _LESSON,
    "www/play.html": "www/play.html",
}
_TABS = (
    ("index.html", "Start"),
    ("readme.html", "Overview"),
    (_LESSON, "Modes"),
    ("client.html", "Client"),
    ("deploy.html", "Deploy"),
    ("logs.html", "Logs"),
    ("scaling.html", "Scaling"),
    ("lint.html", "Lint"),
    (_SETTINGS, "Settings"),
    (_COMMANDS, "Commands"),
    ("reasons.html", "Reasons"),
    ("conformance.html", "Conformance"),
    ("comparison.html", "Comparison"),
    ("design.html", "Design"),
)
_FEWEST_SECTIONS = 4  # that are worth a list of them


def write_site(folder: Path, program: click.Group) -> None:
    """Write all pages and their styles.

    Args:
        folder: where to; it is made if it is not there. Files of the same names are replaced.
        program: the commands to describe.

    Raises:
        CannotRun: it cannot be written, or a text is missing.
    """
    files = dict(_files(program))
    try:
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    except OSError as error:
        raise CannotRun(f"cannot write the documentation: {error.filename}: {error.strerror}") from error


def _files(program: click.Group) -> Iterator[tuple[str, bytes]]:
    """Yield the files of the site: paths and contents."""
    yield from sources.lesson().items()
    yield "docs.css", sources.read("httpmini/docs/docs.css").encode()
    pages = sources.pages() | sources.modes() | _GENERATED
    for path, name in pages.items():
        yield name, _draw(name, render(_text(path, program), path, pages | _ALIASES)).encode()


def _text(path: str, program: click.Group) -> str:
    """Return the Markdown of a page."""
    name = _GENERATED.get(path)
    if name == _SETTINGS:
        return reference.settings()
    if name == _COMMANDS:
        return reference.commands(program)
    text = sources.read(path)
    return f"# {path}\n\n```\n{text}```\n" if path.endswith(".py") else text


def _draw(name: str, text: Text) -> str:
    """Return a page: a text in the frame of the site."""
    current = next((tab for tab, _ in _TABS if tab == name), "design.html" if "/" in name else "")
    return _frame().render(
        current=current,
        sections=text.sections if len(text.sections) >= _FEWEST_SECTIONS else (),
        tabs=_TABS,
        text=text,
        up=lambda target: relative(target, name),
        version=__version__,
    )


def _frame() -> Template:
    from jinja2 import Environment

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(sources.read("httpmini/docs/page.html"))
