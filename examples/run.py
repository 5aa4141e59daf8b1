"""What the examples share: a small command line, and the steps from a Service to a running server."""

from __future__ import annotations

import socket

import click
import msgspec

from httpmini.daemon.lifecycle import Lifecycle
from httpmini.errors import CannotRun
from httpmini.server.core.connection import Service, Timeouts
from httpmini.server.limits.admission import Admission, Overflow
from httpmini.server.limits.slots import Slots
from httpmini.server.listeners.endpoint import Endpoint
from httpmini.server.listeners.tcp import endpoint_of, open_listeners
from httpmini.server.logs.error import Level, error_log
from httpmini.server.modes import MODES

HOST = "127.0.0.1"  # the examples are not meant for a network
BACKLOG = 128
TIMEOUTS = Timeouts(idle_s=300.0, send_stall_s=30.0, linger_s=2.0, linger_bytes=1 << 20)


class Plan(msgspec.Struct, frozen=True):
    """How to serve; a server of HTTP gets this from its config file (``daemon/generation.py``)."""

    mode: str
    admission: Admission
    public_listeners: list[socket.socket]
    title: str
    status_listeners: list[socket.socket] = []
    workers: int = 2  # in prefork mode
    drain_s: float = 5.0
    slice_s: float = 0.25  # in iterative mode


def main(name: str, service: Service, default_port: int) -> None:
    """Read the command line, serve until SIGINT or SIGTERM, and exit.

    Exit status 0 after a signal, 1 if the machine refuses (the port is taken), 2 for a wrong flag.

    Args:
        name: the name of the server, for messages.
        service: makes a connection for each client.
        default_port: the port to listen on without ``--port``.
    """

    @click.command(help=f"Serve {name} at {HOST} until Ctrl-C.", context_settings={"show_default": True})
    @click.option("--mode", type=click.Choice(sorted(MODES)), default="select")
    @click.option("--port", type=click.IntRange(0, 65535), default=default_port, help="0 picks a free one.")
    @click.option("--max-clients", type=click.IntRange(min=1), default=64)
    @click.option("--overflow", type=click.Choice(["queue", "refuse"]), default="queue")
    def command(mode: str, port: int, max_clients: int, overflow: Overflow) -> None:
        try:
            _serve(name, service, mode, port, max_clients, overflow)
        except CannotRun as error:
            raise click.ClickException(str(error)) from error

    command()


def _serve(name: str, service: Service, mode: str, port: int, max_clients: int, overflow: Overflow) -> None:
    log = error_log(lambda line, _level: click.echo(line), Level.INFO)
    admission = Admission(Slots(max_clients, log), overflow)
    listeners = open_listeners([Endpoint(HOST, str(port))], BACKLOG)
    banner = f"{name} serving at {endpoint_of(listeners[0])} (mode {mode}, at most {max_clients} clients)"
    Lifecycle(service, Plan(mode, admission, listeners, name), log).run(lambda: click.echo(banner))
