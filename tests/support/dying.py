"""A process that is killed before a chosen call that changes the disk."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from typing import Any

CALLS = ("link", "replace", "unlink", "fchmod", "fsync", "ftruncate", "write", "pwrite")


def die_before(step: int, calls: Sequence[str] = CALLS, tell: Callable[[str], None] | None = None) -> None:
    """Kill this process just before the ``step``-th of these calls, counting from 1.

    Args:
        step: which call.
        calls: the functions of ``os`` that count.
        tell: receives the name of the call before the end.
    """
    left = step

    def counted(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def instead(*args: Any, **more: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                if tell:
                    tell(name)
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **more)

        return instead

    for name in calls:
        setattr(os, name, counted(name, getattr(os, name)))
