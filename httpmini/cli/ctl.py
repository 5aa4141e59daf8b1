"""``httpmini ctl``: ask a running server for its status, to reload, to reopen its logs, or to stop."""

from __future__ import annotations

import time

import click

from httpmini import config
from httpmini.cli.options import config_option
from httpmini.errors import visible


@click.group(short_help="Control a running server.")
def ctl() -> None:
    """Control the running server whose daemon.pid_file is named in FILE."""


@ctl.command("status")
@config_option
@click.option("--watch", is_flag=True, help="Repeat every second, until Ctrl-C.")
def show_status(file: str | None, watch: bool) -> None:
    """Show clients, requests, bytes and processes."""
    from httpmini.daemon.ctl import fetch_report, lines_of

    settings = config.load(file)
    while True:
        text = "\n".join(map(visible, lines_of(fetch_report(settings))))
        if watch:
            click.clear()  # does nothing unless on a terminal
        click.echo(text)
        if not watch:
            return
        time.sleep(1)


@ctl.command("reload")
@config_option
def reload_server(file: str | None) -> None:
    """Check FILE, have the server load it, and report whether it did."""
    from httpmini.daemon.ctl import reload

    click.echo(reload(config.load(file)))


@ctl.command("reopen")
@config_option
def reopen_logs(file: str | None) -> None:
    """Have the server open its logs again after they were moved away, as logrotate does."""
    from httpmini.daemon.ctl import reopen_logs

    click.echo(f"asked process {reopen_logs(config.load(file))} to open its logs again")


@ctl.command("stop")
@config_option
def stop_server(file: str | None) -> None:
    """Have the server finish the responses under way, and wait until it has ended."""
    from httpmini.daemon.ctl import stop

    click.echo(f"process {stop(config.load(file))} has ended")
