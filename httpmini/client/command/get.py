"""``httpmini get``: answers to standard output or into files, and one line of standard error for what went wrong."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from httpmini.client.client import Client
from httpmini.client.command.arguments import ClientOptions, make_client, own_credentials, read_data
from httpmini.client.command.output import (
    OutputClosed,
    StandardOutput,
    Write,
    check_target,
    is_special,
    new_file,
    special_file,
    trace_to,
)
from httpmini.client.command.progress import progress_on_terminal
from httpmini.client.command.report import Transfer
from httpmini.client.download.download import download
from httpmini.client.download.names import name_from
from httpmini.client.download.rate import Rate
from httpmini.client.response import Response
from httpmini.client.url import Url, join, parse_url
from httpmini.errors import (
    BadStatus,
    BadUrl,
    BrokenResponse,
    CannotRun,
    Corrupt,
    FetchError,
    HttpminiError,
    UsageError,
    visible,
)
from httpmini.protocol.framing import Data
from httpmini.protocol.message import Headers

INTERRUPTED = 130  # as shells say it: 128 and the number of SIGINT
_USERINFO = re.compile(r"^((?:[^/?#]*//)?)[^/?#]*@")


@dataclass(frozen=True, kw_only=True)
class GetOptions(ClientOptions):
    """What ``get`` has beside; each attribute is a flag."""

    output: str | None = None
    remote_name: bool = False
    force: bool = False
    head: bool = False
    include: bool = False
    method: str | None = None
    data: tuple[str, ...] = ()
    compressed: bool = False
    segments: int = 1
    rate: int | None = None
    sha256: str | None = None
    as_json: bool = False

    @property
    def to_file(self) -> bool:
        """Whether the answer goes into a file."""
        return self.remote_name or self.output not in (None, "-")

    @property
    def file(self) -> str | None:
        """The file that -o names, but for devices and the like, which are written to as they are."""
        return None if self.output in (None, "-") or is_special(self.output) else self.output

    @property
    def is_download(self) -> bool:
        """Whether the file at the URL is wanted, as it is there: then a part of it is worth something.

        What was made for a request of one's own is fetched whole or not at all.
        """
        plain = self.method in (None, "GET") and not (self.head or self.include or self.data or self.compressed)
        into_file = self.remote_name or self.file is not None
        return plain and into_file and "Range" not in Headers(self.fields)


class Interrupted(HttpminiError):
    """Ctrl-C."""


class _Observed(Client):
    """A client that remembers its first answer: a download may ask several times."""

    first: Response | None = None

    def fetch(
        self, url: str | Url, *, method: str = "GET", headers: Iterable[tuple[str, str]] = (), data: bytes = b""
    ) -> Response:
        response = super().fetch(url, method=method, headers=headers, data=data)
        self.first = self.first or response
        return response


def get(urls: tuple[str, ...], options: GetOptions) -> int:
    """Fetch ``urls`` one after another; the exit status of the first that failed, or 0.

    What fails is said on standard error, and the next one is tried.

    Raises:
        UsageError: options that do not go together; data or a password that cannot be had.
        KeyboardInterrupt: only before the first request.
    """
    _check(urls, options)
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


def _check(urls: tuple[str, ...], options: GetOptions) -> None:
    """What the flags say together.

    Raises:
        UsageError: it makes no sense.
    """
    several = len(urls) > 1
    wrong = [
        (options.remote_name and options.output is not None, "-o and -O exclude each other"),
        (several and options.output not in (None, "-"), "-o takes one URL; -O saves several, each under its own name"),
        (several and options.sha256 is not None, "--sha256 takes one URL"),
        (options.head and bool(options.data), "-I asks for a head alone; leave --data out"),
        (options.head and options.method not in (None, "HEAD"), "-I asks with HEAD; leave -X out"),
        (options.as_json and options.output == "-", "--json and -o - both want standard output"),
        (
            options.as_json and options.include and not options.to_file,
            "--json has the head in it; -i needs a file beside it (-o or -O)",
        ),
        (
            options.segments > 1 and not options.is_download,
            "--segments needs a plain GET into a file: -o or -O, and none of -I, -i, -X, --data, --compressed, Range",
        ),
    ]
    for is_wrong, message in wrong:
        if is_wrong:
            raise UsageError(message)


class _Get:
    """One call of the command: its options, and the client that they ask for."""

    def __init__(self, options: GetOptions) -> None:
        self._options = options
        shown = options.as_json or options.to_file or sys.stdout is None or not sys.stdout.isatty()
        self._progress = progress_on_terminal(wanted=shown and not options.quiet)
        self._data = read_data(options.data)
        self._rate = Rate(options.rate) if options.rate else None
        trace = trace_to(self._progress.say) if options.verbose else None
        self._client = make_client(_with_form(options), _Observed, decode=options.compressed, trace=trace)

    def __enter__(self) -> _Get:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def transfer(self, text: str) -> Transfer:
        """Fetch one URL, and say what there is to say.

        Raises:
            OutputClosed: nobody reads standard output any more.
        """
        transfer = Transfer(_USERINFO.sub(r"\1", text))
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
            self._progress.say(f"httpmini: {visible(_sentence(transfer))}")
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
            self._ask(url, transfer)

    def _download(self, url: Url, transfer: Transfer) -> None:
        options = self._options
        if options.file is None:
            transfer.path = name_from(url, Headers())  # as long as the server has not named it
        path = transfer.path = self._name(url) if options.file is None else options.file
        if options.remote_name:
            check_target(path, overwrite=False, force=options.force)
        done = transfer.downloaded = download(
            self._client,
            url.text,
            path,
            headers=own_credentials(url),
            sha256=options.sha256,
            segments=options.segments,
            rate=options.rate,
            overwrite=options.force or not options.remote_name,
            progress=self._progress,
        )
        transfer.decoded_bytes = done.size
        transfer.wire_bytes = done.size - done.resumed_from
        transfer.sha256 = done.sha256
        if options.as_json and done.sha256 is None:
            transfer.sha256 = _sha256(path)

    def _name(self, url: Url) -> str:
        """The name that the server gives the file, to be known before a part of an earlier call is looked for."""
        try:
            with self._client.fetch(url, method="HEAD") as response:
                return name_from(url, response.headers if response.ok else Headers())
        except BrokenResponse:  # some answer HEAD with a body, or with nonsense; GET may go better
            return name_from(url, Headers())
        finally:
            self._client.first = None

    def _ask(self, url: Url, transfer: Transfer) -> None:
        options = self._options
        method = options.method or ("HEAD" if options.head else "POST" if options.data else "GET")
        with self._client.fetch(url, method=method, data=self._data) as response:
            transfer.response = response
            if response.status == 206 and "Range" not in Headers(options.fields):  # RFC 9110 §15.3.7
                raise BrokenResponse("the server sent a part of it (206), which nobody asked for")
            if response.ok or not options.to_file:
                self._receive(url, response, transfer)
            response.raise_for_status()

    def _receive(self, url: Url, response: Response, transfer: Transfer) -> None:
        """Hand out the body; a file gets its name when all of it is there, and is what it should be."""
        options = self._options
        digest = hashlib.sha256() if options.sha256 or options.as_json else None
        count = 0
        with self._opened(url, response, transfer) as write, self._told(url, response):
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
                raise Corrupt(f"its SHA-256 is {transfer.sha256}, not {options.sha256} as asked for")
        transfer.decoded_bytes, transfer.wire_bytes = count, response.content_length if response.codings else count

    def _paced(self, response: Response) -> Iterator[Data]:
        """The pieces of the body, no faster than they may come; each holds until the next is asked for."""
        if self._rate:
            response.piece_bytes = self._rate.piece_bytes
        for piece in response.views():
            if self._rate:
                self._rate.take(len(piece))
            self._progress.advance(len(piece))
            yield piece

    @contextmanager
    def _told(self, url: Url, response: Response) -> Iterator[None]:
        """Show how it goes, unless there is no body."""
        length = None if response.codings else response.content_length
        if length != 0 and not self._options.head:
            self._progress.begin(name_from(url, Headers()), length, 0)
        try:
            yield
        finally:
            self._progress.end()

    @contextmanager
    def _opened(self, url: Url, response: Response, transfer: Transfer) -> Iterator[Write]:
        """Where the answer is to be written."""
        options = self._options
        if options.to_file:
            path = transfer.path = options.output or name_from(url, response.headers)
            if options.remote_name:
                check_target(path, overwrite=False, force=options.force)
            overwrite = options.force or not options.remote_name
            special = options.output is not None and options.file is None
            with special_file(path) if special else new_file(path, overwrite) as write:
                yield write
        elif options.as_json:
            yield lambda _data: None
        else:
            out = StandardOutput(raw=options.output == "-")
            yield out.write
            out.finish()


def _with_form(options: GetOptions) -> GetOptions:
    """Data is what a form would send, unless it is said to be something else."""
    if not options.data or "Content-Type" in Headers(options.fields):
        return options
    return replace(options, fields=(*options.fields, ("Content-Type", "application/x-www-form-urlencoded")))


def _sha256(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CannotRun(f"cannot read {path}: {error.strerror}") from error


def _sentence(transfer: Transfer) -> str:
    """What went wrong, where, and how to go on."""
    error, url = transfer.error, transfer.url
    text = str(error)
    if url and isinstance(error, (FetchError, Interrupted)) and not text.startswith((f"{url}:", f"{url} ", repr(url))):
        text = f"{url}: {text}"
    if isinstance(error, BadStatus) and transfer.response:
        text += _where(transfer.response)
    return text + (_kept(transfer.path) if transfer.path else "")


def _where(response: Response) -> str:
    """Where a redirection that was not followed leads."""
    location = response.headers.get("Location")
    if location is None:
        return ""
    try:
        return f"; it is at {join(parse_url(response.url), location).text}"
    except BadUrl:
        return f"; it is said to be at {location}, which is no URL"


def _kept(path: str) -> str:
    """Whether the same command would go on with what is there of a download."""
    try:
        with open(f"{path}.part.json", encoding="utf-8") as file:
            plan = json.load(file)
        sure = plan.get("ranges", True)
        useful = os.path.getsize(f"{path}.part") and (plan["entity_tag"] or plan["last_modified"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return ""
    how = "" if sure else ", if the server sends parts of files (it does not say so)"
    return f"; {path}.part is kept, and the same command goes on with it{how}" if useful else ""
