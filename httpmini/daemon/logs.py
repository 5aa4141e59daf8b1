"""The logs that the settings ask for, opened."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from httpmini.config import LogSettings
from httpmini.server.logs.access import AccessLog
from httpmini.server.logs.error import Level, error_log
from httpmini.server.logs.file import LogFile, LogWriter

_IN_THE_SYSTEM = ("syslog", "journal")
# A child or a thread writes its lines itself: nobody would do it later.
_BATCHED = ("iterative", "select", "prefork")


class Logs:
    """Where lines go.

    Args:
        settings: what the config says; paths are absolute.
        others: the same for further sites; where two name the same place for accesses, they share it.
        mode: the architecture.
        count: told how many answers have got their lines.

    Attributes:
        accesses: take a line for each answer, by where it goes.
        log: takes lines about the server itself.

    Raises:
        CannotRun: one of them cannot be opened.
    """

    def __init__(
        self, settings: LogSettings, mode: str, count: Callable[[int], None], others: Sequence[LogSettings] = ()
    ) -> None:
        self.accesses: dict[str, LogWriter] = {}
        try:
            for one in (settings, *others):
                if one.access not in self.accesses:
                    self.accesses[one.access] = open_log(one.access, batched=mode in _BATCHED, count=count)
            self._errors = open_log(settings.error)
        except BaseException:
            for writer in self.accesses.values():
                writer.close()
            raise
        dated = settings.error not in _IN_THE_SYSTEM
        self.log = error_log(self._errors.write, Level[settings.level.upper()], dated=dated)

    def reopen(self) -> None:
        """Open all of them anew, for they have been moved away."""
        self.flush()
        for writer in self.accesses.values():
            writer.reopen()
        self._errors.reopen()

    def flush(self) -> None:
        """Write what waits."""
        for writer in self.accesses.values():
            writer.flush()

    def close(self) -> None:
        """Write what waits, and close."""
        for writer in self.accesses.values():
            writer.close()
        self._errors.close()


def make_access_log(form: str, mode: str, write: Callable[[str], None]) -> AccessLog:
    """What writes a line in ``form``: "common", "combined" or "json"."""
    if form == "json":
        from httpmini.server.logs.json_lines import JsonLog

        return JsonLog(mode, write)
    return AccessLog("common" if form == "common" else "combined", write)


def open_log(target: str, *, batched: bool = False, count: Callable[[int], None] = lambda _lines: None) -> LogWriter:
    """The log at ``target``: "stdout", "off", "syslog", "journal" or a path.

    Raises:
        CannotRun: it cannot be opened.
    """
    if target in _IN_THE_SYSTEM:
        from httpmini.server.logs.syslog import SystemLog

        return SystemLog(target, count)
    return LogFile(target, batched=batched, count=count)
