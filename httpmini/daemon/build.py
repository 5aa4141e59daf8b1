"""A Config becomes a Generation: the only place where all the parts meet."""

from __future__ import annotations

import os

import msgspec

from httpmini.config import Config
from httpmini.daemon.build_http import (
    add_status_pages,
    address_rules,
    build_http,
    build_status,
    redirect_to_https,
    with_sites,
)
from httpmini.daemon.build_site import build_site, has_archives
from httpmini.daemon.certificates import Certificates, make_security
from httpmini.daemon.generation import Generation
from httpmini.daemon.limits import Tables
from httpmini.daemon.listeners import Listeners
from httpmini.daemon.logs import Logs
from httpmini.daemon.pid_file import PidFile
from httpmini.daemon.status import Facts
from httpmini.daemon.workers import count_workers
from httpmini.server.core.scoreboard import Scoreboard
from httpmini.server.limits.admission import Admission
from httpmini.server.listeners.activation import InheritedSockets
from httpmini.server.logs.error import Level
from httpmini.server.modes import MODES
from httpmini.site.authorise import Users


class Lasting(msgspec.Struct, frozen=True, eq=False):
    """What outlives generations.

    Attributes:
        board: shows all processes to each other.
        tables: what the limits count in.
        inherited: the sockets that this process was given.
        started: when the server was started, in seconds since the epoch.
        quota: how many cores' worth of time this process may use; read at the start, because the sandbox hides it.
        password: who may see any of the sites; None for everybody.
    """

    board: Scoreboard
    tables: Tables
    inherited: InheritedSockets
    started: float
    quota: float
    password: Users | None = None


class Opened(msgspec.Struct, frozen=True, eq=False):
    """What a generation has opened, in the order that starting or reloading asks for.

    Attributes:
        logs: the logs.
        pid_file: the pid file.
        listeners: the listeners.
        certificates: the certificates.
    """

    logs: Logs
    pid_file: PidFile
    listeners: Listeners
    certificates: Certificates


def open_logs(config: Config, board: Scoreboard) -> Logs:
    """Open the logs that ``config`` asks for.

    Raises:
        CannotRun: one of them cannot be opened.
    """
    others = [other.log for other in config.others]
    batched = MODES[config.server.mode].batches_logs
    return Logs(config.log, board.counters.count_requests, others, batched=batched)


def build_generation(config: Config, lasting: Lasting, opened: Opened) -> Generation:
    """Make everything else that ``config`` asks for.

    Raises:
        CannotRun: a users file cannot be read, or this system lacks something that a limit needs.
    """
    board, logs = lasting.board, opened.logs
    facts = Facts(config.server.mode, config.server.max_clients, os.getpid(), lasting.started)
    places = lasting.tables.archives() if any(map(has_archives, config.all_sites)) else None

    def notify(text: str) -> None:
        logs.log(text, Level.WARNING)

    sites = [build_site(one, notify, lasting.password, places) for one in config.all_sites]
    limits = lasting.tables.client_limits(config)
    http = build_http(
        config,
        add_status_pages(config, sites, board, facts),
        lambda place: logs.accesses[place].write,
        logs.log,
        logs.flush,
        limits,
    )
    unencrypted = None
    if config.tls.redirect:
        to_https = add_status_pages(config, redirect_to_https(config, sites, opened.listeners), board, facts)
        unencrypted = with_sites(http, config, to_https)
    return Generation(
        **{name: getattr(http, name) for name in http.__struct_fields__},
        config=config,
        status=build_status(http, sites[0], board, facts),
        unencrypted=unencrypted,
        certificates=opened.certificates,
        security=make_security(config, opened.certificates, logs.log),
        admission=Admission(
            lasting.tables.slots(config),
            config.server.overflow,
            address_rules(config, config.proxies.trusted),
            lasting.tables.addresses(config),
            config.limits.address_clients,
        ),
        listeners=opened.listeners,
        logs=logs,
        pid_file=opened.pid_file,
        workers=count_workers(config, lasting.quota),
    )
