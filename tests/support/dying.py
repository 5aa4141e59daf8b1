"""A process that is killed at a chosen one of the calls that change the disk."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

_CALLS = ("link", "replace", "unlink", "fchmod", "fsync", "ftruncate", "pwrite", "write")


def die_before(step: int) -> None:
    """Have this process killed before the ``step``-th of these calls from now on, counted from 1."""
    left = step

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def instead(*args: Any, **more: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **more)

        return instead

    for name in _CALLS:
        setattr(os, name, counted(getattr(os, name)))
