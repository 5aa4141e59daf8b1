"""A listing for programs: as JSON, and as lines of text."""

from __future__ import annotations

import os
import time

from httpmini.errors import visible
from httpmini.site.listing.entries import Entry, Names


def draw_json(names: Names, entries: list[Entry]) -> bytes:
    """Return UTF-8 (RFC 8259 §8.1), row by row: to encode all of a large folder would be one long call."""
    path = _encode("/" + "".join(_text(name) + "/" for name in names))
    rows = b", ".join([_encode(_json_row(entry)) for entry in entries])
    return b"".join((b'{"path": ', path, b', "entries": [', rows, b"]}"))


def _encode(value: object) -> bytes:
    """Return JSON with what a terminal might interpret escaped: ``\\uXXXX`` is the same text."""
    import json  # start-up need not wait for it

    text = json.dumps(value, ensure_ascii=False)
    if not text.isprintable():
        text = "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)
    return text.encode("utf-8")


def _json_row(entry: Entry) -> dict[str, str | int]:
    row: dict[str, str | int] = {
        "name": _text(entry.name),
        "href": entry.link,
        "type": "file" if entry.is_file else "directory",
    }
    if entry.is_file and entry.size is not None:
        row["size"] = entry.size
    if entry.modified is not None:
        row["modified"] = _time(entry.modified)
    return row


def _text(name: bytes) -> str:
    """Return ``name`` as text for programs: exact if it is UTF-8, otherwise with U+FFFD. The link is always exact."""
    return name.decode("utf-8", "replace")


def _time(modified: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(modified))


def draw_text(entries: list[Entry]) -> bytes:
    """Return a line for each entry: size, date and name, with tabs between them; a folder's name ends in a slash.

    What is unknown is a minus sign. What a terminal might interpret in a name is ``\\xHH``.
    """
    return b"".join([_text_row(entry) for entry in entries])


def _text_row(entry: Entry) -> bytes:
    size = str(entry.size) if entry.is_file and entry.size is not None else "-"
    modified = "-" if entry.modified is None else _time(entry.modified)
    name = visible(os.fsdecode(entry.name)) + ("" if entry.is_file else "/")
    return f"{size}\t{modified}\t{name}\n".encode("utf-8", "backslashreplace")
