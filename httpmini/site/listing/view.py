"""How a listing is shown: what the query of its address asks for, and the queries of its links.

    ?sort=name|size|date & order=asc|desc & q=TEXT & view=list|grid & page=N

An unknown value means the default, and unknown names are ignored, as in any other query.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

import msgspec
from msgspec.structs import replace

_MAX_FIELDS = 16
_MAX_TEXT = 255  # no name has more characters
_MAX_DIGITS = 6
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "sort": ("name", "size", "date"),
    "order": ("asc", "desc"),
    "view": ("list", "grid"),
}


class View(msgspec.Struct, frozen=True):
    """What a query asks for.

    Attributes:
        sort: "name", "size" or "date".
        order: "asc" or "desc".
        q: text that the names contain, without regard to case; empty for all names.
        view: "list" or "grid".
        page: counted from 1; 0 if the query names none.
    """

    sort: str = "name"
    order: str = "asc"
    q: str = ""
    view: str = "list"
    page: int = 0

    def link(self, **changes: str | int) -> str:
        """Return a relative reference to the same folder with another view, always on its first page by default."""
        return reference(replace(self, **{"page": 0, **changes}))

    def fields(self) -> list[tuple[str, str]]:
        """Return the names and values that differ from the defaults."""
        named = ((name, str(getattr(self, name))) for name in View.__struct_fields__)
        defaults = msgspec.to_builtins(PLAIN)
        return [(name, value) for name, value in named if value != str(defaults[name])]


PLAIN = View()
"""The view of an address without a query."""


def reference(view: View) -> str:
    """Return a relative reference to the current folder in a view (RFC 3986 §4.2)."""
    fields = view.fields()
    return "?" + urlencode(fields) if fields else "./"


def view_of(query: str) -> View:
    """Return what a query asks for.

    Args:
        query: as it was sent, with its question mark, decoded from ISO-8859-1; or empty.
    """
    if len(query) < 2:
        return PLAIN
    try:
        text = query[1:].encode("iso-8859-1").decode("utf-8", "replace")
        pairs = parse_qsl(text, errors="replace", max_num_fields=_MAX_FIELDS)
    except ValueError:  # more fields than that
        return PLAIN
    values = dict(reversed(pairs))  # the first one counts
    chosen = {name: values[name] for name, known in _CHOICES.items() if values.get(name) in known}
    return View(**chosen, q=values.get("q", "").strip()[:_MAX_TEXT], page=_page(values.get("page", "")))


def _page(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else 0
