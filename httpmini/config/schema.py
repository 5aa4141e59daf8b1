"""The settings: one row each, with name, type, default, unit, bounds and meaning.

Everything else is derived from these declarations: the loader, the help of the flags, ``httpmini config show``, and
``conf/httpmini.toml``. A setting that gets a better name keeps working under the old one: see ``RENAMED``.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from httpmini.config.declare import Seconds, says
from httpmini.config.entries import RealmSettings, RedirectSettings, RuleSettings
from httpmini.config.tls_settings import TlsSettings
from httpmini.version import __version__


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How clients are accepted and served."""

    mode: Annotated[
        Literal["iterative", "forking", "threading", "select", "prefork"],
        says("""The architecture: "iterative" serves one request at a time; "forking" starts a child process for each
        client, "threading" a thread; "select" serves all clients in one process with one thread, "prefork" in several
        such processes."""),
    ] = "select"
    listen: Annotated[
        list[str],
        Meta(min_length=1),
        says("""Where to listen: one or more of "host:port" and "[v6]:port". Host and service names are looked up;
        ":8080" and "*:8080" mean every address of this machine; port 0 picks a free one. "unix:path" is a unix socket,
        "systemd:name" a socket that the service manager passed in; without this setting, all such sockets are used.
        "tls:" before any of these but a unix socket is for https, and needs tls.certificate. By default only this
        machine can connect: the usual accident is a folder served to a whole network by mistake."""),
    ] = msgspec.field(default_factory=lambda: ["127.0.0.1:8080"])
    socket_mode: Annotated[
        str,
        says("""The permissions of unix sockets, in octal: write permission lets a user connect. The socket
        belongs to the user who started the server, or to daemon.user and daemon.group."""),
    ] = "660"
    max_clients: Annotated[
        int,
        Meta(ge=1, le=100_000),
        says("""The most clients served at the same time. A client counts from accept to close, idle or not. A browser
        opens about six connections. nginx takes 512 for each worker, Apache 400."""),
    ] = 256
    workers: Annotated[
        int,
        Meta(ge=0, le=256),
        says("The number of processes in prefork mode; 0 means one for each processor core available to the server."),
    ] = 0
    overflow: Annotated[
        Literal["queue", "refuse"],
        says("""What happens to clients beyond max_clients: "queue" lets them wait, most of them in the kernel's
        backlog, "refuse" sends 503 and closes. Before that, clients that do nothing leave for those that wait."""),
    ] = "queue"
    backlog: Annotated[
        int,
        Meta(ge=1, le=65_535),
        says("""How many connections the kernel holds until the server accepts them. This does not limit clients: they
        are counted once accepted. The kernel may lower it (net.core.somaxconn)."""),
    ] = 128
    product: Annotated[
        str,
        says("""The Server field of responses: products, with or without versions. "" leaves the field out."""),
    ] = f"httpmini/{__version__}"
    allow: Annotated[
        list[str],
        says("""Addresses and networks that may use this server, such as "192.168.1.0/24" or "::1"; all others get a
        403. An empty list allows everybody."""),
    ] = msgspec.field(default_factory=list)
    deny: Annotated[
        list[str],
        says("""Addresses and networks that get a 403, whatever "allow" says."""),
    ] = msgspec.field(default_factory=list)


class SiteSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What is served. For several sites, write [[site]] for each, with its hosts. What belongs to one site follows it:
    [[site.rules]], [[site.redirects]], [[site.realms]], and [site.log] for an access log of its own.
    """

    hosts: Annotated[
        list[str],
        says("""The host names of this site, without ports. Requests for any other host, and HTTP/1.0 requests without
        Host, get the first site."""),
    ] = msgspec.field(default_factory=list)

    root: Annotated[
        str,
        says("""The folder to serve. A relative path is relative to this file; on the command line, to the current
        folder."""),
    ] = "."
    title: Annotated[
        str,
        says("""What listings call the root folder; "" means by its name on the disk."""),
    ] = ""
    only: Annotated[
        str,
        says("""The name of the only file in the root to serve: "/" leads to it, and all else is a 404. "" serves
        everything. `serve FILE` sets this and the root."""),
    ] = ""
    index: Annotated[
        list[str],
        says("Files to send for a request for their folder, in order of preference."),
    ] = msgspec.field(default_factory=lambda: ["index.html", "index.htm"])
    listing: Annotated[
        bool,
        says("Whether to list a folder that has no index file; if not, the response is a 403."),
    ] = True
    archives: Annotated[
        bool,
        says("""Whether /folder/?zip and /folder/?tar send a folder with all that its listings show as one file. Only
        where there are listings. Without a config file this is on."""),
    ] = False
    hidden: Annotated[
        bool,
        says("""Whether to serve and list names that begin with a dot. They often hold what nobody meant to publish
        (.git, .env, .htpasswd). /.well-known/ is always served."""),
    ] = False
    symlinks: Annotated[
        Literal["inside", "never"],
        says("""Which symbolic links to follow: "inside" follows those that stay inside the root, "never" follows none.
        All others are a 404."""),
    ] = "inside"
    default_charset: Annotated[
        str,
        says("""The charset to declare for text files; "" declares none and leaves it to the file."""),
    ] = "utf-8"
    precompressed: Annotated[
        list[Literal["br", "zstd", "gzip"]],
        says("""Which compressed copies to send to clients that accept them, in order of preference: style.css.br,
        style.css.zst and style.css.gz for style.css. The server does not create the copies, and ignores one whose file
        was changed since; the error log says so once. Empty by default, because a file next to another is not always
        its copy."""),
    ] = msgspec.field(default_factory=list)
    digests: Annotated[
        int,
        Meta(ge=0, le=1_125_899_906_842_624),
        says("""Up to which size, in bytes, files have a digest in their response for clients that ask for it
        (Want-Repr-Digest, RFC 9530): these can tell then whether what they got is right. Only they wait while it is
        made, once for each version of a file: some two seconds for a gigabyte. 0 means none."""),
    ] = 268_435_456
    error_pages: Annotated[
        dict[str, str],
        says("""Your own error pages, by status ("404") or class ("5xx"): paths below the root, such as
        "/errors/404.html". They are sent unchanged."""),
    ] = msgspec.field(default_factory=dict)
    media_types: Annotated[
        dict[str, str],
        says("""Additional media types by extension, without the dot; they override the built-in table. The system's
        own registry is never used: it differs from machine to machine."""),
    ] = msgspec.field(default_factory=dict)


class LimitSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes, times and rates. Names end in their unit."""

    head_bytes: Annotated[
        int,
        Meta(ge=512, le=1_048_576),
        says("""The longest request head, from the request line to the empty line; a longer one gets a 431. nginx
        takes 8 KiB a line and four such lines, Node 16 KiB; large cookies need it."""),
    ] = 16_384
    target_bytes: Annotated[
        int,
        Meta(ge=64, le=1_000_000),
        says("The longest request target; a longer one gets a 414. RFC 9112 recommends at least 8000."),
    ] = 8_192
    fields: Annotated[
        int,
        Meta(ge=1, le=10_000),
        says("The most header fields in a request; more get a 431. Browsers send about 20; Apache takes 100."),
    ] = 100
    head_s: Annotated[
        Seconds,
        says("""Seconds from the first byte of a request head to its last; then 408. More bytes do not restart it, so
        it stops a client that sends its head a few bytes at a time (Slowloris)."""),
    ] = 20.0
    idle_s: Annotated[
        Seconds,
        says("""Seconds that a connection may be idle, before its first request and between two. Then it is closed
        without a response. Apache takes 5, nginx 75."""),
    ] = 15.0
    send_stall_s: Annotated[
        Seconds,
        says("""Seconds in which a client takes not one byte of its response; then it is disconnected. A slow client
        that keeps reading is never disconnected by this. nginx takes 60."""),
    ] = 30.0
    slice_s: Annotated[
        float,
        Meta(ge=0, le=3600),
        says("""In iterative mode, seconds after which a client that takes its response slowly lets others have their
        turn. 0 means never: each is served to its end, as in the textbook."""),
    ] = 0.25
    linger_s: Annotated[
        Seconds,
        says("""Seconds to wait, after the last response, for the client to close, if it may still be sending. If the
        server closed at once, the kernel would discard what the client has not read yet. nginx takes 5 for each
        pause."""),
    ] = 2.0
    linger_bytes: Annotated[
        int,
        Meta(ge=0, le=1_073_741_824),
        says("The most bytes to read and discard during that wait."),
    ] = 4_194_304
    archive_files: Annotated[
        int,
        Meta(ge=1, le=10_000_000),
        says("""The most files and folders in an archive (site.archives); a folder with more gets a 403. Each takes up
        half a kilobyte of memory while the archive is sent. To find them may take two seconds; then it is a 503."""),
    ] = 100_000
    archive_bytes: Annotated[
        int,
        Meta(ge=1, le=1_125_899_906_842_624),
        says("The most bytes of files in an archive; a folder with more gets a 403."),
    ] = 1_099_511_627_776
    response_cache_bytes: Annotated[
        int,
        Meta(ge=0, le=1_099_511_627_776),
        says("""Memory for cached responses, of files up to 256 KiB: a cached response costs a fifth of a new one.
        The file is checked before every use, so the next request sees a change. 0 turns the cache off. In prefork mode
        each worker has a cache of this size."""),
    ] = 67_108_864
    drain_s: Annotated[
        Seconds,
        says("""Seconds that responses under way have to finish after SIGINT or SIGTERM. Idle connections are closed at
        once; a second signal ends everything."""),
    ] = 10.0
    address_clients: Annotated[
        int,
        Meta(ge=0, le=100_000),
        says("""The most connections from one address (IPv6: from one /64) at the same time; further ones get a 429,
        with a Retry-After estimated from how long that address's connections have lasted. 0 means no limit; trusted
        proxies and unix sockets have none. A browser opens about six, and many people may share one address."""),
    ] = 0
    address_requests_per_s: Annotated[
        float,
        Meta(ge=0.0, le=1_000_000.0),
        says("""The most requests per second from one address; further ones get a 429 that says when to retry. Behind
        trusted proxies the client's own address counts, and requests that the proxy makes itself (health checks) are
        exempt. 0 means no limit."""),
    ] = 0.0
    address_burst: Annotated[
        int,
        Meta(ge=1, le=1_000_000),
        says("""How many requests one address may make at once before that limit applies: a page may have this many
        parts."""),
    ] = 100
    client_bytes_per_s: Annotated[
        int,
        Meta(ge=0, le=1_099_511_627_776),
        says("""The most bytes per second sent on one connection, half a second's worth at once. 0 means no limit."""),
    ] = 0
    total_bytes_per_s: Annotated[
        int,
        Meta(ge=0, le=1_099_511_627_776),
        says("""The most bytes per second sent on all connections together; waiting connections take turns. 0 means no
        limit. Each of these five limits makes cached responses cost more. In iterative mode everybody waits while one
        client is sent to slowly."""),
    ] = 0


class LogSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What is logged, and where. Relative paths are relative to this file."""

    access: Annotated[
        str,
        says("""Where to log each response: "stdout", "off", "syslog", "journal" (systemd's), or a file. A file that
        is moved away is created again."""),
    ] = "stdout"
    format: Annotated[
        Literal["common", "combined", "json"],
        says("""The format of the access log: the Common Log Format; Combined, which adds the Referer and User-Agent
        fields; or JSON objects, which also have the duration and the connection."""),
    ] = "combined"
    error: Annotated[
        str,
        says("""Where to log messages about the server itself (max_clients reached, out of descriptors): "stdout",
        "off", "syslog", "journal", or a file."""),
    ] = "stdout"
    level: Annotated[
        Literal["error", "warning", "notice", "info"],
        says("""Which of these messages to log: "error" is for faults, "warning" for what clients notice, "notice" for
        what an operator did or asked for, "info" for normal operation; each level includes those before it."""),
    ] = "notice"
    record: Annotated[
        str,
        says("""A folder for recordings: a file for each of 500 connections, with all that was sent, for httpmini
        replay. Passwords and cookies are blanked; everything else is kept, so use it to find a fault, not for ever.
        Listeners that speak TLS cannot be recorded. "" records nothing."""),
    ] = ""


class StatusSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The server's own pages: /-/status, /-/status.json, /-/metrics (Prometheus) and /-/health."""

    on_site: Annotated[
        bool,
        says("""Whether the site's own listeners serve these pages, too. Behind a relay of plain TCP, or a proxy that
        adds no fields, every client looks like one on this machine: leave it off there, and use status.listen."""),
    ] = False
    allow: Annotated[
        list[str],
        Meta(min_length=1),
        says("""Addresses and networks that may see them with status.on_site; for all others, these paths lead to the
        site's own files. A request with a field that proxies add never sees them there."""),
    ] = msgspec.field(default_factory=lambda: ["127.0.0.0/8", "::1"])
    listen: Annotated[
        list[str],
        says("""Where to listen for these pages alone, as in server.listen. Eight slots are reserved here, so that
        operators can connect even when max_clients are being served. Anybody who can connect may see the pages."""),
    ] = msgspec.field(default_factory=list)


class ProxySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Proxies in front of the server, such as HAProxy or nginx, whose word about the client is trusted."""

    trusted: Annotated[
        list[str],
        says("""Addresses and networks of proxies that say who their client is. That client is logged and checked
        against server.allow and server.deny. "unix:" trusts every connection to a unix socket. Nobody else is
        believed."""),
    ] = msgspec.field(default_factory=list)
    client_from: Annotated[
        Literal["x-forwarded-for", "forwarded", "proxy-protocol"],
        says("""What these proxies name their client in; anything else is ignored, because clients can write it too.
        "x-forwarded-for" and "forwarded" are header fields (HAProxy: option forwardfor, option forwarded). With
        "proxy-protocol" each of their connections begins with such a header, version 1 or 2 (HAProxy: send-proxy), or
        is closed. A request whose last entry cannot be read gets a 403; one without the field is the proxy's own."""),
    ] = "x-forwarded-for"


class DaemonSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The process, when it runs unattended."""

    pid_file: Annotated[
        str,
        says("""A file for the process ID, locked as long as the process lives; httpmini ctl finds the server by it,
        and talks to it by a unix socket beside it, named like it with .ctl appended, which is open for the server's
        user and root alone. A relative path is relative to this file. "" means none."""),
    ] = ""
    user: Annotated[
        str,
        says("""The user to switch to after binding, by name or number; the server must be started as root. All other
        groups are dropped, and there is no way back. "" keeps the user who started the server."""),
    ] = ""
    group: Annotated[
        str,
        says("""The group to switch to, by name or number; "" means the user's own."""),
    ] = ""
    sandbox: Annotated[
        Literal["auto", "off"],
        says("""Whether the kernel (Linux with Landlock and seccomp) confines the server: it reads nothing outside
        the roots, writes only next to its logs and pid file, connects to nothing, and leaves other processes alone;
        "auto" means wherever possible."""),
    ] = "auto"
    readable: Annotated[
        list[str],
        says("""Additional folders that the sandbox lets the server read: where a later site.root will be, or the
        parent of a folder that is replaced while the server runs. Relative paths are relative to this file."""),
    ] = msgspec.field(default_factory=list)


SECTIONS: dict[str, type[msgspec.Struct]] = {
    "server": ServerSettings,
    "site": SiteSettings,
    "limits": LimitSettings,
    "log": LogSettings,
    "status": StatusSettings,
    "proxies": ProxySettings,
    "tls": TlsSettings,
    "daemon": DaemonSettings,
}
"""The tables of a config file, each of which may appear once."""

LISTS: dict[str, type[msgspec.Struct]] = {
    "rules": RuleSettings,
    "redirects": RedirectSettings,
    "realms": RealmSettings,
}
"""The arrays of tables: [[rules]], [[redirects]] and [[realms]]."""

RENAMED = {
    "limits.recall_bytes": "limits.response_cache_bytes",
    "proxies.protocol": "proxies.client_from",
    "status.enabled": "status.on_site",
}
"""Settings of earlier versions, by their old dotted name, with the new one. The old name still works."""

OLD_VALUES: Mapping[str, Mapping[bool, str]] = {
    "proxies.protocol": {True: "proxy-protocol", False: "x-forwarded-for"},
}
"""What the values of a renamed switch are called now, by its old dotted name."""

DEFAULT = "default"
"""The origin of a setting that nothing has set."""

WITHOUT_FILE = "no config file"
"""The origin of a setting that has another default where there is no config file."""


class Config(msgspec.Struct, frozen=True):
    """The settings in force.

    Attributes:
        server: how clients are accepted and served.
        site: what is served; ``root`` is absolute.
        tls: the certificate of this site; paths are absolute.
        limits: sizes, times and rates.
        log: what is logged; paths are absolute.
        status: the server's own pages.
        proxies: the proxies in front of the server.
        daemon: the process; paths are absolute.
        rules: header fields for some paths.
        redirects: what has moved.
        realms: folders protected by a password; paths of files are absolute.
        origins: where each setting comes from, by dotted name: "default", the path of a file, or a flag.
        others: the settings of the other sites, each a complete Config.
        notices: advice about a file that is valid, one line each: for the error log and ``httpmini config check``.
        places: the file and line, such as "site.toml:31", of each entry of each array of tables, and of the site's own
            ``[[site]]``; nothing for those of which it is not known.
    """

    server: ServerSettings
    site: SiteSettings
    tls: TlsSettings
    limits: LimitSettings
    log: LogSettings
    status: StatusSettings
    proxies: ProxySettings
    daemon: DaemonSettings
    rules: tuple[RuleSettings, ...]
    redirects: tuple[RedirectSettings, ...]
    realms: tuple[RealmSettings, ...]
    origins: Mapping[str, str]
    others: tuple["Config", ...] = ()
    notices: tuple[str, ...] = ()
    places: Mapping[str, tuple[str, ...]] = {}

    def place(self, name: str, number: int = 0) -> str:
        """Return the file and line of an entry of an array of tables, counted from 0; empty if it is not known."""
        return dict(enumerate(self.places.get(name, ()))).get(number, "")

    @property
    def all_sites(self) -> tuple["Config", ...]:
        """The settings of every site, the first one first."""
        return self, *self.others
