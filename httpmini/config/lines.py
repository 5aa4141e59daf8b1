"""Where in a file the entries of arrays of tables are: the parser of TOML does not tell."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from httpmini.config.schema import LISTS

Lines = dict[str, tuple[int, ...]]
"""The line of each entry of each array of tables, counted from 1."""

_HEADER = re.compile(r"[ \t]*\[\[(?P<key>[^\[\]#]+)\]\][ \t]*(?:#.*)?")
_DRESSING = str.maketrans("", "", " \t\"'")


def find_lines(text: str, tables: Mapping[str, Any]) -> list[Lines]:
    """Return the lines of the entries of each site: of its own ``[[site]]``, and of what belongs to it.

    A line that looks like the head of a table may be part of a longer string, and entries may be written in other ways.
    So nothing is told of a file in which the heads that were found are not those that its content needs.

    Args:
        text: of the file.
        tables: its content.
    """
    several = isinstance(tables.get("site"), list)
    found: list[Lines] = [] if several else [{}]
    for key, line in _headers(text):
        if several and key == "site":
            found.append({"site": (line,)})
        elif found:
            name = key.removeprefix("site.") if several else key
            found[-1][name] = (*found[-1].get(name, ()), line)
    sites = tables["site"] if several else [tables]
    if len(found) == len(sites) and all(map(_agree, found, sites)):
        return found
    return [{} for _ in sites]


def _headers(text: str) -> Iterator[tuple[str, int]]:
    for number, line in enumerate(text.split("\n"), 1):
        if match := _HEADER.fullmatch(line.rstrip("\r")):
            yield match["key"].translate(_DRESSING), number


def _agree(lines: Lines, site: Mapping[str, Any]) -> bool:
    return all(len(lines.get(name, ())) == len(site.get(name, ())) for name in LISTS)
