"""The commands: read the arguments, call one function, turn errors into exit statuses.

0 done; 1 the machine says no; 2 wrong usage or a wrong config file. ``get`` and ``mirror`` have more: a status for each
cause of an error, and 130 for Ctrl-C.
"""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from httpmini import config
from httpmini.errors import CannotRun, FetchError, HttpminiError, UsageError, visible
from httpmini.version import __version__

_Command = TypeVar("_Command", bound=Callable[..., Any])

_CLIENT = ("get", "mirror")  # a server need not wait for their many flags: they are made when they are asked for


class _Group(click.Group):
    """Our errors as one message on standard error, never a traceback; the client's commands beside our own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_CLIENT])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _CLIENT:
            return super().get_command(ctx, cmd_name)
        from httpmini.cli import client

        return client.COMMANDS[cmd_name]

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _fail(CannotRun("interrupted"), 130 if ctx.invoked_subcommand in _CLIENT else 1)
        except FetchError as error:
            _fail(error, error.exit_status)
        except UsageError as error:
            _fail(error, 2)
        except HttpminiError as error:
            _fail(error, 1)


def _fail(error: Exception, status: int) -> None:
    for line in str(error).splitlines():
        click.echo(f"httpmini: {visible(line)}", err=True)
    sys.exit(status)


_config_option = click.option("-c", "--config", "file", metavar="FILE", help="A config file (TOML).")


def _setting(flag: str, key: str, **more: Any) -> Callable[[_Command], _Command]:
    """A flag for the setting ``key``: its help and its choices are the setting's own."""
    row = next(row for row in config.rows() if row.key == key)
    choices = config.declared_choices(row.type)
    if choices:
        more["type"] = click.Choice(choices)
    text = f"{row.help.split('. ')[0].rstrip('.')}.  [default: {config.toml(row.default)}]"
    return click.option(flag, help=text, **more)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="httpmini")
def main() -> None:
    """A minimal HTTP/1.0 file server and client, from scratch."""


@main.command(short_help="Serve a folder.")
@click.argument("root", required=False)
@_config_option
@_setting("--mode", "server.mode")
@click.option(
    "-b",
    "--bind",
    "addresses",
    multiple=True,
    metavar="ADDRESS",
    help="Listen on this address; may be repeated. '*' is every address.  [default: 127.0.0.1]",
)
@click.option(
    "-p",
    "--port",
    type=click.IntRange(0, 65535),
    show_default=False,
    metavar="PORT",
    help="Listen on this port; 0 for a free one.  [default: 8080]",
)
@_setting("--max-clients", "server.max_clients", type=int, metavar="N")
@_setting("--overflow", "server.overflow")
@click.option("--daemon", is_flag=True, help="Go on in the background once clients can connect.")
@click.option(
    "--chroot",
    metavar="FOLDER",
    help="See nothing but FOLDER from the beginning: all paths are as they are from inside. Root alone can do that.",
)
def serve(
    root: str | None,
    file: str | None,
    mode: str | None,
    addresses: tuple[str, ...],
    port: int | None,
    max_clients: int | None,
    overflow: str | None,
    daemon: bool,
    chroot: str | None,
) -> None:
    """Serve a folder, by default this one, at http://127.0.0.1:8080/ until Ctrl-C.

    A flag beats the config file, the file beats the default.
    """
    from httpmini.daemon import server  # the client and the checks need not wait for this import
    from httpmini.daemon.chroot import change_root

    flags = config.Flags(root, mode, addresses, port, max_clients, overflow)
    _keep_standard_descriptors()
    nothing = os.open(os.devnull, os.O_RDWR) if daemon else None  # there may be none in another root
    if chroot is not None:
        change_root(chroot)
    if nothing is not None:
        _serve_detached(file, flags, nothing, chrooted=chroot is not None)
    else:
        server.serve(_reader(file, flags, chrooted=chroot is not None), _announce, file)


def _reader(file: str | None, flags: config.Flags, *, chrooted: bool) -> Callable[[], config.Config]:
    """What reads the settings, again and again."""

    def read() -> config.Config:
        settings = config.load(file, flags)
        if chrooted and not settings.daemon.user:
            raise UsageError("--chroot: daemon.user is missing; as root the server would find its way out again")
        return settings

    return read


