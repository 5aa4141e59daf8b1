"""What checks are worth: by their level, or as a teacher's file says."""

from __future__ import annotations

import tomllib
from difflib import get_close_matches
from pathlib import Path

from httpmini.errors import ConfigError, Problem
from httpmini.lint.check import Check


def read_points(path: Path, checks: tuple[Check, ...]) -> dict[str, float]:
    """Read a file with a number for each check or group: ``head-body = 5``, or ``0`` to leave one out of the sum.

    Returns:
        The points of every check; those that the file does not name have those of their group or level.

    Raises:
        ConfigError: it cannot be read, or names what is no check.
    """
    try:
        given = tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigError([Problem(str(path), "", "", f"cannot be read: {error.strerror}")]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([Problem(str(path), "", "", f"not TOML: {error}")]) from error
    ids = {check.id for check in checks}
    groups = {check.group for check in checks}
    problems = [problem for name, value in given.items() if (problem := _problem(str(path), name, value, ids | groups))]
    if problems:
        raise ConfigError(problems)
    return {check.id: float(given.get(check.id, given.get(check.group, check.level.points))) for check in checks}


def _problem(source: str, name: str, value: object, known: set[str]) -> Problem | None:
    if name not in known:
        close = get_close_matches(name, known, 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        return Problem(source, name, str(value), f"is no check and no group; see httpmini lint --list{hint}")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1000:
        return Problem(source, name, str(value), "must be a number from 0 to 1000")
    return None
