"""What a check is, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from httpmini.lint.lab import Session

PROFILES = ("1.0", "1.1", "files", "course")


class Level(StrEnum):
    """How binding a requirement is."""

    MUST = "must"
    SHOULD = "should"
    DECISION = "decision"  # both ways are allowed, and a user of the server wants to know which one it goes

    @property
    def points(self) -> int:
        """What a check of this level is worth unless a file of points says otherwise."""
        return {"must": 3, "should": 1, "decision": 0}[self.value]


class Failed(Exception):
    """The server does something else; ``str()`` says what, in a few words."""


class NotApplicable(Exception):
    """The check cannot be made with this server; ``str()`` says why."""


def fail(message: str) -> NoReturn:
    """End the check: the server has failed it.

    Raises:
        Failed: always.
    """
    raise Failed(message)


@dataclass(frozen=True)
class Check:
    """One requirement, and how it is examined.

    Attributes:
        id: its name on the command line, in points files and in reports; stable.
        title: what a good server does, as a sentence without a subject.
        level: how binding it is.
        section: where it comes from, such as ``RFC 1945 8.2``.
        explain: one sentence for somebody who writes their first server.
        profiles: where it belongs.
        run: makes the check; raises Failed or NotApplicable.
        group: what it stands with in reports; after three timeouts in a group its other checks are left out.
        alone: no other check may run at the same time, because it measures or disturbs the server as a whole.
    """

    id: str
    title: str
    level: Level
    section: str
    explain: str
    profiles: frozenset[str]
    run: Callable[[Session], None]
    group: str
    alone: bool = False


@dataclass(frozen=True)
class Group:
    """Makes the checks of one group."""

    name: str
    profiles: tuple[str, ...]
    alone: bool = False

    def check(
        self,
        level: Level,
        name: str,
        title: str,
        section: str,
        explain: str,
        run: Callable[[Session], None],
        *,
        profiles: tuple[str, ...] = (),
    ) -> Check:
        """Return a check of this group; ``profiles`` replaces the group's own."""
        where = frozenset(profiles or self.profiles)
        return Check(name, title, level, section, explain, where, run, self.name, self.alone)


MUST, SHOULD, DECISION = Level.MUST, Level.SHOULD, Level.DECISION
