"""What the documentation says of the program, compared with the program: commands, settings, files, links, layout."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from httpmini.cli.main import main
from httpmini.config import rows
from httpmini.config.schema import LISTS, SECTIONS
from httpmini.server.modes import MODES
from httpmini.version import __version__

HOME = Path(__file__).parents[1]
PACKAGE = HOME / "httpmini"
DESIGN = HOME / "docs" / "design.md"
PAGES = sorted([*HOME.glob("*.md"), *(HOME / "docs").rglob("*.md"), HOME / "bench" / "README.md"])
PRESENT = [page for page in PAGES if page.name != "CHANGELOG.md"]  # a changelog may name what is gone
README = (HOME / "README.md").read_text("utf-8")
PROJECT = tomllib.loads((HOME / "pyproject.toml").read_text("utf-8"))["project"]

MOST_COLUMNS = 100
NOT_WRAPPED = {"bench/README.md", "docs/client.md", "docs/reasons.md"}
MADE_BY_USE = {"bench/results/partial/"}
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
INLINE = re.compile(r"`([^`]+)`")
A_PATH = re.compile(r"\.?[\w-]+(?:[./-][\w-]+)*/?")
EVERYWHERE = {"--help", "-h", "--version"}

# Named in the documentation and not there yet, and the other way round. A change that adds or removes one takes it out
# here; when these are empty, they can go.
COMING: set[str] = set()
GOING: set[str] = set()


def name_of(page: Path) -> str:
    return str(page.relative_to(HOME))


@cache
def text_of(page: Path) -> str:
    return page.read_text("utf-8")


def blocks(page: Path) -> Iterator[list[str]]:
    """The code blocks of a page, indented or fenced."""
    block: list[str] = []
    fenced = False
    for line in text_of(page).splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            block.append(line.strip())
            continue
        if block:
            yield block
            block = []
    if block:
        yield block


def prose(page: Path) -> Iterator[str]:
    """The lines that are neither code nor a table."""
    fenced = False
    for line in text_of(page).splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced and not line.startswith(("    ", "|", "![")):
            yield line


def inline(page: Path) -> list[str]:
    """What stands between backquotes, tables included."""
    text = "\n".join(line for line in text_of(page).splitlines() if not line.startswith(("    ", "```")))
    return [" ".join(found.split()) for found in INLINE.findall(text)]


def commands(page: Path, program: str) -> list[str]:
    """Every use of ``program`` with arguments, in code blocks and between backquotes."""
    lines = [code for code in inline(page) if code.startswith(f"{program} ")]
    for block in blocks(page):
        typed = [line[2:] for line in block if line.startswith("$ ")] or block  # what is not typed is output
        lines += [line[line.index(program) :] for line in typed if re.match(rf"(\S+/|python -m )?{program} ", line)]
    return [line.partition(" #")[0] for line in lines]


def slug(heading: str) -> str:
    """The anchor of a heading, as forges make it."""
    return re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-")


def unknown(found: set[str], known: set[str]) -> set[str]:
    return found - known - COMING


@pytest.mark.parametrize("doc", PAGES, ids=name_of)
def test_links_lead_somewhere(doc: Path) -> None:
    for target in LINK.findall(text_of(doc)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (doc.parent / path).resolve() if path else doc
        assert there.exists(), target
        if anchor:
            assert anchor in {slug(line.lstrip("#")) for line in text_of(there).splitlines() if line[:1] == "#"}, target


@pytest.mark.parametrize("doc", PRESENT, ids=name_of)
def test_files_exist(doc: Path) -> None:
    """Every path between backquotes whose first part is a folder of ours."""
    roots = (HOME, PACKAGE)
    found = {
        code
        for code in inline(doc)
        if A_PATH.fullmatch(code) and "/" in code.rstrip("/") and not re.search("[A-Z]{4}", code)
    }
    ours = {path for path in found if any((root / path.split("/")[0]).is_dir() for root in roots)}
    there = {path for path in ours if any((root / path).exists() for root in roots)}
    assert unknown(ours, there | MADE_BY_USE) == set()


def tree() -> tuple[set[str], set[str]]:
    """The files and the folders that the tree of docs/design.md draws, below the package."""
    (block,) = re.findall(r"```\n(httpmini/\n.*?)```", text_of(DESIGN), re.DOTALL)
    files, folders, above = set(), set(), [""]
    for line in block.splitlines()[1:]:
        depth = (len(line) - len(line.lstrip())) // 2
        name = line.split()[0]
        path = above[depth - 1] + name
        if name.endswith("/"):
            above[depth:] = [path]
            folders.add(path)
        else:
            files.add(path)
    return files, folders


def test_the_tree_is_the_package() -> None:
    """A folder stands for its files where the tree draws none of them."""
    files, folders = tree()
    there = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"}
    assert unknown(files, there) == set(), "not there"
    assert {folder for folder in folders if not (PACKAGE / folder).is_dir()} == set()
    drawn = {str(Path(file).parent) for file in files}
    assert {path for path in there - files - GOING if str(Path(path).parent) in drawn} == set(), "not in the tree"
    parents = {f"{Path(path).parent}/" for path in there} - {"./"}
    assert parents - folders == set(), "not in the tree"


def test_every_mechanism_has_its_page() -> None:
    linked = {target.partition("#")[0] for target in LINK.findall(text_of(DESIGN)) if target.startswith("design/")}
    assert linked - {"design/"} == {f"design/{page.name}" for page in (HOME / "docs" / "design").glob("*.md")}


@pytest.mark.parametrize("doc", PAGES, ids=name_of)
def test_lines_are_wrapped(doc: Path) -> None:
    long = [line for line in prose(doc) if len(LINK.sub("", line)) > MOST_COLUMNS]
    assert long == [] or name_of(doc) in NOT_WRAPPED


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_is_presented(mode: str) -> None:
    assert mode in README.partition("\n## ")[0]
    assert f"[{mode}.py](httpmini/server/modes/{mode}.py)" in README
    assert (HOME / "conf" / f"{mode}.toml").is_file()


def test_how_many_modes_there_are() -> None:
    right = NUMBERS[len(MODES)]
    said = rf"\b({'|'.join(NUMBERS)}) (?:\w+ )?(?:architectures|modes|drivers)\b"
    for text in (README, PROJECT["description"], text_of(DESIGN)):
        assert set(re.findall(said, text.lower())) <= {right}
    assert f"{right} architectures" in PROJECT["description"]


def test_the_project_is_described_as_it_is() -> None:
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", word) for word in PROJECT["keywords"])
    oldest = PROJECT["requires-python"].removeprefix(">=")
    assert f"Python {oldest} or newer" in README
    versions = [entry.rpartition(" ")[2] for entry in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", entry)]
    assert versions[0] == oldest
    libraries = sorted(re.split(r"[^\w-]", entry)[0] for entry in PROJECT["dependencies"])
    (said,) = re.findall(r"(\w+) libraries, which are\s+installed with it: ([^.]*)\.", README)
    assert (said[0], sorted(said[1].replace("\n", " ").split(", "))) == (NUMBERS[len(libraries)], libraries)


def test_the_changelog_has_this_version() -> None:
    assert re.search(rf"^## {re.escape(__version__)}\b", text_of(HOME / "CHANGELOG.md"), re.MULTILINE)


def named(group: click.Group, name: str) -> click.Command | None:
    return group.get_command(click.Context(group), name)


def all_commands(group: click.Group) -> Iterator[click.Command]:
    for name in group.list_commands(click.Context(group)):
        command = named(group, name)
        assert command is not None
        yield command
        if isinstance(command, click.Group):
            yield from all_commands(command)


def options_of(command: click.Command) -> set[str]:
    return {flag for param in command.params for flag in (*param.opts, *param.secondary_opts)}


def meant(line: str) -> Iterator[tuple[click.Command | None, list[str]]]:
    """The commands that a line means (``ctl status|stop`` means two), each with the rest of the line."""
    _, *words = re.split(r"[\s\[\]]+", line)
    found: list[click.Command | None] = [main]
    while words and all(isinstance(command, click.Group) for command in found) and not words[0].startswith("-"):
        names, words = words[0].split("|"), words[1:]
        found = [named(one, name) for one in found if isinstance(one, click.Group) for name in names]
    yield from ((command, words) for command in found)


@pytest.mark.parametrize("doc", PRESENT, ids=name_of)
def test_commands_exist(doc: Path) -> None:
    for line in commands(doc, "httpmini"):
        for command, words in meant(line):
            assert command is not None, line
            flags = {word.partition("=")[0] for word in words if re.match(r"--?[a-zA-Z]", word)}
            assert flags - options_of(command) - EVERYWHERE == set(), line


@pytest.mark.parametrize("doc", [page for page in PRESENT if page.parent.name != "bench"], ids=name_of)
def test_flags_exist(doc: Path) -> None:
    known = {flag for command in all_commands(main) for flag in options_of(command)} | EVERYWHERE
    assert {code for code in inline(doc) if re.fullmatch(r"--[a-z][a-z0-9-]*", code)} - known == set()


@pytest.mark.parametrize("doc", PRESENT, ids=name_of)
def test_make_targets_exist(doc: Path) -> None:
    makefile = (HOME / "Makefile").read_text("utf-8")
    targets = {
        f"make {name}" for names in re.findall(r"^([a-z -]+):", makefile, re.MULTILINE) for name in names.split()
    }
    used = {" ".join(line.split()[:2]) for line in commands(doc, "make")}
    assert unknown(used, targets) == set()


SETTINGS = {row.key: row.default for row in rows()}


@pytest.mark.parametrize("doc", PRESENT, ids=name_of)
def test_settings_exist(doc: Path) -> None:
    dotted = re.compile(rf"({'|'.join(SECTIONS)})\.[a-z_]+")
    found = {code for code in inline(doc) if dotted.fullmatch(code) and not code.endswith((".py", ".md"))}
    assert unknown(found, set(SETTINGS)) == set()


def rows_of_settings() -> Iterator[tuple[list[str], list[Any]]]:
    """Each row of the table of settings: the dotted names, and the values in the column of defaults."""
    table = (
        (HOME / "docs/server.md")
        .read_text("utf-8")
        .partition("| setting | default | |\n|---|---|---|\n")[2]
        .partition("\n\n")[0]
    )
    for line in table.splitlines():
        _, names, defaults, *_ = line.split("|")
        keys = INLINE.findall(names)
        section = keys[0].partition(".")[0]
        values = re.sub(r"(\d+) MiB", lambda found: str(int(found[1]) << 20), defaults.replace("`", ""))
        yield (
            [key if "." in key else f"{section}.{key}" for key in keys],
            tomllib.loads(f"values = [{values}]")["values"],
        )


def test_the_defaults_of_the_most_important_settings() -> None:
    """One value in a row counts for all of its settings."""
    rows = list(rows_of_settings())
    assert len(rows) > 10
    for keys, values in rows:
        for key, value in zip(keys, values if len(values) > 1 else values * len(keys), strict=True):
            if key not in COMING:
                assert SETTINGS[key] == value, key


def known_keys(name: str, table: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """Each key of a table of settings, and whether there is such a setting; tables below it are looked into."""
    for key, value in table.items():
        below = value if isinstance(value, list) else [value]
        if key in {**SECTIONS, **LISTS} and all(isinstance(one, dict) for one in below):
            for one in below:
                yield from known_keys(key, one)
        else:
            yield f"{name}.{key}", bool(name) and key in {**SECTIONS, **LISTS}[name].__struct_fields__


@pytest.mark.parametrize("doc", PRESENT, ids=name_of)
def test_examples_of_settings_are_settings(doc: Path) -> None:
    for block in blocks(doc):
        if re.match(r"\[\[?[a-z]+\]", block[0]):
            assert [key for key, is_known in known_keys("", tomllib.loads("\n".join(block))) if not is_known] == []


def test_what_config_check_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The README's example, as printed."""
    (block,) = (block for block in blocks(HOME / "README.md") if block[0] == "$ httpmini config check -c wrong.toml")
    monkeypatch.chdir(tmp_path)
    Path("wrong.toml").write_text('[server]\nmode = "selct"\nmax_client = 5\n[site]\nroot = "nowhere"\n')
    result = CliRunner().invoke(main, ["config", "check", "-c", "wrong.toml"])
    assert result.exit_code == 2
    assert result.output.replace(str(tmp_path), "/srv").splitlines() == block[1:]


def test_what_was_coming_is_not_there() -> None:
    """Nothing stays in ``COMING`` that is there."""
    makefile = (HOME / "Makefile").read_text("utf-8")
    arrived = {
        name
        for name in COMING
        if (HOME / name).exists()
        or (PACKAGE / name).exists()
        or name in SETTINGS
        or (name.startswith("make ") and f"\n{name.removeprefix('make ')}:" in makefile)
    }
    assert arrived == set(), "take these out of COMING"
    assert {name for name in GOING if not (PACKAGE / name).exists()} == set(), "take these out of GOING"
