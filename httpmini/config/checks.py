"""What types and bounds cannot say of a setting: folders that exist, addresses, contradictions."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Protocol

from httpmini.server.listener import parse_endpoint


class Draft(Protocol):
    """Settings on their way to a Config.

    Attributes:
        values: by dotted name; a check may make a relative path absolute.
        folder: what relative paths are relative to.
    """

    values: dict[str, Any]
    folder: Path

    def complain(self, key: str, remedy: str, value: object | None = None) -> None:
        """Note a problem with ``key``; ``value`` is the part of it that is wrong."""
        ...


def _check_root(draft: Draft) -> None:
    root = draft.folder / draft.values["site.root"]
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        draft.complain("site.root", f"{what} ({root}); it must be the folder to serve")
    draft.values["site.root"] = _tidy(root)


def _tidy(path: Path) -> str:
    """Without ``..``, where that leads to the same folder (behind a symlink it may not)."""
    short = os.path.normpath(path)
    return short if os.path.exists(short) and os.path.samefile(short, path) else str(path)  # noqa: PTH110, PTH121


def _check_listen(draft: Draft) -> None:
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


def _check_networks(key: str) -> Callable[[Draft], None]:
    def check(draft: Draft) -> None:
        for entry in draft.values[key]:
            try:
                ip_network(entry)
            except ValueError as error:
                draft.complain(key, f'{error}; write an address or a network such as "192.168.1.0/24"', entry)

    return check


def _check_contradictions(draft: Draft) -> None:
    both = sorted(set(draft.values["server.allow"]) & set(draft.values["server.deny"]))
    for entry in both:
        draft.complain("server.deny", "is in server.allow as well; keep it in one of them", entry)


def _check_sizes(draft: Draft) -> None:
    head, target = draft.values["limits.head_bytes"], draft.values["limits.target_bytes"]
    if target >= head:
        draft.complain(
            "limits.target_bytes", f"must be less than limits.head_bytes = {head}: the target is in the head"
        )


def _check_index(draft: Draft) -> None:
    for name in draft.values["site.index"]:
        if not name or "/" in name or "\0" in name:
            draft.complain("site.index", "must be the name of a file, without a slash", name)
        elif name.startswith(".") and not draft.values["site.hidden"]:
            draft.complain("site.index", "begins with a dot, but site.hidden = false hides it", name)


def _check_charset(draft: Draft) -> None:
    if not re.fullmatch(r"[A-Za-z0-9._-]*", draft.values["site.default_charset"]):
        draft.complain("site.default_charset", 'must be the name of a charset, such as "utf-8", or ""')


def _check_media_types(draft: Draft) -> None:
    for extension, media_type in draft.values["site.media_types"].items():
        entry = {extension: media_type}
        if not re.fullmatch(r"[a-z0-9_+-]+", extension):
            draft.complain("site.media_types", "an extension is lower case and without its dot, such as glb", entry)
        if not re.fullmatch(r"[\w.+-]+/[\w.+-]+(; ?[\w-]+=[\w.-]+)*", media_type, re.ASCII):
            draft.complain("site.media_types", 'a media type looks like "model/gltf-binary"', entry)


def _check_log(key: str) -> Callable[[Draft], None]:
    def check(draft: Draft) -> None:
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


CHECKS: tuple[tuple[str, Callable[[Draft], None]], ...] = (
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
"""Each check with the setting whose value it looks at; not made when that value could not even be taken."""
