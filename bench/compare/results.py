"""The results: cells, and the figures derived from the cells of several rounds."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Cell:
    """One server under one workload in one round."""

    workload: str
    server: str
    round: int
    values: dict[str, float] = field(default_factory=dict)
    note: str = ""
    failed: str = ""


@dataclass
class Results:
    """Everything of one run of the bench."""

    machine: dict[str, Any] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    cells: list[Cell] = field(default_factory=list)
    curves: dict[str, dict[str, list[list[float]]]] = field(default_factory=dict)
    calls: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)

    def of(self, workload: str, server: str) -> list[Cell]:
        """Return the cells of one server under one workload, one for each round."""
        return [cell for cell in self.cells if cell.workload == workload and cell.server == server]

    def median(self, workload: str, server: str, value: str) -> float | None:
        """Return the median of a value over the rounds that have it."""
        found = [cell.values[value] for cell in self.of(workload, server) if value in cell.values]
        return statistics.median(found) if found else None

    def note(self, workload: str, server: str) -> str:
        """Return the remarks of all rounds, failures first, each once."""
        cells = self.of(workload, server)
        said = [cell.failed for cell in cells if cell.failed] + [cell.note for cell in cells if cell.note]
        return "; ".join(dict.fromkeys(said))

    def ratio(self, one: tuple[str, str, str], other: tuple[str, str, str]) -> float | None:
        """Return the median of the ratios within each round; each side is a workload, a server and a value."""
        found = [a / b for a, b in self._pairs(one, other) if b]
        return statistics.median(found) if found else None

    def _pairs(self, one: tuple[str, str, str], other: tuple[str, str, str]) -> Iterator[tuple[float, float]]:
        sides = [
            {cell.round: cell.values[value] for cell in self.of(workload, server) if value in cell.values}
            for workload, server, value in (one, other)
        ]
        for number in sides[0].keys() & sides[1].keys():
            yield sides[0][number], sides[1][number]

    def servers(self) -> list[str]:
        """Return the measured servers in the order of their first cells."""
        return list(dict.fromkeys(cell.server for cell in self.cells))

    def as_json(self) -> dict[str, Any]:
        """Return everything in the form of ``latest.json``, with the medians first."""
        medians: dict[str, dict[str, dict[str, float]]] = {}
        for cell in self.cells:
            row = medians.setdefault(cell.workload, {}).setdefault(cell.server, {})
            for name in cell.values:
                row[name] = round(self.median(cell.workload, cell.server, name) or 0.0, 4)
        return {"medians": medians, **asdict(self)}


def from_json(loaded: dict[str, Any]) -> Results:
    """Return the results that ``as_json`` has written."""
    cells = [Cell(**cell) for cell in loaded["cells"]]
    return Results(loaded["machine"], loaded["missing"], cells, loaded["curves"], loaded["calls"])
