"""``httpmini replay``: send a recorded connection again, and show how the answers differ."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from httpmini import config
from httpmini.cli.examined import address_of, give_up
from httpmini.cli.options import Choice, config_option
from httpmini.errors import CannotRun, UsageError, visible

if TYPE_CHECKING:
    from httpmini.recording import Recording

_MODES = config.declared_choices(next(row for row in config.rows() if row.key == "server.mode").type)
_EPILOG = """\b
Exit status:
    0  the answers are as recorded
    1  they differ
    2  wrong usage
    4  no connection, or the server does not start
"""


@dataclass(frozen=True)
class _Flags:
    """The flags of ``replay``, named as there."""

    file: str | None
    root: str | None
    mode: str | None
    max_pause: float
    owned: bool


@click.command(short_help="Send a recorded connection again.", epilog=_EPILOG)
@click.argument("recording", metavar="FILE", type=Path)
@click.argument("url", required=False, metavar="[URL]")
@config_option
@click.option("--root", metavar="FOLDER", help="Start a server for this folder or file, in place of the file's.")
@click.option("--mode", type=Choice(_MODES), help="Start it in this mode.  [default: the one of the recording]")
@click.option(
    "--max-pause",
    metavar="S",
    type=click.FloatRange(0, 5),
    default=5.0,
    show_default=True,
    help="Make no pause longer than this many seconds.",
)
@click.option("--to-case", is_flag=True, help="Send nothing; print the recording as a wire case for httpmini's tests.")
@click.option("--i-own-this-server", "owned", is_flag=True, help="Send it to another host, as often as you wish.")
def replay(recording: Path, url: str | None, to_case: bool, **more: Any) -> None:
    """Send the connection in FILE, which serve --record has written, again with its pauses, and compare the answers.

    It goes to a server that is started for it with -c or --root, or to the one at URL. Status, fields except Date, and
    body are compared.
    """
    from httpmini.recording import read_recording

    flags = _Flags(**more)
    recorded = read_recording(recording)
    if not recorded.said("client"):
        raise UsageError(f"{visible(str(recording))}: the client has sent nothing")
    if to_case:
        from httpmini.lint.to_case import to_case as case_of

        click.echo(case_of(recorded, f"recorded: {recording.stem}"))
        return
    try:
        with _server(url, recorded, flags) as address:
            same = _play(recorded, address, flags)
    except CannotRun as error:
        give_up(error)
    sys.exit(0 if same else 1)


@contextmanager
def _server(url: str | None, recording: Recording, flags: _Flags) -> Iterator[tuple[str, int]]:
    """Provide the address of the server."""
    if url is not None:
        if flags.file or flags.root or flags.mode:
            raise UsageError("name one server: a URL, or -c, --root and --mode for one that is started")
        host, port, _ = address_of(url, "the recorded requests", owned=flags.owned)
        yield host, port
        return
    if not flags.file and flags.root is None:
        raise UsageError("name what to serve, as when it was recorded: --root FOLDER or -c FILE; or the server's URL")
    from httpmini.daemon.rehearsal import rehearse

    mode = flags.mode or recording.mode
    settings = config.load(flags.file, config.Flags(root=flags.root, mode=mode), to_serve=True)
    with rehearse(settings) as port:
        yield "127.0.0.1", port


def _play(recording: Recording, address: tuple[str, int], flags: _Flags) -> bool:
    """Send it, show each exchange, and return whether nothing differs."""
    from httpmini.lint.replay import Player

    exchanges = Player(recording, address, flags.max_pause).play()
    same = True
    for number, exchange in enumerate(exchanges, 1):
        differences = list(exchange.differences(cut=recording.is_cut and number == len(exchanges)))
        same = same and not differences
        said = "differs" if differences else f"{exchange.status}, as recorded"
        click.echo(f"{number:2}  {visible(exchange.line)[:60]:<60}  {said}")
        for line in differences:
            click.echo(f"      {visible(line)}")
    if not exchanges:
        click.echo("no answer, as recorded")
    if recording.is_blanked and not same:
        click.echo("Credentials were blanked when this was recorded: answers that need them differ.", err=True)
    if recording.is_cut:
        click.echo("The recording is cut: it had become too large.", err=True)
    return same
