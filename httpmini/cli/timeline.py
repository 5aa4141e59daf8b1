"""``httpmini timeline``: draw what ``serve --trace`` has written."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from httpmini.cli.outputs import write_output
from httpmini.errors import CannotRun, UsageError, visible


@click.command(short_help="Draw what serve --trace has written.")
@click.argument("file", metavar="FILE", type=Path)
@click.option("-o", "--output", metavar="FILE", type=Path, help="Write a page (.html), or JSON for Perfetto (.json).")
@click.option(
    "--last",
    "most",
    type=click.IntRange(1),
    default=200,
    show_default=True,
    metavar="N",
    help="Draw the last N connections.",
)
def timeline(file: Path, output: Path | None, most: int) -> None:
    """Draw the connections in FILE: what each waited for, and how long. Without -o, on the terminal."""
    from httpmini.server.core.events import read_recording

    try:
        recording = read_recording(file.read_bytes(), str(file))
    except OSError as error:
        raise CannotRun(f"cannot read {visible(str(file))}: {error.strerror}") from error
    if output is None:
        from httpmini.timeline.text import lines_of

        for line in lines_of(recording, shutil.get_terminal_size().columns, most):
            click.echo(line)
    elif output.suffix == ".html":
        from httpmini.timeline.page import draw_timeline

        write_output(output, draw_timeline(recording, most=most).text)
    elif output.suffix == ".json":
        from httpmini.timeline.trace_events import to_trace_events

        write_output(output, to_trace_events(recording))
    else:
        raise UsageError(f"-o {visible(str(output))}: its name ends in neither .html nor .json")
