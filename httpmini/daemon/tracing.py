"""``serve --trace``: where the events of connections are kept, and the file that gets them at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from httpmini.config import Config
from httpmini.daemon.trace_file import TraceFile
from httpmini.errors import UsageError
from httpmini.server.core.scoreboard import Scoreboard
from httpmini.server.http.generation import HttpGeneration
from httpmini.server.http.service import HttpService, PartialService
from httpmini.server.listeners.tcp import accept

G = TypeVar("G", bound=HttpGeneration)


class Tracing:
    """A trace with its file.

    Args:
        path: the file.
        config: the settings at the start.
        board: shows the trace on the status pages.

    Attributes:
        trace: the trace.
        accept: accepts the next client of a listener, and notes that.

    Raises:
        UsageError: the settings ask for recordings of connections, whose events are not noted.
        CannotRun: the file cannot be written, or this system cannot share the trace between processes.
    """

    def __init__(self, path: str, config: Config, board: Scoreboard) -> None:
        from httpmini.server.core.trace import Trace  # few need it
        from httpmini.timeline.page import load

        if config.log.record:
            raise UsageError("--trace and log.record (--record) exclude each other; leave one of them out")
        load()
        self._file = TraceFile(path)
        self.trace = Trace(config.server.mode, config.server.max_clients, config.server.overflow)
        self._board = board
        self.accept = self.trace.accepting(accept)
        board.recording = self.trace.read

    def service(self, generation: G) -> HttpService[G]:
        """Return HTTP for everybody that notes its events."""
        from httpmini.server.http.traced import TracedService

        return TracedService(generation, self._board.counters, self.trace)

    def partial_service(self, current: Callable[[], HttpGeneration]) -> PartialService:
        """Return HTTP for some listeners that notes its events; ``current`` as for ``PartialService``."""
        from httpmini.server.http.traced import TracedPartialService

        return TracedPartialService(current, self._board.counters, self.trace)

    def finish(self) -> None:
        """Write the file.

        Raises:
            CannotRun: it cannot be written.
        """
        self._file.write(self.trace.read())
