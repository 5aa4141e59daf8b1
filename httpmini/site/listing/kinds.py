"""What a file is to people: the glyph that it gets in a listing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from httpmini.site.media_types import MediaTypes

if TYPE_CHECKING:
    from httpmini.site.listing.entries import Entry

_ARCHIVES = (
    *("application/zip", "application/gzip", "application/zstd", "application/java-archive"),
    *("application/x-tar", "application/x-xz", "application/x-7z", "application/x-bz", "application/x-lz"),
    *("application/vnd.rar", "application/vnd.debian", "application/x-rpm", "application/x-iso", "application/x-apple"),
)
_TEXTS = ("text/", "application/json", "application/pdf", "application/rtf", "application/msword", "application/epub")
_OFFICE = ("application/vnd.oasis", "application/vnd.openxml", "application/vnd.ms-")
_PREFIXES = (
    ("image", ("image/",)),
    ("video", ("video/",)),
    ("audio", ("audio/",)),
    ("archive", _ARCHIVES),
    ("text", (*_TEXTS, *_OFFICE)),
)

# What browsers draw in an img element. (HEIC and TIFF are drawn by one browser only.)
_PICTURES = ("jpeg", "png", "gif", "webp", "avif", "apng", "svg+xml", "bmp")


def is_picture(media_type: str) -> bool:
    """Whether browsers can draw a file of this type."""
    main, _, sub = media_type.partition(";")[0].partition("/")
    return main == "image" and sub in _PICTURES


class Kinds:
    """The kinds of files, by the ends of their names.

    Args:
        media_types: the types of files.
    """

    def __init__(self, media_types: MediaTypes) -> None:
        self._media_types = media_types

    def of(self, entry: Entry) -> str:
        """Return "folder", "image", "video", "audio", "archive", "text" or "file"."""
        if not entry.is_file:
            return "folder"
        media_type = self._media_types.of(entry.name)
        return next((kind for kind, prefixes in _PREFIXES if media_type.startswith(prefixes)), "file")

    def is_picture(self, entry: Entry) -> bool:
        """Whether browsers can draw an entry."""
        return entry.is_file and is_picture(self._media_types.of(entry.name))
