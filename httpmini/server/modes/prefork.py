"""Prefork mode: a master that never touches a client, and worker processes that each serve as select mode does.

The pattern of the servers that people run: as many reactors as there are cores, all waiting at the same listeners. The
kernel wakes one of them for each client (EPOLLEXCLUSIVE). The master watches its workers and replaces one that has
died; no connection in the backlog is lost, because the listeners belong to all of them.

Good at: using every core, and surviving a crash. Bad at: nothing in particular, but it is the most to understand.
"""

from __future__ import annotations

import time
from typing import ClassVar

from msgspec.structs import replace

from httpmini.server.core.acceptor import Acceptor
from httpmini.server.core.context import Context
from httpmini.server.core.workers import Workers
from httpmini.server.modes.base import Mode
from httpmini.server.modes.select import Select


class Prefork(Mode):
    """The master. Runs in the main thread only (signals)."""

    name: ClassVar[str] = "prefork"
    uses_workers: ClassVar[bool] = True
    starts_processes: ClassVar[bool] = True

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._shutdown = context.main_shutdown
        self._acceptor = Acceptor(replace(context, listeners=()))  # nobody comes here; clients of earlier modes may go
        self._workers = Workers(context, Select)

    def start(self) -> None:
        """Fork the workers.

        Raises:
            CannotRun: one of them cannot start, and why; then none is left.
        """
        try:
            self._workers.start()
        except BaseException:
            self._shutdown.drain(time.monotonic())
            self.finish()
            raise

    def serve(self) -> None:
        """Watch the workers, which accept and serve; replace those that die."""
        while self._shutdown.serving:
            self._acceptor.wait(self._workers.next_start)
            self._workers.restart_due()
        if self._shutdown.draining:
            self._workers.wait_until_nobody_accepts()

    def finish(self) -> None:
        """Wait for the workers, which have seen that draining began; end those that are not done in time."""
        self._workers.finish()

    def retire(self) -> None:
        """Have the workers finish what they are sending; they know the old settings only."""
        self._shutdown.retire()
        self._workers.wait_until_nobody_accepts()

    @property
    def is_done(self) -> bool:
        """Whether all workers have ended."""
        return not self._context.children.of(self._shutdown)
