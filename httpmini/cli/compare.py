"""``httpmini compare``: the modes side by side, measured."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from httpmini.cli.ending import ends_like_ctrl_c
from httpmini.cli.outputs import check_output, write_output

_MODES = ("iterative", "forking", "threading", "select", "prefork")


@click.command(short_help="Measure who waits in each mode, with real clients.")
@click.option(
    "-o", "--output", metavar="FILE", type=Path, default=Path("compare.html"), show_default=True, help="The page."
)
@click.option("--json", "json_file", metavar="FILE", type=Path, help="Write the measurements as JSON, too.")
@click.option(
    "--load",
    type=click.Choice(["connections", "downloads", "crowd"]),
    default="connections",
    show_default=True,
    help="The clients: ten of all kinds, mostly slow readers, or many at once.",
)
@click.option("--mode", "modes", multiple=True, type=click.Choice(_MODES), help="Only this mode; may be repeated.")
@click.option("--max-clients", type=click.IntRange(1, 30), default=10, show_default=True, metavar="N")
@click.option("--overflow", type=click.Choice(["queue", "refuse"]), default="queue", show_default=True)
@click.option(
    "--slice",
    "slice_s",
    type=click.FloatRange(0, 10),
    default=0.0,
    show_default=True,
    metavar="S",
    help="In iterative mode, give others a turn after S seconds; 0 serves each client to its end.",
)
def compare(
    output: Path,
    json_file: Path | None,
    load: str,
    modes: tuple[str, ...],
    max_clients: int,
    overflow: Literal["queue", "refuse"],
    slice_s: float,
) -> None:
    """Start each mode in turn on 127.0.0.1, send it the same real clients, and show who waited for whom.

    Takes about 45 seconds, with at most 30 connections to each mode. Nothing leaves this machine.
    """
    for path in (output, json_file):
        if path is not None:
            check_output(path)
    from httpmini.compare import report, run

    wanted = run.Wanted(load, max_clients, overflow, slice_s)
    machine = report.look_at_machine()
    results = []
    with ends_like_ctrl_c():
        for result in run.compare(list(modes or _MODES), wanted):
            click.echo(f"{result.mode}: {result.problem or f'done in {result.end - result.start:.1f} s'}", err=True)
            results.append(result)
    write_output(output, report.to_html(results, wanted, machine))
    if json_file is not None:
        write_output(json_file, report.to_json(results, wanted, machine))
    for line in report.lines_of(results):
        click.echo(line)
    click.echo(f"the picture: {output}")
