"""A download that cannot come out corrupt.

The file gets its name when all of it is there: every byte counted, all of one version, and of the digest that was asked
for. Until then it is a ``Part``, from which a later call goes on by itself:

    nothing there       ask for all of it               200: keep what comes, and what tells versions apart
    a part there        ask for the rest, If-Range      206: compare the last 64 KiB, go on behind them
                                                        200: it has changed, begin anew
                                                        416: it has shrunk, begin anew

curl and wget ask for the rest without If-Range, and put two versions together when the file has changed meanwhile.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from httpmini.client.client import Client
from httpmini.client.download.part import Part, Plan, Segment
from httpmini.client.download.rate import Rate
from httpmini.client.response import Response
from httpmini.client.retry import is_passing, pause_before
from httpmini.client.url import parse_url
from httpmini.client.versions import strong_validators
from httpmini.errors import BadStatus, BrokenResponse, CannotRun, Corrupt, FetchError, TimedOut, Truncated
from httpmini.protocol.framing import Data
from httpmini.protocol.message import Headers

OVERLAP_BYTES = 64 * 1024
"""How much of a part is compared with what the server sends before going on behind it."""
SAVE_S = 2.0
"""Seconds between two notes of how far it is; so much is lost when the process is killed."""
_LEAST_SEGMENT_BYTES = 256 * 1024
_GRACE_S = 0.5  # for the threads to end after Ctrl-C; who waits for a server longer is left behind
_MOST_VERSIONS = 5  # a file that changes more often than this while we ask is given up
_CONTENT_RANGE = re.compile(r"bytes (?P<first>[0-9]{1,18})-(?P<last>[0-9]{1,18})/(?P<length>[0-9]{1,18})", re.ASCII)
# RFC 9530 §3: a dictionary of digests, each between colons.
_REPR_DIGEST = re.compile(r"(?:^|,)\s*sha-256=:(?P<digest>[A-Za-z0-9+/=]+):", re.ASCII)


class Progress(Protocol):
    """Is told how a download goes."""

    def begin(self, name: str, total: int | None, done: int) -> None:
        """``done`` of ``total`` bytes are there; also called when it begins anew."""
        ...

    def advance(self, count: int) -> None:
        """So many bytes more."""
        ...

    def end(self) -> None:
        """It is over, well or not."""
        ...


@dataclass(frozen=True)
class Downloaded:
    """A file that is there.

    Attributes:
        path: where.
        size: in bytes.
        sha256: in hexadecimal, when it was asked for or compared; else None.
        resumed_from: how many bytes were there before.
        url: where it came from, after redirections.
        status: of the last answer.
        headers: of the last answer.
    """

    path: str
    size: int
    sha256: str | None
    resumed_from: int
    url: str
    status: int
    headers: Headers


class _Changed(Exception):
    """The server has another version than the part is of."""


def download(
    client: Client,
    url: str,
    path: str | os.PathLike[str],
    *,
    headers: Iterable[tuple[str, str]] = (),
    sha256: str | None = None,
    segments: int = 1,
    rate: float | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Downloaded:
    """Bring the file at ``url`` to ``path``, going on from an earlier attempt if there is one (RFC 9110 §13.1.5, §14).

    Args:
        client: asks; its retries count anew whenever something came.
        url: an http or https URL.
        path: the file; the folder must be there. ``path.part`` and ``path.part.json`` are used meanwhile, and stay when
            this ends early.
        headers: fields for each request.
        sha256: what the whole file must come to, in hexadecimal.
        segments: how many parts of it are fetched at once.
        rate: bytes per second, for all of them together; None for no limit.
        overwrite: replace what has this name already. A symlink is replaced, never written through.
        progress: is told how it goes.

    Raises:
        CannotRun: the file cannot be written, or is there already.
        Corrupt: the digest is another; the file keeps changing. The part is taken away.
        BadStatus: the server does not give it.
        FetchError: by its cause, see ``errors.py``; the part is kept.
    """
    path = os.fspath(path)
    if not overwrite and os.path.lexists(path):
        raise CannotRun(f"{path} is there already")
    part = Part(path)
    try:
        job = _Job(client, url, part, tuple(headers), segments, Rate(rate) if rate else None, progress)
        done = job.run(sha256)
        part.finish(overwrite=overwrite)
        return done
    finally:
        if progress:
            progress.end()
        part.close()


class _Job:
    """One download on its way."""

    def __init__(
        self,
        client: Client,
        url: str,
        part: Part,
        headers: tuple[tuple[str, str], ...],
        segments: int,
        rate: Rate | None,
        progress: Progress | None,
    ) -> None:
        self._client = client
        self._url = url
        self._part = part
        self._headers = (*headers, ("Accept-Encoding", "identity"))
        self._wanted_segments = segments
        self._rate = rate
        self._progress = progress
        self._resumed_from = 0
        self._answers = 0
        self._last: Response | None = None
        self._digest = ""
        self._stop = threading.Event()
        self._saved_at = time.monotonic()

    def run(self, sha256: str | None) -> Downloaded:
        plan = self._part.load()
        if plan is not None and (plan.url != parse_url(self._url).text or not plan.validator):
            plan = None
        self._resumed_from = sum(s.done - s.start for s in plan.segments) if plan else 0
        for _ in range(_MOST_VERSIONS):
            try:
                plan = self._bring(plan)
                return self._finished(plan, sha256)
            except _Changed:
                plan, self._resumed_from, self._answers, self._digest = None, 0, 0, ""
                self._part.begin_anew()
        self._part.discard()
        raise Corrupt(f"{self._url} changed {_MOST_VERSIONS} times while it was being fetched")

    def _bring(self, plan: Plan | None) -> Plan:
        """Fetch what is missing; the plan, complete. However it ends, what is there is written down."""
        first = None
        if plan is None:
            self._part.begin_anew()
            plan, first = self._ask_for_all()
        self._tell(plan)
        try:
            self._bring_side_by_side(plan, first)
        except BaseException:
            self._part.save(plan)
            raise
        finally:
            if first is not None:
                first.close()
        return plan

    def _ask_for_all(self) -> tuple[Plan, Response]:
        response = self._client.fetch(self._url, headers=self._headers)
        try:
            self._note(response)
            if response.status == 206:
                raise BrokenResponse("the server sent a part of it (206), which nobody asked for", "content-range")
            response.raise_for_status()
            plan = self._plan_for(response)
            self._part.save(plan)
        except BaseException:
            response.close()
            raise
        return plan, response

    def _plan_for(self, response: Response) -> Plan:
        """A body that comes packed although nobody asked is unpacked; then its length and its ranges are another's."""
        url = parse_url(self._url).text
        if response.codings or response.content_length is None:
            return Plan(url, "", "", -1, _cut(-1, 1))
        plan = Plan(url, *strong_validators(response.headers), response.content_length)
        _check_room(self._part.fd, plan.length)
        plan.ranges = "bytes" in response.headers.tokens("Accept-Ranges")
        plan.segments = _cut(plan.length, self._wanted_segments if plan.ranges and plan.validator else 1)
        return plan

    def _bring_side_by_side(self, plan: Plan, first: Response | None) -> None:
        """Every segment that is not complete, each in a thread; the first error that is found stops all."""
        missing = [segment for segment in plan.segments if not segment.complete]
        errors: list[BaseException] = []
        self._stop.clear()

        def bring(segment: Segment, response: Response | None) -> None:
            try:
                self._bring_segment(plan, segment, response)
            except BaseException as error:  # told to the main thread
                errors.append(error)
                self._stop.set()

        threads = [
            threading.Thread(
                name="httpmini-segment",
                target=bring,
                args=(segment, first if segment is plan.segments[0] else None),
                daemon=True,  # one that was left behind does not keep the process from ending
            )
            for segment in missing[1:]
        ]
        try:
            for thread in threads:
                thread.start()
            if missing:
                bring(missing[0], first if missing[0] is plan.segments[0] else None)
        finally:
            self._wait_for(threads, errors)
        if errors:
            raise min(errors, key=_importance)

    def _wait_for(self, threads: list[threading.Thread], errors: list[BaseException]) -> None:
        """Until all have ended. After Ctrl-C they end with their next piece; one that waits for a server which says
        nothing is left behind, and finds the part closed."""
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

    def _bring_segment(self, plan: Plan, segment: Segment, response: Response | None) -> None:
        """One segment to its end, asking again for what is missing when the connection fails on the way."""
        attempt = 0
        while not segment.complete and not self._stop.is_set():
            before = segment.done
            try:
                if response is None:
                    response, skip = self._ask_for_rest(plan, segment)
                else:
                    skip = 0
                self._receive(plan, segment, response, skip)
            except FetchError as error:
                attempt = 1 if segment.done > before else attempt + 1
                pause = pause_before(attempt, self._client.retries)
                if pause is None or not plan.validator or not _may_go_on(error):
                    raise
                self._stop.wait(pause)
            response = None

    def _ask_for_rest(self, plan: Plan, segment: Segment) -> tuple[Response, int]:
        """An answer that begins ``skip`` bytes before the end of what is there, which are to be compared.

        Raises:
            _Changed: it is not of the version that the part is of.
        """
        first = max(segment.start, segment.done - OVERLAP_BYTES)
        last = "" if segment.end < 0 else str(segment.end - 1)
        asked = (("Range", f"bytes={first}-{last}"), ("If-Range", plan.validator))
        response = self._client.fetch(self._url, headers=(*self._headers, *asked))
        self._note(response)
        try:
            self._check_part(plan, segment, first, response)
        except BaseException:
            response.close()
            raise
        return response, segment.done - first

    def _check_part(self, plan: Plan, segment: Segment, first: int, response: Response) -> None:
        if response.status in (200, 416):
            raise _Changed
        if response.status != 206:
            raise BadStatus(f"{response.url}: {response.status} {response.reason}".rstrip(), response.status)
        said = response.headers.get("Content-Range") or ""
        match = _CONTENT_RANGE.fullmatch(said)
        if match is None:
            raise BrokenResponse(f"a part (206) with Content-Range {said!r}", "content-range")
        length, end = int(match["length"]), int(match["last"]) + 1
        if plan.length not in (-1, length) or _is_of_another(plan, response.headers):
            raise _Changed
        if int(match["first"]) != first or end > length or end not in (length, segment.end):
            raise BrokenResponse(f"asked for the bytes from {first}, got {said!r}", "content-range")
        if segment.end < 0:
            plan.length = segment.end = length

    def _receive(self, plan: Plan, segment: Segment, response: Response, skip: int) -> None:
        """Write what ``response`` brings, once the first ``skip`` bytes are found to be those that are there."""
        if self._rate:
            response.piece_bytes = self._rate.piece_bytes
        with response:
            overlap = bytearray()
            for piece in response.views():
                if skip > len(overlap):
                    overlap += piece
                    if len(overlap) < skip:
                        continue
                    if overlap[:skip] != self._part.read(segment.done - skip, skip):
                        raise _Changed
                    piece = bytes(overlap[skip:])
                if segment.end >= 0:
                    piece = piece[: segment.end - segment.done]
                self._write(plan, segment, piece)
                if segment.complete or self._stop.is_set():
                    break
        if segment.end < 0:  # it had no length, and its connection ended well
            plan.length = segment.end = segment.done
        elif not segment.complete and not self._stop.is_set():
            raise Truncated(f"{self._url}: the answer ended {segment.end - segment.done} bytes too early")

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

    def _confirm(self, plan: Plan) -> None:
        """What came in several answers is one version only if it still is that version: a file that is written to in
        place may have had one tag and two contents."""
        if self._answers < 2 and not self._resumed_from:
            return
        for method in ("HEAD", "GET"):  # there are servers that know no HEAD
            with self._client.fetch(self._url, method=method, headers=self._headers) as response:
                if response.ok:
                    if not _is_of(plan, response.headers):
                        raise _Changed
                    self._note_digest(response)
                    return

    def _finished(self, plan: Plan, sha256: str | None) -> Downloaded:
        try:
            self._confirm(plan)
            return self._verified(plan, sha256)
        except (_Changed, Corrupt):
            raise
        except BaseException:  # all of it is there, and need not come again
            self._part.save(plan)
            raise

    def _verified(self, plan: Plan, sha256: str | None) -> Downloaded:
        size = os.fstat(self._part.fd).st_size
        if size != plan.length:
            os.ftruncate(self._part.fd, plan.length)  # left over from before
        found = None
        if sha256 or self._digest:
            found = self._sha256()
            for wanted, who in ((sha256, "asked for"), (self._digest, "announced by the server")):
                if wanted and found != wanted.lower():
                    self._part.discard()
                    raise Corrupt(f"{self._url}: its SHA-256 is {found}, not {wanted.lower()} as {who}")
        last = self._last
        return Downloaded(
            path=self._part.path,
            size=plan.length,
            sha256=found,
            resumed_from=self._resumed_from,
            url=last.url if last else self._url,
            status=last.status if last else 0,
            headers=last.headers if last else Headers(),
        )

    def _sha256(self) -> str:
        os.lseek(self._part.fd, 0, os.SEEK_SET)
        with open(self._part.fd, "rb", closefd=False) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _note(self, response: Response) -> None:
        self._answers += 1
        self._last = response
        self._note_digest(response)

    def _note_digest(self, response: Response) -> None:
        """What the server announces; of what is unpacked here it says nothing (RFC 9530 §3)."""
        match = _REPR_DIGEST.search(", ".join(response.headers.all("Repr-Digest")))
        if match and not response.codings:
            self._digest = _to_hex(match["digest"])

    def _tell(self, plan: Plan) -> None:
        if self._progress:
            done = sum(segment.done - segment.start for segment in plan.segments)
            self._progress.begin(os.path.basename(self._part.path), None if plan.length < 0 else plan.length, done)


