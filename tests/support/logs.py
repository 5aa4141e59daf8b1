"""A log that tests can read."""

from __future__ import annotations

from httpmini.server.logs.error import Level, Log


def log_into(lines: list[str]) -> Log:
    """Return an error log that appends its lines, of every level, to ``lines``."""
    return lambda text, _level=Level.NOTICE: lines.append(text)
