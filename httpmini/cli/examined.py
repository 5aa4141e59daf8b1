"""The servers that commands may send odd requests to: those of this machine, unless the user owns another one."""

from __future__ import annotations

import ipaddress
import socket
import sys
from typing import NoReturn
from urllib.parse import urlsplit

import click

from httpmini.errors import HttpminiError, UsageError, visible


def address_of(url: str, what: str, *, owned: bool) -> tuple[str, int, str]:
    """Return address, port and path of a URL; without a host's name that can be found, end with status 4.

    Args:
        url: the URL; ``http://`` may be missing.
        what: what the server would get.
        owned: whether it may be another machine.

    Raises:
        UsageError: it is no URL of http, or another machine's.
    """
    try:
        parts = urlsplit(url if "//" in url else f"http://{url}")
        host, port = parts.hostname or "127.0.0.1", parts.port or 80
    except ValueError as error:
        raise UsageError(f"{visible(url)}: not a URL: {error}") from error
    if parts.scheme != "http":
        raise UsageError(f"{visible(url)}: only http is examined")
    try:
        address = str(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        give_up(UsageError(f"{visible(host)}: {error.strerror or error}"))
    if not ipaddress.ip_address(address).is_loopback and not owned:
        raise UsageError(f"{visible(host)} is another machine, and would get {what}: --i-own-this-server")
    return address, port, parts.path or "/"


def give_up(error: HttpminiError) -> NoReturn:
    """End with status 4: there is no server to examine."""
    click.echo(f"httpmini: {visible(str(error))}", err=True)
    sys.exit(4)
