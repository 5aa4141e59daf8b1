"""Turn a TOML file and flags into a Config, or into a list of everything that is wrong with them."""

from __future__ import annotations

import codecs
import os
import re
import stat
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from httpmini.config.checks import CHECKS
from httpmini.config.draft import Draft, WrongValue, convert
from httpmini.config.entry_checks import ENTRY_CHECKS, LIST_CHECKS
from httpmini.config.flags import Flags, apply_flags
from httpmini.config.hints import expected, nearest_section, nearest_setting
from httpmini.config.render import toml
from httpmini.config.rows import REQUIRED, rows, rows_of
from httpmini.config.schema import DEFAULT, LISTS, OLD_VALUES, RENAMED, SECTIONS, WITHOUT_FILE, Config
from httpmini.errors import ConfigError, Problem
from httpmini.files import why_not

MAX_FILE_BYTES = 16 * 1024 * 1024

# A pipe that the shell has made for this process, as for `-c <(make-config)`: it ends when its writer does. Any other
# pipe, put where the file was, would stop a running server in its next reload.
_HANDED_OVER = re.compile(r"/dev/stdin|/dev/fd/\d+|/proc/self/fd/\d+")


def read_tables(file: str) -> tuple[dict[str, Any], str]:
    """Parse a TOML file; return its content, and its text.

    Raises:
        ConfigError: it cannot be read, or is not TOML.
    """
    import tomllib  # takes 8 ms, and a server without a config file does not need it

    try:
        text = _read_text(file)
        return tomllib.loads(text), text
    except OSError as error:
        remedy = f"cannot be read: {why_not(error, file)}"
    except UnicodeDecodeError:
        remedy = "is not UTF-8, as TOML must be"
    except tomllib.TOMLDecodeError as error:
        remedy = f"is not TOML: {error}"
    except RecursionError:
        remedy = "is not TOML: it is nested too deeply"
    except ValueError:  # of int()
        remedy = "has a number of too many digits"
    raise ConfigError([Problem(file, "", "", remedy)])


def _read_text(file: str) -> str:
    """Read a config file.

    Raises:
        ConfigError: it is something that could be waited for without an end, or too much.
        OSError, UnicodeDecodeError: it cannot be read.
    """
    fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        kind = os.fstat(fd).st_mode
        if stat.S_ISFIFO(kind) and _HANDED_OVER.fullmatch(file):
            os.set_blocking(fd, True)
        elif not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):  # of a folder, the kernel says that it is one
            raise ConfigError([Problem(file, "", "", "is not a regular file, as a config file must be")])
        with open(fd, "rb", closefd=False) as content:
            octets = content.read(MAX_FILE_BYTES + 1)
    finally:
        os.close(fd)
    if len(octets) > MAX_FILE_BYTES:
        raise ConfigError([Problem(file, "", "", f"is larger than {MAX_FILE_BYTES} bytes")])
    if octets.startswith(codecs.BOM_UTF8):
        remedy = "begins with a byte order mark (BOM), which TOML does not know; save it as UTF-8 without one"
        raise ConfigError([Problem(file, "", "", remedy)])
    return octets.decode("utf-8").replace("\r\n", "\n")


def make_config(file: str | None, tables: Mapping[str, Any], flags: Flags, *, to_serve: bool = False) -> Config:
    """Return the settings for one site.

    Args:
        file: where ``tables`` come from, or None.
        tables: the content of the file.
        flags: what the command line says; it overrides the file.
        to_serve: whether the root must be named.

    Raises:
        ConfigError: with every problem that was found.
    """
    draft = Draft()
    if file is None:  # a folder that somebody shares for now, not a server that is kept
        draft.put("site.archives", True, WITHOUT_FILE)
    else:
        _read(draft, file, tables)
    apply_flags(draft, flags)
    if file is not None and to_serve and draft.origins["site.root"] == DEFAULT:
        draft.problems.append(Problem(file, "site.root", "", 'is missing: the folder to serve, such as "/srv/www"'))
    _check(draft)
    if draft.problems:
        raise ConfigError(draft.problems)
    sections: dict[str, Any] = {
        name: struct(**{row.name: draft.values[row.key] for row in rows_of(name)}) for name, struct in SECTIONS.items()
    }
    lists: dict[str, Any] = {name: tuple(entry for _, entry in draft.entries[name]) for name in LISTS}
    return Config(**sections, **lists, origins=draft.origins, notices=tuple(draft.notices))


