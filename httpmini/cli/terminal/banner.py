"""The first lines on a terminal: what is shared, where it can be opened, and by whom."""

from __future__ import annotations

import os
import textwrap

import msgspec

from httpmini.cli.places import Place
from httpmini.cli.terminal.look import Look
from httpmini.errors import visible


class Share(msgspec.Struct, frozen=True):
    """What is known before the server is.

    Attributes:
        path: of the folder or file that is shared, absolute.
        addresses: of this machine, for the URLs of a server that listens on all of them.
        password: the password that was made up; "" for none.
        user: the user it is for; "" for any.
        has_password: whether a password is asked for.
        qr: whether to show a QR code; None for "if there is something to open on the network".
        look: what the terminal can show.
    """

    path: str
    addresses: tuple[str, ...] = ()
    password: str = ""
    user: str = ""
    has_password: bool = False
    qr: bool | None = False
    look: Look = Look()


def shown_path(path: str, home: str) -> str:
    """Return a path as people write it: ~/Pictures."""
    inside = home not in ("", "/") and (path == home or path.startswith(home + os.sep))
    return visible("~" + path[len(home) :] if inside else path)


def headline(share: Share, count: str) -> str:
    """Return the first line; ``count`` says what is in the folder, if that is known already."""
    path = shown_path(share.path, os.path.expanduser("~"))  # noqa: PTH111  (of a string)
    return f"Sharing {path}{count and f': {count}'}. Ctrl-C stops."


def places(share: Share, place: Place, width: int) -> list[str]:
    """Return the lines that say where it can be opened, and by whom."""
    lines = [_entry("on this machine", url) for url in place.local]
    who = _who(share)
    for number, url in enumerate(place.network):
        line = _entry("on your network", url)
        if number:
            lines.append(line)
        elif len(line) + 6 + len(who) < width:
            lines.append(f"{line}      {who}")
        else:
            lines += [line, f"    {who}"]
    if not place.network and any(url.startswith("http") for url in place.local):
        lines.append(_entry("on your network", "nobody; --lan lets them"))
    return [*lines, *_warnings(share, place)]


def certificate(fingerprint: str) -> list[str]:
    """Return what people compare with their browser's words on a certificate of ours, in parts for narrow terminals."""
    if not fingerprint:
        return []
    octets = fingerprint.split(":")
    parts = (":".join(octets[start : start + 8]) for start in range(0, len(octets), 8))
    return [_entry("certificate", "for a day; browsers warn of it"), _entry("SHA-256", " ".join(parts))]


def fit(line: str, width: int) -> list[str]:
    """Return a line as one or more, none of which is wider than the terminal if it has blanks to be broken at."""
    if len(line) < width:
        return [line]
    return textwrap.wrap(line, width - 1, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)


def _entry(label: str, value: str) -> str:
    return f"  {label:<17} {value}"


def _who(share: Share) -> str:
    what = "folder" if os.path.isdir(share.path) else "file"  # noqa: PTH112
    who = "anybody with the password" if share.has_password else "anybody on it"
    return f"{who} can read this {what}"


def _warnings(share: Share, place: Place) -> list[str]:
    lines = []
    if share.password:
        user = f"for {share.user}" if share.user else "with any user name"
        lines.append(_entry("password", f"{share.password}      {user}"))
    if place.is_everywhere:
        lines.append("  Every address of this machine is open: other networks than yours may reach it.")
    if share.has_password and any(url.startswith("http:") for url in place.network):
        lines.append("  HTTP is not encrypted: others on the network can overhear the password and the files.")
    return lines
