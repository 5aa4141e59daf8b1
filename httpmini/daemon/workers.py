"""How many worker processes the settings ask for."""

from __future__ import annotations

import os

from httpmini.config import Config


def count_workers(config: Config) -> int:
    """Return ``server.workers``; if that is 0, one for each core that this process may use."""
    return config.server.workers or _count_cores()


def _count_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
