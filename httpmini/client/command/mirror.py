"""``httpmini mirror``: what is done is said on standard output, what was left out on standard error."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from httpmini.client.client import Client
from httpmini.client.command.arguments import ClientOptions, make_client
from httpmini.client.command.output import OutputClosed, StandardOutput, say, trace_to
from httpmini.client.mirror.mirror import mirror
from httpmini.client.mirror.report import Mirrored
from httpmini.client.url import parse_url
from httpmini.errors import FetchError, HttpminiError, visible

INCOMPLETE = 1
INTERRUPTED = 130


@dataclass(frozen=True, kw_only=True)
class MirrorOptions(ClientOptions):
    """What ``mirror`` has beside; each attribute is a flag."""

    delete: bool = False
    dry_run: bool = False


def mirror_folder(text: str, folder: str, options: MirrorOptions) -> int:
    """Make ``folder`` what the folder at the URL ``text`` is; the exit status.

    Raises:
        UsageError: options that do not go together; a URL that is none.
        CannotRun: the disk, or standard output.
    """
    url = parse_url(text, shorthand=True)
    where = url.text.removesuffix("/") + "/"  # as the errors call it
    if url.username is not None and options.user is None:  # of the folder, and so of all that is in it
        options = replace(options, user=f"{url.username}:{url.password or ''}")
    options = replace(options, no_follow=True)  # it is followed by hand, inside the folder only
    lines = _Lines(quiet=options.quiet)
    trace = trace_to(say) if options.verbose else None
    try:
        with make_client(options, Client, decode=False, trace=trace) as client:
            done = mirror(
                client, parse_url(url.text), folder, delete=options.delete, dry_run=options.dry_run, say=lines.write
            )
        lines.write(_sum(done, dry_run=options.dry_run))
    except OutputClosed:
        return INCOMPLETE
    except FetchError as error:
        return _fail(where, error, error.exit_status)
    except KeyboardInterrupt:
        return _fail(where, HttpminiError("interrupted; what came is kept"), INTERRUPTED)
    return INCOMPLETE if done.skipped else 0


class _Lines:
    """Where a sentence goes."""

    def __init__(self, *, quiet: bool) -> None:
        self._out = None if quiet else StandardOutput(raw=True)

    def write(self, line: str) -> None:
        """A sentence that is fit for a terminal."""
        if line.startswith("skipped "):
            say(f"httpmini: {line}")
        elif self._out is not None:
            self._out.write(os.fsencode(f"{line}\n"))


def _sum(done: Mirrored, *, dry_run: bool) -> str:
    counts = f"{done.fetched} fetched ({done.bytes} bytes), {done.unchanged} unchanged, {done.deleted} deleted"
    return f"{'would be: ' if dry_run else ''}{counts}, {done.skipped} skipped"


def _fail(url: str, error: HttpminiError, status: int) -> int:
    text = str(error)
    say(f"httpmini: {visible(text if text.startswith((f'{url}:', f'{url} ')) else f'{url}: {text}')}")
    return status
