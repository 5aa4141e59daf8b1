"""A download that is not complete: ``NAME.part``, and beside it ``NAME.part.json`` with what is known of it.

The bytes are written before they are counted, so that after a crash there may be more than is said, never less. What is
said is checked against the bytes before anything is added to them: a machine that lost its power may have kept the one
and lost the other. The digest is made when notes are taken, of what came since the last: a download that is over before
that costs none.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import zlib
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from threading import Lock
from typing import Any

from httpmini.errors import CannotRun
from httpmini.files import move_to_free_name, new_file, write_all
from httpmini.protocol.framing import Data

_READ_BYTES = 1024 * 1024


@dataclass
class Segment:
    """A run of bytes of the file, of which the first ones are there.

    Attributes:
        start: the offset of its first byte.
        end: the offset behind its last; -1 while nobody knows.
        done: the offset behind the last byte that is there.
        checked: how far ``crc32`` goes: from ``start`` to here. It guards against accidents, not against people.
        crc32: of these bytes.
    """

    start: int
    end: int
    done: int
    checked: int
    crc32: int = 0

    @property
    def complete(self) -> bool:
        """Whether all of it is there."""
        return self.done == self.end


@dataclass
class Plan:
    """What is being downloaded.

    Attributes:
        url: where it was asked for, before any redirection.
        entity_tag: strong, or empty.
        last_modified: or empty.
        length: of the whole file in bytes; -1 while nobody knows.
        segments: in the order of the file.
        ranges: whether the server says that it sends parts of it; some that do not say so do.
    """

    url: str
    entity_tag: str
    last_modified: str
    length: int
    segments: list[Segment] = field(default_factory=list)
    ranges: bool = True

    @property
    def validator(self) -> str:
        """What If-Range asks with; empty when a part of this file cannot be asked for safely."""
        return self.entity_tag or self.last_modified

    @property
    def complete(self) -> bool:
        """Whether every byte is there."""
        return bool(self.segments) and all(segment.complete for segment in self.segments)


class Part:
    """The two files of an unfinished download, locked for this process.

    Args:
        path: of the file that is to come.

    Raises:
        CannotRun: they cannot be written, or somebody else is at it.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.part_path = f"{path}.part"
        self._plan_path = f"{path}.part.json"
        self._new_path = f"{self._plan_path}.new"
        self._lock = Lock()  # of the notes
        self._writing = Lock()
        self._closed = False
        while True:
            self.fd = self._open()
            try:
                if self._is_mine():
                    return
            except BaseException:
                os.close(self.fd)
                raise
            os.close(self.fd)

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            return os.open(self.part_path, flags, 0o666)
        except OSError as error:
            raise CannotRun(f"cannot write {self.part_path}: {error.strerror}") from error

    def _is_mine(self) -> bool:
        """Lock what was opened; False when another download has given it its final name meanwhile, or taken it away."""
        there = os.fstat(self.fd)
        if not stat.S_ISREG(there.st_mode):
            raise CannotRun(f"{self.part_path} is no regular file; move it away")
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CannotRun(f"{self.part_path} is being written by another download") from error
        except OSError:
            pass  # a file system without locks
        try:
            now = os.stat(self.part_path, follow_symlinks=False)
        except FileNotFoundError:
            return False
        if (now.st_dev, now.st_ino) != (there.st_dev, there.st_ino):
            return False
        if now.st_nlink > 1:
            raise CannotRun(f"{self.part_path} is another file's second name; move it away")
        if now.st_size and not os.path.lexists(self._plan_path):
            raise CannotRun(
                f"{self.part_path} is there, and no {self._plan_path} beside it: it is not ours; move it away"
            )
        return True

    def close(self) -> None:
        """Let go of them; an empty part that nothing is known of is taken away. Nothing can be written any more."""
        if not os.fstat(self.fd).st_size:
            self.discard()
        with self._writing:
            self._closed = True
            os.close(self.fd)

    def discard(self) -> None:
        """Take both files away."""
        for path in (self._new_path, self._plan_path, self.part_path):
            with suppress(FileNotFoundError):
                os.unlink(path)

    def load(self) -> Plan | None:
        """What is known of the bytes that are there, if it is true of them."""
        try:
            with open(self._plan_path, encoding="utf-8") as file:
                said = json.load(file)
            segments = [Segment(**row) for row in said.pop("segments")]
            for segment in segments:
                segment.done = segment.checked
            plan = Plan(**said, segments=segments)
            return plan if _makes_sense(plan) and all(self._is_there(segment) for segment in segments) else None
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def save(self, plan: Plan) -> None:
        """Write down how far it is.

        Raises:
            CannotRun: the disk is full, or the folder has gone.
        """
        with self._lock:
            for segment in plan.segments:
                self._check(segment, segment.done)
            text = json.dumps(asdict(plan))
            try:
                with new_file(self._plan_path, name=self._new_path) as fd:
                    write_all(fd, text.encode())
            except OSError as error:
                raise CannotRun(f"cannot write {self._plan_path}: {error.strerror}") from error

    def begin_anew(self) -> None:
        """Forget the bytes that are there."""
        if os.fstat(self.fd).st_size:  # ext4 writes a file that was cut to nothing out at its close: 0.4 s for 1 GiB
            os.ftruncate(self.fd, 0)
        with suppress(FileNotFoundError):
            os.unlink(self._plan_path)

    def write(self, segment: Segment, data: Data) -> None:
        """Append to ``segment``.

        Raises:
            CannotRun: the disk is full, or it is closed.
        """
        view, offset = memoryview(data), segment.done
        with self._writing:
            if self._closed:  # the number of its descriptor may be another file's by now
                raise CannotRun(f"{self.part_path} is closed")
            try:
                while view:
                    count = os.pwrite(self.fd, view, offset)
                    view, offset = view[count:], offset + count
            except OSError as error:
                raise CannotRun(f"cannot write {self.part_path}: {error.strerror}") from error
        segment.done = offset

    def read(self, offset: int, length: int) -> bytes:
        """Bytes that are there already."""
        return os.pread(self.fd, length, offset)

    def finish(self, *, overwrite: bool) -> None:
        """Give the file its name.

        Raises:
            CannotRun: something has this name already, and ``overwrite`` is not set.
        """
        try:
            if overwrite:
                os.replace(self.part_path, self.path)
            else:
                move_to_free_name(self.part_path, self.path)
        except OSError as error:
            raise CannotRun(f"cannot write {self.path}: {error.strerror}") from error
        for path in (self._new_path, self._plan_path):
            with suppress(FileNotFoundError):
                os.unlink(path)

    def _is_there(self, segment: Segment) -> bool:
        anew = Segment(segment.start, segment.end, segment.done, segment.start)
        self._check(anew, segment.done)
        return (anew.checked, anew.crc32) == (segment.checked, segment.crc32)

    def _check(self, segment: Segment, end: int) -> None:
        """Go on with the digest, up to ``end`` or to where there are no bytes."""
        while segment.checked < end:
            data = self.read(segment.checked, min(_READ_BYTES, end - segment.checked))
            if not data:
                return
            crc32, checked = zlib.crc32(data, segment.crc32), segment.checked + len(data)
            segment.crc32, segment.checked = crc32, checked  # both or, with Ctrl-C just here, neither


def _makes_sense(plan: Plan) -> bool:
    """Whether the segments lie behind one another and cover the file: somebody may have edited it."""
    numbers: list[Any] = [plan.length, *(n for s in plan.segments for n in (s.start, s.end, s.checked, s.crc32))]
    texts: list[Any] = [plan.url, plan.entity_tag, plan.last_modified]
    if not all(isinstance(n, int) for n in numbers) or not all(isinstance(text, str) for text in texts):
        return False
    edges = [0, *(segment.end for segment in plan.segments)]
    lie_well = all(
        segment.start == edge and segment.start <= segment.done and (segment.done <= segment.end or segment.end == -1)
        for segment, edge in zip(plan.segments, edges, strict=False)
    )
    return bool(plan.segments) and lie_well and edges[-1] == plan.length
