"""docs/conformance.md says nothing that no test shows: its tables are read here, row by row."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from httpmini.lint.cases import CASES
from httpmini.reasons import REASONS

HOME = Path(__file__).parents[2]
DOCUMENT = HOME / "docs" / "conformance.md"
WIRE_CASES = {case.name for case in CASES}
COLUMNS = 5

ID = re.compile(r"[A-Z][0-9]+")
# `tests/folder/test_file.py::test_name`, `wire: name` and `wire: beginning of names…`
TEST = re.compile(r"`((?:tests/|wire: )(?:[^`])+)`")
# A status and its reason: 400 `target-nul`
REASON = re.compile(r"\b([45][0-9]{2}) `([a-z0-9-]+)`")
LEVELS = {"must", "should", "decision"}

# A letter, and the numbers of its rows. The gaps are between subjects.
EXPECTED = {
    "A": [*range(1, 19), *range(20, 28), *range(30, 45), *range(50, 57), *range(60, 72)],
    "B": [*range(1, 58)],
    "C": [*range(1, 22)],
    "D": [*range(1, 24)],
    "G": [*range(1, 11)],
    "P": [*range(1, 37)],
}


class Row(NamedTuple):
    """One requirement. ``level`` is empty for a contradiction between texts, which is always a choice."""

    id: str
    level: str
    cells: tuple[str, ...]

    @property
    def text(self) -> str:
        return " | ".join(self.cells[:-1])

    @property
    def shown_by(self) -> str:
        return self.cells[-1]

    @property
    def tests(self) -> list[str]:
        return TEST.findall(self.shown_by)


def read_rows(text: str) -> list[Row]:
    """The rows of all tables whose first cell is an id; anything else that looks like a row must be a head."""
    rows = []
    for line in text.splitlines():
        if not line.startswith("|"):
            continue
        cells = tuple(cell.strip() for cell in line.removeprefix("|").removesuffix("|").split("|"))
        if cells[0] == "id" or set(line) <= set("|-"):
            continue
        rows.append(Row(cells[0], "" if cells[0].startswith("C") else cells[2:3][0], cells))
    return rows


@cache
def functions_of(path: str) -> frozenset[str]:
    """The names of the tests in a file of ours; none when there is no such file."""
    file = HOME / path
    tree = ast.parse(file.read_text("utf-8")) if file.is_file() else ast.Module([], [])
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name[:5] == "test_")


def exists(test: str) -> bool:
    """Whether a reference leads to a test."""
    if test.startswith("wire: "):
        name = test.removeprefix("wire: ")
        return any(case.startswith(name[:-1]) for case in WIRE_CASES) if name.endswith("…") else name in WIRE_CASES
    path, _, name = test.partition("::")
    return name in functions_of(path)


def problems_of(row: Row) -> list[str]:
    """What is wrong with one row, in words; empty when all is well."""
    problems = [f"cell {number} is empty" for number, cell in enumerate(row.cells) if not cell]
    if len(row.cells) != COLUMNS:
        problems.append(f"has {len(row.cells)} cells")
    if not ID.fullmatch(row.id):
        problems.append("has no id")
    if row.level not in LEVELS and not (row.id.startswith("C") and not row.level):
        problems.append(f"has no level: {row.level!r}")
    if "TODO" in row.shown_by:
        problems.append(f"is to be shown by: {row.shown_by}")
    problems += [f"there is no test {test!r}" for test in row.tests if not exists(test)]
    reason = re.fullmatch(r"no test: \w+ \w+ \w+.*", row.shown_by)
    if not row.tests and (row.level == "must" or not reason) and "TODO" not in row.shown_by:
        problems.append("is shown by nothing")
    if not reason and (rest := TEST.sub("", row.shown_by).strip()) and "TODO" not in rest:
        problems.append(f"is shown by something that is no test: {rest}")
    for status, token in REASON.findall(row.text):
        if token not in REASONS or REASONS[token].status != int(status):
            problems.append(f"there is no {status} {token}")
    return problems


ROWS = read_rows(DOCUMENT.read_text("utf-8"))


def test_every_row_is_shown() -> None:
    assert {row.id: problems for row in ROWS if (problems := problems_of(row))} == {}


@pytest.mark.parametrize("letter", sorted(EXPECTED))
def test_no_row_is_missing_or_doubled(letter: str) -> None:
    assert [row.id for row in ROWS if row.id.startswith(letter)] == [f"{letter}{number}" for number in EXPECTED[letter]]


def test_there_is_nothing_beside_the_sequences() -> None:
    assert {row.id[:1] for row in ROWS} == set(EXPECTED)
    assert max(Counter(row.id for row in ROWS).values()) == 1


GOOD = "| B1 | RFC 9112 §3 | must | 404 `not-found` | `wire: 0.9` `wire: major …` |"
HERE = "tests/conformance/test_conformance_doc.py"


@pytest.mark.parametrize(
    "line",
    [
        GOOD,
        f"| B1 | RFC 9112 §3 | must | x | `{HERE}::test_good_rows_are_found_good` |",
        "| B1 | RFC 9112 §3 | should | x | no test: nobody can see it |",
        "| B1 | RFC 9112 §3 | decision | x | no test: nobody can see it |",
        "| C1 | RFC 1945 or RFC 9112 | x | because | `wire: 0.9` |",
    ],
)
def test_good_rows_are_found_good(line: str) -> None:
    (row,) = read_rows(f"| id | section |\n|---|---|\n{line}\n")
    assert problems_of(row) == []


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (GOOD.replace("RFC 9112 §3", ""), "cell 1 is empty"),
        (GOOD.replace("404 `not-found`", " "), "cell 3 is empty"),
        (GOOD.replace("`wire: 0.9` `wire: major …`", " "), "is shown by nothing"),
        (GOOD.replace("`wire: 0.9` `wire: major …`", "no test: nobody can see it"), "is shown by nothing"),
        ("| B1 | RFC 9112 §3 | should | x | - |", "is shown by nothing"),
        ("| B1 | RFC 9112 §3 | should | x | no test: why |", "is shown by nothing"),
        ("| C1 | RFC 1945 or RFC 9112 | x | because | somehow |", "is shown by nothing"),
        (GOOD.replace("wire: 0.9`", "wire: 0.99`"), "there is no test 'wire: 0.99'"),
        (GOOD.replace("major …", "mayor …"), "there is no test 'wire: mayor …'"),
        (GOOD.replace("wire: 0.9`", "tests/nothing.py::test_x`"), "there is no test 'tests/nothing.py::test_x'"),
        (GOOD.replace("wire: 0.9`", f"{HERE}::exists`"), f"there is no test '{HERE}::exists'"),
        (GOOD.replace("wire: 0.9`", f"{HERE}`"), f"there is no test '{HERE}'"),
        (GOOD.replace("`wire: 0.9`", "wire: 0.9"), "is shown by something that is no test: wire: 0.9"),
        (GOOD.replace("`wire: 0.9`", "TODO"), "is to be shown by: TODO `wire: major …`"),
        (GOOD.replace("404", "403"), "there is no 403 not-found"),
        (GOOD.replace("not-found", "not-there"), "there is no 404 not-there"),
        (GOOD.replace("must", "MUST"), "has no level: 'MUST'"),
        (GOOD.replace("B1", "one"), "has no id"),
        (GOOD + " more |", "has 6 cells"),
    ],
)
def test_bad_rows_are_found_out(line: str, problem: str) -> None:
    (row,) = read_rows(line)
    assert problem in problems_of(row)
