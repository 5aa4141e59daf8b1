"""What the command line says, and how it overrides the config file."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec
from msgspec.structs import replace

from httpmini.config.draft import Draft
from httpmini.config.render import toml
from httpmini.config.tls_settings import SELF_SIGNED
from httpmini.errors import Problem
from httpmini.files import current_folder
from httpmini.server.listeners.endpoint import INHERITED, SECURE, UNIX, Endpoint, parse_endpoint


class Flags(msgspec.Struct, frozen=True):
    """The arguments of ``httpmini serve``; None and () stand for those that are missing."""

    root: str | None = None
    mode: str | None = None
    addresses: tuple[str, ...] = ()
    port: int | None = None
    max_clients: int | None = None
    overflow: str | None = None
    status: bool = False
    tls_cert: str | None = None
    tls_key: str | None = None
    tls: bool = False
    log: str | None = None
    record: str | None = None


def apply_flags(draft: Draft, flags: Flags) -> None:
    """Override the settings of ``draft`` with ``flags``; paths are relative to the current folder."""
    if flags.root is not None:
        _apply_path(draft, flags.root)
    if flags.log is not None:
        draft.put("log.format", flags.log, "--log")
    if flags.record is not None:
        draft.put("log.record", str(current_folder() / flags.record) if flags.record else "", "--record")
    for name in ("mode", "max_clients", "overflow"):
        if (value := getattr(flags, name)) is not None:
            draft.put(f"server.{name}", value, "--" + name.replace("_", "-"))
    if flags.addresses or flags.port is not None:
        _apply_addresses(draft, flags)
    _apply_tls(draft, flags)
    if flags.status and not draft.values["status.listen"]:
        draft.put("status.listen", ["127.0.0.1:0"], "--status")


def _apply_path(draft: Draft, said: str) -> None:
    """Set ``site.root`` to a folder; for a file, to its folder, and ``site.only`` to its name."""
    path = current_folder() / said if said else Path()
    only = ""
    if said and (mode := _mode_of(path)) and not stat.S_ISDIR(mode) and path.suffix != ".toml":
        if problem := _problem_of(path, mode):
            draft.problems.append(Problem("PATH", "", toml(said), problem))
            return
        path = _as_served(path)
        path, only = path.parent, path.name
    draft.put("site.root", str(path) if said else "", "PATH")
    draft.put("site.only", only, "PATH")


def _as_served(path: Path) -> Path:
    """Return the path by which a file can be served: what a symlink leads to, if that is in another folder."""
    real = Path(os.path.realpath(path))
    return path if real.parent == Path(os.path.realpath(path.parent)) else real


def _mode_of(path: Path) -> int:
    """Return the type of what is there; 0 if nothing is, or it cannot be said."""
    try:
        return path.stat().st_mode
    except (OSError, ValueError):
        return 0


def _problem_of(path: Path, mode: int) -> str:
    """Say why something that is no folder cannot be served; "" if it can."""
    if stat.S_ISREG(mode):
        return "" if os.access(path, os.R_OK) else "cannot be read: permission denied"
    kind = "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
    return f"is {kind}; it must be the folder or the file to serve"


def _apply_addresses(draft: Draft, flags: Flags) -> None:
    """Override ``server.listen``.

    ``--bind`` replaces the hosts and keeps the (first) port; ``--port`` replaces every port and keeps the hosts.
    """
    try:
        endpoints = [parse_endpoint(entry) for entry in draft.values["server.listen"]]
    except ValueError:
        return  # the check of server.listen complains
    if flags.addresses:
        first = endpoints[0]
        endpoints = [Endpoint(_bare_address(draft, host), first.port, first.is_secure) for host in flags.addresses]
    if flags.port is not None:
        endpoints = [
            endpoint if endpoint.host in (INHERITED, UNIX) else replace(endpoint, port=str(flags.port))
            for endpoint in endpoints
        ]
    listen = [str(endpoint) for endpoint in endpoints]
    draft.put("server.listen", listen, "--bind" if flags.addresses else "--port")


def _apply_tls(draft: Draft, flags: Flags) -> None:
    """Set the certificate. If no listener speaks TLS yet, all that can do so from now on."""
    said = {"--tls-cert": flags.tls_cert, "--tls-key": flags.tls_key}
    given = [flag for flag, value in said.items() if value is not None]
    if not given and not flags.tls:
        return
    for flag, key in (("--tls-cert", "tls.certificate"), ("--tls-key", "tls.key")):
        path = said[flag]
        if path is not None:
            draft.put(key, str(current_folder() / path) if path else "", flag)
    if flags.tls and given:
        draft.problems.append(
            Problem("--tls", "", "", f"makes a certificate of its own; leave out --tls or {given[0]}")
        )
    elif flags.tls:
        draft.put("tls.certificate", SELF_SIGNED, "--tls")
        draft.put("tls.key", "", "--tls")
    entries = draft.values["server.listen"]
    if not any(entry.startswith(SECURE) for entry in entries):
        secured = [entry if entry.startswith(f"{UNIX}:") else SECURE + entry for entry in entries]
        draft.put("server.listen", secured, "--tls" if flags.tls else given[0])


def _bare_address(draft: Draft, text: str) -> str:
    """Return the address of one ``--bind`` without brackets; complain if it cannot be one."""
    host = text.removeprefix("[").removesuffix("]")
    if not host or ("]" in text[:-1]) or (host.count(":") == 1):
        remedy = "must be an address or a name; the port goes to --port, and '*' means every address"
        draft.problems.append(Problem("--bind", "", toml(text), remedy))
        return "localhost"
    return host
