"""A TOML file and flags become a Config, or a list of everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from httpmini.config.checks import CHECKS
from httpmini.config.entry_checks import ENTRY_CHECKS, LIST_CHECKS
from httpmini.config.render import expected, guess, nearest_section, nearest_setting, toml
from httpmini.config.schema import DEFAULT, LISTS, REQUIRED, SECTIONS, Config, rows, rows_of
from httpmini.errors import ConfigError, Problem
from httpmini.server.listeners.endpoint import INHERITED, UNIX, Endpoint, parse_endpoint


class Flags(msgspec.Struct, frozen=True):
    """What the command line says; None is nothing."""

    root: str | None = None
    mode: str | None = None
    addresses: tuple[str, ...] = ()
    port: int | None = None
    max_clients: int | None = None
    overflow: str | None = None


def read_tables(file: str) -> dict[str, Any]:
    """What is in a TOML file.

    Raises:
        ConfigError: it cannot be read.
    """
    import tomllib  # 8 ms, which a folder that is shared without a file need not wait for

    try:
        return tomllib.loads(Path(file).read_text("utf-8"))
    except OSError as error:
        remedy = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        remedy = "is not UTF-8, as TOML has to be"
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError; so is a number without end
        remedy = f"is not TOML: {error}"
    raise ConfigError([Problem(file, "", "", remedy)])


def make_config(file: str | None, tables: Mapping[str, Any], flags: Flags) -> Config:
    """The settings for one site.

    Args:
        file: where ``tables`` are from; None when there are none.
        tables: what the file says.
        flags: what the command line says on top of it.

    Raises:
        ConfigError: with every problem that was found.
    """
    draft = _Draft()
    if file is not None:
        draft.read(file, tables)
    draft.apply(flags)
    draft.check()
    if draft.problems:
        raise ConfigError(draft.problems)
    sections: dict[str, Any] = {
        name: struct(**{row.name: draft.values[row.key] for row in rows() if row.section == name})
        for name, struct in SECTIONS.items()
    }
    lists: dict[str, Any] = {name: tuple(entry for _, entry in draft.entries[name]) for name in LISTS}
    return Config(**sections, **lists, origins=draft.origins)


class _Draft(msgspec.Struct):
    """Settings on their way to a Config, with what is wrong with them."""

    values: dict[str, Any] = msgspec.field(default_factory=lambda: {row.key: row.default for row in rows()})
    origins: dict[str, str] = msgspec.field(default_factory=lambda: {row.key: DEFAULT for row in rows()})
    folder: Path = msgspec.field(default_factory=Path.cwd)  # what relative paths are relative to
    entries: dict[str, list[tuple[int, Any]]] = msgspec.field(default_factory=lambda: {name: [] for name in LISTS})
    problems: list[Problem] = msgspec.field(default_factory=list)
    wrong: set[str] = msgspec.field(default_factory=set)  # keys whose value could not be taken

    def read(self, file: str, tables: Mapping[str, Any]) -> None:
        """Take the settings of ``file``."""
        self.folder = Path(file).absolute().parent
        for section, table in tables.items():
            self._read_section(file, section, table)

    def _read_section(self, file: str, section: str, table: object) -> None:
        if section in LISTS:
            self._read_list(file, section, table)
        elif section not in SECTIONS:
            value = "" if isinstance(table, dict) else toml(table)
            self.problems.append(Problem(file, section, value, f"unknown; {nearest_section(section)}"))
        elif not isinstance(table, dict):
            self.problems.append(Problem(file, section, toml(table), f"must be a table: [{section}]"))
        else:
            known = {row.name for row in rows() if row.section == section}
            for name, value in table.items():
                key = f"{section}.{name}"
                if name in known:
                    self.put(key, value, file)
                else:
                    self.problems.append(Problem(file, key, toml(value), f"unknown; {nearest_setting(section, name)}"))

    def _read_list(self, file: str, section: str, tables: object) -> None:
        self.origins[section] = file
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            self.problems.append(Problem(file, section, "", f"must be written [[{section}]], once for each"))
            return
        for number, table in enumerate(tables, 1):
            before = len(self.problems)
            values = self._read_entry(section, number, table)
            if len(self.problems) == before:
                self.entries[section].append((number, LISTS[section](**values)))

    def _read_entry(self, section: str, number: int, table: dict[str, Any]) -> dict[str, Any]:
        complain = partial(self._complain_of_entry, section, number)
        known = {row.name: row for row in rows_of(section)}
        values = {}
        for name, value in table.items():
            if name not in known:
                complain(name, f"unknown; {nearest_setting(section, name)}", value)
                continue
            try:
                values[name] = msgspec.convert(value, known[name].type, strict=True)
            except msgspec.ValidationError:
                complain(name, f"must be {expected(known[name].type)}", value)
        for name, row in known.items():
            if row.default is REQUIRED and name not in table:
                complain(name, f"is missing: {expected(row.type)}, such as {toml(row.example)}")
        return values

    def apply(self, flags: Flags) -> None:
        if flags.root is not None:
            self.put("site.root", str(Path.cwd() / flags.root) if flags.root else "", "ROOT")
        for name in ("mode", "max_clients", "overflow"):
            if (value := getattr(flags, name)) is not None:
                self.put(f"server.{name}", value, "--" + name.replace("_", "-"))
        if flags.addresses or flags.port is not None:
            self._apply_addresses(flags)

    def _apply_addresses(self, flags: Flags) -> None:
        """``-b`` replaces the hosts and keeps the (first) port; ``-p`` replaces every port and keeps the hosts."""
        try:
            endpoints = [parse_endpoint(entry) for entry in self.values["server.listen"]]
        except ValueError:
            return  # the check will say what is wrong with the file's own
        if flags.addresses:
            endpoints = [Endpoint(self._bare_address(host), endpoints[0].port) for host in flags.addresses]
        if flags.port is not None:
            endpoints = [
                endpoint if endpoint.host in (INHERITED, UNIX) else Endpoint(endpoint.host, str(flags.port))
                for endpoint in endpoints
            ]
        listen = [str(endpoint) for endpoint in endpoints]
        self.put("server.listen", listen, "--bind" if flags.addresses else "--port")

    def _bare_address(self, text: str) -> str:
        """The address of one ``-b``; what cannot be one is left to be found wrong with the rest."""
        host = text.removeprefix("[").removesuffix("]")
        if not host or ("]" in text[:-1]) or (host.count(":") == 1):
            remedy = "only an address or a name goes here, the port to --port; every address is '*'"
            self.problems.append(Problem("--bind", "", toml(text), remedy))
            return "localhost"
        return host

    def put(self, key: str, value: object, origin: str) -> None:
        """Take a value if its type and bounds are right."""
        row = next(row for row in rows() if row.key == key)
        self.origins[key] = origin
        try:
            self.values[key] = msgspec.convert(value, row.type, strict=True)
            self.wrong.discard(key)
        except msgspec.ValidationError:
            self.values[key] = row.default
            self.wrong.add(key)
            self.complain(key, f"must be {expected(row.type)}{guess(row.type, value)}", value)

    def complain(self, key: str, remedy: str, value: object | None = None) -> None:
        value = self.values[key] if value is None else value
        origin = self.origins[key]
        self.problems.append(Problem("" if origin == DEFAULT else origin, key, toml(value), remedy))

    def said_last(self, *keys: str) -> str:
        """Which of ``keys`` a person has set; the last one when several are, or none."""
        return ([key for key in keys if self.origins[key] != DEFAULT] or list(keys))[-1]

    def check(self) -> None:
        """What types and bounds cannot say. A key whose value could not even be taken is not looked at again."""
        for key, check in CHECKS:
            if key not in self.wrong:
                check(self)
        for section, check_entry in ENTRY_CHECKS.items():
            self.entries[section] = [
                (number, check_entry(entry, self, partial(self._complain_of_entry, section, number)))
                for number, entry in self.entries[section]
            ]
        if not self.problems:
            for section, check_all in LIST_CHECKS.items():
                for number, name, remedy, value in check_all(self.entries[section]):
                    self._complain_of_entry(section, number, name, remedy, value)

    def _complain_of_entry(self, section: str, number: int, name: str, remedy: str, value: object = None) -> None:
        said = "" if value is None else toml(value)
        self.problems.append(Problem(self.origins[section], f"[[{section}]] no. {number}: {name}", said, remedy))
