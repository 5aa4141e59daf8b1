"""What is known of the local files from one run to the next, in ``.httpmini-mirror.json``."""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field, replace
from urllib.parse import quote_from_bytes, unquote_to_bytes

import msgspec

from httpmini.client.digests import announced_sha256
from httpmini.client.mirror.listings import Names
from httpmini.client.mirror.local_copy import LocalCopy
from httpmini.client.mirror.tree import InTheWay
from httpmini.client.versions import is_strong, validators
from httpmini.protocol.message import Headers

_SAVE_S = 10.0  # between two saves: files of the last seconds are fetched again after a kill -9


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file as the last fetch left it.

    Attributes:
        tag: ETag, if it tells this version from all others; else empty.
        modified: Last-Modified, on the same condition.
        size: in bytes.
        mtime_ns: nanoseconds since the epoch.
        sha256: of the file on the server, in hexadecimal, if it is known; else empty.
    """

    tag: str
    modified: str
    size: int
    mtime_ns: int
    sha256: str = ""

    @property
    def conditions(self) -> tuple[tuple[str, str], ...]:
        """Header fields that request the file only if it has changed (RFC 9110 §13.1.2, §13.1.3)."""
        fields = (("If-None-Match", self.tag), ("If-Modified-Since", self.modified))
        return tuple(field for field in fields if field[1])


@dataclass(frozen=True, slots=True)
class _Saved:
    """The contents of the file.

    Attributes:
        url: of the remote folder.
        files: each known file by its quoted path.
        left: files that a run has written and that are on the disk, but no longer on the server.
    """

    url: str
    files: dict[str, KnownFile]
    left: list[str] = field(default_factory=list)


class State:
    """The known files of a local copy.

    Args:
        copy: where the state is read and saved.
        url: of the remote folder; a state saved for another URL is ignored.
    """

    def __init__(self, copy: LocalCopy, url: str) -> None:
        self._copy = copy
        self._url = url
        saved = _read(copy, url)
        self._files = saved.files
        self._left = set(saved.left)
        self._next_save = time.monotonic() + _SAVE_S

    def find(self, names: Names, status: os.stat_result | None) -> KnownFile | None:
        """Return what is known of a file, if its size and time on disk are still as we left them."""
        known = self._files.get(_key(names))
        if known is None or status is None or (known.size, known.mtime_ns) != (status.st_size, status.st_mtime_ns):
            return None
        return known

    def owns(self, names: Names) -> bool:
        """Whether a run has written the file at ``names``, whatever became of it since."""
        key = _key(names)
        return key in self._files or key in self._left

    def record(self, names: Names, headers: Headers, status: os.stat_result) -> None:
        """Remember a file just written: ``headers`` of its response, ``status`` on disk."""
        tag, date = validators(headers)
        if not date and not is_strong(tag):  # a weak tag may be derived from the date alone
            tag = ""
        sha256 = announced_sha256(headers)
        self._files[_key(names)] = KnownFile(tag, date, status.st_size, status.st_mtime_ns, sha256)

    def confirm(self, names: Names, status: os.stat_result, sha256: str) -> None:
        """Remember that a file with this ``status`` on disk is the one with this digest on the server."""
        known = self.find(names, status) or KnownFile("", "", status.st_size, status.st_mtime_ns)
        self._files[_key(names)] = replace(known, sha256=sha256)

    def save(self, keep: Collection[Names] | None = None) -> None:
        """Save the state for the next run.

        Args:
            keep: of all other files, remember only that they were written here, and that while they are on the disk;
                None to keep everything.

        Raises:
            CannotRun: it cannot be written.
        """
        files, left = self._files, self._left
        if keep is not None:
            kept = {_key(names) for names in keep}
            files = {key: known for key, known in files.items() if key in kept}
            left = {key for key in {*self._files, *left} - files.keys() if self._is_there(key)}
        self._copy.write_state(msgspec.json.encode(_Saved(self._url, files, sorted(left))))
        self._next_save = time.monotonic() + _SAVE_S

    def _is_there(self, key: str) -> bool:
        try:
            return self._copy.exists(tuple(unquote_to_bytes(name) for name in key.split("/")))
        except InTheWay:
            return False

    def save_if_due(self) -> None:
        """Save the state if the last save was some time ago."""
        if time.monotonic() > self._next_save:
            self.save()


def _read(copy: LocalCopy, url: str) -> _Saved:
    with suppress(msgspec.MsgspecError, ValueError, RecursionError):
        saved = msgspec.json.decode(copy.read_state(), type=_Saved)
        if saved.url == url:
            return saved
    return _Saved(url, {})


def _key(names: Names) -> str:
    return "/".join(quote_from_bytes(name, safe="") for name in names)
