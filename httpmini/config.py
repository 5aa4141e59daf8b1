"""Every setting once: its name, type, default, unit, bounds and meaning. TOML in, a typed Config out.

A setting is one row below. The loader, the flags' help, ``httpmini config show`` and ``conf/httpmini.toml`` are all
derived from the rows. A file is refused as a whole, with everything that is wrong in it, or taken as a whole.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import textwrap
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, inspect

from httpmini.errors import ConfigError, Problem
from httpmini.server.listener import parse_endpoint

Seconds = Annotated[float, Meta(ge=0.05, le=86400.0)]


def _says(text: str) -> Meta:
    return Meta(description=" ".join(text.split()))


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How clients are let in and served."""

    mode: Annotated[
        Literal["iterative", "forking", "threading", "select"],
        _says("""The architecture: "iterative" answers one request at a time; "forking" has a child process for each
        client, "threading" a thread; "select" serves all clients in one process and one thread."""),
    ] = "select"
    listen: Annotated[
        list[str],
        Meta(min_length=1),
        _says("""Where to listen: "host:port" or "[v6]:port", several if you like. Names and service names are looked
        up; ":8080" or "*:8080" means every address of this machine; port 0 takes a free one. By default only this
        machine can connect, because most surprises come from serving a folder to a whole network unawares."""),
    ] = msgspec.field(default_factory=lambda: ["127.0.0.1:8080"])
    max_clients: Annotated[
        int,
        Meta(ge=1, le=100_000),
        _says("""How many clients are served at the same time; counted from their accept until they are gone, idle ones
        too. A browser opens about six connections. nginx takes 512 for each worker, Apache 400."""),
    ] = 256
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
    """What is served."""

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
    media_types: Annotated[
        dict[str, str],
        _says("""More media types by extension, without the dot; they win over the built-in table. The system's own
        registry is never asked: it differs from machine to machine."""),
    ] = msgspec.field(default_factory=dict)


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
    drain_s: Annotated[
        Seconds,
        _says("""Seconds that answers which are on their way get to finish after SIGINT or SIGTERM. Idle connections are
        closed at once; a second signal ends everything."""),
    ] = 10.0


class LogSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What is written down, and where. Relative paths are relative to this file."""

    access: Annotated[
        str,
        _says("""Where each answer gets its line: "stdout", "off", or a file."""),
    ] = "stdout"
    format: Annotated[
        Literal["common", "combined"],
        _says("""The format of these lines: the Common Log Format, or Combined, which adds the Referer and User-Agent
        fields."""),
    ] = "combined"
    error: Annotated[
        str,
        _says("""Where lines about the server itself go (max_clients reached, nothing left to accept with): "stdout",
        "off", or a file."""),
    ] = "stdout"


@dataclass(frozen=True)
class Config:
    """The settings in force.

    Attributes:
        server: how clients are let in and served.
        site: what is served; ``root`` is absolute here.
        limits: how much, and how long.
        log: what is written down; paths are absolute here.
        origins: where each setting came from, by its dotted name: "default", a file's path, or a flag.
    """

    server: ServerSettings
    site: SiteSettings
    limits: LimitSettings
    log: LogSettings
    origins: Mapping[str, str]


SECTIONS: dict[str, type[msgspec.Struct]] = {
    "server": ServerSettings,
    "site": SiteSettings,
    "limits": LimitSettings,
    "log": LogSettings,
}

DEFAULT = "default"


@dataclass(frozen=True)
class Flags:
    """What the command line says; None is nothing."""

    root: str | None = None
    mode: str | None = None
    addresses: tuple[str, ...] = ()
    port: int | None = None
    max_clients: int | None = None
    overflow: str | None = None


@dataclass(frozen=True)
class Row:
    """One setting, as declared above."""

    section: str
    name: str
    type: Any
    default: Any
    help: str

    @property
    def key(self) -> str:
        """The dotted name."""
        return f"{self.section}.{self.name}"


def rows() -> Iterator[Row]:
    """All settings in their order."""
    for section, struct in SECTIONS.items():
        for declared in msgspec.structs.fields(struct):
            default = declared.default if declared.default is not msgspec.NODEFAULT else declared.default_factory()
            meta = inspect.type_info(declared.type)
            schema = (meta.extra_json_schema or {}) if isinstance(meta, inspect.Metadata) else {}
            yield Row(section, declared.name, declared.type, default, schema.get("description", ""))


def help_for(key: str) -> str:
    """The meaning of the setting ``key``, for a flag's help."""
    return next(row.help for row in rows() if row.key == key)


