"""docs/comparison.md: every cell says how it was found, and what other pages know as well is the same there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HOME = Path(__file__).parents[2]
PAGE = (HOME / "docs" / "comparison.md").read_text("utf-8")
LINT = (HOME / "docs" / "lint.md").read_text("utf-8")
CLIENT = (HOME / "docs" / "client.md").read_text("utf-8")
TABLES = ("HTTP", "A folder to share", "A server to keep", "Clients")
MARK = re.compile(r"\?|.+ \(([a-z])\)")


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def table(text: str, heading: str) -> list[dict[str, str]]:
    """Return the rows of the table below a heading, each cell by the head of its column."""
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    head, _, *rows = [cells(line) for line in section.splitlines() if line.startswith("|")]
    assert rows
    return [dict(zip(head, row, strict=True)) for row in rows]


@pytest.mark.parametrize("heading", TABLES)
def test_every_cell_says_how_it_was_found(heading: str) -> None:
    known = {row["mark"] for row in marks()} - {"?"}
    wrong = []
    for row in table(PAGE, heading):
        *programs, test = row.values()
        found = [MARK.fullmatch(cell) for cell in programs[1:]]
        if not all(match and match[1] in {*known, None} for match in found):
            wrong.append(row)
        if ("(t)" in programs[1]) != test.startswith("`tests/"):
            wrong.append(row)
    assert wrong == []


def marks() -> list[dict[str, str]]:
    rows = re.findall(r"^\| (.) \| (.+) \|$", PAGE.partition("| mark |")[2].partition("\n\n")[0], re.MULTILINE)
    return [{"mark": mark, "means": means} for mark, means in rows]


def test_the_documentation_has_addresses() -> None:
    addresses = {row["program"]: row["address"] for row in table(PAGE, "Documentation")}
    used = {name for heading in TABLES for row in table(PAGE, heading) for name, cell in row.items() if "(d)" in cell}
    assert {name for name in used if "https://" not in addresses.get(name, "")} == set()


def test_it_says_where_it_has_less() -> None:
    rows = [row for heading in TABLES for row in table(PAGE, heading)]
    ours = [next(cell for name, cell in row.items() if name.startswith("httpmini")) for row in rows]
    assert sum(cell.startswith("**no**") for cell in ours) >= 10
    assert all(cell.startswith("**no**") for cell in ours if cell.strip("*").startswith("no"))


def test_lint_says_the_same() -> None:
    """The checks that docs/lint.md has as failed; a test repeats these."""
    failed = {row["server"].split()[0]: row["checks"] for row in table(LINT, "What other servers do")}
    compared = 0
    for row in table(PAGE, "HTTP"):
        check = re.match(r"`([a-z-]+)`:", row[""])
        for server in ("nginx", "lighttpd", "caddy", "http.server"):
            if check and row[server] != "no tags (l)":
                assert row[server] == ("no (l)" if f"`{check[1]}`" in failed[server] else "yes (l)"), (check[1], server)
                compared += 1
    assert compared > 30


def test_faster_servers_are_bold() -> None:
    """The figures are of a run that has a date; another run may change those of the README."""
    rows = [row for row in table(PAGE, "A server to keep") if row[""].startswith("µs")]
    assert len(rows) == 4
    for row in rows:
        figures = {name: float(cell.strip("*").split()[0].strip("*")) for name, cell in row.items() if "(b)" in cell}
        faster = {name for name, figure in figures.items() if figure < figures["httpmini"]}
        assert {name for name, cell in row.items() if cell.startswith("**")} == faster, row


MISBEHAVIOUR = {
    "resuming a file that has changed gives one version": "resuming a file that has changed",
    "the wrong part does not go into the file": "resuming, but the wrong part comes (206)",
    "resuming a complete file is no error": "resuming a complete file (416)",
    "no password goes to another server": "redirected to another server, with a password",
    "gives up after 45 s of silence, by default": "silence for 45 s",
}


def test_the_comparison_of_clients_says_the_same() -> None:
    measured = {row["the server"]: row for row in table(CLIENT, "Compared with other clients")}
    rows = {row[""]: row for row in table(PAGE, "Clients")}
    for ours, theirs in MISBEHAVIOUR.items():
        for client in ("curl", "wget", "aria2"):
            assert rows[ours][client].startswith("yes") == (measured[theirs][client] == "good"), (ours, client)
