"""A listing as a page."""

from __future__ import annotations

import time
from collections.abc import Iterator

import msgspec

from httpmini.site import pages, thumbnail
from httpmini.site.listing.entries import Entry, Names, printable
from httpmini.site.listing.kinds import Kinds
from httpmini.site.listing.readme import draw_readme
from httpmini.site.listing.view import View
from httpmini.site.pages import Drawn

_UNITS = ("kB", "MB", "GB", "TB", "PB", "EB")
_SORTS = (("name", "Name"), ("size", "Size"), ("date", "Modified"))


class Row(msgspec.Struct, frozen=True):
    """What a page shows of an entry.

    Attributes:
        kind: as ``Kinds.of`` returns it.
        link: a relative reference to it.
        name: for display.
        size: for people; empty for a folder.
        exact: the number of bytes; empty for a folder.
        modified: date and time of day in UTC; empty if unknown.
        thumb: a relative reference to a small picture; empty if there is none.
    """

    kind: str
    link: str
    name: str
    size: str
    exact: str
    modified: str
    thumb: str


class Contents(msgspec.Struct, frozen=True):
    """What is to be shown of a folder.

    Attributes:
        names: its path below the root.
        title: the name of the root folder, for display.
        view: how it is shown; with the number of the page.
        shown: the entries of this page.
        found: how many entries match.
        pages: how many pages they fill.
        folders: how many folders there are in all.
        files: how many files.
        total: the size of these files together in bytes; None if it is unknown.
        readme: the name of its README for display, and its text; both may be empty.
        archives: whether the folder can be fetched as one file.
    """

    names: Names
    title: str
    view: View
    shown: list[Entry]
    found: int
    pages: int
    folders: int
    files: int
    total: int | None
    readme: tuple[str, bytes]
    archives: bool


def draw_page(contents: Contents, kinds: Kinds) -> Drawn:
    """Return a listing as HTML."""
    view = contents.view
    rows = [_row(entry, view, kinds) for entry in contents.shown]
    name, text = contents.readme
    is_grid = view.view == "grid"
    return pages.draw(
        "grid.html" if is_grid else "listing.html",
        styles=(*((pages.GRID,) if is_grid else ()), *((pages.README,) if text else ())),
        kinds=tuple(sorted({row.kind for row in rows})),
        contents=contents,
        title=_title(contents),
        crumbs=list(_crumbs(contents)),
        summary=_summary(contents),
        view=view,
        rows=rows,
        sorts=[_sort_link(view, sort, label) for sort, label in _SORTS],
        has_times=contents.total is not None,
        has_pictures=is_grid or any(map(kinds.is_picture, contents.shown)),
        readme_name=name,
        readme=draw_readme(name, text) if text else "",
    )


def _title(contents: Contents) -> str:
    """Return the title: "Index of /path/" is how programs know a listing, so only a whole one has it."""
    path = "/" + "".join(printable(name) + "/" for name in contents.names)
    if contents.pages > 1:
        return f"Page {contents.view.page} of {contents.pages}: {path}"
    return f'"{printable(contents.view.q.encode())}" in {path}' if contents.view.q else f"Index of {path}"


def _crumbs(contents: Contents) -> Iterator[tuple[str, str]]:
    """Yield the folders above with their names and links, the uppermost one first, and this one without a link."""
    names = (contents.title, *map(printable, contents.names))
    for above, name in zip(range(len(contents.names), -1, -1), names, strict=True):
        yield name, "../" * above


def _summary(contents: Contents) -> str:
    """Return how much there is: "207 files, 3 folders, 708 MB"."""
    parts = []
    if contents.view.q:
        parts.append(f"{contents.found:,} of {contents.files + contents.folders:,} entries")
    else:
        counts = ((contents.files, "file"), (contents.folders, "folder"))
        parts += [f"{count:,} {noun}{'s' if count != 1 else ''}" for count, noun in counts if count]
    if contents.total is not None and contents.files:
        parts.append(human_size(contents.total) + (" in all" if contents.view.q else ""))
    return ", ".join(parts)


def _sort_link(view: View, sort: str, label: str) -> tuple[str, str, str]:
    """Return label, link and the present order of a column; the link of the present one turns its order."""
    if view.sort == sort:
        return label, view.link(order="desc" if view.order == "asc" else "asc"), view.order
    return label, view.link(sort=sort, order="asc" if sort == "name" else "desc"), ""


def _row(entry: Entry, view: View, kinds: Kinds) -> Row:
    link, name = entry.link, printable(entry.name)
    modified = "" if entry.modified is None else time.strftime("%Y-%m-%d %H:%M", time.gmtime(entry.modified))
    kind = kinds.of(entry)
    if not entry.is_file:
        return Row(kind, link + ("?view=grid" if view.view == "grid" else ""), name + "/", "", "", modified, "")
    thumb = f"{link}?{thumbnail.QUERY}" if view.view == "grid" and kinds.is_picture(entry) else ""
    if entry.size is None:
        return Row(kind, link, name, "", "", modified, thumb)
    return Row(kind, link, name, human_size(entry.size), str(entry.size), modified, thumb)


def human_size(size: int) -> str:
    """Return a number of bytes for people: at most three digits, in powers of a thousand."""
    if size < 1000:
        return f"{size} B"
    value = float(size)
    for unit in _UNITS:
        value /= 1000
        if value < 9.95:
            return f"{value:.1f} {unit}"
        if value < 999.5 or unit == _UNITS[-1]:
            break
    return f"{value:.0f} {unit}"
