"""The rounds: in each, every workload meets every server, one after another."""

from __future__ import annotations

import contextlib
import http.client
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.compare.cores import Cores
from bench.compare.results import Cell, Results
from bench.compare.running import Failed, Running, started
from bench.compare.servers import Server
from bench.compare.workloads import Effort, Workload

ATTEMPTS = 3  # at a cell, if the cores move apart
BROKEN = (OSError, Failed, http.client.HTTPException, subprocess.SubprocessError, ValueError, KeyError)


@dataclass
class Plan:
    """What to measure.

    Attributes:
        servers: the servers, in this order.
        workloads: the workloads, in this order.
        rounds: how often everything is repeated.
        effort: how long a cell takes.
        narrow: for some workloads, by key, the only servers to measure.
    """

    servers: list[Server]
    workloads: list[Workload]
    rounds: int
    effort: Effort
    narrow: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def meets(self, workload: Workload, server: Server) -> bool:
        """Return whether this server is measured under this workload."""
        if server.only and workload.key not in server.only:
            return False
        return server.name in self.narrow.get(workload.key, (server.name,))


def rounds(plan: Plan, folder: Path, root: Path, results: Results, say: Callable[[str], None]) -> None:
    """Measure all rounds. A cell that fails is reported and does not stop the others."""
    cores = Cores()
    for number in range(1, plan.rounds + 1):
        begin = time.monotonic()
        with contextlib.ExitStack() as stack:
            running: dict[str, Running] = {}
            for server in plan.servers:
                try:
                    context = started(server, folder / f"{number}-{server.name}", root)
                    running[server.name] = stack.enter_context(context)
                except BROKEN as error:
                    results.missing[server.name] = str(error)
                    say(f"  {server.name}: {error}")
            for workload in plan.workloads:
                for each in running.values():
                    if plan.meets(workload, each.server) and not hopeless(workload, each.server, results):
                        cell = measured_nearby(workload, each, number, plan.effort, cores)
                        results.cells.append(cell)
                        say(line(cell))
        results.machine["cores_ns"] = round(cores.nearest_ns)
        say(f"round {number} of {plan.rounds}: {time.monotonic() - begin:.0f} s")


def hopeless(workload: Workload, server: Server, results: Results) -> bool:
    """Return whether the server has failed before, at a workload that is not tried twice."""
    return workload.once and any(cell.failed for cell in results.of(workload.key, server.name))


def measured_nearby(workload: Workload, running: Running, number: int, effort: Effort, cores: Cores) -> Cell:
    """Measure one cell; again, if the two cores were far apart before or after it."""
    near = cores.are_near()
    for _ in range(ATTEMPTS):
        cell = measured(workload, running, number, effort)
        before, near = near, cores.are_near()
        if cell.failed or (before and near):
            return cell
    cell.note = "; ".join(filter(None, (cell.note, f"cores far apart in {ATTEMPTS} attempts")))
    return cell


def measured(workload: Workload, running: Running, number: int, effort: Effort) -> Cell:
    """Measure one cell."""
    cell = Cell(workload.key, running.server.name, number)
    cell.failed = workload.excuse(running.server)
    if cell.failed:
        return cell
    try:
        outcome = workload.run(running, effort)
        cell.values, cell.note = outcome.values, outcome.note
    except BROKEN as error:
        cell.failed = str(error) or type(error).__name__
    return cell


def line(cell: Cell) -> str:
    """Return the line of progress for a cell."""
    shown = ", ".join(f"{name} {value:.4g}" for name, value in cell.values.items() if name not in ("rss", "pss"))
    said = "; ".join(filter(None, (cell.failed, cell.note)))
    return f"  {cell.workload:>2} {cell.server:18} {shown}{' | ' if shown and said else ''}{said}"
