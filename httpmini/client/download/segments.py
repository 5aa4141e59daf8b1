"""The segments of a download, fetched by several workers at once, or by one after the other."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Protocol

from httpmini.client.download.draft import Draft
from httpmini.client.download.plan import Plan, Segment
from httpmini.client.download.rate import Rate
from httpmini.client.download.source import Changed, Rest, Source, Unusable
from httpmini.client.response import Response
from httpmini.client.retry import is_passing, pause_before
from httpmini.errors import BadStatus, BrokenResponse, FetchError, TimedOut, TooLarge, Truncated
from httpmini.protocol.framing import Data

SAVE_S = 2.0
"""Seconds between two saves of the plan; that much is lost if the process is killed."""
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
    """Fetches the missing bytes of a plan into a draft.

    Each worker takes one segment after the other. When the server refuses a worker (too many connections, no ranges),
    that worker leaves its segment to the others and ends; only the refusal of the last one counts. The first response
    is of the whole file, and serves the following segments as well as long as nobody else has begun them.

    Args:
        source: the file on the server.
        draft: the file on disk.
        plan: updated as bytes come.
        rate: a limit for all segments together.
        progress: receives the progress.
    """

    def __init__(self, source: Source, draft: Draft, plan: Plan, rate: Rate | None, progress: Progress | None) -> None:
        self._source = source
        self._draft = draft
        self._plan = plan
        self._retries = source.retries
        self._rate = rate
        self._progress = progress
        self._stop = threading.Event()
        self._saved_at = time.monotonic()
        self._lock = threading.Lock()  # guards what follows
        self._free = [segment for segment in plan.segments if not segment.complete]
        self._working = 0
        self._parts_used = False
        self._errors: list[BaseException] = []
        self._refusals: list[BaseException] = []
        self._crowd = False

    def fetch_all(self, first: Response | None, workers: int) -> None:
        """Fetch every incomplete segment; the first error that concerns them all stops them.

        Args:
            first: a response to start the first segment with.
            workers: how many segments to fetch at the same time.

        Raises:
            Changed: the file on the server is another version now.
            Unusable: the server does not send the parts of this version.
            FetchError, CannotRun: as for ``download``.
        """
        threads = self._start(min(workers, len(self._free)) - 1)
        try:
            self._work(first)
        except BaseException as error:
            self._errors.append(error)
            self._stop.set()
        self._join(threads)
        if self._errors:
            raise min(self._errors, key=_severity)
        if self._refusals and not self._plan.complete:
            raise self._refusals[-1]

    def _start(self, count: int) -> list[threading.Thread]:
        """Start workers beside the calling thread; fewer if the system has no more threads.

        They take the later segments: the first is for the response that has come already.
        """
        threads: list[threading.Thread] = []
        self._crowd = count > 0
        self._working = 1
        own, self._free = self._free[:1], self._free[1:]
        for _ in range(count):
            # As daemon threads, abandoned ones do not keep the process from exiting.
            thread = threading.Thread(name="httpmini-segment", target=self._work, daemon=True)
            with self._lock:
                self._working += 1
            try:
                thread.start()
            except RuntimeError:
                with self._lock:
                    self._working -= 1
                break
            threads.append(thread)
        with self._lock:
            self._free[:0] = own
        return threads

    def _join(self, threads: list[threading.Thread]) -> None:
        """Wait until all threads have ended.

        After Ctrl-C they end with their next piece. A thread that waits for a silent server is abandoned, and finds the
        draft closed.
        """
        try:
            for thread in threads:
                if not any(map(_is_interruption, self._errors)):
                    thread.join()
        except BaseException as error:
            self._errors.append(error)
            self._stop.set()
        end = time.monotonic() + _GRACE_S
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _work(self, first: Response | None = None) -> None:
        """Fetch free segments until there are none."""
        worker = _Worker(first)
        error: BaseException | None = None
        try:
            while error is None and not self._stop.is_set() and (segment := self._take()):
                worker.segment = segment
                error = self._try(worker)
        finally:
            with self._lock:
                self._working -= 1
                if error is not None:
                    self._judge(error)

    def _take(self, after: Segment | None = None) -> Segment | None:
        """Take a free segment: the first, or the one ``after`` another if nothing of it is there."""
        with self._lock:
            for segment in self._free:
                if after is None or (segment.start == after.end == segment.done):
                    self._free.remove(segment)
                    return segment
        return None

    def _try(self, worker: _Worker) -> BaseException | None:
        """Fetch a segment. After an error, return it; what is missing is free again."""
        try:
            self._fetch(worker)
        except BaseException as error:  # raised by ``fetch_all``
            with self._lock:
                if not worker.segment.complete:
                    self._free.append(worker.segment)
                    self._free.sort(key=lambda segment: segment.start)
            return error
        return None

    def _judge(self, error: BaseException) -> None:
        """Stop all workers, or leave the rest to those that are left. The lock is held."""
        alone = isinstance(error, Changed) and not self._parts_used  # every byte is of the first response
        is_refusal = alone or (isinstance(error, Unusable | FetchError) and not isinstance(error, TooLarge))
        if is_refusal and self._working:
            self._refusals.append(error)
        else:
            self._errors.append(error)
            self._stop.set()

    def _fetch(self, worker: _Worker) -> None:
        """Fetch one segment to its end, requesting the rest again when the connection fails on the way."""
        attempt = 0
        while not worker.segment.complete and not self._stop.is_set():
            before = worker.received
            try:
                if worker.response is not None:
                    self._receive_all(worker, worker.response)
                else:
                    self._receive_part(worker, self._source.request_rest(self._plan, worker.segment))
            except (FetchError, Unusable) as error:
                attempt = 1 if worker.received > before else attempt + 1
                pause = pause_before(attempt, self._retries)
                if pause is None or not self._plan.validator or not self._may_resume(error):
                    raise
                self._stop.wait(pause)
            finally:
                worker.response = None

    def _may_resume(self, error: FetchError | Unusable) -> bool:
        """Whether to request the rest again: the connection failed, or the server may still count others of ours."""
        if isinstance(error, Unusable | BadStatus):
            cause = error.error if isinstance(error, Unusable) else error
            return isinstance(cause, BadStatus) and (self._crowd or self._parts_used) and self._working == 1
        return (
            is_passing(error)
            or isinstance(error, Truncated)
            or (isinstance(error, TimedOut) and error.phase != "total")
        )

    def _receive_all(self, worker: _Worker, response: Response) -> None:
        """Write the body of a response of the whole file, as far as no other worker has begun."""
        self._pace(response)
        with response:
            for piece in response.views():
                if not self._write_on(worker, piece):
                    return
        segment = worker.segment
        if segment.end < 0:  # it had no length, and its connection ended properly
            self._plan.length = segment.end = segment.done
        elif not segment.complete:
            raise Truncated(f"{self._source.shown}: the response ended {segment.end - segment.done} bytes too early")

    def _write_on(self, worker: _Worker, piece: Data) -> bool:
        """Write a piece into one segment and those that follow; return False when another worker has the next."""
        view = memoryview(piece)
        while view:
            segment = worker.segment
            room = len(view) if segment.end < 0 else segment.end - segment.done
            self._write(worker, view[:room])
            view = view[room:]
            if segment.complete:
                following = self._take(after=segment)
                if following is None:
                    return False
                worker.segment = following
        return not self._stop.is_set()

    def _receive_part(self, worker: _Worker, rest: Rest) -> None:
        """Write a part of the file, once what it has in common with the bytes that are there is the same."""
        segment, position = worker.segment, rest.first
        end = rest.end if segment.end < 0 else min(rest.end, segment.end)
        self._source.used += 1
        self._pace(rest.response)
        try:
            with rest.response:
                for piece in rest.response.views():
                    view = memoryview(piece)
                    known = max(0, segment.done - position)
                    self._compare(segment, position, view[:known])
                    position += len(view)
                    self._parts_used = True
                    self._write(worker, view[known:][: end - segment.done])
                    if segment.done == end or self._stop.is_set():
                        return
        except BrokenResponse as error:
            raise Unusable(error) from error
        raise Truncated(f"{self._source.shown}: the response ended {end - segment.done} bytes too early")

    def _compare(self, segment: Segment, position: int, data: memoryview) -> None:
        """Compare bytes of the server with those that are there; the ones before the segment are not of it."""
        data = data[max(0, segment.start - position) :]
        position = max(position, segment.start)
        if data and data != self._draft.read(position, len(data)):
            raise Changed

    def _pace(self, response: Response) -> None:
        if self._rate:
            response.piece_bytes = self._rate.piece_bytes

    def _write(self, worker: _Worker, piece: Data) -> None:
        if self._rate:
            self._rate.take(len(piece))
        self._draft.write(worker.segment, piece)
        worker.received += len(piece)
        if self._progress:
            self._progress.advance(len(piece))
        now = time.monotonic()
        if now - self._saved_at >= SAVE_S:
            self._saved_at = now
            self._draft.save(self._plan)


@dataclass
class _Worker:
    """What a worker is at.

    Attributes:
        response: of the whole file, if it has one to begin with.
        segment: the one that it fetches.
        received: how many bytes it has written.
    """

    response: Response | None
    segment: Segment = field(default_factory=lambda: Segment(0, 0, 0, 0))
    received: int = 0


def _is_interruption(error: BaseException) -> bool:
    return not isinstance(error, Exception)


def _severity(error: BaseException) -> int:
    """Which of several errors to raise: Ctrl-C first, then a changed file."""
    return 0 if _is_interruption(error) else 1 if isinstance(error, Changed) else 2