# Loading


def load(file: str | None = None, flags: Flags | None = None) -> Config:
    """The settings of ``file`` with ``flags`` on top of them.

    Args:
        file: a TOML file; None for none.
        flags: what the command line says.

    Raises:
        ConfigError: with every problem that was found.
    """
    draft = _Draft()
    if file is not None:
        draft.read(Path(file))
    draft.apply(flags or Flags())
    draft.check()
    if draft.problems:
        raise ConfigError(draft.problems)
    sections: dict[str, Any] = {
        name: struct(**{row.name: draft.values[row.key] for row in rows() if row.section == name})
        for name, struct in SECTIONS.items()
    }
    return Config(**sections, origins=draft.origins)


@dataclass
class _Draft:
    """Settings on their way to a Config, with what is wrong with them."""

    values: dict[str, Any] = field(default_factory=lambda: {row.key: row.default for row in rows()})
    origins: dict[str, str] = field(default_factory=lambda: {row.key: DEFAULT for row in rows()})
    folder: Path = field(default_factory=Path.cwd)  # what relative paths are relative to
    problems: list[Problem] = field(default_factory=list)
    wrong: set[str] = field(default_factory=set)  # keys whose value could not be taken

    def read(self, file: Path) -> None:
        self.folder = file.absolute().parent
        try:
            tables = tomllib.loads(file.read_text("utf-8"))
        except OSError as error:
            self.problems.append(Problem(str(file), "", "", f"cannot be read: {error.strerror}"))
        except UnicodeDecodeError:
            self.problems.append(Problem(str(file), "", "", "is not UTF-8, as TOML has to be"))
        except tomllib.TOMLDecodeError as error:
            self.problems.append(Problem(str(file), "", "", f"is not TOML: {error}"))
        else:
            for section, table in tables.items():
                self._read_section(str(file), section, table)

    def _read_section(self, file: str, section: str, table: object) -> None:
        if section not in SECTIONS:
            value = "" if isinstance(table, dict) else toml(table)
            self.problems.append(Problem(file, section, value, f"unknown; {_nearest(section)}"))
        elif not isinstance(table, dict):
            self.problems.append(Problem(file, section, toml(table), f"must be a table: [{section}]"))
        else:
            known = {row.name for row in rows() if row.section == section}
            for name, value in table.items():
                key = f"{section}.{name}"
                if name in known:
                    self.put(key, value, file)
                else:
                    self.problems.append(Problem(file, key, toml(value), f"unknown; {_nearest(key)}"))

    def apply(self, flags: Flags) -> None:
        if flags.root is not None:
            self.put("site.root", str(Path.cwd() / flags.root), "ROOT")
        for name in ("mode", "max_clients", "overflow"):
            if (value := getattr(flags, name)) is not None:
                self.put(f"server.{name}", value, "--" + name.replace("_", "-"))
        if flags.addresses or flags.port is not None:
            self._apply_addresses(flags)

    def _apply_addresses(self, flags: Flags) -> None:
        """``-b`` replaces the hosts and keeps the (first) port; ``-p`` replaces every port and keeps the hosts."""
        listen = self.values["server.listen"]
        if flags.addresses:
            port = listen[0].rpartition(":")[2]
            hosts = [f"[{host}]" if ":" in host and not host.startswith("[") else host for host in flags.addresses]
            listen = [f"{host}:{port}" for host in hosts]
        if flags.port is not None:
            listen = [f"{entry.rpartition(':')[0]}:{flags.port}" for entry in listen]
        self.put("server.listen", listen, "--bind" if flags.addresses else "--port")

    def put(self, key: str, value: object, origin: str) -> None:
        """Take a value if its type and bounds are right."""
        row = next(row for row in rows() if row.key == key)
        self.origins[key] = origin
        try:
            self.values[key] = msgspec.convert(value, row.type, strict=True)
            self.wrong.discard(key)
        except msgspec.ValidationError:
            self.values[key] = row.default
            self.wrong.add(key)
            self.complain(key, f"must be {expected(row.type)}{_guess(row.type, value)}", value)

    def complain(self, key: str, remedy: str, value: object | None = None) -> None:
        value = self.values[key] if value is None else value
        origin = self.origins[key]
        self.problems.append(Problem("" if origin == DEFAULT else origin, key, toml(value), remedy))

    def check(self) -> None:
        """What types and bounds cannot say. A key whose value could not even be taken is not looked at again."""
        for key, check in _CHECKS:
            if key not in self.wrong:
                check(self)


