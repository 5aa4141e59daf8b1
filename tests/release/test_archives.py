"""What is in the wheel and in the source archive, and that two builds are equal."""

from __future__ import annotations

import tarfile
import tomllib
import zipfile
from pathlib import Path

from httpmini.config import rows
from httpmini.config.examples import EXAMPLES
from release.manual import manual_pages
from tests.release.conftest import HOME, build

MOST_BYTES = 890_000  # of the wheel; docs/design/documentation.md says what takes how much


def test_the_wheel(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[0]) as wheel:
        names = set(wheel.namelist())
    examples = {f"httpmini/conf/{name}" for files in EXAMPLES.values() for name in files}
    manuals = {"man1/httpmini.1", "man1/httpmini-get.1", "man5/httpmini.toml.5"}
    assert {name for name in names if name.startswith("httpmini/conf/")} == examples
    assert {name.partition("/share/man/")[2] for name in names if "/share/" in name} == manuals
    code = {str(path.relative_to(HOME)) for path in (HOME / "httpmini").rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == code
    assert built[0].stat().st_size < MOST_BYTES


def test_the_source_archive(built: tuple[Path, Path]) -> None:
    """It holds what the tests and the pages need."""
    with tarfile.open(built[1]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for folder in ("bench", "conf", "docs", "examples", "httpmini", "release", "tests", "www"):
        files = {str(path.relative_to(HOME)) for path in (HOME / folder).rglob("*") if path.is_file()}
        kept = {name for name in files if not name.endswith(".pyc") and "/.hypothesis/" not in name}
        assert kept - names == set(), folder
    assert {"Makefile", "README.md", "LICENSE", "pyproject.toml"} <= names


def test_two_builds_are_equal(built: tuple[Path, Path], tmp_path: Path) -> None:
    for first, second in zip(built, build(tmp_path), strict=True):
        assert first.read_bytes() == second.read_bytes(), first.name


def test_the_source_archive_makes_the_same_wheel(built: tuple[Path, Path], tmp_path: Path) -> None:
    with tarfile.open(built[1]) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    wheel, _ = build(tmp_path / "dist", source)
    assert wheel.read_bytes() == built[0].read_bytes()


def test_what_is_left_out_of_the_image() -> None:
    """The Dockerfile copies all that the wheel is made from."""
    project = tomllib.loads((HOME / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    hook = project["hooks"]["custom"]
    packed = {pattern.partition("/**")[0] for pattern in hook["files"]}
    needed = {*project["packages"], *project["force-include"], *project["shared-data"], hook["path"], *packed}
    lines = (HOME / "conf" / "docker" / "Dockerfile").read_text("utf-8").splitlines()
    copied = {
        word for line in lines if line.startswith("COPY ") and "--from" not in line for word in line.split()[1:-1]
    }
    assert {name for name in needed if not any(f"{name}/".startswith(f"{folder}/") for folder in copied)} == set()


def test_the_manual_pages_are_up_to_date() -> None:
    """``make docs`` writes them."""
    for name, text in manual_pages().items():
        assert (HOME / "docs" / "man" / name).read_text("utf-8") == text, name


def test_the_manual_pages_name_everything() -> None:
    pages = manual_pages()
    for row in rows():
        assert rf"\fB{row.name}\fR" in pages["httpmini.toml.5"], row.key
    for name in ("config check", "config example", "ctl reload", "get", "mirror", "serve", "why", "lint", "htpasswd"):
        assert f".SS httpmini {name}\n" in pages["httpmini.1"], name
