"""One remote file made local: requested if it may have changed, and written whole or not at all."""

from __future__ import annotations

import os
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

NO_RESPONSE = (NotResolved, NotConnected, TlsFailed, TimedOut)
"""Errors after which it is not known whether one file is at fault, or the server is gone."""


class Fetcher:
    """Fetches single files.

    Args:
        remote: the files.
        copy: where they go.
        state: what is known of files fetched earlier.
        report: is told what was done.
        force: replace files that no run has written.
    """

    def __init__(self, remote: Remote, copy: LocalCopy, state: State, report: Report, *, force: bool = False) -> None:
        self._remote = remote
        self._copy = copy
        self._state = state
        self._report = report
        self._force = force

    def fetch(self, file: Entry) -> Entry | None:
        """Fetch a file if it has changed; return the folder that it turns out to be, if it is one.

        Raises:
            FetchError: the server is gone; any other error is reported.
            CannotRun: the disk failed.
        """
        try:
            return self._fetch(file)
        except (FetchError, InTheWay) as error:
            self._report.skipped(file.names, str(error))
            if isinstance(error, NO_RESPONSE):
                self._remote.expect_reply()
            return None
        finally:
            self._state.save_if_due()

    def _fetch(self, file: Entry) -> Entry | None:
        status = self._copy.look(file.names)
        known = self._state.find(file.names, status)
        conditions = known.conditions if known else ()
        is_foreign = status is not None and not self._force and not self._state.owns(file.names)
        only_head = self._copy.dry_run and not is_foreign
        result = self._remote.request_file(file, "HEAD" if only_head else "GET", conditions)
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
            if is_foreign:
                self._adopt(file, response)
            elif self._copy.dry_run:
                self._report.fetched(file.names, response.content_length)
                self._copy.claim(file.names, status)
            else:
                self._write(file, response, overwrite=status is not None)
        return None

    def _write(self, file: Entry, response: Response, *, overwrite: bool) -> None:
        modified = parse_date(response.headers.get("Last-Modified") or "", time.time())
        pieces = self._remote.content_of(response, file.names[-1])
        status = self._copy.write(file.names, pieces, modified, overwrite=overwrite)
        self._finish(file, response, status)

    def _adopt(self, file: Entry, response: Response) -> None:
        """Take over a file that no run has written, if it is what the server has; else leave it as it is."""
        status = self._copy.compare(file.names, self._remote.content_of(response, file.names[-1]))
        if status is None:
            raise InTheWay("a file that is not the mirror's is in the way; --force replaces it")
        self._finish(file, response, status)

    def _finish(self, file: Entry, response: Response, status: os.stat_result) -> None:
        self._state.record(file.names, response.headers, status)
        self._report.fetched(file.names, status.st_size)
