"""A Config becomes what HTTP needs: sites with their logs, limits, caches, and the status pages on top."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from ipaddress import ip_network
from typing import TYPE_CHECKING

from msgspec.structs import replace

from httpmini.config import Config
from httpmini.daemon.build_site import has_archives
from httpmini.daemon.listeners import Listeners, secure_ports
from httpmini.daemon.root_watch import RootWatch
from httpmini.daemon.status import Facts, Nothing, StatusPages
from httpmini.protocol.message import bare_host
from httpmini.protocol.reader import HeadLimits
from httpmini.server.core.connection import Timeouts
from httpmini.server.core.scoreboard import Scoreboard
from httpmini.server.http.generation import HttpGeneration
from httpmini.server.http.heads import HeadReader
from httpmini.server.http.response_cache import ResponseCache
from httpmini.server.http.virtual_hosts import Respond, VirtualHost, VirtualHosts
from httpmini.server.limits.address_rules import AddressRules
from httpmini.server.listeners.peer import LOCAL
from httpmini.server.logs.access import AccessLog, TextLog
from httpmini.server.logs.error import Log
from httpmini.server.modes import MODES
from httpmini.site import thumbnail
from httpmini.site.archive import QUERIES
from httpmini.site.prepare import prepare, prepare_more

if TYPE_CHECKING:
    from httpmini.server.http.forwarded import TrustedProxies
    from httpmini.server.limits.client_limits import ClientLimits

OpenLog = Callable[[str], Callable[[str], None]]
"""Returns what takes lines of the access log, by the place that a setting names."""


def build_http(
    config: Config,
    sites: Sequence[Respond],
    open_log: OpenLog,
    log: Log,
    flush_logs: Callable[[], None] = lambda: None,
    client_limits: ClientLimits | None = None,
) -> HttpGeneration:
    """Return HTTP for ``sites``, within the limits of ``config``.

    Args:
        config: the settings.
        sites: one for each of ``config.all_sites``.
        open_log: opens the access logs.
        log: takes lines about the server itself.
        flush_logs: writes the lines of access logs that wait.
        client_limits: what one client may use.
    """
    limits = config.limits
    hosts = build_hosts(config, sites, open_log)
    head_limits = HeadLimits(limits.head_bytes, limits.target_bytes, limits.fields)
    return HttpGeneration(
        hosts=hosts,
        heads=HeadReader(head_limits, hosts),
        cache=ResponseCache(limits.response_cache_bytes, time.time),
        head_limits=head_limits,
        head_s=limits.head_s,
        timeouts=Timeouts(limits.idle_s, limits.send_stall_s, limits.linger_s, limits.linger_bytes),
        server_name=config.server.product,
        log=log,
        wall=time.time,
        tick=_make_tick(config, flush_logs, log),
        client_limits=client_limits,
        proxies=_build_proxies(config),
    )


def build_hosts(config: Config, sites: Sequence[Respond], open_log: OpenLog) -> VirtualHosts:
    """Return the sites, each with its name and access log, by the hosts that ask for them."""
    default, *others = [
        VirtualHost(
            bare_host(one.site.hosts[0]) if one is not config else "",
            site,
            _access_log(config, one, open_log),
            _queries(one),
        )
        for one, site in zip(config.all_sites, sites, strict=True)
    ]
    by_host = {
        bare_host(host): other for other, one in zip(others, config.others, strict=True) for host in one.site.hosts
    }
    return VirtualHosts(default, by_host)


def _access_log(config: Config, site: Config, open_log: OpenLog) -> AccessLog:
    """Return what writes the lines of one site."""
    write = open_log(site.log.access)
    if site.log.format == "json":
        from httpmini.server.logs.json_lines import JsonLog  # others need not wait for this import

        return JsonLog(config.server.mode, write)
    return TextLog("common" if site.log.format == "common" else "combined", write)


def _queries(config: Config) -> frozenset[str]:
    """Return the queries that mean something to a site, so that a cached response does not hold for them."""
    thumbnails = frozenset((thumbnail.QUERY,)) if config.site.listing else frozenset[str]()
    return thumbnails | QUERIES if has_archives(config) else thumbnails


def add_status_pages(config: Config, sites: Sequence[Respond], board: Scoreboard, facts: Facts) -> list[Respond]:
    """Lay the status pages over ``sites``, for the clients that may see them."""
    if not config.status.on_site:
        return list(sites)
    return [StatusPages(site, board, facts, status_rules(config)) for site in sites]


def status_rules(config: Config) -> AddressRules:
    """Return which addresses may see the status pages."""
    return AddressRules([ip_network(entry) for entry in config.status.allow])


def build_status(http: HttpGeneration, site: Respond, board: Scoreboard, facts: Facts) -> HttpGeneration:
    """Return HTTP for the status listener: the status pages and nothing else, without limits and proxies.

    ``site`` draws the refusals.
    """
    pages_only = StatusPages(Nothing(site), board, facts, None)
    hosts = VirtualHosts(VirtualHost("", pages_only, http.hosts.default.log))
    heads = HeadReader(http.head_limits, hosts)
    no_cache = ResponseCache(0, http.wall)  # that of the sites has responses that are not for here
    return replace(http, hosts=hosts, heads=heads, cache=no_cache, client_limits=None, proxies=None)


def redirect_to_https(config: Config, sites: Sequence[Respond], listeners: Listeners) -> list[Respond]:
    """Return sites that send their clients to https, at the first listener that speaks it."""
    from httpmini.daemon.to_https import ToHttps  # few sites have this

    ports = secure_ports(listeners)
    has_proxies = bool(config.proxies.trusted)
    return [
        ToHttps(site, one.site.hosts, ports[0], has_proxies) for one, site in zip(config.all_sites, sites, strict=True)
    ]


def with_sites(http: HttpGeneration, config: Config, sites: Sequence[Respond]) -> HttpGeneration:
    """Return the same with other sites, in the places of those of ``config``. Nothing of it is cached."""
    default, *others = [
        replace(before, site=site) for before, site in zip(_hosts_in_order(http, config), sites, strict=True)
    ]
    by_host = {
        bare_host(host): other for other, one in zip(others, config.others, strict=True) for host in one.site.hosts
    }
    hosts = VirtualHosts(default, by_host)
    no_cache = ResponseCache(0, http.wall)
    return replace(http, hosts=hosts, heads=HeadReader(http.head_limits, hosts), cache=no_cache)


def _hosts_in_order(http: HttpGeneration, config: Config) -> list[VirtualHost]:
    return [http.hosts.default, *(http.hosts.of(one.site.hosts[0]) for one in config.others)]


def address_rules(config: Config, proxies: Sequence[str] = ()) -> AddressRules:
    """Return the rules for addresses; those in ``proxies`` may always connect."""
    server = config.server
    networks = [entry for entry in proxies if entry != LOCAL]
    return AddressRules(
        *([ip_network(entry) for entry in entries] for entries in (server.allow, server.deny, networks))
    )


def _build_proxies(config: Config) -> TrustedProxies | None:
    trusted = config.proxies.trusted
    if not trusted:
        return None
    import httpmini.server.http.proxied  # noqa: F401  (here and not in each child that serves one of them)
    from httpmini.server.http.forwarded import TrustedProxies

    networks = [ip_network(entry) for entry in trusted if entry != LOCAL]
    return TrustedProxies(networks, LOCAL in trusted, config.proxies.client_from, address_rules(config))


def _make_tick(config: Config, flush_logs: Callable[[], None], log: Log) -> Callable[[], bool]:
    folders = {one.site.root for one in config.all_sites if not one.site.only}  # one file is looked up each time
    roots = [RootWatch(root, log) for root in sorted(folders)]
    archives = any(map(has_archives, config.all_sites))
    forks = MODES[config.server.mode].starts_processes  # children should find all of it

    def tick() -> bool:
        flush_logs()
        for root in roots:
            root.look()
        if forks:
            prepare(archives=archives)
            return False
        return prepare_more(archives=archives)

    return tick
