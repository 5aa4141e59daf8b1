"""``httpmini config``: check a config file, show the settings in force, compare two files."""

from __future__ import annotations

import click

from httpmini.cli.options import config_option
from httpmini.config import check_certificates, differences, find_dangers, load, show
from httpmini.errors import UsageError, visible


@click.group(short_help="Check, show or compare config files.")
def config() -> None:
    """Check a config file, show the settings that result from it, or compare two files."""


@config.command("check")
@config_option
def check_file(file: str | None) -> None:
    """Print "ok", or everything that is wrong with FILE (exit status 2).

    Advice about a valid file, such as a setting under its old name or what is dangerous, goes to standard error.
    """
    settings = load(file, to_serve=True)
    check_certificates(settings)
    for notice in (*settings.notices, *find_dangers(settings, file)):
        click.echo(f"httpmini: {visible(notice)}", err=True)
    click.echo("ok")


@config.command("show")
@config_option
def show_settings(file: str | None) -> None:
    """Print the settings in force as TOML, each with its origin."""
    click.echo(show(load(file)), nl=False)


@config.command("diff")
@click.argument("files", nargs=-1, required=True, metavar="[OLD] NEW")
def show_differences(files: tuple[str, ...]) -> None:
    """Print what changes when a server that runs with OLD is reloaded with NEW; nothing if nothing changes.

    Without OLD, compare with the running server that has the pid file of NEW. Settings that it has from its command
    line stay.
    """
    if len(files) > 2:
        raise UsageError(f"config diff takes one file or two, not {len(files)}")
    after = load(files[-1])
    if len(files) == 2:
        before = load(files[0])
    else:
        from httpmini.daemon.ctl import process_of
        from httpmini.daemon.running_config import read_settings, with_flags_of

        before = read_settings(process_of(after))
        after = with_flags_of(before, after)
    for line in differences(before, after):
        click.echo(line)
