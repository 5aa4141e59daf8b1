"""A Config becomes a running HTTP server: the only place where all the parts meet."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Sequence
from copy import copy
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from httpmini.config import Config, differences
from httpmini.daemon import lifecycle, sandbox
from httpmini.daemon.confinement import become_somebody, read_folders, refuse_outside, written_folders
from httpmini.daemon.limits import make_addresses, make_limiter
from httpmini.daemon.listeners import Listeners, listen, those_of, url_of
from httpmini.daemon.logs import Logs, make_access_log
from httpmini.daemon.pid_file import PidFile
from httpmini.daemon.root_watch import RootWatch
from httpmini.daemon.running_config import RunningConfig
from httpmini.daemon.status import Facts, Nothing, StatusPages
from httpmini.daemon.systemd import ServiceManager
from httpmini.errors import CannotRun, visible
from httpmini.protocol.message import bare_host
from httpmini.protocol.reader import HeadLimits
from httpmini.server.core.connection import LOCAL, Connection, Peer, Timeouts
from httpmini.server.core.counters import Counters
from httpmini.server.core.scoreboard import Scoreboard
from httpmini.server.http.connection import HttpService
from httpmini.server.http.forwarded import TrustedProxies
from httpmini.server.http.proxied import ProxiedConnection
from httpmini.server.http.response_cache import ResponseCache
from httpmini.server.limits.admission import AddressRules, Admission, Overflow
from httpmini.server.limits.per_address import AddressSlots
from httpmini.server.limits.slots import SharedSlots, Slots
from httpmini.server.listeners.activation import InheritedSockets
from httpmini.server.logs.error import Level, Log
from httpmini.server.modes import make_slots
from httpmini.site import pages
from httpmini.site.authorise import Realm
from httpmini.site.freshness import PathStamps
from httpmini.site.media_types import MediaTypes
from httpmini.site.refusals import ErrorPages
from httpmini.site.resolve import Resolver
from httpmini.site.respond import Site
from httpmini.site.rules import FieldRule, Glob, Redirect

if TYPE_CHECKING:
    from httpmini.site.users import Users


def serve(read: Callable[[], Config], announce: Callable[[str], None], file: str | None = None) -> None:
    """Serve as the settings say until told to stop.

    Args:
        read: the settings; on SIGHUP they are read again.
        announce: takes the one line that says where, as soon as clients can connect.
        file: what SIGHUP is about; without one, SIGHUP ends the server.

    Raises:
        ConfigError: the settings are wrong.
        CannotRun: a port is taken, a log cannot be written, a limit is too low.
    """
    server = _Server(read)
    life = lifecycle.Lifecycle(
        server.service,
        server.admission,
        server.log,
        reload=server.plan_anew if file is not None else None,
        reopen=server.reopen_logs,
        board=server.board,
        side_service=server.side_service,
        manager=ServiceManager(os.environ),
    )
    try:
        server.confine(file)
        life.run(server.plan, lambda: announce(server.banner()))
    finally:
        server.close()


class _Server:
    """What there is of a server while it runs; a reload exchanges the parts, and those who use it see nothing of that.

    Attributes:
        service: HTTP for the site.
        side_service: HTTP for those who look after the server.
        admission: the slots.
        board: what all processes can see of each other.
        plan: how to begin.
    """

    def __init__(self, read: Callable[[], Config]) -> None:
        self._read = read
        self._config = read()
        self._started = time.time()
        self._inherited = InheritedSockets(os.environ)
        self.board = Scoreboard(Counters())
        self._confined = ""  # by what
        self._writable: set[str] = set()
        self._pid_file = PidFile(self._config.daemon.pid_file)
        self._running_config = RunningConfig()
        self._listeners: Listeners = {}
        try:
            self._listeners = listen(self._config, {}, self._inherited)
            self._identity = become_somebody(self._config, self._pid_file)
            self._logs = self._open_logs(self._config)
        except BaseException:
            self._pid_file.close()
            for listener in itertools.chain(*self._listeners.values()):  # a unix socket takes its file away
                listener.close()
            raise
        try:
            self.service, self.side_service = self._make_services(self._config, self._logs)
            self.admission = Admission(
                *_admission(self._config),
                self.log,
                _make_slots(self._config),
                make_addresses(self._config, _count_workers(self._config)),
            )
        except BaseException:
            self.close()
            raise
        self.plan = self._make_plan(self._config, self._logs, self._pid_file, self._listeners)
        self._running_config.show(self._config)

    def log(self, text: str, level: Level = Level.NOTICE, /) -> None:
        """One line about the server itself."""
        self._logs.log(text, level)

    def confine(self, file: str | None) -> None:
        """Keep this process, and those that it begins, to the folders that the settings in ``file`` name."""
        config = self._config
        if config.daemon.sandbox == "off":
            return
        folders = read_folders(config) | ({str(Path(file).absolute().parent)} if file else set())
        if sandbox.enter(folders, written_folders(config)):
            self._confined, self._writable = "Landlock", written_folders(config)
        else:
            self.log("no sandbox: this kernel has no Landlock, or does not let us use it")

    def reopen_logs(self) -> None:
        """They have been moved away."""
        self._logs.reopen()

    def close(self) -> None:
        """Write what waits, close the logs, and take the pid file away."""
        self._logs.close()
        self._pid_file.close()
        self._running_config.close()

    def banner(self) -> str:
        """Where and how, in one line."""
        server = self._config.server
        urls = ", ".join(url_of(one) for one in those_of(self._listeners, "server.listen"))
        workers = f", {_count_workers(self._config)} workers" if server.mode == "prefork" else ""
        return (
            f"httpmini serving {_named(self._config)} at {urls} "
            f"(mode {server.mode}{workers}, at most {server.max_clients} clients"
            f"{self._identity and f', user {self._identity}'}{self._confined and f', sandbox {self._confined}'})"
        )

    def plan_anew(self) -> lifecycle.Plan:
        """The plan of the present settings.

        Raises:
            HttpminiError: they are wrong, or cannot be followed; then nothing has changed.
        """
        config = self._read()
        self._refuse_what_needs_a_new_start(config)
        logs = self._open_logs(config)
        pid_file = self._pid_file
        try:
            if config.daemon.pid_file != pid_file.path:
                pid_file = PidFile(config.daemon.pid_file)
            services = self._make_services(config, logs)
            shared = isinstance(self.admission.slots, SharedSlots) or config.server.mode == "prefork"
            slots = _make_slots(config) if shared else None
            addresses = self.admission.addresses
            if shared or config.limits.address_clients != self._config.limits.address_clients:
                addresses = make_addresses(config, _count_workers(config))
            listeners = listen(config, self._listeners, self._inherited)
        except BaseException:
            self._close(logs, pid_file)
            raise
        plan = self._make_plan(config, logs, pid_file, listeners)
        news = "; ".join(differences(self._config, config)) or "nothing has changed"
        places = slots, addresses
        return replace(plan, news=news, enter=lambda: self._enter(config, logs, pid_file, services, places, listeners))

    def _refuse_what_needs_a_new_start(self, config: Config) -> None:
        before, after = self._config.daemon, config.daemon
        for key in ("user", "group", "sandbox", "readable"):
            if getattr(before, key) != getattr(after, key):
                raise CannotRun(f"daemon.{key} has changed; that needs a new start")
        if self._confined:
            for folder in sorted(written_folders(config) - self._writable):
                raise CannotRun(f"the sandbox does not let this server write to {folder}; that needs a new start")
            for folder in sorted(read_folders(config)):
                refuse_outside(folder)

    def _enter(
        self,
        config: Config,
        logs: Logs,
        pid_file: PidFile,
        services: tuple[HttpService, HttpService],
        places: tuple[Slots | None, AddressSlots | None],
        listeners: Listeners,
    ) -> Callable[[], None]:
        """Serve as ``config`` says from now on; what is returned takes that back."""
        before = self._config, self._logs, self._pid_file, self._listeners
        parts = copy(self.service), copy(self.side_service)
        admission = *_admission(self._config), self.admission.slots, self.admission.addresses
        self._config, self._logs, self._pid_file, self._listeners = config, logs, pid_file, listeners
        self._running_config.show(config)
        self._become(services)
        self.admission.change(*_admission(config), *places)

        def take_back() -> None:
            self._config, self._logs, self._pid_file, self._listeners = before
            self._running_config.show(self._config)
            self._become(parts)
            self.admission.change(*admission)

        return take_back

    def _become(self, services: tuple[HttpService, HttpService]) -> None:
        self.service.become(services[0])
        self.side_service.become(services[1])

    def _open_logs(self, config: Config) -> Logs:
        others = [other.log for other in config.others]
        return Logs(config.log, config.server.mode, self.board.counters.count_requests, others)

    def _make_services(self, config: Config, logs: Logs) -> tuple[HttpService, HttpService]:
        """For everybody, and for those who look after the server."""
        sites = [make_site(one) for one in config.all_sites]
        write = logs.accesses[config.log.access].write
        service = make_service(config, sites[0], write, self.log, logs.flush, self.board.counters)
        others = [
            _for_other_site(service, other, site, logs.accesses[other.log.access].write)
            for other, site in zip(config.others, sites[1:], strict=True)
        ]
        facts = Facts(config.server.mode, config.server.max_clients, os.getpid(), self._started)
        if config.status.enabled:
            allowed = AddressRules([ip_network(entry) for entry in config.status.allow])
            for one in (service, *others):
                one.site = StatusPages(one.site, self.board, facts, allowed)
        side = copy(service)
        side.connect_proxy = side.limiter = None
        side.site = StatusPages(Nothing(sites[0]), self.board, facts, None)
        service.others = {
            bare_host(host): one for one, other in zip(others, config.others, strict=True) for host in other.site.hosts
        }
        return service, side

    def _close(self, logs: Logs, pid_file: PidFile) -> None:
        """What is not, or no longer, in use."""
        logs.close()
        if pid_file is not self._pid_file:
            pid_file.close()

    def _make_plan(self, config: Config, logs: Logs, pid_file: PidFile, listeners: Listeners) -> lifecycle.Plan:
        return lifecycle.Plan(
            config.server.mode,
            those_of(listeners, "server.listen"),
            config.limits.drain_s,
            _count_workers(config),
            those_of(listeners, "status.listen"),
            title=f"serving {_named(config)}, mode {config.server.mode}",
            leave=lambda: self._close(logs, pid_file),
        )


def _named(config: Config) -> str:
    """What is served, in a few words."""
    more = f" and {len(config.others)} more" if config.others else ""
    return visible(config.site.root) + more


def _admission(config: Config) -> tuple[int, Overflow, AddressRules]:
    server = config.server
    return server.max_clients, server.overflow, _rules(config, config.proxies.trusted)


def _rules(config: Config, proxies: Sequence[str] = ()) -> AddressRules:
    server = config.server
    proxies = [entry for entry in proxies if entry != LOCAL]
    return AddressRules(*([ip_network(entry) for entry in entries] for entries in (server.allow, server.deny, proxies)))


def _make_proxies(config: Config) -> Callable[[HttpService, Peer, float], Connection | None] | None:
    """What becomes of a connection of a proxy; None when there are none."""
    if not config.proxies.trusted:
        return None
    trusted = [ip_network(entry) for entry in config.proxies.trusted if entry != LOCAL]
    proxies = TrustedProxies(trusted, LOCAL in config.proxies.trusted, config.proxies.protocol, _rules(config))

    def connect(service: HttpService, peer: Peer, now: float) -> Connection | None:
        return ProxiedConnection(service, proxies, peer, now) if proxies.trusts(peer.host) else None

    return connect


def _make_slots(config: Config) -> Slots:
    return make_slots(config.server.mode, config.server.max_clients, _count_workers(config))


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
        stamps=PathStamps(root),
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
    log: Log,
    flush_access: Callable[[], None] = lambda: None,
    counters: Counters | None = None,
) -> HttpService:
    """HTTP for ``site``, within the limits of ``config``."""
    limits = config.limits
    roots = [RootWatch(root, log) for root in sorted({one.site.root for one in config.all_sites})]

    def put_off() -> None:
        flush_access()
        for root in roots:
            root.look()
        pages.prepare()

    return HttpService(
        site=site,
        limits=HeadLimits(limits.head_bytes, limits.target_bytes, limits.fields),
        timeouts=Timeouts(limits.idle_s, limits.send_stall_s, limits.linger_s, limits.linger_bytes),
        head_s=limits.head_s,
        server_name=config.server.product,
        log=make_access_log(config.log.format, config.server.mode, write_access),
        recall=ResponseCache(limits.response_cache_bytes, time.time),
        negotiates=bool(config.site.precompressed),
        log_error=log,
        now=time.time,
        put_off=put_off,
        counters=counters or Counters(),
        limiter=make_limiter(config),
        connect_proxy=_make_proxies(config),
    )


def _for_other_site(
    service: HttpService, config: Config, site: Site, write_access: Callable[[str], None]
) -> HttpService:
    """The same for another site."""
    other = copy(service)
    other.name = bare_host(config.site.hosts[0])
    other.site = site
    other.log = make_access_log(config.log.format, config.server.mode, write_access)
    other.negotiates = bool(config.site.precompressed)
    return other
