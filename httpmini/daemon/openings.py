"""What the sandbox leaves open: the paths that the settings name, each for what it is needed for and nothing else."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from httpmini.config import Config
from httpmini.daemon.sandbox import APPEND, KEEP, MAKE_SOCKETS, READ, READ_FILES, Opening
from httpmini.server.listeners.peer import LOCAL

_PURPOSES = {READ: "read", READ_FILES: "read", APPEND: "append", KEEP: "pid file", MAKE_SOCKETS: "sockets"}


def openings_of(config: Config, file: str | None) -> list[Opening]:
    """Return what a server with these settings needs to open.

    Args:
        config: the settings.
        file: where they come from, which a reload reads again; None without one.
    """
    folders = {*(one.site.root for one in config.all_sites if not one.site.only), *config.daemon.readable}
    read = {Opening(folder, READ) for folder in folders}
    read |= {Opening(one.site.root, READ_FILES) for one in config.all_sites if one.site.only}
    files = [realm.users for one in config.all_sites for realm in one.realms] + ([file] if file else [])
    files += [path for one in config.all_sites for path in one.tls.files]
    written = set(written_openings(config))
    known = {os.path.realpath(one.path) for one in read | written}
    return sorted(read | written | set(_to_read_again(files, known)))


def written_openings(config: Config) -> Iterator[Opening]:
    """Yield the folders of logs, the pid file and unix sockets."""
    for target in {*(one.log.access for one in config.all_sites), config.log.error}:
        if Path(target).is_absolute():
            yield from _for_log(Path(target))
    if config.log.record:
        yield Opening(config.log.record, APPEND)
    if config.daemon.pid_file:
        yield Opening(str(Path(config.daemon.pid_file).parent), KEEP)  # and the socket of httpmini ctl
    for entry in (*config.server.listen, *config.status.listen):
        if entry.startswith(LOCAL):
            yield Opening(str(Path(entry.removeprefix(LOCAL)).absolute().parent), MAKE_SOCKETS)


def missing(opened: list[Opening], wanted: Opening) -> bool:
    """Return whether ``wanted`` needs rights that ``opened`` does not give, for its path or a folder above it."""
    path = Path(os.path.realpath(wanted.path))
    above = {str(path), *map(str, path.parents)}
    given = 0
    for opening in opened:
        if os.path.realpath(opening.path) in above:
            given |= opening.rights
    return wanted.rights & ~given != 0


def shown(opened: list[Opening]) -> str:
    """Return what is open as text, for the log: "read /srv/www, append /var/log/httpmini"."""
    rights: dict[str, list[str]] = {}
    for opening in opened:
        purposes = rights.setdefault(os.path.realpath(opening.path), [])
        if (purpose := _PURPOSES[opening.rights]) not in purposes:
            purposes.append(purpose)
    return ", ".join(f"{path} ({', '.join(purposes)})" for path, purposes in rights.items())


def _for_log(path: Path) -> Iterator[Opening]:
    """Yield the folder of a log, where it is created again, and that of the file that it is a link to."""
    if _is_special(path):  # a device or a named pipe stays where it is
        yield Opening(str(path), APPEND)
        return
    for one in (path, Path(os.path.realpath(path))):
        yield Opening(str(one.parent), APPEND)


def _is_special(path: Path) -> bool:
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def _to_read_again(files: list[str], known: set[str]) -> Iterator[Opening]:
    """Yield files that are read again when they have changed.

    Who edits a file usually replaces it, and then it is another one to the kernel. So its folder is opened, if it is
    kept for such files: if it has no folders in it but those in ``known``, which are open anyway. A home folder has.
    """
    real = {Path(os.path.realpath(path)) for path in files}
    for path in real:
        yield Opening(str(path), READ_FILES)
    beside = {*(path.parent for path in real), *(Path(path).absolute().parent for path in files)}
    known = known | {os.path.realpath(folder) for folder in beside}
    for folder in beside:
        if _is_kept_for_files(folder, known):
            yield Opening(str(folder), READ_FILES)


def _is_kept_for_files(folder: Path, known: set[str]) -> bool:
    try:
        with os.scandir(folder) as entries:
            return all(os.path.realpath(one.path) in known for one in entries if one.is_dir(follow_symlinks=False))
    except OSError:
        return False
