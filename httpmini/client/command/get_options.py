"""The options of ``httpmini get``, and which of them go together."""

from __future__ import annotations

from dataclasses import dataclass, replace

from httpmini.client.command.arguments import ClientOptions
from httpmini.client.download.target import is_direct
from httpmini.errors import UsageError
from httpmini.protocol.message import Headers


@dataclass(frozen=True, kw_only=True)
class GetOptions(ClientOptions):
    """The options that ``get`` adds; each attribute is a flag."""

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
    no_sync: bool = False
    as_json: bool = False

    @property
    def to_file(self) -> bool:
        """Whether the response goes into a file."""
        return self.remote_name or self.output not in (None, "-")

    @property
    def file(self) -> str | None:
        """The file that -o names; None for a device or the like, which is opened and written to directly."""
        return None if self.output in (None, "-") or is_direct(self.output) else self.output

    @property
    def is_download(self) -> bool:
        """Whether the file at the URL is wanted just as it is, so that a part of it can be kept and resumed.

        The response to a customised request is fetched whole or not at all.
        """
        plain = self.method in (None, "GET") and not (self.head or self.include or self.data or self.compressed)
        into_file = self.remote_name or self.file is not None
        return plain and into_file and "Range" not in Headers(self.fields)

    @property
    def request_method(self) -> str:
        """The method: that of -X, or the one that the other options imply."""
        return self.method or ("HEAD" if self.head else "POST" if self.data else "GET")


def check_options(options: GetOptions, urls: int) -> None:
    """Refuse options that contradict each other.

    Args:
        options: as given.
        urls: the number of URLs.

    Raises:
        UsageError: they do; the message says which.
    """
    several = urls > 1
    wrong = [
        (options.remote_name and options.output is not None, "-o and -O exclude each other"),
        (several and options.output not in (None, "-"), "-o takes one URL; -O saves several, each under its own name"),
        (several and options.sha256 is not None, "--sha256 takes one URL"),
        (options.head and bool(options.data), "-I requests only a head; leave out --data"),
        (options.head and options.method not in (None, "HEAD"), "-I sends HEAD; leave out -X"),
        (options.as_json and options.output == "-", "--json and -o - both need standard output"),
        (
            options.as_json and options.include and not options.to_file,
            "--json includes the head already; -i needs a file as well (-o or -O)",
        ),
        (
            options.segments > 1 and not options.is_download,
            "--segments needs a plain GET into a file: -o or -O, and none of -I, -i, -X, --data, --compressed, Range",
        ),
    ]
    for is_wrong, message in wrong:
        if is_wrong:
            raise UsageError(message)


def with_form_type(options: GetOptions) -> GetOptions:
    """Declare the data as what a form would send, unless the options name another type."""
    if not options.data or "Content-Type" in Headers(options.fields):
        return options
    return replace(options, fields=(*options.fields, ("Content-Type", "application/x-www-form-urlencoded")))