def _may_go_on(error: FetchError) -> bool:
    """Whether the rest can be asked for: the connection failed, not the server."""
    return is_passing(error) or isinstance(error, Truncated) or (isinstance(error, TimedOut) and error.phase != "total")


def _to_hex(digest: str) -> str:
    """A digest in base64 as hexadecimal; one that is none stays as it is, and is like no file's."""
    try:
        return base64.b64decode(digest, validate=True).hex()
    except ValueError:
        return digest


def _is_interruption(error: BaseException) -> bool:
    return not isinstance(error, Exception)


def _importance(error: BaseException) -> int:
    """Which of several errors counts: Ctrl-C, then that the file has changed."""
    return 0 if _is_interruption(error) else 1 if isinstance(error, _Changed) else 2


def _is_of_another(plan: Plan, headers: Headers) -> bool:
    """Whether a part (206) says that it is of another version; it may leave out the date (RFC 9110 §15.3.7)."""
    pairs = ((headers.get("ETag"), plan.entity_tag), (headers.get("Last-Modified"), plan.last_modified))
    return next((said != known for said, known in pairs if said and known), False)


def _is_of(plan: Plan, headers: Headers) -> bool:
    """Whether an answer is of the version that ``plan`` is of; the tag says it, and the date where there is no tag."""
    tag, date = strong_validators(headers)
    return tag == plan.entity_tag if plan.entity_tag else date == plan.last_modified


def _cut(length: int, count: int) -> list[Segment]:
    """``length`` bytes in at most ``count`` segments of about one size."""
    if length < 0:
        return [Segment(0, -1, 0, 0)]
    count = max(1, min(count, length // _LEAST_SEGMENT_BYTES))
    edges = [length * number // count for number in range(count + 1)]
    return [Segment(start, end, start, start) for start, end in pairwise(edges)]


def _check_room(fd: int, length: int) -> None:
    """Nothing is reserved for a length that a server has made up; but one that cannot fit need not be begun."""
    room = os.fstatvfs(fd)
    if length > room.f_bavail * room.f_frsize:
        raise CannotRun(f"there is no room for {length} bytes on this disk")
