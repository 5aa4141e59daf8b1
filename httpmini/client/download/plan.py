"""What is being downloaded, in which segments, and how far each is: kept beside an unfinished file as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

_MIN_SEGMENT_BYTES = 256 * 1024
_REQUIRED = {"url", "entity_tag", "last_modified", "length", "segments"}


@dataclass
class Segment:
    """A range of the file that is filled from its start.

    Attributes:
        start: offset of its first byte.
        end: offset after its last byte; -1 while unknown.
        done: offset after the last byte that is there.
        checked: offset up to which ``crc32`` covers it.
        crc32: checksum from ``start`` to ``checked``. It guards against accidents, not against tampering.
    """

    start: int
    end: int
    done: int
    checked: int
    crc32: int = 0

    @property
    def complete(self) -> bool:
        """Whether every byte is there."""
        return self.done == self.end


@dataclass
class Plan:
    """What is being downloaded, and how far it is.

    Attributes:
        url: the requested URL, before any redirection.
        entity_tag: a strong entity tag; may be empty.
        last_modified: the date of the file, if it identifies the version; else empty.
        length: of the whole file in bytes; -1 while unknown.
        segments: in the order of the file.
        ranges: whether the server announces support for ranges; some support them without saying so.
        outdated: whether the server has been seen to have another version since.
    """

    url: str
    entity_tag: str
    last_modified: str
    length: int
    segments: list[Segment] = field(default_factory=list)
    ranges: bool = True
    outdated: bool = False

    @property
    def validator(self) -> str:
        """The value for If-Range; empty if parts of this file cannot be requested safely."""
        return self.entity_tag or self.last_modified

    @property
    def done(self) -> int:
        """The number of bytes that are there."""
        return sum(segment.done - segment.start for segment in self.segments)

    @property
    def complete(self) -> bool:
        """Whether every byte is there."""
        return bool(self.segments) and all(segment.complete for segment in self.segments)

    def as_json(self) -> bytes:
        """Return the plan as it is kept on disk."""
        return json.dumps(asdict(self)).encode()

    def cut_further(self, count: int) -> None:
        """Cut what is missing until there are ``count`` incomplete segments, or they get too small."""
        while 0 < len(missing := [segment for segment in self.segments if not segment.complete]) < count:
            largest = max(missing, key=lambda segment: segment.end - segment.done)
            if largest.end - largest.done < 2 * _MIN_SEGMENT_BYTES:
                return
            middle = (largest.done + largest.end) // 2
            after = Segment(middle, largest.end, middle, middle)
            self.segments.insert(self.segments.index(largest) + 1, after)
            largest.end = middle


def cut(length: int, count: int) -> list[Segment]:
    """Cut ``length`` bytes (-1: unknown) into at most ``count`` segments of about equal size."""
    if length < 0:
        return [Segment(0, -1, 0, 0)]
    count = max(1, min(count, length // _MIN_SEGMENT_BYTES))
    edges = [length * number // count for number in range(count + 1)]
    return [Segment(start, end, start, start) for start, end in pairwise(edges)]


class NotAPlan(Exception):
    """The text is not of a plan, so it is not of our making."""


def read_plan(text: bytes) -> Plan | None:
    """Return the plan that is kept as ``text``; None if it is of no use.

    A file without a byte is what a crash may leave of a plan that was never on disk.

    Raises:
        NotAPlan: it is something else.
    """
    if not text:
        return None
    try:
        saved = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotAPlan from error
    if not isinstance(saved, dict) or not saved.keys() >= _REQUIRED:
        raise NotAPlan
    try:
        segments = [Segment(**row) for row in saved.pop("segments")]
        for segment in segments:
            segment.done = segment.checked
        plan = Plan(**saved, segments=segments)
        return plan if _is_consistent(plan) else None
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _is_consistent(plan: Plan) -> bool:
    """Whether the types are right and the segments cover the file in order: the plan may have been edited."""
    numbers: list[Any] = [plan.length, *(n for s in plan.segments for n in (s.start, s.end, s.checked, s.crc32))]
    texts: list[Any] = [plan.url, plan.entity_tag, plan.last_modified]
    if not all(isinstance(n, int) for n in numbers) or not all(isinstance(text, str) for text in texts):
        return False
    edges = [0, *(segment.end for segment in plan.segments)]
    contiguous = all(
        segment.start == edge and segment.start <= segment.done and (segment.done <= segment.end or segment.end == -1)
        for segment, edge in zip(plan.segments, edges, strict=False)
    )
    return bool(plan.segments) and contiguous and edges[-1] == plan.length
