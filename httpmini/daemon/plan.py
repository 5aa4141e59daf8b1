"""What a server is told of how to serve, at the start and later: the lifecycle takes anything of this shape."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Protocol, TypeVar

from httpmini.server.limits.admission import Admission


class Plan(Protocol):
    """How to serve, until a reload says otherwise."""

    @property
    def mode(self) -> str:
        """A name in ``MODES``."""
        ...

    @property
    def workers(self) -> int:
        """How many processes serve, in modes that have workers."""
        ...

    @property
    def admission(self) -> Admission:
        """Gives the slots."""
        ...

    @property
    def drain_s(self) -> float:
        """Seconds that responses being sent get to finish."""
        ...

    @property
    def slice_s(self) -> float:
        """How long a mode that serves one client at a time serves it while others wait; 0 for to its end."""
        ...

    @property
    def public_listeners(self) -> Sequence[socket.socket]:
        """Listening sockets for everybody, which do not block."""
        ...

    @property
    def status_listeners(self) -> Sequence[socket.socket]:
        """Listening sockets for operators, which do not block."""
        ...

    @property
    def title(self) -> str:
        """What is served, in a few words."""
        ...


P = TypeVar("P", bound=Plan)
P_co = TypeVar("P_co", bound=Plan, covariant=True)


class Source(Protocol[P]):
    """Where the plans of reloads come from."""

    def prepare(self) -> P:
        """Make the plan of the present settings; nothing has changed when this raises an error."""
        ...

    def adopt(self, plan: P, /) -> None:
        """Make ``plan`` the current one for requests; also to go back to the plan before."""
        ...

    def discard(self, plan: P, /) -> None:
        """Give up a plan that is not current."""
        ...

    def news(self, before: P, after: P, /) -> str:
        """Say in a few words what has changed."""
        ...


class Renewal(Protocol[P_co]):
    """Where new certificates come from."""

    @property
    def look_s(self) -> float | None:
        """How often to look for them; None for never."""
        ...

    def look(self, now: float, /) -> bool:
        """Return whether there are any."""
        ...

    def renew(self) -> P_co | None:
        """Use them: return the plan that has them, which is the current one; None if nothing has changed."""
        ...
