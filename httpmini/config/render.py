"""Settings as text: TOML values, the settings in force, the differences of two files, and the annotated file."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection, Mapping

import msgspec

from httpmini.config.hints import expected
from httpmini.config.rows import REQUIRED, Row, rows_of
from httpmini.config.schema import LISTS, SECTIONS, Config
from httpmini.errors import visible

_MAX_BITS = 4096  # Python refuses to spell a number of more than 4300 digits, and has read it as hexadecimal ones


def toml(value: object) -> str:
    """Spell ``value`` in TOML."""
    match value:
        case bool():
            return "true" if value else "false"
        case list():
            return "[" + ", ".join(toml(item) for item in value) + "]"
        case dict():
            return "{" + ", ".join(f"{_toml_key(str(key))} = {toml(item)}" for key, item in value.items()) + "}"
        case int() if value.bit_length() > _MAX_BITS:
            return hex(value)
        case str():
            # TOML is UTF-8: a file name that is not cannot be spelled.
            text = value.encode("utf-8", "replace").decode("utf-8")
            return msgspec.json.encode(text).decode().replace("\x7f", "\\u007F")
        case _:
            return str(value)


def _toml_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml(key)


def show(config: Config) -> str:
    """Return the settings in force as TOML, each with its origin in a comment."""
    several = bool(config.others)
    lines: list[str] = []
    for section in SECTIONS:
        if section != "site" or not several:
            lines += _show_section(config, section, f"[{section}]")
    for one in config.all_sites:
        if several:
            lines += _show_section(one, "site", "[[site]]")
            lines += _show_section(one, "log", "[site.log]", ("access", "format"))
            lines += _show_section(one, "tls", "[site.tls]", ("certificate", "key"))
        lines += _show_entries(one, "site." if several else "")
    return "\n".join(lines)


def _show_section(config: Config, section: str, title: str, names: Collection[str] = ()) -> list[str]:
    """Return the lines of one table: all of its settings, or only ``names`` if any are given."""
    lines = [title]
    for row in rows_of(section):
        if not names or row.name in names:
            value = getattr(getattr(config, section), row.name)
            lines.append(f"{row.name} = {toml(value)}  # {visible(config.origins[row.key])}")
    return [*lines, ""]


def _show_entries(config: Config, prefix: str) -> list[str]:
    """Return the lines of all arrays of tables; ``prefix`` goes before their names."""
    lines: list[str] = []
    for section in LISTS:
        for entry in getattr(config, section):
            lines.append(f"[[{prefix}{section}]]  # {visible(config.origins[section])}")
            lines += [f"{row.name} = {toml(getattr(entry, row.name))}" for row in rows_of(section)]
            lines.append("")
    return lines


def differences(old: Config, new: Config) -> list[str]:
    """Return one line for each setting that changes from ``old`` to ``new``, such as ``server.workers: 0 -> 3``."""
    found = []
    for row in (row for section in SECTIONS for row in rows_of(section)):
        before, after = (getattr(getattr(config, row.section), row.name) for config in (old, new))
        if before != after:
            found.append(f"{row.key}: {toml(before)} -> {toml(after)}")
    for section in LISTS:
        before, after = getattr(old, section), getattr(new, section)
        if before != after:
            found.append(f"[[{section}]]: {len(before)} before, {len(after)} after")
    return found + _differences_of_sites(old, new, found)


def _differences_of_sites(old: Config, new: Config, known: Collection[str]) -> list[str]:
    """Return the differences of the other sites, without those of the first site, which are ``known``."""
    if len(old.others) != len(new.others):
        return [f"[[site]]: {len(old.all_sites)} before, {len(new.all_sites)} after"]
    return [
        f"[[site]] no. {number}: {one}"
        for number, (before, after) in enumerate(zip(old.others, new.others, strict=True), 2)
        for one in differences(before, after)
        if one not in known
    ]


def annotated(changes: Mapping[str, object]) -> str:
    """Return a config file with every setting, its meaning and its default: the text of ``conf/httpmini.toml``.

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
