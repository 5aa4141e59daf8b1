"""Load a file that describes several sites: one Config for each.

    [server] [limits] [log] ...      for all sites
    [[site]]                         hosts, root, ...
    [[site.rules]]  [site.log]       for this site

Each site is loaded as if it were the only one: its own tables are moved to where a file with one site has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from httpmini.config.flags import Flags
from httpmini.config.lines import Lines, find_lines
from httpmini.config.loader import make_config, read_tables
from httpmini.config.render import toml
from httpmini.config.schema import LISTS, Config
from httpmini.errors import ConfigError, Problem
from httpmini.protocol.message import bare_host

_OWN: Mapping[str, tuple[str, ...]] = {"log": ("access", "format"), "tls": ("certificate", "key")}
"""What one site may have in a table of its own, such as [site.log]; the rest is common to all sites."""


def load(file: str | None = None, flags: Flags | None = None, *, to_serve: bool = False) -> Config:
    """Load the settings of ``file``, overridden by ``flags``.

    Args:
        file: a TOML file, or None.
        flags: what the command line says. If there are several sites, its root is that of the first one.
        to_serve: whether a server is to follow these settings: then they must say what to serve. A file that is empty,
            perhaps because it was read before or is being written, must not publish the folder that it is in.

    Raises:
        ConfigError: with every problem that was found.
    """
    flags = flags or Flags()
    if file is None:
        return make_config(None, {}, flags)
    file = str(Path(file))
    tables, text = read_tables(file)
    if to_serve and not tables:
        raise ConfigError([Problem(file, "", "", "has no settings; it must name at least site.root")])
    sites = tables.get("site")
    if isinstance(sites, list) and sites and all(isinstance(site, dict) for site in sites):
        config = _load_sites(file, tables, sites, flags, to_serve)
    else:
        config = make_config(file, tables, flags, to_serve=to_serve)
    return _with_places(config, [_places(file, lines) for lines in find_lines(text, tables)])


def _with_places(config: Config, places: list[dict[str, tuple[str, ...]]]) -> Config:
    first, *others = places
    others_there = tuple(replace(other, places=there) for other, there in zip(config.others, others, strict=True))
    return replace(config, places=first, others=others_there)


def _places(file: str, lines: Lines) -> dict[str, tuple[str, ...]]:
    return {name: tuple(f"{file}:{line}" for line in found) for name, found in lines.items()}


def _load_sites(
    file: str, tables: Mapping[str, Any], sites: list[dict[str, Any]], flags: Flags, to_serve: bool
) -> Config:
    problems = [
        Problem(file, f"[[{name}]]", "", f"belongs to one site: write [[site.{name}]] after its [[site]]")
        for name in LISTS
        if name in tables
    ]
    configs = []
    for number, site in enumerate(sites, 1):
        problems += _misplaced(file, number, site)
        try:
            configs.append(make_config(file, _as_the_only_one(tables, site), flags, to_serve=to_serve))
        except ConfigError as error:
            problems += [_of_site(problem, number, site) for problem in error.problems]
        flags = replace(flags, root=None)
    problems += _unreachable(file, sites)
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))  # each site repeats the problems of the common tables
    notices = dict.fromkeys(notice for config in configs for notice in config.notices)
    others = [replace(config, notices=()) for config in configs[1:]]
    return replace(configs[0], others=tuple(others), notices=tuple(notices))


def _as_the_only_one(tables: Mapping[str, Any], site: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tables of a file with this site alone."""
    apart = {*LISTS, *_OWN}
    whole = {name: table for name, table in tables.items() if name not in LISTS}
    whole["site"] = {name: value for name, value in site.items() if name not in apart}
    whole.update((name, site[name]) for name in LISTS if name in site)
    for section, names in _OWN.items():
        own, common = site.get(section), tables.get(section, {})
        if isinstance(own, dict) and isinstance(common, dict):
            whole[section] = {**common, **{name: own[name] for name in names if name in own}}
    return whole


def _misplaced(file: str, number: int, site: Mapping[str, Any]) -> Iterator[Problem]:
    """Find settings that ``[site.log]`` and ``[site.tls]`` cannot have."""
    for section, names in _OWN.items():
        own = site.get(section, {})
        if not isinstance(own, dict):
            yield Problem(file, f"[[site]] no. {number}: {section}", toml(own), f"must be a table: [site.{section}]")
            continue
        for name, value in own.items():
            if name not in names:
                remedy = f"only {' and '.join(names)} can be set for one site; the rest belongs to [{section}]"
                yield Problem(file, f"[[site]] no. {number}: {section}.{name}", toml(value), remedy)


def _of_site(problem: Problem, number: int, site: Mapping[str, Any]) -> Problem:
    """Return ``problem`` with the number of the site, or unchanged if it concerns all sites."""
    key = problem.key.removeprefix("site.")
    section, _, name = key.partition(".")
    own = key != problem.key or key.startswith("[[") or (section in _OWN and name in site.get(section, {}))
    return Problem(problem.source, f"[[site]] no. {number}: {key}", problem.value, problem.remedy) if own else problem


def _unreachable(file: str, sites: list[dict[str, Any]]) -> Iterator[Problem]:
    """Find sites that no request could reach: without hosts, or with the host of another site."""
    seen: set[str] = set()
    for number, site in enumerate(sites, 1):
        hosts = site.get("hosts", [])
        if number > 1 and not hosts:
            yield Problem(
                file, f"[[site]] no. {number}: hosts", "", 'is missing: the names of this site, such as ["example.org"]'
            )
        for host in filter(lambda host: isinstance(host, str), hosts if isinstance(hosts, list) else []):
            if bare_host(host) in seen:
                yield Problem(file, f"[[site]] no. {number}: hosts", toml(host), "is listed twice")
            seen.add(bare_host(host))
