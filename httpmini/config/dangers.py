"""What is valid and yet dangerous: for the error log, and for ``httpmini config check``."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from httpmini.config.entry_checks import is_served
from httpmini.config.schema import Config
from httpmini.server.listeners.endpoint import UNIX, parse_endpoint


def find_dangers(config: Config, file: str | None) -> list[str]:
    """Return a line for each danger in settings that are valid.

    Args:
        config: the settings.
        file: where they come from, or None.
    """
    found = [
        *_keeps_root(config, file),
        *_writable(config, file),
        *_unreadable(config),
        *_ways_round_realms(config),
        *_served_users(config),
        *_keys(config),
        *_mute(config),
    ]
    return list(dict.fromkeys(found))


def _keeps_root(config: Config, file: str | None) -> Iterator[str]:
    """Find a service of root. Without a file it is a person at a terminal, who could not set the user anyway."""
    if file and os.geteuid() == 0 and not config.daemon.user:
        yield "daemon.user is not set: a server that root starts keeps all rights of root"


def _mute(config: Config) -> Iterator[str]:
    """Find a pid file beside which the socket of ``httpmini ctl`` cannot be."""
    path = config.daemon.pid_file
    if not path:
        return
    try:
        parse_endpoint(f"{UNIX}:{path}.ctl")
    except ValueError:
        yield f'httpmini ctl cannot ask this server: daemon.pid_file = "{path}" is too long for a socket beside it'
    with suppress(OSError):
        if not stat.S_ISSOCK(os.lstat(f"{path}.ctl").st_mode):
            yield f"httpmini ctl cannot ask this server: {path}.ctl is not a socket; remove it, and restart the server"


def _writable(config: Config, file: str | None) -> Iterator[str]:
    """Find files that decide what is served to whom, and that everybody on this machine can change."""
    for path in [
        *([file] if file else []),
        *_tls_files(config),
        *(realm.users for one in config.all_sites for realm in one.realms),
    ]:
        mode = _mode(path)
        if stat.S_ISREG(mode) and mode & stat.S_IWOTH:
            yield f"{path} can be changed by every user of this machine; chmod o-w"


def _unreadable(config: Config) -> Iterator[str]:
    """Find users files that root made for itself; the server mostly runs as somebody else."""
    for path in (realm.users for one in config.all_sites for realm in one.realms):
        mode = _mode(path)
        if os.geteuid() == 0 and stat.S_ISREG(mode) and not mode & (stat.S_IRGRP | stat.S_IROTH) and _is_of_root(path):
            who = config.daemon.user or "a user other than root, as under a unit with DynamicUser="
            yield f"only root can read {path}, and a server that runs as {who} cannot; chgrp and chmod g+r"


def _tls_files(config: Config) -> Iterator[str]:
    return (path for one in config.all_sites for path in one.tls.files)


def _keys(config: Config) -> Iterator[str]:
    """Find private keys that are open to others, in the served folder, or closed to ourselves later."""
    for one in config.all_sites:
        path = one.tls.key
        mode = _mode(path) if path else 0
        if mode & stat.S_IROTH:
            yield f"the key {path} can be read by every user of this machine; chmod o-r"
        elif path and config.daemon.user and _is_closed_to_others(path, mode):
            later = "a renewed one needs a new start; chgrp and chmod g+r, or see docs/deploy.md"
            yield f"the user {config.daemon.user} cannot read the key {path}: {later}"
        for other in config.all_sites if path else ():
            if is_served(os.path.realpath(path), other.site.root, hidden=other.site.hidden):
                yield f"the key {path} is inside the folder that is served, {other.site.root}; move it elsewhere"


def _is_closed_to_others(path: str, mode: int) -> bool:
    """Return whether the server's user cannot read a file: we are that user, or root has kept it for itself."""
    if os.geteuid() != 0:
        return not os.access(path, os.R_OK)
    return not mode & (stat.S_IRGRP | stat.S_IROTH) and _is_of_root(path)


def _is_of_root(path: str) -> bool:
    try:
        return Path(path).stat().st_uid == 0
    except OSError:  # it has just gone
        return False


def _mode(path: str) -> int:
    try:
        return Path(path).stat().st_mode
    except OSError:
        return 0


def _ways_round_realms(config: Config) -> Iterator[str]:
    """Find folders that need a password in one site, and none in another."""
    roots = [os.path.realpath(one.site.root) for one in config.all_sites]
    realms = [
        [os.path.realpath(f"{root}/{realm.path.lstrip('/')}") for realm in one.realms]
        for one, root in zip(config.all_sites, roots, strict=True)
    ]
    for number, folders in enumerate(realms):
        for other, root in enumerate(roots):
            for folder in folders if other != number else ():
                open_part = root if _is_below(root, folder) else folder
                is_served = open_part == root or _is_below(folder, root)
                if is_served and not any(_is_below(open_part, realm) for realm in realms[other]):
                    yield (
                        f"{open_part} needs a password in [[site]] no. {number + 1}, but not in no. {other + 1}, "
                        f"which has the root {root}"
                    )


def _served_users(config: Config) -> Iterator[str]:
    """Find files of users that another site serves; that of its own site is an error."""
    for number, one in enumerate(config.all_sites, 1):
        for other, site in enumerate(config.all_sites, 1):
            for realm in one.realms if other != number else ():
                if is_served(os.path.realpath(realm.users), site.site.root, hidden=site.site.hidden):
                    yield f"{realm.users} is inside the folder that [[site]] no. {other} serves; move it elsewhere"


def _is_below(path: str, folder: str) -> bool:
    """Whether ``path`` is ``folder`` or something in it; both are real paths."""
    return os.path.commonpath([path, folder]) == folder
