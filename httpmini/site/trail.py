"""What was found out on the way to a response, in sentences: the recorder of ``httpmini why``.

The steps of the site take an optional ``Trail`` and say what they looked at and what followed. A server passes none.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple


class Step(NamedTuple):
    """One thing that was looked at.

    Attributes:
        name: what it was: target, realm, redirect, walk and so on.
        text: what followed, in a few words; may contain what a client or the disk says, as it is.
    """

    name: str
    text: str


class Trail:
    """The steps of one request.

    Args:
        user: whose name and password the request is taken to have; empty for what its fields say.

    Attributes:
        steps: so far, in order.
        user: as given.
    """

    def __init__(self, user: str = "") -> None:
        self.steps: list[Step] = []
        self.user = user

    def note(self, name: str, text: str, source: str = "") -> None:
        """Add a step, unless it was taken before; ``source`` is the file and line of the setting that decided it."""
        step = Step(name, f"{text}, {source}" if source else text)
        if step not in self.steps:
            self.steps.append(step)


def path_of(names: Iterable[bytes]) -> str:
    """Return a path on the disk below the root, for a step."""
    return "/" + os.fsdecode(b"/".join(names))
