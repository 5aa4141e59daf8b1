"""A Config becomes a running HTTP server: the only place where all the parts meet."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import closing
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING

from httpmini.config import Config
from httpmini.daemon import lifecycle
from httpmini.errors import CannotRun, visible
from httpmini.protocol.reader import HeadLimits
from httpmini.server.access_log import AccessLog
from httpmini.server.admission import AddressRules, Admission
from httpmini.server.connection import Patience
from httpmini.server.error_log import error_log
from httpmini.server.http_connection import HttpService
from httpmini.server.listener import endpoint_of, open_listeners, parse_endpoint
from httpmini.server.log_file import LogFile
from httpmini.server.modes import make_slots
from httpmini.server.recall import Recall
from httpmini.site import pages
from httpmini.site.authorise import Realm
from httpmini.site.media_types import MediaTypes
from httpmini.site.refusals import ErrorPages
from httpmini.site.resolve import Resolver
from httpmini.site.respond import Site
from httpmini.site.rules import FieldRule, Glob, Redirect
from httpmini.site.witness import Witnesses

if TYPE_CHECKING:
    from httpmini.site.users import Users


def serve(config: Config, announce: Callable[[str], None]) -> None:
    """Serve as ``config`` says until told to stop.

    Args:
        config: the settings.
        announce: takes the one line that says where, as soon as clients can connect.

    Raises:
        CannotRun: a port is taken, a log cannot be written, a limit is too low.
    """
    # A child or a thread writes its lines itself: nobody would do it later.
    batched = config.server.mode in ("iterative", "select", "prefork")
    with closing(LogFile(config.log.access, batched=batched)) as accesses, closing(LogFile(config.log.error)) as errors:
        log = error_log(errors.write, time.time)
        service = make_service(config, make_site(config), accesses.write, log, accesses.flush)
        rules = AddressRules(
            [ip_network(entry) for entry in config.server.allow], [ip_network(entry) for entry in config.server.deny]
        )
        workers = config.server.workers or _count_cores()
        slots = make_slots(config.server.mode, config.server.max_clients, workers)
        admission = Admission(config.server.max_clients, config.server.overflow, rules, log, slots)
        listeners = open_listeners(
            [parse_endpoint(entry) for entry in config.server.listen], config.server.backlog, peers_begin=True
        )
        urls = ", ".join(f"http://{endpoint_of(listener)}/" for listener in listeners)
        banner = (
            f"httpmini serving {visible(config.site.root)} at {urls} "
            f"(mode {config.server.mode}{f', {workers} workers' if config.server.mode == 'prefork' else ''}, "
            f"at most {config.server.max_clients} clients)"
        )
        lifecycle.run(
            config.server.mode,
            listeners,
            service,
            admission,
            workers=workers,
            drain_s=config.limits.drain_s,
            log=log,
            ready=lambda: announce(banner),
        )


def _count_cores() -> int:
    """Of those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def make_site(config: Config) -> Site:
    """The site that ``config`` describes."""
    site = config.site
    root = os.fsencode(Path(site.root).absolute())
    media_types = MediaTypes(site.default_charset, site.media_types)
    # Pages for refusals may be hidden from everybody who asks for them by name.
    pages_from = Resolver(root, hidden=True, symlinks=site.symlinks == "inside")
    return Site(
        resolver=Resolver(root, site.hidden, site.symlinks == "inside"),
        witnesses=Witnesses(root),
        index=tuple(os.fsencode(name) for name in site.index),
        listing=site.listing,
        media_types=media_types,
        codings=tuple(site.precompressed),
        error_pages=ErrorPages(
            pages_from, {status: _names(path) for status, path in site.error_pages.items()}, media_types
        ),
        realms=tuple(Realm(_names(realm.path), realm.name, _open_users(realm.users)) for realm in config.realms),
        redirects=tuple(Redirect(Glob(row.path), row.to, 301 if row.permanent else 302) for row in config.redirects),
        rules=tuple(FieldRule(Glob(rule.path), tuple(rule.fields.items())) for rule in config.rules),
        now=time.time,
    )


def _names(path: str) -> tuple[bytes, ...]:
    return tuple(os.fsencode(name) for name in path.split("/") if name)


def _open_users(path: str) -> Users:
    from httpmini.site.users import Users  # and with it bcrypt, only where there is a realm

    try:
        return Users(path)
    except OSError as error:
        raise CannotRun(f"cannot read {path}: {error.strerror}") from error


def make_service(
    config: Config,
    site: Site,
    write_access: Callable[[str], None],
    log: Callable[[str], None],
    flush_access: Callable[[], None] = lambda: None,
) -> HttpService:
    """HTTP for ``site``, within the limits of ``config``."""
    limits = config.limits

    def put_off() -> None:
        flush_access()
        pages.prepare()

    return HttpService(
        site=site,
        limits=HeadLimits(limits.head_bytes, limits.target_bytes, limits.fields),
        patience=Patience(limits.idle_s, limits.send_stall_s, limits.linger_s, limits.linger_bytes),
        head_s=limits.head_s,
        server_name=config.server.product,
        log=AccessLog(config.log.format, write_access),
        recall=Recall(limits.recall_bytes, time.time),
        negotiates=bool(config.site.precompressed),
        log_error=log,
        now=time.time,
        put_off=put_off,
    )
