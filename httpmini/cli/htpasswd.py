"""``httpmini htpasswd``: give a user a password."""

from __future__ import annotations

import click

from httpmini.cli.passwords import read_password
from httpmini.errors import CannotRun, UsageError


@click.command(short_help="Set a user's password.")
@click.argument("file")
@click.argument("user")
def htpasswd(file: str, user: str) -> None:
    """Set the password of USER in FILE, which is created if needed. FILE is for "users" of [[realms]].

    The password is prompted for, or read as one line from standard input. It is never an argument: other users could
    see it in the list of processes.
    """
    from httpmini.site.users import set_password  # and with it bcrypt

    password = read_password()
    try:
        set_password(file, user, password)
    except ValueError as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        raise CannotRun(f"cannot write {file}: {error.strerror}") from error
