"""A download that cannot come out corrupt.

The file gets its name when all of it is there: every byte counted, all of one version, and with the requested digest.
Until then it is a ``Part``, from which a later call resumes by itself:

    nothing there       request all of it               200: store what comes, and what identifies the version
    a part there        request the rest, If-Range      206: compare the last 64 KiB, append what follows
                                                        200: it has changed, start over
                                                        416: it has shrunk, start over

curl and wget request the rest without If-Range, and combine two versions if the file has changed meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from httpmini.client.client import Client
from httpmini.client.download.part import Part, Plan
from httpmini.client.download.rate import Rate
from httpmini.client.download.segments import Progress, SegmentFetcher, cut
from httpmini.client.download.source import Changed, Source
from httpmini.client.response import Response
from httpmini.client.url import parse_url
from httpmini.client.versions import strong_validators
from httpmini.errors import CannotRun, Corrupt
from httpmini.protocol.message import Headers

_MAX_VERSIONS = 5  # a file that changes more often than this during the download is given up


@dataclass(frozen=True)
class Downloaded:
    """A file that has been downloaded.

    Attributes:
        path: of the file.
        size: in bytes.
        sha256: in hexadecimal, if it was requested or compared; else None.
        resumed_from: how many bytes an earlier call had left.
        url: where it came from, after redirections.
        status: of the last response.
        headers: of the last response.
    """

    path: str
    size: int
    sha256: str | None
    resumed_from: int
    url: str
    status: int
    headers: Headers


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
    """Download ``url`` to ``path``, resuming an earlier attempt if there is one (RFC 9110 §13.1.5, §14).

    Args:
        client: sends the requests; its retries are counted from the start again whenever bytes have come.
        url: an http or https URL.
        path: of the file, in a folder that exists. ``path.part`` and ``path.part.json`` are used meanwhile, and stay if
            the download ends early.
        headers: fields for each request.
        sha256: the digest that the whole file must have, in hexadecimal.
        segments: how many parts of the file are fetched at once.
        rate: bytes per second, for all segments together; None for no limit.
        overwrite: replace an existing file. A symlink is replaced, never written through.
        progress: receives the progress.

    Returns:
        What was downloaded.

    Raises:
        CannotRun: the file cannot be written, or exists already.
        Corrupt: the digest is wrong, or the file keeps changing. The part is deleted.
        BadStatus: the server refuses the file.
        FetchError: any other cause, see ``errors.py``; the part is kept.
    """
    path = os.fspath(path)
    if not overwrite and os.path.lexists(path):
        raise CannotRun(f"{path} exists already")
    part = Part(path)
    try:
        source = Source(client, url, tuple(headers))
        fetcher = SegmentFetcher(source, part, client.retries, Rate(rate) if rate else None, progress)
        done = _Download(source, part, fetcher, segments, progress).run(sha256)
        part.finish(overwrite=overwrite)
        return done
    finally:
        if progress:
            progress.end()
        part.close()


class _Download:
    """One download from its plan to a verified file."""

    def __init__(
        self, source: Source, part: Part, fetcher: SegmentFetcher, segments: int, progress: Progress | None
    ) -> None:
        self._source = source
        self._part = part
        self._fetcher = fetcher
        self._segments = segments
        self._progress = progress
        self._resumed_from = 0

    def run(self, sha256: str | None) -> Downloaded:
        plan = self._part.load()
        if plan is not None and (plan.url != parse_url(self._source.url).text or not plan.validator):
            plan = None
        self._resumed_from = plan.done if plan else 0
        for _ in range(_MAX_VERSIONS):
            try:
                plan = self._fetch(plan)
                return self._finish(plan, sha256)
            except Changed:
                plan, self._resumed_from = None, 0
                self._source.forget()
                self._part.start_over()
        self._part.discard()
        raise Corrupt(f"{self._source.url} changed {_MAX_VERSIONS} times during the download")

    def _fetch(self, plan: Plan | None) -> Plan:
        """Fetch what is missing, and return the complete plan. After an error, the plan so far is saved."""
        first = None
        if plan is None:
            self._part.start_over()
            plan, first = self._begin()
        if self._progress:
            self._progress.begin(os.path.basename(self._part.path), None if plan.length < 0 else plan.length, plan.done)
        try:
            self._fetcher.fetch_all(plan, first)
        except BaseException:
            self._part.save(plan)
            raise
        finally:
            if first is not None:
                first.close()
        return plan

    def _begin(self) -> tuple[Plan, Response]:
        response = self._source.request_all()
        try:
            plan = self._new_plan(response)
            self._part.save(plan)
        except BaseException:
            response.close()
            raise
        return plan, response

    def _new_plan(self, response: Response) -> Plan:
        """Make a plan for the file in ``response``.

        A body that comes encoded, though no coding was requested, is decoded: its length and its ranges then mean
        something else.
        """
        url = parse_url(self._source.url).text
        if response.codings or response.content_length is None:
            return Plan(url, "", "", -1, cut(-1, 1))
        plan = Plan(url, *strong_validators(response.headers), response.content_length)
        _check_room(self._part.fd, plan.length)
        plan.ranges = "bytes" in response.headers.tokens("Accept-Ranges")
        plan.segments = cut(plan.length, self._segments if plan.ranges and plan.validator else 1)
        return plan

    def _finish(self, plan: Plan, sha256: str | None) -> Downloaded:
        try:
            self._source.confirm(plan, resumed=self._resumed_from > 0)
            return self._verify(plan, sha256)
        except (Changed, Corrupt):
            raise
        except BaseException:  # the bytes are complete, and need not come again
            self._part.save(plan)
            raise

    def _verify(self, plan: Plan, sha256: str | None) -> Downloaded:
        """Check the length and the digests of the file."""
        if os.fstat(self._part.fd).st_size != plan.length:
            os.ftruncate(self._part.fd, plan.length)  # left over from an earlier attempt
        found = None
        if sha256 or self._source.digest:
            found = self._part.sha256()
            for wanted, origin in ((sha256, "requested"), (self._source.digest, "announced by the server")):
                if wanted and found != wanted.lower():
                    self._part.discard()
                    raise Corrupt(f"{self._source.url}: its SHA-256 is {found}, not {wanted.lower()} as {origin}")
        last = self._source.last
        return Downloaded(
            path=self._part.path,
            size=plan.length,
            sha256=found,
            resumed_from=self._resumed_from,
            url=last.url if last else self._source.url,
            status=last.status if last else 0,
            headers=last.headers if last else Headers(),
        )


def _check_room(fd: int, length: int) -> None:
    """Refuse a file that cannot fit on the disk. Nothing is reserved: the server may have made up the length."""
    room = os.fstatvfs(fd)
    if length > room.f_bavail * room.f_frsize:
        raise CannotRun(f"there is no room for {length} bytes on this disk")
