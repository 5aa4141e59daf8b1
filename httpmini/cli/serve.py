"""``httpmini serve``: in the foreground, or in the background with ``--daemon``."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from httpmini import config
from httpmini.cli.imports import uncollected
from httpmini.cli.options import Choice, config_option
from httpmini.cli.sharing import Sharing, Wishes
from httpmini.errors import UsageError
from httpmini.files import current_folder

if TYPE_CHECKING:
    from httpmini.daemon.server import Banner
    from httpmini.server.logs.error import Log

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _setting(flag: str, key: str, *, name: str = "", **more: Any) -> Callable[[_Command], _Command]:
    """Return the option ``flag`` for the setting ``key``, with the setting's own help, choices and default."""
    row = next(row for row in config.rows() if row.key == key)
    choices = config.declared_choices(row.type)
    if choices:
        more["type"] = Choice(choices)
    text = f"{row.help.split('. ')[0].rstrip('.')}.  [default: {config.toml(row.default)}]"
    return click.option(flag, *([name] if name else []), **{"help": text, **more})


@click.command(short_help="Serve a folder or a file.")
@click.argument("root", required=False, metavar="[PATH]")
@config_option
@click.option(
    "--lan",
    is_flag=True,
    help="Let others on your network connect: listen on the private addresses of this machine, too.",
)
@click.option(
    "--password",
    "user",
    is_flag=False,
    flag_value="",
    metavar="[USER]",
    help="Ask for a password: one of four words that is made up, or with USER the one that you type.",
)
@click.option(
    "--qr/--no-qr",
    default=None,
    help="Show the address as a QR code.  [default: with --lan, on a terminal that is wide enough]",
)
@click.option("--open", "opens", is_flag=True, help="Open it in a browser as soon as clients can connect.")
@_setting("--mode", "server.mode")
@click.option(
    "-b",
    "--bind",
    "addresses",
    multiple=True,
    metavar="ADDRESS",
    help="Listen on this address; may be repeated. '*' means every address.  [default: 127.0.0.1]",
)
@click.option(
    "-p",
    "--port",
    type=click.IntRange(0, 65535),
    show_default=False,
    metavar="PORT",
    help="Listen on this port; 0 picks a free one.  [default: 8080, or the next free one up to 8099]",
)
@_setting("--max-clients", "server.max_clients", type=int, metavar="N")
@_setting("--overflow", "server.overflow")
@_setting(
    "--log",
    "log.format",
    help="Write the access log in this format, also to a terminal, where people see less otherwise.",
)
@_setting("--record", "log.record", metavar="FOLDER", help="Record connections there, for httpmini replay.")
@click.option(
    "--status", is_flag=True, help="Show /-/status on a free port of this machine, which the first line names."
)
@click.option("--trace", metavar="FILE", help="Note what happens on all connections, for `httpmini timeline FILE`.")
@click.option("--tls-cert", metavar="FILE", help="Serve https with this certificate, in PEM; needs --tls-key.")
@click.option("--tls-key", metavar="FILE", help="The private key of that certificate, in PEM.")
@click.option("--tls", is_flag=True, help="Serve https with a certificate for a day, made now; browsers warn of it.")
@click.option("--daemon", is_flag=True, help="Move to the background as soon as clients can connect.")
@click.option(
    "--chroot",
    metavar="FOLDER",
    help="Make FOLDER the root directory first: every path is then a path inside FOLDER. Only root can do this.",
)
def serve(
    root: str | None,
    file: str | None,
    lan: bool,
    user: str | None,
    qr: bool | None,
    opens: bool,
    trace: str | None,
    daemon: bool,
    chroot: str | None,
    **settings: Any,
) -> None:
    """Serve a folder, by default the current one, or a single file, at http://127.0.0.1:8080/ until Ctrl-C.

    Flags override the config file, and the config file overrides the defaults.
    """
    _keep_standard_descriptors()
    null = os.open(os.devnull, os.O_RDWR) if daemon else None  # the new root may have no /dev/null
    flags = config.Flags(root=root, **settings)
    with Sharing(Wishes(lan, user, qr, opens, daemon, chroot is not None, _absolute(trace)), flags, file) as sharing:
        with uncollected():
            from httpmini.daemon import server  # --help need not wait for this import

        if chroot is not None:
            from httpmini.daemon.chroot import change_root

            change_root(chroot)
        if null is not None:
            _serve_detached(file, sharing, null, chrooted=chroot is not None)
        else:
            read = _reader(file, sharing.flags, chrooted=chroot is not None)
            server.serve(read, sharing.announce, file, sharing.extras)


def _absolute(path: str | None) -> str | None:
    """Return where a file is even if the current folder becomes another one."""
    return path and str(current_folder() / path)


def _reader(file: str | None, flags: config.Flags, *, chrooted: bool) -> Callable[[], config.Config]:
    """Return a function that reads the settings afresh each time it is called."""

    def read() -> config.Config:
        settings = config.load(file, flags, to_serve=True)
        if chrooted and not settings.daemon.user:
            raise UsageError("--chroot needs daemon.user: a process that stays root can leave its root directory again")
        return settings

    return read


def _serve_detached(file: str | None, sharing: Sharing, null: int, *, chrooted: bool) -> None:
    """Serve in the background. The parent exits when clients can connect, or with what went wrong.

    Args:
        file: the config file, if any.
        sharing: what the command line says.
        null: a descriptor of /dev/null, for the standard streams.
        chrooted: whether the root directory has been changed.
    """
    from httpmini.daemon import server
    from httpmini.daemon.daemonize import detach
    from httpmini.server.listeners.activation import are_given

    if are_given(os.environ):
        raise UsageError(
            "sockets were given to this process (LISTEN_FDS), and --daemon goes on in another; leave it out"
        )
    flags = sharing.flags
    first = _reader(file, flags, chrooted=chrooted)()
    _warn_of_lost_logs(first.log)
    # A reload reads the files again, and this folder will not be the current one by then.
    root = flags.root or ("." if file is None else None)
    flags = msgspec.structs.replace(flags, root=root and str(current_folder() / root))
    file = file and str(current_folder() / file)
    ready = detach(null)

    def announce(banner: Banner, log: Log) -> None:
        log(banner.line)  # who looks into the log later has not seen the terminal
        ready("\n".join((f"{banner.line}, in the background as process {os.getpid()}", *sharing.notes)))

    read = _beginning_with(first, _reader(file, flags, chrooted=chrooted))
    server.serve(read, announce, file, sharing.extras)


def _beginning_with(first: config.Config, read: Callable[[], config.Config]) -> Callable[[], config.Config]:
    """Return a function that returns ``first``, and then what ``read`` does: a file may be a pipe, to be read once."""
    unread = [first]
    return lambda: unread.pop() if unread else read()


def _warn_of_lost_logs(log: config.LogSettings) -> None:
    """Warn of logs on standard output, unless that is a file: a detached server has no terminal."""
    lost = [f"log.{name}" for name in ("access", "error") if getattr(log, name) == "stdout"]
    if lost and not stat.S_ISREG(os.fstat(1).st_mode):
        what = f'{" and ".join(lost)} = "stdout", which is lost in the background; set a file, "syslog" or "journal"'
        click.echo(f"httpmini: {what}", err=True)


def _keep_standard_descriptors() -> None:
    """Open /dev/null for each of 0, 1 and 2 that is closed, so that no log or socket gets one of these numbers.

    Python has no stream for a descriptor that was closed at its start (``>&-``).
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115  (as long as we live)