def _check_root(draft: _Draft) -> None:
    root = draft.folder / draft.values["site.root"]
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        draft.complain("site.root", f"{what} ({root}); it must be the folder to serve")
    draft.values["site.root"] = _tidy(root)


def _tidy(path: Path) -> str:
    """Without ``..``, where that leads to the same folder (behind a symlink it may not)."""
    short = os.path.normpath(path)
    return short if os.path.exists(short) and os.path.samefile(short, path) else str(path)  # noqa: PTH110, PTH121


def _check_listen(draft: _Draft) -> None:
    seen = set()
    for entry in draft.values["server.listen"]:
        try:
            endpoint = parse_endpoint(entry)
        except ValueError as error:
            draft.complain("server.listen", str(error), entry)
            continue
        if endpoint in seen and endpoint.port != "0":
            draft.complain("server.listen", "is there twice", entry)
        seen.add(endpoint)


def _check_networks(key: str) -> Callable[[_Draft], None]:
    def check(draft: _Draft) -> None:
        for entry in draft.values[key]:
            try:
                ip_network(entry)
            except ValueError as error:
                draft.complain(key, f'{error}; write an address or a network such as "192.168.1.0/24"', entry)

    return check


def _check_contradictions(draft: _Draft) -> None:
    both = sorted(set(draft.values["server.allow"]) & set(draft.values["server.deny"]))
    for entry in both:
        draft.complain("server.deny", "is in server.allow as well; keep it in one of them", entry)


def _check_sizes(draft: _Draft) -> None:
    head, target = draft.values["limits.head_bytes"], draft.values["limits.target_bytes"]
    if target >= head:
        draft.complain(
            "limits.target_bytes", f"must be less than limits.head_bytes = {head}: the target is in the head"
        )


def _check_index(draft: _Draft) -> None:
    for name in draft.values["site.index"]:
        if not name or "/" in name or "\0" in name:
            draft.complain("site.index", "must be the name of a file, without a slash", name)
        elif name.startswith(".") and not draft.values["site.hidden"]:
            draft.complain("site.index", "begins with a dot, but site.hidden = false hides it", name)


def _check_charset(draft: _Draft) -> None:
    if not re.fullmatch(r"[A-Za-z0-9._-]*", draft.values["site.default_charset"]):
        draft.complain("site.default_charset", 'must be the name of a charset, such as "utf-8", or ""')


def _check_media_types(draft: _Draft) -> None:
    for extension, media_type in draft.values["site.media_types"].items():
        entry = {extension: media_type}
        if not re.fullmatch(r"[a-z0-9_+-]+", extension):
            draft.complain("site.media_types", "an extension is lower case and without its dot, such as glb", entry)
        if not re.fullmatch(r"[\w.+-]+/[\w.+-]+(; ?[\w-]+=[\w.-]+)*", media_type, re.ASCII):
            draft.complain("site.media_types", 'a media type looks like "model/gltf-binary"', entry)


def _check_log(key: str) -> Callable[[_Draft], None]:
    def check(draft: _Draft) -> None:
        target = draft.values[key]
        if target in ("stdout", "off"):
            return
        path = draft.folder / target
        if not path.parent.is_dir():
            draft.complain(key, f"the folder {path.parent} does not exist")
        elif path.is_dir() or not target:
            draft.complain(key, 'must be "stdout", "off", or the path of a file')
        draft.values[key] = str(path)

    return check


