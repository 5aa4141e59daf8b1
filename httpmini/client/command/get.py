"""``httpmini get``: responses to standard output or into files, and one line on standard error for each failure."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from httpmini.client.client import Client
from httpmini.client.command.arguments import make_client, read_data
from httpmini.client.command.failure import INTERRUPTED, Interrupted, describe
from httpmini.client.command.get_options import GetOptions, check_options, with_form_type
from httpmini.client.command.output import (
    OutputClosed,
    StandardOutput,
    Write,
    check_target,
    new_file,
    special_file,
    trace_to,
)
from httpmini.client.command.progress import progress_on_terminal
from httpmini.client.command.report import Transfer
from httpmini.client.download.names import name_from
from httpmini.client.download.rate import Rate
from httpmini.client.download.target import is_direct
from httpmini.client.download.unchanged import is_unchanged
from httpmini.client.response import Response
from httpmini.client.url import Url, parse_url, without_userinfo
from httpmini.errors import BrokenResponse, CannotRun, Corrupt, FetchError, visible
from httpmini.protocol.framing import Data
from httpmini.protocol.message import Headers

if TYPE_CHECKING:
    import hashlib


def get(urls: tuple[str, ...], options: GetOptions) -> int:
    """Fetch ``urls`` one after another.

    A failure is reported on standard error, and the next URL is tried.

    Returns:
        The exit status of the first failure, or 0.

    Raises:
        UsageError: the options contradict each other, or data or a password cannot be read.
        KeyboardInterrupt: only before the first request.
    """
    check_options(options, len(urls))
    status = 0
    try:
        with _Get(options) as command:
            for url in urls:
                transfer = command.transfer(url)
                status = status or transfer.exit_status
                if isinstance(transfer.error, Interrupted):
                    return INTERRUPTED
    except OutputClosed:
        return 1
    return status


class _FirstResponseClient(Client):
    """A client that remembers its first response: a download may send several requests."""

    first: Response | None = None

    def fetch(
        self, url: str | Url, *, method: str = "GET", headers: Iterable[tuple[str, str]] = (), data: bytes = b""
    ) -> Response:
        response = super().fetch(url, method=method, headers=headers, data=data)
        self.first = self.first or response
        return response


class _Get:
    """One run of the command: its options, and the client made from them."""

    def __init__(self, options: GetOptions) -> None:
        self._options = options
        shown = options.as_json or options.to_file or sys.stdout is None or not sys.stdout.isatty()
        self._progress = progress_on_terminal(wanted=shown and not options.quiet)
        self._data = read_data(options.data)
        self._named_by = Headers()  # the response that has named the file
        self._rate = Rate(options.rate) if options.rate else None
        trace = trace_to(self._progress.say) if options.verbose else None
        self._client = make_client(
            with_form_type(options), _FirstResponseClient, decode=options.compressed, trace=trace
        )

    def __enter__(self) -> _Get:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def transfer(self, text: str) -> Transfer:
        """Fetch the URL ``text`` and report a failure.

        Raises:
            OutputClosed: the reader of standard output is gone.
        """
        transfer = Transfer(without_userinfo(text))
        self._client.first = None
        try:
            self._fetch(text, transfer)
        except OutputClosed:
            raise
        except (FetchError, CannotRun) as error:
            transfer.fail(error)
        except KeyboardInterrupt:
            transfer.fail(Interrupted("interrupted"), INTERRUPTED)
        transfer.response = transfer.response or self._client.first
        if transfer.error is not None:
            self._progress.say(f"httpmini: {visible(describe(transfer))}")
        if self._options.as_json:
            StandardOutput(raw=True).write(transfer.as_json())
        return transfer

    def _fetch(self, text: str, transfer: Transfer) -> None:
        url = parse_url(text, shorthand=True)
        transfer.url = url.text
        if self._options.file is not None:
            transfer.path = self._options.file
            check_target(transfer.path, overwrite=True, force=self._options.force)
        if self._options.is_download:
            self._download(url, transfer)
        else:
            self._request(url, transfer)

    def _download(self, url: Url, transfer: Transfer) -> None:
        """Fetch a file with ``download``, which resumes. (Other requests need not wait for its import.)"""
        from httpmini.client.download.download import download

        options = self._options
        if options.file is None:
            transfer.path = name_from(url, Headers())  # until the server has named it
        path = transfer.path = self._name(url) if options.file is None else options.file
        if options.remote_name:
            if not options.force and is_unchanged(path, self._named_by, options.sha256):
                self._progress.say(f"httpmini: {visible(path)} is here already, and has not changed")
                return
            check_target(path, overwrite=False, force=options.force)
        done = transfer.downloaded = download(
            self._client,
            url.text,
            path,
            headers=self._client.credentials_of(url),
            sha256=options.sha256,
            segments=options.segments,
            rate=options.rate,
            overwrite=options.force or not options.remote_name,
            sync=not options.no_sync,
            progress=self._progress,
            warn=lambda text: self._progress.say(f"httpmini: {visible(text)}"),
        )
        transfer.decoded_bytes = done.size
        transfer.wire_bytes = done.size - done.resumed_from
        transfer.sha256 = done.sha256
        if options.as_json and done.sha256 is None and not is_direct(path):
            transfer.sha256 = _sha256(path)

    def _name(self, url: Url) -> str:
        """Ask the server for the name of the file, which is needed to find the part of an earlier run."""
        try:
            # On a connection of its own: some servers send the body even so, and late.
            with self._client.fetch(url, method="HEAD", headers=(("Connection", "close"),)) as response:
                self._named_by = response.headers if response.ok else Headers()
                return name_from(url, self._named_by)
        except FetchError:  # some servers respond to HEAD with a body, with nonsense or not at all; GET may go better
            return name_from(url, Headers())
        finally:
            self._client.first = None

    def _request(self, url: Url, transfer: Transfer) -> None:
        """Send one request and hand out the response as it comes."""
        options = self._options
        with self._client.fetch(url, method=options.request_method, data=self._data) as response:
            transfer.response = response
            if response.status == 206 and "Range" not in Headers(options.fields):  # RFC 9110 §15.3.7
                raise BrokenResponse("the server sent a part (206) that was not requested")
            if response.ok or not options.to_file:
                self._receive(url, response, transfer)
            response.raise_for_status()

    def _receive(self, url: Url, response: Response, transfer: Transfer) -> None:
        """Write the body to its destination; a file gets its name once the body is complete and verified."""
        options = self._options
        digest = _new_digest() if options.sha256 or options.as_json else None
        count = 0
        with self._destination(url, response, transfer) as write, self._shown(url, response):
            if options.head or options.include:
                write(response.raw_head)
            for piece in self._paced(response):
                write(piece)
                count += len(piece)
                transfer.decoded_bytes, transfer.wire_bytes = count, None if response.codings else count
                if digest:
                    digest.update(piece)
            if digest:
                transfer.sha256 = digest.hexdigest()
            if options.sha256 and response.ok and transfer.sha256 != options.sha256:
                raise Corrupt(f"its SHA-256 is {transfer.sha256}, not {options.sha256} as requested")
        transfer.decoded_bytes, transfer.wire_bytes = count, response.content_length if response.codings else count

    def _paced(self, response: Response) -> Iterator[Data]:
        """Yield the pieces of the body no faster than --rate allows. A piece is valid until the next is requested."""
        if self._rate:
            response.piece_bytes = self._rate.piece_bytes
        for piece in response.views():
            if self._rate:
                self._rate.take(len(piece))
            self._progress.advance(len(piece))
            yield piece

    @contextmanager
    def _shown(self, url: Url, response: Response) -> Iterator[None]:
        """Show the progress, unless there is no body."""
        length = None if response.codings else response.content_length
        if length != 0 and not self._options.head:
            self._progress.begin(name_from(url, Headers()), length, 0)
        try:
            yield
        finally:
            self._progress.end()

    @contextmanager
    def _destination(self, url: Url, response: Response, transfer: Transfer) -> Iterator[Write]:
        """Open what the response is written to."""
        options = self._options
        if options.to_file:
            path = transfer.path = options.output or name_from(url, response.headers)
            if options.remote_name:
                check_target(path, overwrite=False, force=options.force)
            overwrite = options.force or not options.remote_name
            file = new_file(path, overwrite, sync=not options.no_sync)
            with special_file(path) if is_direct(path) else file as write:
                yield write
        elif options.as_json:
            yield lambda _data: None
        else:
            out = StandardOutput(raw=options.output == "-")
            yield out.write
            out.finish()


def _new_digest() -> hashlib._Hash:
    import hashlib  # loads OpenSSL, which other requests need not wait for

    return hashlib.sha256()


def _sha256(path: str) -> str:
    import hashlib

    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CannotRun(f"cannot read {path}: {error.strerror}") from error
