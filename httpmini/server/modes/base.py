"""What all modes have in common: what a mode is, and the steps of its life."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable
from typing import ClassVar

from httpmini.server.core.context import Context
from httpmini.server.core.transfer import Client
from httpmini.server.limits.crowd import Occupant


class Mode(ABC):
    """One way to serve many clients.

    A mode is made, started, and serves until draining begins; from then on the listeners are free. Then ``finish``
    brings its clients to their end; or ``retire`` leaves them alone, because another mode takes over.

    Args:
        context: what it works with. Making a mode starts nothing; ``start`` does.

    Attributes:
        name: the mode in a config file.
        uses_workers: whether several processes accept clients and share the slots.
        starts_processes: whether it forks child processes, which serve.
        batches_logs: whether lines of the access log may wait for the next tick. A child or a thread writes each line
            itself, because nobody would do it later.
        descriptors_per_client: how many descriptors this process may need for each client.
    """

    name: ClassVar[str]
    uses_workers: ClassVar[bool] = False
    starts_processes: ClassVar[bool] = False
    batches_logs: ClassVar[bool] = True
    descriptors_per_client: ClassVar[int] = 2  # a socket and a file

    def __init__(self, context: Context) -> None:
        self._context = context

    @property
    def clients(self) -> Collection[Client]:
        """The clients in this process that are not in the poll set."""
        return ()

    def occupants(self, now: float) -> Iterable[Occupant]:  # noqa: ARG002
        """Return the clients of this process that are not in the poll set and do nothing; also after ``retire``."""
        return ()

    def start(self) -> None:  # noqa: B027  (most modes need nothing)
        """Start the processes that serve.

        Raises:
            CannotRun: one of them cannot be started, and why; then none is left.
        """

    @abstractmethod
    def serve(self) -> None:
        """Accept and serve while ``shutdown.serving``. On return the listeners are not in use; may be called again."""

    def finish(self) -> None:  # noqa: B027
        """Finish what is not in the poll set by ``shutdown.deadline``. On return no child and no thread is left."""

    def retire(self) -> None:  # noqa: B027
        """Finish what was begun, however long it takes, while another mode serves."""

    @property
    def is_done(self) -> bool:
        """After ``retire``: whether nothing is left for ``finish`` but clients in the poll set."""
        return True