def _read(draft: Draft, file: str, tables: Mapping[str, Any]) -> None:
    draft.folder = Path(file).absolute().parent
    for section, table in tables.items():
        if section in LISTS:
            _read_list(draft, file, section, table)
        elif section not in SECTIONS:
            value = "" if isinstance(table, dict) else toml(table)
            draft.problems.append(Problem(file, section, value, f"unknown; {nearest_section(section)}"))
        elif not isinstance(table, dict):
            draft.problems.append(Problem(file, section, toml(table), f"must be a table: [{section}]"))
        else:
            for name, value in table.items():
                _read_setting(draft, file, tables, f"{section}.{name}", value)


def _read_setting(draft: Draft, file: str, tables: Mapping[str, Any], key: str, value: object) -> None:
    new = RENAMED.get(key)
    if any(row.key == key for row in rows()):
        draft.put(key, value, file)
    elif new is None:
        draft.problems.append(Problem(file, key, toml(value), f"unknown; {nearest_setting(*key.split('.', 1))}"))
    elif _has(tables, new):
        draft.problems.append(Problem(file, key, toml(value), f"is the old name of {new}, which is set too; keep one"))
    else:
        if isinstance(value, bool):
            value = OLD_VALUES.get(key, {}).get(value, value)
        draft.put(new, value, file, spelled=key)
        draft.notices.append(f"{file}: {key} is now {new}; the old name still works")


def _has(tables: Mapping[str, Any], key: str) -> bool:
    section, _, name = key.partition(".")
    table = tables.get(section)
    return isinstance(table, dict) and name in table


def _read_list(draft: Draft, file: str, section: str, tables: object) -> None:
    draft.origins[section] = file
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        draft.problems.append(Problem(file, section, "", f"must be written [[{section}]], once for each"))
        return
    for number, table in enumerate(tables, 1):
        before = len(draft.problems)
        values = _read_entry(draft, section, number, table)
        if len(draft.problems) == before:
            draft.entries[section].append((number, LISTS[section](**values)))


def _read_entry(draft: Draft, section: str, number: int, table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of one entry, by name; complain of those that are wrong, unknown or missing."""
    complain = partial(draft.complain_of_entry, section, number)
    known = {row.name: row for row in rows_of(section)}
    values = {}
    for name, value in table.items():
        if name not in known:
            complain(name, f"unknown; {nearest_setting(section, name)}", value)
            continue
        try:
            values[name] = convert(value, known[name].type)
        except WrongValue as wrong:
            complain(name, str(wrong), wrong.part)
    for name, row in known.items():
        if row.default is REQUIRED and name not in table:
            complain(name, f"is missing: {expected(row.type)}, such as {toml(row.example)}")
    return values


def _check(draft: Draft) -> None:
    """Check what types and bounds cannot express. A value of the wrong type or out of bounds is not checked again."""
    for key, check in CHECKS:
        if key not in draft.wrong:
            check(draft)
    for section, check_entry in ENTRY_CHECKS.items():
        draft.entries[section] = [
            (number, check_entry(entry, draft, partial(draft.complain_of_entry, section, number)))
            for number, entry in draft.entries[section]
        ]
    if not draft.problems:
        for section, check_all in LIST_CHECKS.items():
            for number, name, remedy, value in check_all(draft.entries[section]):
                draft.complain_of_entry(section, number, name, remedy, value)