def _serve_detached(file: str | None, flags: config.Flags, nothing: int, *, chrooted: bool) -> None:
    """The same in the background; the parent exits when clients can connect, or with what went wrong."""
    from httpmini.daemon import server
    from httpmini.daemon.daemonize import detach

    log = _reader(file, flags, chrooted=chrooted)().log
    unseen = [f"log.{name}" for name in ("access", "error") if getattr(log, name) == "stdout"]
    if unseen and not stat.S_ISREG(os.fstat(1).st_mode):
        said = f'{" and ".join(unseen)} = "stdout", which nobody sees from here on; name a file, "syslog" or "journal"'
        click.echo(f"httpmini: {said}", err=True)
    # Files are read again, and this folder will not be the current one.
    root = flags.root or ("." if file is None else None)
    flags = msgspec.structs.replace(flags, root=root and str(Path(root).absolute()))
    file = file and str(Path(file).absolute())
    ready = detach(nothing)

    def announce(banner: str) -> None:
        ready(f"{banner}, in the background as process {os.getpid()}")

    server.serve(_reader(file, flags, chrooted=chrooted), announce, file)


def _announce(banner: str) -> None:
    try:
        click.echo(banner)
    except OSError as error:
        raise CannotRun(f"cannot write to standard output: {error.strerror}") from error


def _keep_standard_descriptors() -> None:
    """Where 0, 1 or 2 are closed, nothing else may get these numbers: logs would be written into it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


@main.command(short_help="Give a user a password.")
@click.argument("file")
@click.argument("user")
def htpasswd(file: str, user: str) -> None:
    """Give USER a password in FILE, a file for "users" of [[realms]] (made if it is not there).

    The password is asked for, or read as a line from standard input; never an argument, which others could see.
    """
    from httpmini.site.users import set_password

    if sys.stdin is None:
        raise UsageError("there is no standard input to read the password from")
    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = os.fsdecode(sys.stdin.buffer.readline().removesuffix(b"\n"))
    try:
        set_password(file, user, password)
    except ValueError as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        raise CannotRun(f"cannot write {file}: {error.strerror}") from error


@main.group()
def ctl() -> None:
    """Ask something of a server that runs with FILE, which names its daemon.pid_file."""


@ctl.command("status")
@_config_option
@click.option("--watch", is_flag=True, help="Anew every second, until Ctrl-C.")
def ctl_status(file: str | None, watch: bool) -> None:
    """Say how the server is: clients, requests, bytes, processes."""
    from httpmini.daemon.ctl import fetch_report, lines_of

    settings = config.load(file)
    while True:
        text = "\n".join(map(visible, lines_of(fetch_report(settings))))
        if watch:
            click.clear()  # of a terminal only
        click.echo(text)
        if not watch:
            return
        time.sleep(1)


@ctl.command("reload")
@_config_option
def ctl_reload(file: str | None) -> None:
    """Check FILE, have the server take it, and say whether it did."""
    from httpmini.daemon.ctl import reload

    click.echo(reload(config.load(file)))


@ctl.command("stop")
@_config_option
def ctl_stop(file: str | None) -> None:
    """Have the server finish what it is sending, and wait until it has ended."""
    from httpmini.daemon.ctl import stop

    click.echo(f"process {stop(config.load(file))} has ended")


@main.group("config")
def config_group() -> None:
    """Check a config file, or show what it comes to."""


@config_group.command()
@_config_option
def check(file: str | None) -> None:
    """Say "ok", or everything that is wrong with FILE (exit status 2)."""
    config.load(file)
    click.echo("ok")


@config_group.command()
@_config_option
def show(file: str | None) -> None:
    """Print the settings in force as TOML, each with where it came from."""
    click.echo(config.show(config.load(file)), nl=False)


@config_group.command()
@click.argument("files", nargs=-1, required=True, metavar="[OLD] NEW")
def diff(files: tuple[str, ...]) -> None:
    """Print what changes when a server that runs with OLD is reloaded with NEW; nothing when nothing does.

    Without OLD: the server that runs with the pid file of NEW, and what it has from its own command line stays.
    """
    if len(files) > 2:
        raise UsageError(f"config diff takes one file or two, not {len(files)}")
    after = config.load(files[-1])
    if len(files) == 2:
        before = config.load(files[0])
    else:
        from httpmini.daemon.ctl import process_of
        from httpmini.daemon.running_config import read_settings, with_flags_of

        before = read_settings(process_of(after))
        after = with_flags_of(before, after)
    for line in config.differences(before, after):
        click.echo(line)
