"""The segments of a download, each fetched in a thread of its own."""

from __future__ import annotations

import threading
import time
from itertools import pairwise
from typing import Protocol

from httpmini.client.download.part import Part, Plan, Segment
from httpmini.client.download.rate import Rate
from httpmini.client.download.source import Changed, Source
from httpmini.client.options import Retries
from httpmini.client.response import Response
from httpmini.client.retry import is_passing, pause_before
from httpmini.errors import FetchError, TimedOut, Truncated
from httpmini.protocol.framing import Data

SAVE_S = 2.0
"""Seconds between two saves of the plan; that much is lost if the process is killed."""
_MIN_SEGMENT_BYTES = 256 * 1024
_GRACE_S = 0.5  # for the threads to end after Ctrl-C; a thread that waits for a server longer is abandoned


class Progress(Protocol):
    """Receives the progress of a download."""

    def begin(self, name: str, total: int | None, done: int) -> None:
        """Note that ``done`` of ``total`` bytes are there; called again if the download starts over."""
        ...

    def advance(self, count: int) -> None:
        """Note that ``count`` more bytes have come."""
        ...

    def end(self) -> None:
        """Note that the download has ended, successfully or not."""
        ...


class SegmentFetcher:
    """Fetches the missing bytes of a plan into its part.

    Args:
        source: the file on the server.
        part: the file on disk.
        retries: for each segment; counted from the start again whenever bytes have come.
        rate: a limit for all segments together.
        progress: receives the progress.
    """

    def __init__(
        self, source: Source, part: Part, retries: Retries, rate: Rate | None, progress: Progress | None
    ) -> None:
        self._source = source
        self._part = part
        self._retries = retries
        self._rate = rate
        self._progress = progress
        self._stop = threading.Event()
        self._saved_at = time.monotonic()

    def fetch_all(self, plan: Plan, first: Response | None) -> None:
        """Fetch every incomplete segment, each in a thread of its own; the first error stops them all.

        Args:
            plan: updated as bytes come.
            first: a response to start the first segment with.

        Raises:
            Changed: the file on the server is another version now.
            FetchError, CannotRun: as for ``download``.
        """
        missing = [segment for segment in plan.segments if not segment.complete]
        errors: list[BaseException] = []
        self._stop.clear()

        def fetch(segment: Segment) -> None:
            try:
                self._fetch(plan, segment, first if segment is plan.segments[0] else None)
            except BaseException as error:  # raised in the main thread below
                errors.append(error)
                self._stop.set()

        threads = [
            # As daemon threads, abandoned ones do not keep the process from exiting.
            threading.Thread(name="httpmini-segment", target=fetch, args=(segment,), daemon=True)
            for segment in missing[1:]
        ]
        try:
            for thread in threads:
                thread.start()
            if missing:
                fetch(missing[0])
        finally:
            self._join(threads, errors)
        if errors:
            raise min(errors, key=_severity)

    def _join(self, threads: list[threading.Thread], errors: list[BaseException]) -> None:
        """Wait until all threads have ended.

        After Ctrl-C they end with their next piece. A thread that waits for a silent server is abandoned, and finds the
        part closed.
        """
        try:
            for thread in threads:
                if not any(map(_is_interruption, errors)):
                    thread.join()
        except BaseException as error:
            errors.append(error)
            self._stop.set()
        end = time.monotonic() + _GRACE_S
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _fetch(self, plan: Plan, segment: Segment, response: Response | None) -> None:
        """Fetch one segment to its end, requesting the rest again when the connection fails on the way."""
        attempt = 0
        while not segment.complete and not self._stop.is_set():
            before = segment.done
            try:
                response, overlap = (response, 0) if response else self._source.request_rest(plan, segment)
                self._receive(plan, segment, response, overlap)
            except FetchError as error:
                attempt = 1 if segment.done > before else attempt + 1
                pause = pause_before(attempt, self._retries)
                if pause is None or not plan.validator or not _can_resume(error):
                    raise
                self._stop.wait(pause)
            response = None

    def _receive(self, plan: Plan, segment: Segment, response: Response, overlap: int) -> None:
        """Write the body of ``response``, once its first ``overlap`` bytes equal those that are there."""
        if self._rate:
            response.piece_bytes = self._rate.piece_bytes
        with response:
            compared = bytearray()
            for piece in response.views():
                if overlap > len(compared):
                    compared += piece
                    if len(compared) < overlap:
                        continue
                    if compared[:overlap] != self._part.read(segment.done - overlap, overlap):
                        raise Changed
                    piece = bytes(compared[overlap:])
                if segment.end >= 0:
                    piece = piece[: segment.end - segment.done]
                self._write(plan, segment, piece)
                if segment.complete or self._stop.is_set():
                    break
        if segment.end < 0:  # it had no length, and its connection ended properly
            plan.length = segment.end = segment.done
        elif not segment.complete and not self._stop.is_set():
            raise Truncated(f"{self._source.url}: the response ended {segment.end - segment.done} bytes too early")

    def _write(self, plan: Plan, segment: Segment, piece: Data) -> None:
        if self._rate:
            self._rate.take(len(piece))
        self._part.write(segment, piece)
        if self._progress:
            self._progress.advance(len(piece))
        now = time.monotonic()
        if now - self._saved_at >= SAVE_S:
            self._saved_at = now
            self._part.save(plan)


def cut(length: int, count: int) -> list[Segment]:
    """Cut ``length`` bytes (-1: unknown) into at most ``count`` segments of about equal size."""
    if length < 0:
        return [Segment(0, -1, 0, 0)]
    count = max(1, min(count, length // _MIN_SEGMENT_BYTES))
    edges = [length * number // count for number in range(count + 1)]
    return [Segment(start, end, start, start) for start, end in pairwise(edges)]


def _can_resume(error: FetchError) -> bool:
    """Whether the rest can be requested: the connection failed, not the server."""
    return is_passing(error) or isinstance(error, Truncated) or (isinstance(error, TimedOut) and error.phase != "total")


def _is_interruption(error: BaseException) -> bool:
    return not isinstance(error, Exception)


def _severity(error: BaseException) -> int:
    """Which of several errors to raise: Ctrl-C first, then a changed file."""
    return 0 if _is_interruption(error) else 1 if isinstance(error, Changed) else 2
