"""What went wrong with a transfer, where, and how to continue: one sentence for standard error."""

from __future__ import annotations

from httpmini.client.command.report import Transfer
from httpmini.client.response import Response
from httpmini.client.url import join, parse_url, without_userinfo
from httpmini.errors import BadStatus, BadUrl, FetchError, HttpminiError

INTERRUPTED = 130  # by the convention of shells: 128 and the number of SIGINT


class Interrupted(HttpminiError):
    """The user has pressed Ctrl-C."""


def describe(transfer: Transfer) -> str:
    """Return the sentence for a failed transfer. It may contain control characters of the server's."""
    error, url = transfer.error, transfer.url
    text = str(error)
    if url and isinstance(error, (FetchError, Interrupted)) and not text.startswith((f"{url}:", f"{url} ", repr(url))):
        text = f"{url}: {text}"
    if isinstance(error, BadStatus) and transfer.response:
        text += _redirection(transfer.response)
    return text + (_resumable(transfer.path) if transfer.path else "")


def _redirection(response: Response) -> str:
    """Say where a redirection leads that was not followed."""
    location = response.headers.get("Location")
    if location is None:
        return ""
    try:
        return f"; it is at {join(parse_url(response.url), location).text}"
    except BadUrl:
        return f"; its Location is {without_userinfo(location)}, which is not a valid URL"


def _resumable(path: str) -> str:
    """Say whether the same command would resume a download."""
    from httpmini.client.download.part import kept_plan  # late: only failures need it

    kept = kept_plan(path)
    if kept is None:
        return ""
    part, plan = kept
    if plan.outdated:
        return f"; {part} of another version is kept"
    condition = "" if plan.ranges else ", if the server supports ranges (it does not announce them)"
    return f"; {part} is kept, and the same command resumes it{condition}"
