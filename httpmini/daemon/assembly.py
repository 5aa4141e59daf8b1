"""A Config becomes a running HTTP server: the only place where all the parts meet."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from copy import copy
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from httpmini.config import Config, differences
from httpmini.daemon import lifecycle
from httpmini.errors import CannotRun, visible
from httpmini.protocol.reader import HeadLimits
from httpmini.server.access_log import AccessLog
from httpmini.server.admission import AddressRules, Admission, Overflow
from httpmini.server.connection import Patience
from httpmini.server.error_log import error_log
from httpmini.server.http_connection import HttpService
from httpmini.server.listener import endpoint_of, open_listeners, parse_endpoint
from httpmini.server.log_file import LogFile
from httpmini.server.modes import make_slots
from httpmini.server.recall import Recall
from httpmini.server.slots import SharedSlots, Slots
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


def serve(read: Callable[[], Config], announce: Callable[[str], None], *, again: bool = False) -> None:
    """Serve as the settings say until told to stop.

    Args:
        read: the settings; on SIGHUP they are read again.
        announce: takes the one line that says where, as soon as clients can connect.
        again: whether there is a file that SIGHUP is about; without one, SIGHUP ends the server.

    Raises:
        ConfigError: the settings are wrong.
        CannotRun: a port is taken, a log cannot be written, a limit is too low.
    """
    server = _Server(read)
    life = lifecycle.Lifecycle(server.service, server.admission, server.log, server.plan_anew if again else None)
    try:
        life.run(server.plan, lambda: announce(server.banner()))
    finally:
        server.close()


class _Logs:
    """Where the settings want lines to go."""

    def __init__(self, config: Config) -> None:
        # A child or a thread writes its lines itself: nobody would do it later.
        batched = config.server.mode in ("iterative", "select", "prefork")
        self.accesses = LogFile(config.log.access, batched=batched)
        try:
            self.errors = LogFile(config.log.error)
        except BaseException:
            self.accesses.close()
            raise
        self.log = error_log(self.errors.write, time.time)

    def close(self) -> None:
        """Write what waits, and close."""
        self.accesses.close()
        self.errors.close()


_Listeners = dict[str, list[socket.socket]]  # by what the settings call them


class _Server:
    """What there is of a server while it runs; a reload exchanges the parts, and those who use it see nothing of that.

    Attributes:
        service: HTTP for the site.
        admission: the slots.
        plan: how to begin.
    """

    def __init__(self, read: Callable[[], Config]) -> None:
        self._read = read
        self._config = read()
        self._logs = _Logs(self._config)
        try:
            self.service = self._make_service(self._config, self._logs)
            self.admission = Admission(*_admission(self._config), self.log, _make_slots(self._config))
            self._listeners = _listen(self._config, {})
        except BaseException:
            self._logs.close()
            raise
        self.plan = self._make_plan(self._config, self._logs, self._listeners)

    def log(self, text: str) -> None:
        """One line about the server itself."""
        self._logs.log(text)

    def close(self) -> None:
        """Write what waits, and close the logs."""
        self._logs.close()

    def banner(self) -> str:
        """Where and how, in one line."""
        server = self._config.server
        urls = ", ".join(f"http://{endpoint_of(one)}/" for listeners in self._listeners.values() for one in listeners)
        workers = f", {_count_workers(self._config)} workers" if server.mode == "prefork" else ""
        return (
            f"httpmini serving {visible(self._config.site.root)} at {urls} "
            f"(mode {server.mode}{workers}, at most {server.max_clients} clients)"
        )

    def plan_anew(self) -> lifecycle.Plan:
        """The plan of the present settings.

        Raises:
            HttpminiError: they are wrong, or cannot be followed; then nothing has changed.
        """
        config = self._read()
        logs = _Logs(config)
        try:
            service = self._make_service(config, logs)
            shared = isinstance(self.admission.slots, SharedSlots) or config.server.mode == "prefork"
            slots = _make_slots(config) if shared else None
            listeners = _listen(config, self._listeners)
        except BaseException:
            logs.close()
            raise
        plan = self._make_plan(config, logs, listeners)
        news = "; ".join(differences(self._config, config)) or "nothing has changed"
        return replace(plan, news=news, enter=lambda: self._enter(config, logs, service, slots, listeners))

    def _enter(
        self, config: Config, logs: _Logs, service: HttpService, slots: Slots | None, listeners: _Listeners
    ) -> Callable[[], None]:
        """Serve as ``config`` says from now on; what is returned takes that back."""
        before, parts = (self._config, self._logs, self._listeners), copy(self.service)
        admission = _admission(self._config), self.admission.slots
        self._config, self._logs, self._listeners = config, logs, listeners
        self.service.become(service)
        self.admission.change(*_admission(config), slots)

        def take_back() -> None:
            self._config, self._logs, self._listeners = before
            self.service.become(parts)
            self.admission.change(*admission[0], admission[1])

        return take_back

    def _make_service(self, config: Config, logs: _Logs) -> HttpService:
        return make_service(config, make_site(config), logs.accesses.write, self.log, logs.accesses.flush)

    @staticmethod
    def _make_plan(config: Config, logs: _Logs, listeners: _Listeners) -> lifecycle.Plan:
        flat = [one for group in listeners.values() for one in group]
        drain_s = config.limits.drain_s
        return lifecycle.Plan(config.server.mode, flat, drain_s, _count_workers(config), leave=logs.close)


def _admission(config: Config) -> tuple[int, Overflow, AddressRules]:
    server = config.server
    allow, deny = ([ip_network(entry) for entry in entries] for entries in (server.allow, server.deny))
    return server.max_clients, server.overflow, AddressRules(allow, deny)


def _make_slots(config: Config) -> Slots:
    return make_slots(config.server.mode, config.server.max_clients, _count_workers(config))


def _listen(config: Config, open_already: _Listeners) -> _Listeners:
    """The listeners of ``config``; those that are open already are the same sockets."""
    found: _Listeners = {}
    try:
        for entry in config.server.listen:
            found[entry] = open_already.get(entry) or open_listeners(
                [parse_endpoint(entry)], config.server.backlog, peers_begin=True
            )
    except CannotRun:
        for entry in found.keys() - open_already.keys():
            for listener in found[entry]:
                listener.close()
        raise
    for entry in found.keys() & open_already.keys():
        for listener in found[entry]:
            listener.listen(config.server.backlog)  # it may be another one; the queue stays
    return found


def _count_workers(config: Config) -> int:
    return config.server.workers or _count_cores()


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
