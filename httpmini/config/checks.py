"""What types and bounds of a setting cannot express: folders that exist, addresses, contradictions."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from ipaddress import IPv6Network, ip_network
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from httpmini.config.draft import Draft
from httpmini.config.identity import find_identity, is_settled
from httpmini.config.tls_checks import check_tls
from httpmini.protocol.status import PHRASES
from httpmini.server.listeners.endpoint import SECURE, parse_endpoint
from httpmini.server.listeners.peer import LOCAL
from httpmini.site.resolve import Fact, File, Resolver

_MAPPED = IPv6Network("::ffff:0:0/96")
# RFC 9110 §5.6.2 and §10.2.4:  product = token [ "/" product-version ]
_PRODUCT = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+(/[!#$%&'*+.^_`|~0-9A-Za-z-]+)?", re.ASCII)
MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(; ?[\w-]+=[\w.-]+)*", re.ASCII)
_REFUSALS = {"4xx", "5xx", *(str(status) for status in PHRASES if status >= 400)}
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,252}[A-Za-z0-9_])?\.?|\[[0-9A-Fa-f:.]+\]", re.ASCII)
_MAX_NAME_BYTES = 255


def _check_root(draft: Draft) -> None:
    said = draft.values["site.root"]
    root = os.path.join(draft.folder, said)
    where = "" if root == said else f" ({root})"
    if not said:
        draft.complain("site.root", 'is empty; write "." for this folder')
    elif not os.path.exists(root):  # unlike Path.exists(), takes any string
        draft.complain("site.root", f"does not exist{where}; it must be the folder to serve")
    elif not os.path.isdir(root):
        hint = f"; did you mean -c {said}?" if said.endswith(".toml") else ""
        draft.complain("site.root", f"is not a folder{where}; it must be the folder to serve{hint}")
    elif not os.access(root, os.X_OK):
        draft.complain("site.root", f"cannot be entered{where}: permission denied")
    else:
        draft.values["site.root"] = _tidy(root)


def _check_only(draft: Draft) -> None:
    only = draft.values["site.only"]
    if "/" in only or only in (".", ".."):
        draft.complain("site.only", "must be the name of a file in the root, without slashes")


def _tidy(path: str) -> str:
    """Return ``path`` without ``..`` if that is the same folder (after a symlink it may not be)."""
    short = os.path.normpath(path)
    return short if os.path.exists(short) and os.path.samefile(short, path) else path


def _check_listen(draft: Draft) -> None:
    seen = set()
    for key in ("server.listen", "status.listen"):
        absolute = [_with_absolute_path(entry, draft.folder) for entry in draft.values[key]]
        for entry in absolute:
            try:
                endpoint = parse_endpoint(entry)
            except ValueError as error:
                draft.complain(key, str(error), entry)
                continue
            place = replace(endpoint, is_secure=False)
            if place in seen and endpoint.port != "0":
                draft.complain(key, "is listed twice", entry)
            seen.add(place)
        draft.values[key] = absolute


def _with_absolute_path(entry: str, folder: Path) -> str:
    """Return ``entry`` unchanged, or with an absolute path if it is a unix socket."""
    path = entry.removeprefix(LOCAL)
    return LOCAL + os.path.join(folder, path) if path and path != entry else entry


def _check_socket_mode(draft: Draft) -> None:
    if not re.fullmatch(r"0?[0-7]{3}", draft.values["server.socket_mode"]):
        draft.complain("server.socket_mode", 'must be three octal digits, such as "660"')


def _check_product(draft: Draft) -> None:
    words = draft.values["server.product"].split(" ")
    if words != [""] and not all(_PRODUCT.fullmatch(word) for word in words):
        remedy = 'must be products such as "httpmini" or "httpmini/1.0", separated by single spaces'
        draft.complain("server.product", remedy)


def _check_networks(key: str) -> Callable[[Draft], None]:
    """Return the check that every entry of the setting ``key`` is an address or a network."""

    def check(draft: Draft) -> None:
        for entry in draft.values[key]:
            if entry == LOCAL and key == "proxies.trusted":
                continue
            try:
                network = ip_network(entry)
            except ValueError:
                draft.complain(key, _explain_network(entry), entry)
            else:
                if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
                    draft.complain(key, 'IPv4 clients are matched by IPv4 address; write it like "192.0.2.1"', entry)

    return check


def _explain_network(entry: str) -> str:
    try:
        return f'has bits set beyond its prefix; write "{ip_network(entry, strict=False)}"'
    except ValueError:
        return 'is not an address or network; write one such as "192.168.1.0/24" or "::1"'


def _check_contradictions(draft: Draft) -> None:
    allowed = {_network(entry) for entry in draft.values["server.allow"]}
    for entry in draft.values["server.deny"]:
        if _network(entry) in allowed:
            draft.complain("server.deny", "is in server.allow as well; keep it in one of them", entry)


def _network(entry: str) -> object:
    """Return a value that is equal for all spellings of one network, and unique for what is not a network."""
    try:
        return ip_network(entry)
    except ValueError:
        return object()  # another check complains


def _check_sizes(draft: Draft) -> None:
    head, target = draft.values["limits.head_bytes"], draft.values["limits.target_bytes"]
    if target >= head:
        key = draft.last_set("limits.head_bytes", "limits.target_bytes")
        remedies = {
            "limits.head_bytes": f"must be more than limits.target_bytes = {target}: the head contains the target",
            "limits.target_bytes": f"must be less than limits.head_bytes = {head}: the head contains the target",
        }
        draft.complain(key, remedies[key])


def _check_index(draft: Draft) -> None:
    for name in draft.values["site.index"]:
        if not name or "/" in name or "\0" in name:
            draft.complain("site.index", "must be the name of a file, without slashes", name)
        elif name.startswith(".") and not draft.values["site.hidden"]:
            draft.complain("site.index", "begins with a dot, but site.hidden = false hides it", name)


def _check_hosts(draft: Draft) -> None:
    for host in draft.values["site.hosts"]:
        if not _HOST.fullmatch(host):
            remedy = 'must be a host name or an address, without a port, such as "example.org"'
            draft.complain("site.hosts", _explain_international(host) or remedy, host)


def _explain_international(host: str) -> str:
    """Return how a name with letters beyond ASCII is written for clients and certificates; "" if that is no name."""
    if host.isascii():
        return ""
    import idna  # late: its tables take 10 ms

    try:
        encoded = idna.encode(host, uts46=True).decode()
    except idna.IDNAError:
        return ""
    return f'must be written as clients and certificates have it: "{encoded}"'


def _check_charset(draft: Draft) -> None:
    if not re.fullmatch(r"[A-Za-z0-9._-]*", draft.values["site.default_charset"]):
        draft.complain("site.default_charset", 'must be the name of a charset, such as "utf-8", or ""')


def _check_media_types(draft: Draft) -> None:
    for extension, media_type in draft.values["site.media_types"].items():
        entry = {extension: media_type}
        if not re.fullmatch(r"[a-z0-9_+-]+", extension):
            draft.complain(
                "site.media_types", "must be for an extension in lower case, without the dot, such as glb", entry
            )
        if not MEDIA_TYPE.fullmatch(media_type):
            draft.complain("site.media_types", 'must be a media type such as "model/gltf-binary"', entry)


def _check_error_pages(draft: Draft) -> None:
    for status, page in draft.values["site.error_pages"].items():
        entry = {status: page}
        if status not in _REFUSALS:
            draft.complain(
                "site.error_pages", 'must be for a status that this server sends, such as "404", or "4xx"', entry
            )
        elif not page.startswith("/"):
            draft.complain("site.error_pages", 'must be a path below the root, such as "/404.html"', entry)
        elif not _can_be_sent(page, draft.values):
            path = os.path.join(draft.values["site.root"], page.lstrip("/"))
            draft.complain("site.error_pages", f"is not a file that can be sent ({path})", entry)


def _can_be_sent(page: str, values: Mapping[str, Any]) -> bool:
    resolver = Resolver(os.fsencode(values["site.root"]), hidden=True, symlinks=values["site.symlinks"] == "inside")
    found = resolver.resolve(tuple(os.fsencode(name) for name in page.split("/") if name))
    if not isinstance(found, Fact):
        os.close(found.fd)
    return isinstance(found, File)


def _check_written_file(draft: Draft, key: str, remedy: str) -> None:
    """Check the path of a file that the server creates, and make it absolute."""
    said = draft.values[key]
    path = os.path.join(draft.folder, said)
    folder = os.path.dirname(path)
    if "\0" in said or not said or os.path.isdir(path):
        draft.complain(key, remedy)
    elif not os.path.isdir(folder):
        draft.complain(key, f"the folder {folder} does not exist")
    elif len(os.fsencode(os.path.basename(path))) > _MAX_NAME_BYTES:
        draft.complain(key, f"must have a file name of at most {_MAX_NAME_BYTES} bytes")
    draft.values[key] = path


def _check_pid_file(draft: Draft) -> None:
    if draft.values["daemon.pid_file"]:
        _check_written_file(draft, "daemon.pid_file", "must be the path of a file")


def _check_proxies(draft: Draft) -> None:
    if draft.values["proxies.client_from"] != "x-forwarded-for" and not draft.values["proxies.trusted"]:
        draft.complain("proxies.client_from", "needs the addresses of the proxies in proxies.trusted")


def _check_identity(draft: Draft) -> None:
    user, group = draft.values["daemon.user"], draft.values["daemon.group"]
    if group and not user:
        draft.complain("daemon.group", "needs daemon.user")
        return
    if is_settled():  # a reload; the sandbox hides who exists, and another user needs a new start anyway
        return
    for key, name in (("daemon.user", group if group.isdecimal() else ""), ("daemon.group", group)):
        try:
            find_identity(user, name)
        except (KeyError, OverflowError, ValueError):  # the last two of numbers that are much too large
            draft.complain(key, "does not exist on this machine; it must be the name or number of one that does")
            return


def _check_readable(draft: Draft) -> None:
    paths = [os.path.join(draft.folder, said) for said in draft.values["daemon.readable"]]
    for said, path in zip(draft.values["daemon.readable"], paths, strict=True):
        if not os.path.isdir(path):
            draft.complain("daemon.readable", "is not a folder", said)
    draft.values["daemon.readable"] = paths


def _check_log(key: str) -> Callable[[Draft], None]:
    """Return the check of ``log.access`` or ``log.error``."""

    def check(draft: Draft) -> None:
        target = draft.values[key]
        if target in ("stdout", "off", "syslog", "journal"):
            return
        _check_written_file(draft, key, 'must be "stdout", "off", "syslog", "journal", or the path of a file')

    return check


def _check_record(draft: Draft) -> None:
    said = draft.values["log.record"]
    if not said:
        return
    folder = os.path.join(draft.folder, said)
    if not os.path.isdir(folder):
        draft.complain("log.record", "is not a folder; create it, for the server's user alone (mkdir -m 700)")
    elif any(entry.startswith(SECURE) for entry in draft.values["server.listen"]):
        draft.complain("log.record", "cannot record TLS; leave out either, or record a listener without TLS")
    draft.values["log.record"] = folder


CHECKS: tuple[tuple[str, Callable[[Draft], None]], ...] = (
    ("server.listen", _check_listen),
    ("server.socket_mode", _check_socket_mode),
    ("server.product", _check_product),
    ("server.allow", _check_networks("server.allow")),
    ("server.deny", _check_networks("server.deny")),
    ("status.allow", _check_networks("status.allow")),
    ("proxies.trusted", _check_networks("proxies.trusted")),
    ("proxies.client_from", _check_proxies),
    ("server.deny", _check_contradictions),
    ("site.hosts", _check_hosts),
    ("site.root", _check_root),
    ("site.only", _check_only),
    ("site.index", _check_index),
    ("site.error_pages", _check_error_pages),
    ("site.default_charset", _check_charset),
    ("site.media_types", _check_media_types),
    ("tls.certificate", check_tls),
    ("limits.target_bytes", _check_sizes),
    ("log.access", _check_log("log.access")),
    ("log.error", _check_log("log.error")),
    ("log.record", _check_record),
    ("daemon.pid_file", _check_pid_file),
    ("daemon.user", _check_identity),
    ("daemon.readable", _check_readable),
)
"""Each check, with the setting that it reads: it is skipped if that value has a wrong type or is out of bounds."""
