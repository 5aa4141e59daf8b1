"""The files that the site is made of, from the source tree or from the installed package.

The wheel has those that lie beside the package in one archive, with the paths of the source tree, so that the links
between them are the same. ``release/wheel.py`` makes it.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path

from httpmini.errors import CannotRun

FIRST_PAGE = "docs/index.md"
ARCHIVE = "beside.tar.xz"
BESIDE = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "bench/README.md", "docs/**/*.md", "www/**/*")
"""What the site needs of the source tree; ``pyproject.toml`` has the same list for the wheel."""

_PAGES = {
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
    inside = path.removeprefix("httpmini/")
    try:
        if inside != path:
            return (resources.files("httpmini") / inside).read_text("utf-8")
        return _beside()[path].decode("utf-8")
    except (OSError, KeyError) as error:
        raise CannotRun(f"{path}: the documentation is not installed completely") from error


def pages() -> dict[str, str]:
    """Return the Markdown files, by their paths in the source tree, and the pages that they become."""
    docs = {path: path.removeprefix("docs/") for path in _beside() if path.startswith("docs/")}
    return {path: name.removesuffix(".md") + ".html" for path, name in docs.items()} | _PAGES


def lesson() -> dict[str, bytes]:
    """Return the files of ``www/``, which are part of the site as they are."""
    return {path: content for path, content in _beside().items() if path.startswith("www/")}


def modes() -> dict[str, str]:
    """Return the files of the modes, which are there to be read, and the pages that show them."""
    folder = resources.files("httpmini") / "server" / "modes"
    others = ("__init__.py", "base.py")
    names = sorted(file.name for file in folder.iterdir() if file.name.endswith(".py") and file.name not in others)
    return {f"httpmini/server/modes/{name}": f"modes/{name.removesuffix('.py')}.html" for name in names}


@cache
def _beside() -> dict[str, bytes]:
    """Return the files that lie beside the package in the source tree, by their paths there.

    Raises:
        CannotRun: they are not there, or the archive cannot be read.
    """
    package = resources.files("httpmini")
    archive = package / "docs" / ARCHIVE
    if archive.is_file():
        return _unpacked(archive.read_bytes())
    tree = getattr(package, "parent", None)  # of a path; an archive has none
    if isinstance(tree, Path) and (tree / FIRST_PAGE).is_file():
        found = sorted(path for pattern in BESIDE for path in tree.glob(pattern) if path.is_file())
        return {path.relative_to(tree).as_posix(): path.read_bytes() for path in found}
    raise CannotRun(f"the documentation is not installed: there is no {archive}")


def _unpacked(archive: bytes) -> dict[str, bytes]:
    import io
    import tarfile

    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:xz") as files:
            return {member.name: file.read() for member in files if (file := files.extractfile(member))}
    except tarfile.CompressionError as error:
        raise CannotRun("the documentation cannot be unpacked: this Python was built without lzma") from error
