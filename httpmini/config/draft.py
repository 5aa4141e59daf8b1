"""Settings on their way to a Config, together with everything that is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from httpmini.config.hints import expected, guess
from httpmini.config.render import toml
from httpmini.config.rows import rows
from httpmini.config.schema import DEFAULT, LISTS
from httpmini.errors import Problem
from httpmini.files import current_folder


class WrongValue(Exception):
    """A value that a setting cannot have; the text says what would be right.

    Attributes:
        part: the part of it that is wrong.
    """

    def __init__(self, remedy: str, part: object) -> None:
        super().__init__(remedy)
        self.part = part


def convert(value: object, declared: Any) -> Any:
    """Return ``value`` as a value of the type ``declared``.

    Raises:
        WrongValue: it has another type, is out of bounds, or has a NUL in it.
    """
    try:
        converted = msgspec.convert(value, declared, strict=True)
    except msgspec.ValidationError:
        raise WrongValue(f"must be {expected(declared)}", value) from None
    for part in _parts(converted):
        if "\0" in _text(part):  # no name of a file, user, host or field has one, and system calls refuse it
            raise WrongValue(f"must be {expected(declared)}, without NUL characters", part)
    return converted


def _parts(value: object) -> list[object]:
    """Return the members of a list, the entries of a table, or the value itself."""
    match value:
        case list():
            return value
        case dict():
            return [{name: entry} for name, entry in value.items()]
        case _:
            return [value]


def _text(part: object) -> str:
    return "".join(map(str, *part.items())) if isinstance(part, dict) else str(part)


class Draft(msgspec.Struct):
    """The settings of one site, while they are being read and checked.

    Attributes:
        values: the value of each setting, by dotted name; a check may make a relative path absolute.
        origins: where each value comes from, as in ``Config``.
        folder: the folder that relative paths are relative to.
        entries: the entries of each array of tables, with their numbers in the file, counted from 1.
        problems: everything that is wrong.
        notices: advice about what is right, as in ``Config``.
        wrong: the settings whose value has a wrong type or is out of bounds.
        spelled: the name by which each setting was set: its own, or an old one.
    """

    values: dict[str, Any] = msgspec.field(default_factory=lambda: {row.key: row.default for row in rows()})
    origins: dict[str, str] = msgspec.field(default_factory=lambda: {row.key: DEFAULT for row in rows()})
    folder: Path = msgspec.field(default_factory=current_folder)
    entries: dict[str, list[tuple[int, Any]]] = msgspec.field(default_factory=lambda: {name: [] for name in LISTS})
    problems: list[Problem] = msgspec.field(default_factory=list)
    notices: list[str] = msgspec.field(default_factory=list)
    wrong: set[str] = msgspec.field(default_factory=set)
    spelled: dict[str, str] = msgspec.field(default_factory=dict)

    def put(self, key: str, value: object, origin: str, *, spelled: str = "") -> None:
        """Set a setting if the type and bounds of ``value`` are right; complain if not.

        Args:
            key: its dotted name.
            value: what it is to be.
            origin: where that comes from.
            spelled: the name that the file uses, if it is an old one.
        """
        row = next(row for row in rows() if row.key == key)
        self.origins[key] = origin
        self.spelled[key] = spelled or key
        try:
            self.values[key] = convert(value, row.type)
            self.wrong.discard(key)
        except WrongValue as wrong:
            self.values[key] = row.default
            self.wrong.add(key)
            self.complain(key, f"{wrong}{guess(row.type, value)}", wrong.part)

    def complain(self, key: str, remedy: str, value: object | None = None) -> None:
        """Note a problem with a setting.

        Args:
            key: its dotted name.
            remedy: what is wrong, and what would be right.
            value: the part of its value that is wrong; all of it by default.
        """
        value = self.values[key] if value is None else value
        origin = self.origins[key]
        source = "" if origin == DEFAULT else origin
        self.problems.append(Problem(source, self.spelled.get(key, key), toml(value), remedy))

    def complain_of_entry(self, section: str, number: int, name: str, remedy: str, value: object = None) -> None:
        """Note a problem with the setting ``name`` of one entry of an array of tables."""
        said = "" if value is None else toml(value)
        self.problems.append(Problem(self.origins[section], f"[[{section}]] no. {number}: {name}", said, remedy))

    def last_set(self, *keys: str) -> str:
        """Return the last of ``keys`` that is not at its default, or the last one if all are."""
        return ([key for key in keys if self.origins[key] != DEFAULT] or list(keys))[-1]
