"""Settings in words: what a value has to be, what was probably meant, and how TOML spells it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection, Mapping
from typing import Any, Literal, get_args, get_origin

import msgspec
from msgspec import inspect

from httpmini.config.schema import LISTS, REQUIRED, SECTIONS, Config, Row, rows, rows_of
from httpmini.errors import visible


def expected(declared: Any) -> str:
    """What a value of the type ``declared`` has to be, in words."""
    kind = inspect.type_info(declared)
    if isinstance(kind, inspect.Metadata):
        kind = kind.type
    match kind:
        case inspect.LiteralType():
            return "one of " + ", ".join(f'"{value}"' for value in declared_choices(declared))
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return f"a whole number from {kind.ge} to {kind.le}"
        case inspect.FloatType():
            return f"a number of seconds from {kind.ge} to {kind.le}"
        case inspect.ListType(item_type=inspect.LiteralType(values=values)):
            return "a list in brackets, of " + ", ".join(f'"{value}"' for value in sorted(map(str, values)))
        case inspect.ListType():
            return "a list of strings in brackets" + (", with at least one in it" if kind.min_length else "")
        case inspect.DictType():
            return "a table of strings"
        case _:
            return "a string"


def declared_choices(declared: Any) -> list[str]:
    """The values of a Literal, in the order in which they are declared; none for any other type."""
    inner = declared.__origin__  # of an Annotated
    return [str(value) for value in get_args(inner)] if get_origin(inner) is Literal else []


def guess(declared: Any, value: object) -> str:
    """A hint at the choice that was probably meant; empty when there is none."""
    near = _near(str(value).lower(), declared_choices(declared))
    return f'; did you mean "{near[0]}"?' if near and isinstance(value, str) else ""


def _near(text: str, known: list[str]) -> list[str]:
    """The one of ``known`` that is most like ``text``, if any is."""
    import difflib  # for those who err

    return difflib.get_close_matches(text, known, n=1)


def nearest_section(section: str) -> str:
    """The known table that was probably meant."""
    known = [*SECTIONS, *LISTS]
    near = _near(section, known)
    return f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"


def nearest_setting(section: str, name: str) -> str:
    """The known setting that was probably meant: one of this name elsewhere, or one of a similar name here."""
    here = [row.name for row in rows_of(section)]
    elsewhere = [row.key for row in rows() if row.name == name and section in SECTIONS]
    near = elsewhere or [f"{section}.{close}" for close in _near(name, here)]
    return f"did you mean {near[0]}?" if near else f"known here: {', '.join(here)}"


def toml(value: object) -> str:
    """``value`` as TOML spells it."""
    match value:
        case bool():
            return "true" if value else "false"
        case list():
            return "[" + ", ".join(toml(item) for item in value) + "]"
        case dict():
            return "{" + ", ".join(f"{_toml_key(str(key))} = {toml(item)}" for key, item in value.items()) + "}"
        case str():
            text = value.encode("utf-8", "replace").decode(
                "utf-8"
            )  # a name that is not UTF-8 cannot be spelled in TOML
            return msgspec.json.encode(text).decode().replace("\x7f", "\\u007F")
        case _:
            return str(value)


def _toml_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml(key)


def show(config: Config) -> str:
    """The settings in force as TOML, each with where it came from."""
    several = bool(config.others)
    lines: list[str] = []
    for section in SECTIONS:
        if section != "site" or not several:
            lines += _shown_section(config, section, f"[{section}]")
    for one in config.all_sites:
        if several:
            lines += _shown_section(one, "site", "[[site]]")
            lines += _shown_section(one, "log", "[site.log]", ("access", "format"))
        for section in LISTS:
            for entry in getattr(one, section):
                title = f"site.{section}" if several else section
                lines.append(f"[[{title}]]  # {visible(one.origins[section])}")
                lines += [f"{row.name} = {toml(getattr(entry, row.name))}" for row in rows_of(section)]
                lines.append("")
    return "\n".join(lines)


def _shown_section(config: Config, section: str, title: str, names: Collection[str] = ()) -> list[str]:
    """One table; of it these settings only, where there are ``names``."""
    lines = [title]
    for row in rows_of(section):
        if not names or row.name in names:
            value = getattr(getattr(config, section), row.name)
            lines.append(f"{row.name} = {toml(value)}  # {visible(config.origins[row.key])}")
    return [*lines, ""]


def differences(old: Config, new: Config) -> list[str]:
    """What changes from one to the other, a few words for each setting."""
    found = []
    for row in (row for section in SECTIONS for row in rows_of(section)):
        before, after = (getattr(getattr(config, row.section), row.name) for config in (old, new))
        if before != after:
            found.append(f"{row.key}: {toml(before)} -> {toml(after)}")
    for section in LISTS:
        before, after = getattr(old, section), getattr(new, section)
        if before != after:
            found.append(f"[[{section}]]: {len(before)} before, {len(after)} after")
    if len(old.others) != len(new.others):
        found.append(f"[[site]]: {len(old.all_sites)} before, {len(new.all_sites)} after")
    else:
        for number, (before, after) in enumerate(zip(old.others, new.others, strict=True), 2):
            inner = differences(before, after)
            found += [f"[[site]] no. {number}: {one}" for one in inner if one not in found]
    return found


def annotated(changes: Mapping[str, object]) -> str:
    """A config file with every setting, its meaning and its default; ``conf/httpmini.toml`` is this.

    Args:
        changes: values other than the default, by dotted name.
    """
    lines = ["# Every setting of httpmini with its default. Check a changed copy with: httpmini config check -c FILE"]
    for section, struct in SECTIONS.items():
        lines += ["", *_comment(struct.__doc__ or ""), f"[{section}]"]
        for row in rows_of(section):
            lines += ["", *_explained(row), f"{row.name} = {toml(changes.get(row.key, row.default))}"]
    for section, struct in LISTS.items():
        lines += ["", *_comment(struct.__doc__ or ""), f"# [[{section}]]"]
        for row in rows_of(section):
            lines += ["#", *_explained(row), f"# {row.name} = {toml(row.example)}"]
    return "\n".join(lines) + "\n"


def _explained(row: Row) -> list[str]:
    default = "No default" if row.default is REQUIRED else f"Default: {toml(row.default)}"
    return [*_comment(row.help), f"# {default} ({expected(row.type)})"]


def _comment(text: str) -> list[str]:
    return textwrap.wrap(" ".join(text.split()), 96, initial_indent="# ", subsequent_indent="# ")
