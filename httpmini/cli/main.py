"""The ``httpmini`` command: choose a subcommand, call it, turn errors into exit statuses.

Exit status 0: done. 1: the machine refuses. 2: wrong usage or a wrong config file. ``get`` and ``mirror`` have more:
one for each cause of an error, and 130 for Ctrl-C.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

import click

from httpmini.cli.imports import uncollected
from httpmini.errors import CannotRun, FetchError, HttpminiError, UsageError, visible
from httpmini.version import __version__

# Each command with its module in this package. A module is imported when its command runs: the server does not wait for
# the client's many flags, and the client does not wait for the settings.
_MODULES = {
    "compare": "compare",
    "config": "config",
    "ctl": "ctl",
    "docs": "docs",
    "get": "client",
    "htpasswd": "htpasswd",
    "lint": "lint",
    "mirror": "client",
    "replay": "replay",
    "serve": "serve",
    "timeline": "timeline",
    "why": "why",
}
_CLIENT = ("get", "mirror")
_OFTEN_MEANT = ("serve", "get")


class _Group(click.Group):
    """The subcommands, imported on demand. An error becomes one message on standard error, never a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        return sorted(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _MODULES:
            return None
        with uncollected():
            module = import_module(f"httpmini.cli.{_MODULES[cmd_name]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            for name in _OFTEN_MEANT:
                command = self.get_command(ctx, name)
                if command and any(error.option_name in one.opts for one in command.params):
                    text = f"{error.option_name} belongs to a command: httpmini {name} {error.option_name}"
                    raise click.UsageError(text, ctx) from error
            raise

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _MODULES and not args[0].startswith("-"):
            raise UsageError(_meant(args[0]))
        return super().resolve_command(ctx, args)

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


def _meant(word: str) -> str:
    """Say that ``word`` is no command, and which one was probably meant."""
    import shlex  # only for mistakes

    if os.path.exists(word):  # noqa: PTH110  (takes any string)
        return f"{word} is no command; did you mean: httpmini serve {shlex.quote(word)}"
    if "://" in word or word.startswith(":"):
        return f"{word} is no command; did you mean: httpmini get {shlex.quote(word)}"
    from httpmini.config.hints import nearest  # only for mistakes

    known = sorted(_MODULES)
    near = nearest(word, known)
    return f"{word} is no command; {f'did you mean {near}?' if near else 'the commands are: ' + ', '.join(known)}"


def _fail(error: Exception, status: int) -> None:
    for line in str(error).splitlines():
        click.echo(f"httpmini: {visible(line)}", err=True)
    sys.exit(status)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="httpmini")
def main() -> None:
    """A minimal HTTP/1.0 file server and client, from scratch."""
