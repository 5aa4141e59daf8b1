"""The texts that the site is made of, from the source tree or from the installed package.

The wheel has them in ``httpmini/docs/texts``, in the same layout as the source tree (``force-include`` in
``pyproject.toml``), so that the links between them are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

from httpmini.errors import CannotRun

FIRST_PAGE = "docs/index.md"
STYLES = {"css/style.css": "www/css/style.css", "css/docs.css": "httpmini/docs/docs.css"}
"""Style sheets: where they are on the site, and where they come from."""

_BESIDE_DOCS = {
    "README.md": "readme.html",
    "CONTRIBUTING.md": "contributing.html",
    "SECURITY.md": "security.html",
    "bench/README.md": "bench.html",
}


def read(path: str) -> str:
    """Return the text of a file.

    Args:
        path: relative to the source tree.

    Raises:
        CannotRun: it is not there.
    """
    package = resources.files("httpmini")
    inside = path.removeprefix("httpmini/")
    place = package / inside if inside != path else _texts() / path
    try:
        return place.read_text("utf-8")
    except OSError as error:
        raise CannotRun(f"{path}: the documentation is not installed completely ({error.strerror})") from error


@cache
def pages() -> dict[str, str]:
    """Return the Markdown files, by their paths in the source tree, and the pages that they become."""
    found = {f"docs/{path}": path.removesuffix(".md") + ".html" for path in sorted(_markdown(_texts() / "docs", ""))}
    return found | _BESIDE_DOCS


def modes() -> dict[str, str]:
    """Return the files of the modes, which are there to be read, and the pages that show them."""
    folder = resources.files("httpmini") / "server" / "modes"
    others = ("__init__.py", "base.py")
    names = sorted(file.name for file in folder.iterdir() if file.name.endswith(".py") and file.name not in others)
    return {f"httpmini/server/modes/{name}": f"modes/{name.removesuffix('.py')}.html" for name in names}


@cache
def _texts() -> Traversable:
    """Return the folder that has what the source tree has at its top.

    Raises:
        CannotRun: there is none.
    """
    package = resources.files("httpmini")
    installed = package / "docs" / "texts"
    if (installed / FIRST_PAGE).is_file():
        return installed
    tree = getattr(package, "parent", None)  # of a path; an archive has none
    if tree is not None and (tree / FIRST_PAGE).is_file():
        found: Traversable = tree
        return found
    raise CannotRun(f"the documentation is not installed: there is no {installed / FIRST_PAGE}")


def _markdown(folder: Traversable, prefix: str) -> Iterator[str]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _markdown(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".md"):
            yield prefix + entry.name
