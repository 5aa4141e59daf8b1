"""The architectures of the textbook, one file each. They move bytes and time, and know no protocol.

All have the same shape: ``serve`` until draining begins, then the listeners are free for somebody else; ``finish``
brings the clients that are still there to their end. Or ``retire`` leaves them alone, for another mode takes over.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Protocol

from httpmini.server.core.context import Context
from httpmini.server.core.transfer import Client
from httpmini.server.limits.slots import LocalSlots, SharedSlots, Slots
from httpmini.server.modes.forking import Forking
from httpmini.server.modes.iterative import Iterative
from httpmini.server.modes.prefork import Prefork
from httpmini.server.modes.select import Select
from httpmini.server.modes.threading import Threading


class Mode(Protocol):
    """One way to serve many clients.

    Attributes:
        descriptors_per_client: how many this process may need for each client.
    """

    descriptors_per_client: ClassVar[int]

    def __init__(self, context: Context) -> None: ...

    @property
    def clients(self) -> Iterable[Client]:
        """Those in this process that are not in the poll set."""
        ...

    def serve(self) -> None:
        """Accept and serve while ``control.serving``. On return the listeners are not in use; may be called again."""
        ...

    def finish(self) -> None:
        """Finish by ``control.deadline`` what is not in the poll set. On return no child or thread is left."""
        ...

    def retire(self) -> None:
        """Another mode takes over: what was begun is finished meanwhile, however long it takes."""
        ...

    @property
    def is_done(self) -> bool:
        """After ``retire``: whether nothing is left for ``finish`` but clients in the poll set."""
        ...


MODES: dict[str, type[Mode]] = {
    "iterative": Iterative,
    "forking": Forking,
    "threading": Threading,
    "select": Select,
    "prefork": Prefork,
}
"""The modes by the name that they have in a config file."""


def make_slots(mode: str, count: int, workers: int) -> Slots:
    """``count`` places, counted over all processes that ``mode`` serves with.

    Raises:
        CannotRun: this system cannot do that.
    """
    return SharedSlots(count, workers) if MODES[mode] is Prefork else LocalSlots(count)
