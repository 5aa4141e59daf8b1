"""What the examples share: a small command line, and the steps from a Service to a running server."""

from __future__ import annotations

import click

from httpmini.daemon import lifecycle
from httpmini.errors import CannotRun
from httpmini.server.core.connection import Service, Timeouts
from httpmini.server.limits.admission import AddressRules, Admission, Overflow
from httpmini.server.listeners.tcp import Endpoint, endpoint_of, open_listeners
from httpmini.server.logs.error import Level, error_log
from httpmini.server.modes import MODES, make_slots

HOST = "127.0.0.1"  # the examples are not meant for a network
BACKLOG = 128
DRAIN_S = 5.0
WORKERS = 2  # in prefork mode
TIMEOUTS = Timeouts(idle_s=300.0, send_stall_s=30.0, linger_s=2.0, linger_bytes=1 << 20)


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
    slots = make_slots(mode, max_clients, WORKERS)
    admission = Admission(max_clients, overflow, AddressRules(), log, slots)
    listeners = open_listeners([Endpoint(HOST, str(port))], BACKLOG)
    banner = f"{name} serving at {endpoint_of(listeners[0])} (mode {mode}, at most {max_clients} clients)"
    plan = lifecycle.Plan(mode, listeners, DRAIN_S, WORKERS)
    lifecycle.Lifecycle(service, admission, log).run(plan, lambda: click.echo(banner))
