"""One remote file made local: requested if it may have changed, and written whole or not at all."""

from __future__ import annotations

import stat
import time

from httpmini.client.mirror.listings import Entry
from httpmini.client.mirror.local_copy import LocalCopy
from httpmini.client.mirror.remote import Remote, expect_whole
from httpmini.client.mirror.report import Report
from httpmini.client.mirror.state import State
from httpmini.client.mirror.tree import InTheWay
from httpmini.client.response import Response
from httpmini.errors import FetchError, NotConnected, NotResolved, TimedOut, TlsFailed
from httpmini.protocol.dates import parse_date

SERVER_GONE = (NotResolved, NotConnected, TlsFailed, TimedOut)
"""Errors of the server as a whole, which end the run. After any other error, the next file may still succeed."""


class Fetcher:
    """Fetches single files.

    Args:
        remote: the files.
        copy: where they go.
        state: what is known of those fetched before.
        report: hears what is done.
    """

    def __init__(self, remote: Remote, copy: LocalCopy, state: State, report: Report) -> None:
        self._remote = remote
        self._copy = copy
        self._state = state
        self._report = report

    def fetch(self, file: Entry) -> Entry | None:
        """Fetch a file if it has changed; return the folder that it turns out to be, if it is one.

        Raises:
            FetchError: the server is gone; any other error is reported.
            CannotRun: the disk failed.
        """
        try:
            return self._fetch(file)
        except SERVER_GONE:
            raise
        except (FetchError, InTheWay) as error:
            self._report.skipped(file.names, str(error))
            return None
        finally:
            self._state.save_if_due()

    def _fetch(self, file: Entry) -> Entry | None:
        status = self._copy.look(file.names)
        known = self._state.find(file.names, status)
        conditions = known.conditions if known else ()
        result = self._remote.request_file(file, "HEAD" if self._copy.dry_run else "GET", conditions)
        if isinstance(result, Entry):
            return result
        with result as response:
            if conditions and response.status == 304:
                self._report.unchanged()
                self._copy.claim(file.names, status)
                return None
            expect_whole(response)
            if status is not None and not stat.S_ISREG(status.st_mode):
                raise InTheWay("something other than a file is in the way")
            if self._copy.dry_run:
                self._report.fetched(file.names, response.content_length)
                self._copy.claim(file.names, status)
            else:
                self._write(file, response)
        return None

    def _write(self, file: Entry, response: Response) -> None:
        modified = parse_date(response.headers.get("Last-Modified") or "", time.time())
        status = self._copy.write(file.names, response.views(), modified)
        self._state.record(file.names, response.headers, status)
        self._report.fetched(file.names, status.st_size)
