"""The logs that the settings ask for, opened."""

from __future__ import annotations

from collections.abc import Callable

from httpmini.config import LogSettings
from httpmini.server.access_log import AccessLog
from httpmini.server.error_log import Level, error_log
from httpmini.server.log_file import LogFile, LogWriter

_IN_THE_SYSTEM = ("syslog", "journal")
# A child or a thread writes its lines itself: nobody would do it later.
_BATCHED = ("iterative", "select", "prefork")


class Logs:
    """Where lines go.

    Args:
        settings: what the config says; paths are absolute.
        mode: the architecture.
        count: told how many answers have got their lines.

    Attributes:
        accesses: takes a line for each answer.
        log: takes lines about the server itself.

    Raises:
        CannotRun: one of them cannot be opened.
    """

    def __init__(self, settings: LogSettings, mode: str, count: Callable[[int], None]) -> None:
        self.accesses = open_log(settings.access, batched=mode in _BATCHED, count=count)
        try:
            self._errors = open_log(settings.error)
        except BaseException:
            self.accesses.close()
            raise
        dated = settings.error not in _IN_THE_SYSTEM
        self.log = error_log(self._errors.write, Level[settings.level.upper()], dated=dated)

    def reopen(self) -> None:
        """Open all of them anew, for they have been moved away."""
        self.accesses.flush()
        self.accesses.reopen()
        self._errors.reopen()

    def close(self) -> None:
        """Write what waits, and close."""
        self.accesses.close()
        self._errors.close()


def make_access_log(form: str, mode: str, write: Callable[[str], None]) -> AccessLog:
    """What writes a line in ``form``: "common", "combined" or "json"."""
    if form == "json":
        from httpmini.server.json_log import JsonLog

        return JsonLog(mode, write)
    return AccessLog("common" if form == "common" else "combined", write)


def open_log(target: str, *, batched: bool = False, count: Callable[[int], None] = lambda _lines: None) -> LogWriter:
    """The log at ``target``: "stdout", "off", "syslog", "journal" or a path.

    Raises:
        CannotRun: it cannot be opened.
    """
    if target in _IN_THE_SYSTEM:
        from httpmini.server.system_log import SystemLog

        return SystemLog(target, count)
    return LogFile(target, batched=batched, count=count)
