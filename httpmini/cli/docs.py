"""``httpmini docs``: the documentation, served or written into a folder."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import click
from msgspec.structs import replace

from httpmini import config
from httpmini.cli.imports import uncollected
from httpmini.cli.scratch import ScratchFolder
from httpmini.cli.sharing import Sharing, Wishes


@click.command(short_help="Read the documentation in a browser.")
@click.option(
    "-p",
    "--port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Listen on this port; 0 picks a free one.  [default: 8080, or the next free one up to 8099]",
)
@click.option("--open", "opens", is_flag=True, help="Open it in a browser as soon as clients can connect.")
@click.option("-o", "--output", metavar="FOLDER", help="Write the pages into FOLDER instead, and serve nothing.")
@click.pass_context
def docs(context: click.Context, port: int | None, opens: bool, output: str | None) -> None:
    """Serve the documentation of this version at http://127.0.0.1:8080/ until Ctrl-C."""
    from httpmini.docs.site import write_site

    program = cast("click.Group", context.find_root().command)
    if output is not None:
        write_site(Path(output), program)
        click.echo(f"{output}: open index.html, or serve it with httpmini serve")
        return
    with ScratchFolder() as folder:
        write_site(folder, program)
        _serve(folder, port, opens=opens)


def _serve(folder: Path, port: int | None, *, opens: bool) -> None:
    """Serve a folder without an access log."""
    wishes = Wishes(lan=False, user=None, qr=None, opens=opens, is_daemon=False, is_chrooted=False)
    flags = config.Flags(root=str(folder), port=port, log="combined")
    with Sharing(wishes, flags, None) as sharing:
        with uncollected():
            from httpmini.daemon import server

        def read() -> config.Config:
            settings = config.load(None, sharing.flags, to_serve=True)
            return replace(settings, log=replace(settings.log, access="off"))

        server.serve(read, sharing.announce, None, sharing.extras)
