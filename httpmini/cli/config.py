"""``httpmini config``: check a config file, show the settings in force, compare two files, print examples."""

from __future__ import annotations

import click

from httpmini.cli.options import Choice, config_option
from httpmini.config import check_certificates, differences, find_dangers, load, show
from httpmini.errors import UsageError, visible

# Those of config.examples, which only ``example`` imports.
_KINDS = ("caddy", "certbot", "docker", "haproxy", "kubernetes", "logrotate", "nginx", "openrc", "systemd", "varnish")


@click.group(short_help="Check, show or compare config files; print examples.")
def config() -> None:
    """Check a config file, show the settings that result from it, compare two files, or print examples."""


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


@config.command("example")
@click.option("--for", "kind", type=Choice(_KINDS), help="What for; without it, every setting with its default.")
@click.argument("name", required=False, metavar="[NAME]")
def print_example(kind: str | None, name: str | None) -> None:
    """Print a config file with every setting, or the files that run httpmini as a service or with a proxy before it.

    The first lines of each file say where it belongs. Of several files, NAME chooses one.
    """
    from httpmini.config.examples import example_files, settings_example

    if kind is None:
        if name is not None:
            raise UsageError(f"{visible(name)} is unexpected: without --for there is one example; see --help")
        click.echo(settings_example(), nl=False)
        return
    found = example_files(kind)
    if name is not None and name not in found:
        raise UsageError(f"there is no {visible(name)} among the examples for {kind}: {', '.join(found)}")
    texts = [found[name]] if name is not None else list(found.values())
    click.echo("\n".join(texts), nl=False)
