"""What the process may do: whose it is, and which folders it can reach."""

from __future__ import annotations

import contextlib
import os
import socket
from importlib import import_module
from pathlib import Path

from httpmini.config import Config
from httpmini.config.identity import find_identity
from httpmini.daemon.pid_file import PidFile
from httpmini.daemon.privileges import become
from httpmini.errors import CannotRun, visible
from httpmini.server.listeners.peer import LOCAL
from httpmini.site import pages

# What is imported when it is needed, and not before: at the start nobody has to wait for it.
_LATE = (
    *("difflib", "encodings.idna", "hashlib", "json", "shlex", "tomllib", "traceback", "unicodedata"),
    *(
        "httpmini.daemon.daemonize",
        "httpmini.server.logs.json_lines",
        "httpmini.server.logs.syslog",
        "httpmini.site.users",
    ),
)


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


def change_root(folder: str) -> None:
    """Let this process see nothing but ``folder``; to be done before anything is opened (chroot(2)).

    Raises:
        CannotRun: it is no folder, or we are not root.
    """
    _load_what_comes_late()
    try:
        os.chroot(folder)
    except OSError as error:
        who = "; only root can do that" if os.geteuid() != 0 else ""
        raise CannotRun(f"--chroot {visible(folder)}: {error.strerror}{who}") from error
    os.chdir("/")


def _load_what_comes_late() -> None:
    """The other user may not be able to read the program; in another root it is not there."""
    for name in _LATE:
        import_module(name)
    with contextlib.suppress(OSError):
        socket.getaddrinfo("localhost", None)  # loads the C library's own parts for names
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
