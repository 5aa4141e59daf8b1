"""The settings: one row each, with name, type, default, unit, bounds and meaning.

Everything else is derived from these rows: the loader, the flags' help, ``httpmini config show``, and
``conf/httpmini.toml``.
"""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from httpmini.version import __version__

Seconds = Annotated[float, Meta(ge=0.05, le=86400.0)]


def _says(text: str) -> Meta:
    return Meta(description=" ".join(text.split()))


def _example(value: object) -> Meta:
    return Meta(examples=[value])


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How clients are let in and served."""

    mode: Annotated[
        Literal["iterative", "forking", "threading", "select", "prefork"],
        _says("""The architecture: "iterative" answers one request at a time; "forking" has a child process for each
        client, "threading" a thread; "select" serves all clients in one process and one thread, "prefork" in several
        such processes."""),
    ] = "select"
    listen: Annotated[
        list[str],
        Meta(min_length=1),
        _says("""Where to listen: "host:port" or "[v6]:port", several if you like. Names and service names are looked
        up; ":8080" or "*:8080" means every address of this machine; port 0 takes a free one. "unix:path" is a unix
        socket, "systemd:name" a socket that the process was given; without any setting here all given ones are used.
        By default only this machine can connect, because most surprises come from serving a folder to a whole network
        unawares."""),
    ] = msgspec.field(default_factory=lambda: ["127.0.0.1:8080"])
    socket_mode: Annotated[
        str,
        _says("""The permissions of unix sockets, in octal: who may write to it may connect. It belongs to who has
        started the server, or to daemon.user and daemon.group."""),
    ] = "660"
    max_clients: Annotated[
        int,
        Meta(ge=1, le=100_000),
        _says("""How many clients are served at the same time; counted from their accept until they are gone, idle ones
        too. A browser opens about six connections. nginx takes 512 for each worker, Apache 400."""),
    ] = 256
    workers: Annotated[
        int,
        Meta(ge=0, le=256),
        _says(
            """How many processes serve in prefork mode; 0 is one for each processor core that this process may use."""
        ),
    ] = 0
    overflow: Annotated[
        Literal["queue", "refuse"],
        _says("""What happens to one client more: "queue" leaves it waiting in the kernel's backlog, "refuse" answers
        503
        and closes."""),
    ] = "queue"
    backlog: Annotated[
        int,
        Meta(ge=1, le=65_535),
        _says("""How many connections the kernel keeps for us until we accept them. It is no limit on clients: these are
        counted after they were accepted. The kernel may cut it down (net.core.somaxconn)."""),
    ] = 128
    product: Annotated[
        str,
        _says("""What the Server field of answers says: products with or without their versions. "" leaves it out."""),
    ] = f"httpmini/{__version__}"
    allow: Annotated[
        list[str],
        _says("""Addresses and networks, such as "192.168.1.0/24" or "::1", that may use this server; all others get a
        403. Empty means everybody."""),
    ] = msgspec.field(default_factory=list)
    deny: Annotated[
        list[str],
        _says("""Addresses and networks that may not, whatever "allow" says; they get a 403."""),
    ] = msgspec.field(default_factory=list)


class SiteSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What is served. Several sites are written [[site]], each with its hosts; what belongs to one of them stands below
    it: [[site.rules]], [[site.redirects]], [[site.realms]], and [site.log] with its own access log.
    """

    hosts: Annotated[
        list[str],
        _says("""The host names by which this site is asked for, without port. Who asks by another name, or by none as
        in HTTP/1.0, gets the first site."""),
    ] = msgspec.field(default_factory=list)

    root: Annotated[
        str,
        _says("""The folder that is served. A relative path is relative to this file; on the command line, to the folder
        you are in."""),
    ] = "."
    index: Annotated[
        list[str],
        _says("Files that stand for their folder, in order of preference."),
    ] = msgspec.field(default_factory=lambda: ["index.html", "index.htm"])
    listing: Annotated[
        bool,
        _says("Whether a folder without an index file is listed; if not, it is a 403."),
    ] = True
    hidden: Annotated[
        bool,
        _says("""Whether names that begin with a dot are served and listed. They often hold what nobody meant to publish
        (.git, .env, .htpasswd). /.well-known/ is served either way."""),
    ] = False
    symlinks: Annotated[
        Literal["inside", "never"],
        _says("""Which symbolic links are followed: those that stay "inside" the root, or none ("never"). The others
        are a 404."""),
    ] = "inside"
    default_charset: Annotated[
        str,
        _says("""The charset that is announced for text files; "" announces none and leaves it to the file."""),
    ] = "utf-8"
    precompressed: Annotated[
        list[Literal["br", "zstd", "gzip"]],
        _says("""Compressed neighbours that are sent instead of a file to clients that take them, in order of
        preference: of style.css these are style.css.br, style.css.zst and style.css.gz. They are not made here, only
        found, and not sent when they are older than the file. Empty means none: a file that happens to lie beside
        another must not be taken for it."""),
    ] = msgspec.field(default_factory=list)
    error_pages: Annotated[
        dict[str, str],
        _says("""Pages of your own for refusals, by status ("404") or class of them ("5xx"): a path below the root, such
        as "/errors/404.html". They are sent as they are."""),
    ] = msgspec.field(default_factory=dict)
    media_types: Annotated[
        dict[str, str],
        _says("""More media types by extension, without the dot; they win over the built-in table. The system's own
        registry is never asked: it differs from machine to machine."""),
    ] = msgspec.field(default_factory=dict)


class RuleSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Fields to send with some paths. May be repeated; where several say something of one field, the last counts."""

    path: Annotated[
        str,
        _example("/assets/**"),
        _says("""A glob for the path that is asked for, decoded, or for the file that is sent for it: * stands for
        anything within a component, ? for one character of it, ** between slashes for any number of components;
        without any slash it is a name, wherever it is."""),
    ]
    fields: Annotated[
        dict[str, str],
        _example({"Cache-Control": "max-age=31536000, immutable"}),
        _says("""The fields, with answers below 400. They replace those that httpmini would send ("Cache-Control" is
        "no-cache" by default, Content-Type for files only); "" takes one away."""),
    ]


class RedirectSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What has moved. May be repeated; the first one that matches counts."""

    path: Annotated[
        str,
        _example("/old/**"),
        _says("A glob for the path that is asked for, as in [[rules]]."),
    ]
    to: Annotated[
        str,
        _example("/new/**"),
        _says("""Where it is now: a path or an http or https URL. With ** at the end of both, what is behind the one
        goes behind the other. The query goes along."""),
    ]
    permanent: Annotated[
        bool,
        _says("Whether for good (301, which browsers remember) or for now (302)."),
    ] = True


class RealmSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A folder that asks for a password. May be repeated; the innermost one counts.

    A password goes over the wire readable to all who are on it, and so belongs behind something that encrypts.
    """

    path: Annotated[
        str,
        _example("/private/"),
        _says("""The folder, as it is on the disk and not percent-encoded; it and all below it, whether that exists or
        not."""),
    ]
    name: Annotated[
        str,
        _says("What the browser shows when it asks."),
    ] = "httpmini"
    users: Annotated[
        str,
        _example("users.htpasswd"),
        _says("""A file of users, outside of what is served: httpmini htpasswd FILE USER writes it, as does htpasswd -B.
        Changes count at once. A relative path is relative to this file."""),
    ]


class LimitSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How much, and how long. Names end in their unit."""

    head_bytes: Annotated[
        int,
        Meta(ge=512, le=1_048_576),
        _says("""The longest request head, from the request line to the empty line; more is a 431. nginx takes 8 KiB a
        line and four of them, Node 16 KiB; large cookies need it."""),
    ] = 16_384
    target_bytes: Annotated[
        int,
        Meta(ge=64, le=1_000_000),
        _says("The longest request target; more is a 414. RFC 9112 asks for at least 8000."),
    ] = 8_192
    fields: Annotated[
        int,
        Meta(ge=1, le=10_000),
        _says("The most header fields in a request; more is a 431. Browsers send about 20; Apache takes 100."),
    ] = 100
    head_s: Annotated[
        Seconds,
        _says("""Seconds from the first byte of a request head to its last; then 408. This is what ends a client that
        trickles its head (Slowloris), so more bytes do not wind it up again."""),
    ] = 20.0
    idle_s: Annotated[
        Seconds,
        _says("""Seconds that a connection may be silent while nothing is asked: before the first request and between
        two. Then it is closed without a word. Apache takes 5, nginx 75."""),
    ] = 15.0
    send_stall_s: Annotated[
        Seconds,
        _says("""Seconds in which a client that is being answered takes not one byte; then it is cut off. A slow client
        that goes on reading is never cut off by this. nginx takes 60."""),
    ] = 30.0
    linger_s: Annotated[
        Seconds,
        _says("""Seconds to wait for the client's end after ours, when it may still be sending. Closing at once would
        make
        the kernel throw away an answer that the client has not read yet. nginx takes 5 for each pause."""),
    ] = 2.0
    linger_bytes: Annotated[
        int,
        Meta(ge=0, le=1_073_741_824),
        _says("How much of what it still sends is read and thrown away meanwhile."),
    ] = 4_194_304
    recall_bytes: Annotated[
        int,
        Meta(ge=0, le=1_099_511_627_776),
        _says("""Memory for answers that are kept ready, of files up to 256 KiB: sending one again costs a fifth of what
        making it costs. Before every use the file is looked at, so a change is seen by the next request. 0 keeps none.
        In prefork mode each worker has as much."""),
    ] = 67_108_864
    drain_s: Annotated[
        Seconds,
        _says("""Seconds that answers which are on their way get to finish after SIGINT or SIGTERM. Idle connections are
        closed at once; a second signal ends everything."""),
    ] = 10.0
    address_clients: Annotated[
        int,
        Meta(ge=0, le=100_000),
        _says("""The most connections from one address (for IPv6: from one /64) at the same time; one more gets a 429,
        with a Retry-After by how long its others have stayed. 0 is no limit, and there is none for trusted proxies and
        unix sockets. A browser opens about six, and many people may come from one address."""),
    ] = 0
    address_requests_per_s: Annotated[
        float,
        Meta(ge=0.0, le=1_000_000.0),
        _says("""How often one address may ask, in requests per second; behind trusted proxies the client's own address
        counts, and there is no limit for what they ask for themselves. More is a 429 that says when
        to come back. 0 is no limit."""),
    ] = 0.0
    address_burst: Annotated[
        int,
        Meta(ge=1, le=1_000_000),
        _says("""How many requests one address may make at once before that counts: a page may have so many parts."""),
    ] = 100
    client_bytes_per_s: Annotated[
        int,
        Meta(ge=0, le=1_099_511_627_776),
        _says("""How fast one connection is sent to, in bytes per second, with half a second's worth at once. 0 is as
        fast as it can."""),
    ] = 0
    total_bytes_per_s: Annotated[
        int,
        Meta(ge=0, le=1_099_511_627_776),
        _says("""The same for all connections together; those who wait take turns. With any of these five limits answers
        that lie ready cost more. In iterative mode others wait while one is sent to slowly."""),
    ] = 0


class LogSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What is written down, and where. Relative paths are relative to this file."""

    access: Annotated[
        str,
        _says("""Where each answer gets its line: "stdout", "off", "syslog", "journal" (systemd's), or a file. A
        file that is moved away is made anew."""),
    ] = "stdout"
    format: Annotated[
        Literal["common", "combined", "json"],
        _says("""The format of these lines: the Common Log Format; Combined, which adds the Referer and User-Agent
        fields; or an object of JSON, which has also how long it took, and on which connection."""),
    ] = "combined"
    error: Annotated[
        str,
        _says("""Where lines about the server itself go (max_clients reached, nothing left to accept with): "stdout",
        "off", "syslog", "journal", or a file."""),
    ] = "stdout"
    level: Annotated[
        Literal["error", "warning", "notice", "info"],
        _says("""Which of these are written: "error" is for what is broken, "warning" for what clients feel, "notice"
        for what an operator did or asked for, "info" for the normal course of things; each with those before it."""),
    ] = "notice"


class StatusSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What can be seen of the server itself: /-/status, /-/status.json, /-/metrics (Prometheus), /-/health."""

    enabled: Annotated[
        bool,
        _says("Whether there are these pages where the site is served."),
    ] = True
    allow: Annotated[
        list[str],
        Meta(min_length=1),
        _says("""Addresses and networks that may see them; for all others there is what the site has at these paths.
        Who asks through a proxy may not, unless by a listener of the pages' own."""),
    ] = msgspec.field(default_factory=lambda: ["127.0.0.0/8", "::1"])
    listen: Annotated[
        list[str],
        _says("""Where to listen for these pages alone, as in server.listen. Eight clients have their places here, also
        when max_clients are being served. Whoever can connect may see them."""),
    ] = msgspec.field(default_factory=list)


class ProxySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Proxies in front, such as HAProxy or nginx: whose word counts about who a client is."""

    trusted: Annotated[
        list[str],
        _says("""Addresses and networks of proxies. What they write into Forwarded, or else X-Forwarded-For, is who
        asks: for the logs, and for server.allow and server.deny. "unix:" is who comes in by a unix socket. Nobody else
        is believed."""),
    ] = msgspec.field(default_factory=list)
    protocol: Annotated[
        bool,
        _says("""Whether they begin each connection with a header of the PROXY protocol, version 1 or 2 (send-proxy in
        HAProxy); a connection of theirs without one is closed."""),
    ] = False


class DaemonSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The process, for those who run it unattended."""

    pid_file: Annotated[
        str,
        _says("""A file for the number of the process, locked as long as that lives; httpmini ctl finds it there. A
        relative path is relative to this file. "" is none."""),
    ] = ""
    user: Annotated[
        str,
        _says("""Whom the server becomes once it listens, by name or number; for that it has to be started by root. All
        other groups are given up, and there is no way back. "" is who has started it."""),
    ] = ""
    group: Annotated[
        str,
        _says("""The same for the group; "" is the user's own."""),
    ] = ""
    sandbox: Annotated[
        Literal["auto", "off"],
        _says("""Whether the kernel (Linux with Landlock) is told to let the server read nothing outside the roots,
        write only beside its logs and its pid file, and connect to nobody; "auto" is where it can."""),
    ] = "auto"
    readable: Annotated[
        list[str],
        _says("""Further folders that may be read in there: where a later site.root will be, or the folder above
        one that is replaced while the server runs. Relative paths are relative to this file."""),
    ] = msgspec.field(default_factory=list)


SECTIONS: dict[str, type[msgspec.Struct]] = {
    "server": ServerSettings,
    "site": SiteSettings,
    "limits": LimitSettings,
    "log": LogSettings,
    "status": StatusSettings,
    "proxies": ProxySettings,
    "daemon": DaemonSettings,
}
"""The tables, each there once."""

LISTS: dict[str, type[msgspec.Struct]] = {
    "rules": RuleSettings,
    "redirects": RedirectSettings,
    "realms": RealmSettings,
}
"""The arrays of tables: [[rules]] and so on."""

REQUIRED = msgspec.NODEFAULT
"""The default of a setting that has none."""

DEFAULT = "default"
"""The origin of a setting that nobody has set."""


class Config(msgspec.Struct, frozen=True):
    """The settings in force.

    Attributes:
        server: how clients are let in and served.
        site: what is served; ``root`` is absolute here.
        limits: how much, and how long.
        log: what is written down; paths are absolute here.
        status: what can be seen of the server itself.
        proxies: who stands in front.
        daemon: the process; paths are absolute here.
        rules: fields to send with some paths.
        redirects: what has moved.
        realms: folders that ask for a password; paths of files are absolute here.
        others: the further sites, each with the settings that are in force for it.
        origins: where each setting came from, by its dotted name: "default", a file's path, or a flag.
    """

    server: ServerSettings
    site: SiteSettings
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

    @property
    def all_sites(self) -> tuple["Config", ...]:
        """The settings for each site, the first one's first."""
        return self, *self.others


class Row(msgspec.Struct, frozen=True):
    """One setting, as declared above; ``default`` may be REQUIRED, and then there is an ``example``."""

    section: str
    name: str
    type: Any
    default: Any
    example: Any
    help: str

    @property
    def key(self) -> str:
        """The dotted name."""
        return f"{self.section}.{self.name}"


@cache
def rows() -> tuple[Row, ...]:
    """All settings of the tables, in their order."""
    return tuple(row for section in SECTIONS for row in rows_of(section))


@cache
def rows_of(section: str) -> tuple[Row, ...]:
    """The settings of one table, or of one entry of an array of tables."""
    return tuple(_row(section, declared) for declared in msgspec.structs.fields({**SECTIONS, **LISTS}[section]))


def _row(section: str, declared: msgspec.structs.FieldInfo) -> Row:
    default, example, text = declared.default, None, ""
    if declared.default_factory is not msgspec.NODEFAULT:
        default = declared.default_factory()
    for meta in declared.type.__metadata__:  # of an Annotated
        text = meta.description or text
        example = meta.examples[0] if meta.examples else example
    return Row(section, declared.name, declared.type, default, default if example is None else example, text)
