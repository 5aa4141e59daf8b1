"""``httpmini mirror``: what is done goes to standard output, what is skipped to standard error."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace

from httpmini.client.client import Client
from httpmini.client.command.arguments import ClientOptions, make_client
from httpmini.client.command.failure import INTERRUPTED
from httpmini.client.command.output import OutputClosed, StandardOutput, say, trace_to
from httpmini.client.mirror.mirror import MAX_DELETE_PERCENT, mirror
from httpmini.client.mirror.report import Mirrored
from httpmini.client.url import parse_url
from httpmini.errors import FetchError, HttpminiError, visible

INCOMPLETE = 1


@dataclass(frozen=True, kw_only=True)
class MirrorOptions(ClientOptions):
    """The options that ``mirror`` adds; each attribute is a flag."""

    delete: bool = False
    max_delete: float = MAX_DELETE_PERCENT
    dry_run: bool = False
    no_sync: bool = False
    hidden: bool = False
    force: bool = False


def mirror_folder(text: str, folder: str, options: MirrorOptions) -> int:
    """Make ``folder`` a copy of the folder at the URL ``text``.

    Returns:
        The exit status.

    Raises:
        UsageError: the options contradict each other, or the URL is invalid.
        CannotRun: the disk failed, or standard output.
    """
    url = parse_url(text, shorthand=True)
    start = url.text.removesuffix("/") + "/"  # as errors call it
    if options.user is not None:
        url = replace(url, username=None, password=None)
    options = replace(options, no_follow=True)  # mirror() follows redirections itself, inside the folder only
    lines = _Lines(quiet=options.quiet)
    trace = trace_to(say) if options.verbose else None
    try:
        with make_client(options, Client, decode=False, trace=trace) as client:
            done = mirror(
                client,
                url,
                folder,
                delete=options.delete,
                dry_run=options.dry_run,
                hidden=options.hidden,
                force=options.force,
                max_delete=options.max_delete,
                confirm=_confirm_deletion,
                sync=not options.no_sync,
                say=lines.write,
            )
        lines.write(_summary(done, dry_run=options.dry_run))
    except OutputClosed:
        return INCOMPLETE
    except FetchError as error:
        return _fail(start, error, error.exit_status)
    except KeyboardInterrupt:
        return _fail(start, HttpminiError("interrupted; what was fetched is kept"), INTERRUPTED)
    return INCOMPLETE if done.skipped else 0


class _Lines:
    """Sends each sentence to standard output or standard error."""

    def __init__(self, *, quiet: bool) -> None:
        self._out = None if quiet else StandardOutput(raw=True)

    def write(self, line: str) -> None:
        """Write a sentence without control characters."""
        if line.startswith("skipped "):
            say(f"httpmini: {line}")
        elif self._out is not None:
            self._out.write(os.fsencode(f"{line}\n"))


def _confirm_deletion(reason: str) -> bool:
    """Ask at the terminal whether to delete as much as ``reason`` says; without a terminal the answer is no."""
    if sys.stdin is None or sys.stderr is None or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    sys.stderr.write(f"httpmini: {visible(reason)}. Delete them? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _summary(done: Mirrored, *, dry_run: bool) -> str:
    counts = f"{done.fetched} fetched ({done.bytes} bytes), {done.unchanged} unchanged, {done.deleted} deleted"
    return f"{'would be: ' if dry_run else ''}{counts}, {done.skipped} skipped"


def _fail(url: str, error: HttpminiError, status: int) -> int:
    text = str(error)
    say(f"httpmini: {visible(text if text.startswith((f'{url}:', f'{url} ')) else f'{url}: {text}')}")
    return status
