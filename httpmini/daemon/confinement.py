"""What the process may do: whose it is, and which folders it can reach."""

from __future__ import annotations

import os
from pathlib import Path

from httpmini.config import Config
from httpmini.config.identity import find_identity
from httpmini.daemon.pid_file import PidFile
from httpmini.daemon.privileges import become
from httpmini.errors import CannotRun
from httpmini.server.connection import LOCAL
from httpmini.site import pages


def become_somebody(config: Config, pid_file: PidFile) -> str:
    """The user's name, or "" when we stay who we are."""
    identity = find_identity(config.daemon.user, config.daemon.group)
    if identity is None:
        return ""
    if os.geteuid() == 0:
        _load_what_comes_late()
        pid_file.give_to(identity.uid, identity.gid)
        for entry in (*config.server.listen, *config.status.listen):
            if entry.startswith(LOCAL):
                # Whoever owns its folder could have put a link there meanwhile.
                os.chown(entry.removeprefix(LOCAL), identity.uid, identity.gid, follow_symlinks=False)
    become(identity)
    return identity.name


def _load_what_comes_late() -> None:
    """The other user may not be able to read the program."""
    import difflib  # noqa: F401
    import hashlib  # noqa: F401
    import json  # noqa: F401

    import httpmini.server.json_log
    import httpmini.server.system_log
    import httpmini.site.users  # noqa: F401

    pages.prepare()


def read_folders(config: Config) -> set[str]:
    """Where it has to read: the roots, users files, and what the settings name."""
    users = (str(Path(realm.users).parent) for one in config.all_sites for realm in one.realms)
    return {*(one.site.root for one in config.all_sites), *users, *config.daemon.readable}


def written_folders(config: Config) -> set[str]:
    """Where it has to write: beside its logs, its pid file and its unix sockets."""
    sockets = (entry.removeprefix(LOCAL) for entry in (*config.server.listen, *config.status.listen))
    accesses = (one.log.access for one in config.all_sites)
    said = (*accesses, config.log.error, config.daemon.pid_file, *sockets)
    return {str(Path(path).parent) for path in said if Path(path).is_absolute()}


def refuse_outside(folder: str) -> None:
    """The sandbox cannot be widened; so say it now, rather than serve from a folder that cannot be read."""
    try:
        os.close(os.open(folder, os.O_RDONLY | os.O_DIRECTORY))
    except PermissionError as error:
        if os.access(folder, os.R_OK):
            remedy = "name it in daemon.readable and start the server anew"
            raise CannotRun(f"{folder} is outside the sandbox that this server has begun with; {remedy}") from error
    except OSError:  # what else is wrong with it is seen by who uses it
        return
