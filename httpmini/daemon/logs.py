"""The logs that the settings ask for, opened."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from httpmini.config import LogSettings
from httpmini.server.logs.error import Level, error_log
from httpmini.server.logs.file import LogFile, LogWriter

_SYSTEM_LOGS = ("syslog", "journal")


class Logs:
    """The open logs of one generation. Their files close with the last reference to them.

    Args:
        settings: what the config says; paths are absolute.
        count: told how many responses have got their lines.
        others: the settings of further sites; sites that name the same place for their access log share it.
        batched: whether lines of access logs may wait for ``flush``.

    Attributes:
        accesses: take a line for each response, by their place.
        log: takes lines about the server itself.

    Raises:
        CannotRun: one of them cannot be opened.
    """

    def __init__(
        self,
        settings: LogSettings,
        count: Callable[[int], None],
        others: Sequence[LogSettings] = (),
        *,
        batched: bool = False,
    ) -> None:
        self.accesses: dict[str, LogWriter] = {}
        self._reported: set[str] = set()
        self._process = os.getpid()
        try:
            for one in (settings, *others):
                if one.access not in self.accesses:
                    self.accesses[one.access] = open_log(one.access, batched=batched, count=count)
            self._errors = open_log(settings.error)
        except BaseException:
            for writer in self.accesses.values():
                writer.close()
            raise
        dated = settings.error not in _SYSTEM_LOGS
        self.log = error_log(self._errors.write, Level[settings.level.upper()], dated=dated)

    def tell(self, line: str) -> None:
        """Write a line that is no message: people who watch see the progress of responses."""
        self._errors.write(line)

    def reopen(self) -> None:
        """Open all of them again: they have been moved away."""
        self.flush()
        for writer in self.accesses.values():
            writer.reopen()
        self._errors.reopen()
        self._report_trouble()

    def flush(self) -> None:
        """Write the lines that wait."""
        for writer in self.accesses.values():
            writer.flush()
        self._report_trouble()

    def _report_trouble(self) -> None:
        """Say once which logs cannot be opened again, and why; workers would only repeat it."""
        if os.getpid() != self._process:
            return
        trouble = {writer.trouble for writer in (*self.accesses.values(), self._errors) if writer.trouble}
        for text in sorted(trouble - self._reported):
            self.log(text, Level.ERROR)
        self._reported = trouble

    def stop_batching(self) -> None:
        """Write each line at once from now on: another generation is current, and nobody will flush these."""
        for writer in self.accesses.values():
            writer.stop_batching()

    def close(self) -> None:
        """Write the lines that wait, and close."""
        for writer in self.accesses.values():
            writer.close()
        self._errors.close()


def open_log(target: str, *, batched: bool = False, count: Callable[[int], None] = lambda _lines: None) -> LogWriter:
    """Open the log at ``target``: "stdout", "off", "syslog", "journal" or a path.

    Raises:
        CannotRun: it cannot be opened.
    """
    if target in _SYSTEM_LOGS:
        from httpmini.server.logs.syslog import SystemLog

        return SystemLog(target, count)
    return LogFile(target, batched=batched, count=count)
