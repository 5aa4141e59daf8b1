"""A server for ``httpmini replay``: the settings of another one, at a free port and without its logs."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from msgspec.structs import replace

from httpmini.config import Config
from httpmini.daemon.server import Banner, serve
from httpmini.errors import CannotRun, HttpminiError
from httpmini.server.logs.error import Log


def rehearsed(config: Config) -> Config:
    """Return the settings, without what a running server may have taken: addresses, logs, pid file, user."""
    server = replace(config.server, listen=["127.0.0.1:0"])
    log = replace(config.log, access="off", error="off", record="")
    status = replace(config.status, listen=[])
    daemon = replace(config.daemon, pid_file="", user="", group="")
    tls = replace(config.tls, redirect=False)
    others = tuple(replace(one, log=replace(one.log, access="off", error="off")) for one in config.others)
    return replace(config, server=server, log=log, status=status, daemon=daemon, tls=tls, others=others)


@contextmanager
def rehearse(config: Config) -> Iterator[int]:
    """Run a server in a child process; yield its port, and end it afterwards.

    Raises:
        CannotRun: it does not start, and why.
    """
    report, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(report)
        _serve(config, told)
    os.close(told)
    try:
        with os.fdopen(report) as lines:
            said = lines.readline().strip()
        if not said.isdecimal():
            raise CannotRun(f"the server does not start: {said or 'it has ended'}")
        yield int(said)
    finally:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)


def _serve(config: Config, told: int) -> None:
    """Serve, report the port, and end the process."""
    status = 1

    def announce(banner: Banner, _log: Log) -> None:
        os.write(told, f"{urlsplit(banner.urls[0]).port}\n".encode())
        os.close(told)

    try:
        serve(lambda: rehearsed(config), announce)
        status = 0
    except HttpminiError as error:
        os.write(told, f"{error}\n".replace("\n", " ").encode())
    finally:
        os._exit(status)
