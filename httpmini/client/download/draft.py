"""The bytes of one version on their way into a file."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Callable
from threading import Lock

from httpmini.client.download.plan import Plan, Segment
from httpmini.errors import CannotRun
from httpmini.files import remove_if_same
from httpmini.protocol.framing import Data

_READ_BYTES = 1024 * 1024


class Draft:
    """An open file that segments are written to, until it is closed to them. Thread-safe.

    Bytes are written before they are counted, so that after a crash there may be more of them than a plan says, never
    fewer. The checksums of a plan are made when it is kept: a download that is over before that costs none.

    Args:
        fd: of the file, which the draft closes.
        folder: a descriptor of its folder.
        name: what the file is called so far; None if it has no name.
        shown: its path, for messages.
        keep: writes down a plan, so that a later call can resume from it; None if the draft ends with this call.

    Attributes:
        fd: as given.
        name: as given.
        is_kept: whether a later call can resume from it.
    """

    def __init__(
        self, fd: int, folder: int, name: str | bytes | None, shown: str, keep: Callable[[Plan], None] | None
    ) -> None:
        self.fd = fd
        self.name = name
        self.is_kept = keep is not None
        self._folder = folder
        self._shown = shown
        self._keep = keep
        self._writing = Lock()
        self._saving = Lock()
        self._closed = False

    def write(self, segment: Segment, data: Data) -> None:
        """Append ``data`` to ``segment``.

        Raises:
            CannotRun: the disk is full, or the draft is closed.
        """
        view, offset = memoryview(data), segment.done
        with self._writing:
            if self._closed:  # the descriptor's number may belong to another file by now
                raise CannotRun(f"{self._shown} is closed")
            try:
                while view:
                    count = os.pwrite(self.fd, view, offset)
                    view, offset = view[count:], offset + count
            except OSError as error:
                raise CannotRun(f"cannot write {self._shown}: {error.strerror}") from error
        segment.done = offset

    def read(self, offset: int, length: int) -> bytes:
        """Return up to ``length`` bytes from ``offset``."""
        return os.pread(self.fd, length, offset)

    def save(self, plan: Plan) -> None:
        """Keep the plan, if the bytes are kept.

        Raises:
            CannotRun: the disk is full, or the folder is gone.
        """
        if self._keep is None:
            return
        with self._saving:
            if self._closed:  # its descriptor's number may belong to another file by now
                return
            for segment in plan.segments:
                self._check(segment, segment.done)
            self._keep(plan)

    def matches(self, plan: Plan) -> bool:
        """Whether the file holds the bytes that the plan says."""
        for segment in plan.segments:
            found = Segment(segment.start, segment.end, segment.done, segment.start)
            self._check(found, segment.done)
            if (found.checked, found.crc32) != (segment.checked, segment.crc32):
                return False
        return True

    def cut_to(self, length: int) -> None:
        """Remove what an earlier attempt has left beyond ``length`` bytes."""
        if (
            os.fstat(self.fd).st_size != length
        ):  # a truncated file costs ext4 a flush when it is closed: 0.4 s for 1 GiB
            os.ftruncate(self.fd, length)

    def sha256(self) -> str:
        """Return the SHA-256 of the whole file in hexadecimal."""
        os.lseek(self.fd, 0, os.SEEK_SET)
        with open(self.fd, "rb", closefd=False) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def close(self) -> None:
        """End all writing. A file that is kept stays; a temporary one is gone."""
        with self._saving, self._writing:
            if self._closed:
                return
            self._closed = True
            if self._keep is None and self.name is not None:
                remove_if_same(self.fd, self.name, self._folder)
            os.close(self.fd)

    def _check(self, segment: Segment, end: int) -> None:
        """Extend the checksum up to ``end``, or to the end of the file."""
        while segment.checked < end:
            data = self.read(segment.checked, min(_READ_BYTES, end - segment.checked))
            if not data:
                return
            crc32, checked = zlib.crc32(data, segment.crc32), segment.checked + len(data)
            segment.crc32, segment.checked = crc32, checked  # both, or neither if Ctrl-C comes just here