_CHECKS: tuple[tuple[str, Callable[[_Draft], None]], ...] = (
    ("server.listen", _check_listen),
    ("server.allow", _check_networks("server.allow")),
    ("server.deny", _check_networks("server.deny")),
    ("server.deny", _check_contradictions),
    ("site.root", _check_root),
    ("site.index", _check_index),
    ("site.default_charset", _check_charset),
    ("site.media_types", _check_media_types),
    ("limits.target_bytes", _check_sizes),
    ("log.access", _check_log("log.access")),
    ("log.error", _check_log("log.error")),
)


# Words


def expected(declared: Any) -> str:
    """What a value of the type ``declared`` has to be, in words."""
    kind = inspect.type_info(declared)
    if isinstance(kind, inspect.Metadata):
        kind = kind.type
    match kind:
        case inspect.LiteralType():
            return "one of " + ", ".join(f'"{value}"' for value in declared_choices(declared))
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return f"a whole number from {kind.ge} to {kind.le}"
        case inspect.FloatType():
            return f"a number of seconds from {kind.ge} to {kind.le}"
        case inspect.ListType():
            return "a list of strings" + (" with at least one in it" if kind.min_length else "")
        case inspect.DictType():
            return "a table of strings"
        case _:
            return "a string"


def declared_choices(declared: Any) -> list[str]:
    """The values of a Literal, in the order in which they are declared; none for any other type."""
    return [str(value) for value in declared.__origin__.__args__] if hasattr(declared.__origin__, "__args__") else []


def _guess(declared: Any, value: object) -> str:
    near = difflib.get_close_matches(str(value).lower(), declared_choices(declared), n=1)
    return f'; did you mean "{near[0]}"?' if near and isinstance(value, str) else ""


def _nearest(key: str) -> str:
    """The known name that was probably meant."""
    section, dot, name = key.rpartition(".")
    keys = [row.key for row in rows()] if dot else list(SECTIONS)
    elsewhere = [known for known in keys if dot and known.endswith(f".{name}")]
    near = difflib.get_close_matches(key, keys, n=1) or elsewhere
    if elsewhere or near:
        return f"did you mean {(elsewhere or near)[0]}?"
    known = [row.name for row in rows() if row.section == section] if dot else keys
    return f"known here: {', '.join(known)}"


def toml(value: object) -> str:
    """``value`` as TOML spells it."""
    match value:
        case bool():
            return "true" if value else "false"
        case list():
            return "[" + ", ".join(toml(item) for item in value) + "]"
        case dict():
            return "{" + ", ".join(f"{_toml_key(str(key))} = {toml(item)}" for key, item in value.items()) + "}"
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
        case _:
            return str(value)


def _toml_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml(key)


def show(config: Config) -> str:
    """The settings in force as TOML, each with where it came from."""
    lines: list[str] = []
    for section in SECTIONS:
        lines.append(f"[{section}]")
        for row in rows():
            if row.section == section:
                value = getattr(getattr(config, section), row.name)
                lines.append(f"{row.name} = {toml(value)}  # {config.origins[row.key]}")
        lines.append("")
    return "\n".join(lines)


def annotated(changes: Mapping[str, object]) -> str:
    """A config file with every setting, its meaning and its default; ``conf/httpmini.toml`` is this.

    Args:
        changes: values other than the default, by dotted name.
    """
    lines = ["# Every setting of httpmini with its default. Check a changed copy with: httpmini config check -c FILE"]
    for section, struct in SECTIONS.items():
        lines += ["", f"# {' '.join((struct.__doc__ or '').split())}", f"[{section}]"]
        for row in rows():
            if row.section != section:
                continue
            value = changes.get(row.key, row.default)
            lines += ["", *textwrap.wrap(row.help, 96, initial_indent="# ", subsequent_indent="# ")]
            lines.append(f"# Default: {toml(row.default)} ({expected(row.type)})")
            lines.append(f"{row.name} = {toml(value)}")
    return "\n".join(lines) + "\n"
