"""Media types by file name extension, from a built-in table.

The system's registry is never used (``mimetypes`` reads it): some program may have registered .js as text/plain there,
and one folder would be served differently on two machines.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

_TABLE = {
    "text/html": "html htm",
    "text/css": "css",
    "text/javascript": "js mjs cjs",
    "text/plain": "txt text log conf ini cfg toml py pyi sh c h cc cpp hpp rs go java kt rb pl lua sql diff rst tex",
    "text/markdown": "md markdown",
    "text/csv": "csv",
    "text/tab-separated-values": "tsv",
    "text/calendar": "ics",
    "text/vcard": "vcf",
    "text/vtt": "vtt",
    "text/xml": "xml xsl",
    "text/yaml": "yaml yml",
    "application/atom+xml": "atom",
    "application/epub+zip": "epub",
    "application/gzip": "gz tgz",
    "application/java-archive": "jar",
    "application/json": "json map",
    "application/ld+json": "jsonld",
    "application/manifest+json": "webmanifest",
    "application/msword": "doc",
    "application/ogg": "ogx",
    "application/pdf": "pdf",
    "application/postscript": "ps eps",
    "application/rss+xml": "rss",
    "application/rtf": "rtf",
    "application/vnd.android.package-archive": "apk",
    "application/vnd.debian.binary-package": "deb",
    "application/vnd.ms-excel": "xls",
    "application/vnd.ms-powerpoint": "ppt",
    "application/vnd.oasis.opendocument.presentation": "odp",
    "application/vnd.oasis.opendocument.spreadsheet": "ods",
    "application/vnd.oasis.opendocument.text": "odt",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.rar": "rar",
    "application/vnd.sqlite3": "sqlite sqlite3",
    "application/wasm": "wasm",
    "application/x-7z-compressed": "7z",
    "application/x-bzip2": "bz2",
    "application/x-ndjson": "ndjson jsonl",
    "application/x-tar": "tar",
    "application/x-xz": "xz",
    "application/xhtml+xml": "xhtml",
    "application/zip": "zip",
    "application/zstd": "zst",
    "audio/aac": "aac",
    "audio/flac": "flac",
    "audio/midi": "mid midi",
    "audio/mp4": "m4a",
    "audio/mpeg": "mp3",
    "audio/ogg": "oga ogg",
    "audio/opus": "opus",
    "audio/wav": "wav",
    "audio/webm": "weba",
    "font/otf": "otf",
    "font/ttf": "ttf",
    "font/woff": "woff",
    "font/woff2": "woff2",
    "image/apng": "apng",
    "image/avif": "avif",
    "image/bmp": "bmp",
    "image/gif": "gif",
    "image/heic": "heic",
    "image/jpeg": "jpg jpeg",
    "image/jxl": "jxl",
    "image/png": "png",
    "image/svg+xml": "svg",
    "image/tiff": "tif tiff",
    "image/vnd.microsoft.icon": "ico",
    "image/webp": "webp",
    "model/gltf+json": "gltf",
    "model/gltf-binary": "glb",
    "video/mp2t": "ts m2ts",
    "video/mp4": "mp4 m4v",
    "video/mpeg": "mpg mpeg",
    "video/ogg": "ogv",
    "video/quicktime": "mov",
    "video/webm": "webm",
    "video/x-matroska": "mkv",
    "video/x-msvideo": "avi",
}

_BY_EXTENSION = {extension: media_type for media_type, line in _TABLE.items() for extension in line.split()}

# Textual types outside text/ for which clients use the charset parameter.
_ALSO_TEXT = {"image/svg+xml", "application/xhtml+xml", "application/atom+xml", "application/rss+xml"}


class MediaTypes(msgspec.Struct, frozen=True):
    """The Content-Type of files.

    Attributes:
        charset: the charset parameter for text; empty for none.
        extra: more types by extension, in lower case and without the dot. They override the table.
    """

    charset: str
    extra: Mapping[str, str]

    def of(self, name: bytes) -> str:
        """Return the Content-Type of a file named ``name`` (RFC 9110 §8.3); by default, application/octet-stream."""
        _, dot, extension = name.rpartition(b".")
        key = extension.decode("ascii", "replace").lower() if dot else ""
        media_type = self.extra.get(key) or _BY_EXTENSION.get(key) or "application/octet-stream"
        is_text = media_type.startswith("text/") or media_type in _ALSO_TEXT
        if self.charset and is_text and ";" not in media_type:
            return f"{media_type}; charset={self.charset}"
        return media_type
