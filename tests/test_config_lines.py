"""Where the entries of arrays of tables are in a file: told only if it is certain."""

from __future__ import annotations

from pathlib import Path

import pytest

from httpmini import config
from httpmini.config.lines import find_lines
from httpmini.config.loader import read_tables


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [{}]),
        ("[[rules]]\n\n [[ 'rules' ]] # x\n", [{"rules": (1, 3)}]),
        (
            "[[site]]\n[[site.rules]]\n[[site]]\n[[site.rules]]\r\n[[site.rules]]",
            [{"site": (1,), "rules": (2,)}, {"site": (3,), "rules": (4, 5)}],
        ),
        ("rules = [{}, {}]\n", [{}]),
        ('x = """\n[[rules]]\n"""\n[[rules]]\n', [{}]),
        ('[[site]]\nx = """\n[[site]]\n"""', [{}]),
    ],
)
def test_the_lines_of_entries(text: str, lines: list[dict[str, tuple[int, ...]]], tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_bytes(text.encode())
    tables, read = read_tables(str(file))
    assert find_lines(read, tables) == lines


def test_each_site_knows_its_places(tmp_path: Path) -> None:
    text = """[[site]]
root = "."
[[site.redirects]]
path = "/a"
to = "/b"
[[site]]
hosts = ["other"]
root = "."
[[site.rules]]
path = "*"
fields = {}
"""
    file = tmp_path / "x.toml"
    file.write_text(text)
    settings = config.load(str(file))
    assert [one.place("site") for one in settings.all_sites] == [f"{file}:1", f"{file}:6"]
    assert [one.place("redirects") for one in settings.all_sites] == [f"{file}:3", ""]
    assert [one.place("rules") for one in settings.all_sites] == ["", f"{file}:9"]
    assert settings.place("rules", 7) == ""
