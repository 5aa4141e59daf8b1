"""The declarations of ``schema.py`` as rows that the loader, the flags and the annotated file iterate over."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from httpmini.config.schema import LISTS, SECTIONS

REQUIRED = msgspec.NODEFAULT
"""The default of a setting that has none."""


class Row(msgspec.Struct, frozen=True):
    """One setting.

    Attributes:
        section: the table, or the array of tables, that it belongs to.
        name: its name in there.
        type: its declared type, an Annotated with bounds.
        default: its default, or REQUIRED.
        example: a value to show: the default, unless there is none.
        help: what it means, in complete sentences.
    """

    section: str
    name: str
    type: Any
    default: Any
    example: Any
    help: str

    @property
    def key(self) -> str:
        """The dotted name, such as ``server.mode``."""
        return f"{self.section}.{self.name}"


@cache
def rows() -> tuple[Row, ...]:
    """Return all settings of the tables, in order of declaration."""
    return tuple(row for section in SECTIONS for row in rows_of(section))


@cache
def rows_of(section: str) -> tuple[Row, ...]:
    """Return the settings of one table, or of one entry of an array of tables."""
    return tuple(_row(section, declared) for declared in msgspec.structs.fields({**SECTIONS, **LISTS}[section]))


def _row(section: str, declared: msgspec.structs.FieldInfo) -> Row:
    default, example, text = declared.default, None, ""
    if declared.default_factory is not msgspec.NODEFAULT:
        default = declared.default_factory()
    for meta in declared.type.__metadata__:  # of the Annotated
        text = meta.description or text
        example = meta.examples[0] if meta.examples else example
    return Row(section, declared.name, declared.type, default, default if example is None else example, text)
