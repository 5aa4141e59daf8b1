"""A download that cannot come out corrupt.

The file gets its name when all of it is there: every byte counted, all of one version, and with the requested digest.
Until then it is a ``Part``, from which a later call resumes by itself:

    nothing there       request all of it               200: store what comes, and what identifies the version
    a part there        request the rest, If-Range      206: compare what is there, append what follows
                                                        200, 416: another version; begin again, the part stays meanwhile
                                                        anything else: begin again, once, with one request

curl and wget request the rest without If-Range, and combine two versions if the file has changed meanwhile.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from httpmini.client.client import Client
from httpmini.client.download.draft import Draft
from httpmini.client.download.part import Part
from httpmini.client.download.plan import Plan, cut
from httpmini.client.download.rate import Rate
from httpmini.client.download.segments import Progress, SegmentFetcher
from httpmini.client.download.source import Changed, Source, Unusable
from httpmini.client.download.target import Target, is_direct, open_direct
from httpmini.client.response import Response
from httpmini.client.versions import strong_validators
from httpmini.errors import CannotRun, Corrupt
from httpmini.files import write_all
from httpmini.protocol.message import Headers

_MAX_VERSIONS = 5  # a file that changes more often than this is fetched in one piece


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


@dataclass(frozen=True)
class _Wishes:
    """What the caller of ``download`` wants, beside the URL and the path; the attributes are its arguments."""

    sha256: str | None
    segments: int
    rate: Rate | None
    overwrite: bool
    sync: bool
    progress: Progress | None
    warn: Callable[[str], None]


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
    sync: bool = True,
    progress: Progress | None = None,
    warn: Callable[[str], None] = lambda _: None,
) -> Downloaded:
    """Download ``url`` to ``path``, resuming an earlier attempt if there is one (RFC 9110 §13.1.5, §14).

    The file is stored as it comes: content codings are not undone.

    Args:
        client: sends the requests; its retries are counted from the start again whenever bytes have come. Its limit on
            bodies is one on the file.
        url: an http or https URL.
        path: of the file, in a folder that exists. ``path.part`` and ``path.part.json`` are used meanwhile, and stay if
            the download ends early. A pipe, a device or a descriptor (/dev/stdout) is written to directly.
        headers: fields for each request.
        sha256: the digest that the whole file must have, in hexadecimal.
        segments: how many parts of the file are fetched at once; fewer if the server refuses that many.
        rate: bytes per second, for all segments together; None for no limit.
        overwrite: replace an existing file, whose mode is kept. A symlink is replaced, never written through.
        sync: have the file and its name on disk before returning (fsync).
        progress: receives the progress.
        warn: receives a sentence about what may go wrong: a disk that seems to be too small.

    Returns:
        What was downloaded.

    Raises:
        CannotRun: the file cannot be written, or exists already.
        Corrupt: the digest is wrong. The part is deleted.
        BadStatus: the server refuses the file.
        FetchError: any other cause, see ``errors.py``; the part is kept.
    """
    source = Source(client, url, tuple(headers))
    wishes = _Wishes(sha256, segments, Rate(rate) if rate else None, overwrite, sync, progress, warn)
    try:
        return (_write_directly if is_direct(os.fspath(path)) else _write_file)(source, os.fspath(path), wishes)
    finally:
        if progress:
            progress.end()


def _write_file(source: Source, path: str, wishes: _Wishes) -> Downloaded:
    """Write a file that gets its name when it is complete."""
    target = Target(path)
    try:
        if target.is_taken() and not wishes.overwrite:
            raise CannotRun(f"{path} exists already")
        part = Part(target)
        try:
            return _Download(source, target, part, wishes).run()
        finally:
            part.close()
    finally:
        target.close()


class _Download:
    """One download from its plan to a verified file with its name."""

    def __init__(self, source: Source, target: Target, part: Part, wishes: _Wishes) -> None:
        self._source = source
        self._target = target
        self._part = part
        self._wishes = wishes
        self._workers = wishes.segments
        self._resumed_from = 0
        self._whole_only = False  # the server's parts are of no use

    def run(self) -> Downloaded:
        """Try until a version is complete."""
        kept = self._part.resume()
        for attempt in range(_MAX_VERSIONS):
            self._whole_only = self._whole_only or attempt == _MAX_VERSIONS - 1
            try:
                return self._try(kept if kept and kept[1].url == self._source.shown else None)
            except Changed:
                self._workers = 1  # it may come from several servers, each with tags of its own
            except Unusable as unusable:
                if self._whole_only:
                    raise unusable.error from unusable
                self._whole_only = True
            finally:
                if kept:
                    kept[0].close()
                kept = None
            self._source.forget()
        raise AssertionError("the last attempt uses no parts, so it is done or has failed")

    def _try(self, kept: tuple[Draft, Plan] | None) -> Downloaded:
        """Fetch what is missing, verify all of it, and name it."""
        first = None
        if kept is None:
            draft, plan, first = self._begin()
        else:
            draft, plan = kept
            plan.cut_further(self._workers)
        self._resumed_from = plan.done
        try:
            self._fetch(draft, plan, first)
            done = self._verify(draft, plan)
            self._part.finish(draft, overwrite=self._wishes.overwrite, sync=self._wishes.sync)
            return done
        finally:
            draft.close()

    def _begin(self) -> tuple[Draft, Plan, Response]:
        """Request all of the file, and find a place for it."""
        response = self._source.request_all(exact=self._whole_only)
        try:
            plan = self._new_plan(response)
            draft = self._part.begin()
            try:
                draft.save(plan)
                self._warn_of_little_room(draft.fd, plan.length)
            except BaseException:
                draft.close()
                raise
        except BaseException:
            response.close()
            raise
        return draft, plan, response

    def _new_plan(self, response: Response) -> Plan:
        url, length = self._source.shown, response.content_length
        if self._whole_only or length is None:
            return Plan(url, "", "", -1 if length is None else length, cut(-1 if length is None else length, 1))
        plan = Plan(url, *strong_validators(response.headers), length)
        plan.ranges = "bytes" in response.headers.tokens("Accept-Ranges")
        plan.segments = cut(plan.length, self._workers if plan.ranges and plan.validator else 1)
        return plan

    def _fetch(self, draft: Draft, plan: Plan, first: Response | None) -> None:
        """Fetch what is missing, and ask whether it is still that version. After an error, the plan so far is saved."""
        progress = self._wishes.progress
        if progress:
            progress.begin(self._target.name, None if plan.length < 0 else plan.length, plan.done)
        fetcher = SegmentFetcher(self._source, draft, plan, self._wishes.rate, progress)
        try:
            if plan.length >= 0:
                self._source.check_size(plan.length)
            fetcher.fetch_all(first, self._workers)
            self._source.confirm(plan, resumed=self._resumed_from > 0)
        except BaseException:
            draft.save(plan)
            raise
        finally:
            if first is not None:
                first.close()

    def _verify(self, draft: Draft, plan: Plan) -> Downloaded:
        """Check the digests of the file."""
        draft.cut_to(plan.length)  # more may be left over from an earlier attempt
        found = draft.sha256() if self._wishes.sha256 or self._source.digest else None
        try:
            _check_digest(self._source, self._wishes.sha256, found)
        except Corrupt:
            if draft.is_kept:
                self._part.discard()
            raise
        return _downloaded(self._source, self._target.path, plan.length, found, self._resumed_from)

    def _warn_of_little_room(self, fd: int, length: int) -> None:
        """Warn of a file that seems not to fit on the disk. Some file systems do not know how much room they have."""
        try:
            room = os.fstatvfs(fd)
        except OSError:
            return
        if room.f_blocks and length > room.f_bavail * room.f_frsize:
            self._wishes.warn(f"{self._target.path}: there may be no room for {length} bytes on this disk")


def _write_directly(source: Source, path: str, wishes: _Wishes) -> Downloaded:
    """Write a file into a pipe or a device as it comes: nothing can be resumed, or taken back."""
    digest, size = hashlib.sha256(), 0
    with source.request_all() as response:
        try:
            fd = open_direct(path)
        except OSError as error:
            raise _cannot_write(path, error) from error
        try:
            if wishes.progress:
                wishes.progress.begin(os.path.basename(path), response.content_length, 0)
            if wishes.rate:
                response.piece_bytes = wishes.rate.piece_bytes
            for piece in response.views():
                if wishes.rate:
                    wishes.rate.take(len(piece))
                try:
                    write_all(fd, piece)
                except OSError as error:
                    raise _cannot_write(path, error) from error
                digest.update(piece)
                size += len(piece)
                if wishes.progress:
                    wishes.progress.advance(len(piece))
        finally:
            os.close(fd)
    found = digest.hexdigest()
    _check_digest(source, wishes.sha256, found)
    return _downloaded(source, path, size, found if wishes.sha256 or source.digest else None, 0)


def _cannot_write(path: str, error: OSError) -> CannotRun:
    return CannotRun(f"cannot write {path}: {error.strerror or error}")


def _check_digest(source: Source, requested: str | None, found: str | None) -> None:
    """Compare the digest with the requested one and the one that the server has announced.

    Raises:
        Corrupt: they differ.
    """
    for wanted, origin in ((requested, "requested"), (source.digest, "announced by the server")):
        if wanted and found != wanted.lower():
            raise Corrupt(f"{source.shown}: its SHA-256 is {found}, not {wanted.lower()} as {origin}")


def _downloaded(source: Source, path: str, size: int, sha256: str | None, resumed_from: int) -> Downloaded:
    last = source.last
    return Downloaded(
        path=path,
        size=size,
        sha256=sha256,
        resumed_from=resumed_from,
        url=last.url if last else source.shown,
        status=last.status if last else 0,
        headers=last.headers if last else Headers(),
    )
